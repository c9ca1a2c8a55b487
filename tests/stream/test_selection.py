"""What is picked in one view shows in the others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.stream.histogram import log2_hist
from ktrace_nb.stream.selection import Shared, keys_of

BYTES = pd.DataFrame({"bytes": [10, 20, 30]}, index=pd.Index(["cat", "ls", "sh"], name="comm"))
EVENTS = pd.DataFrame(
    {"ts": [1, 2, 3, 4], "pid": [7, 8, 7, 9], "comm": pd.Categorical(["ls", "cat", "ls", "dd"])}
)


def picked(frame: pd.DataFrame, labels: list[object]) -> Shared:
    shared = Shared()
    shared.pick("picked", labels, lambda: frame[frame.index.isin(labels)])
    return shared


def marked(shared: Shared, name: str, frame: pd.DataFrame) -> list[bool]:
    marks = shared.marks(name, frame)
    assert marks is not None
    assert marks.dtype == bool
    return list(marks)


def test_rows_of_the_same_names_are_marked_in_another_frame() -> None:
    shared = picked(BYTES, ["ls"])
    assert marked(shared, "picked", BYTES) == [False, True, False]
    assert marked(shared, "events", EVENTS) == [True, False, True, False]


def test_all_keys_that_two_frames_share_have_to_agree() -> None:
    both = pd.DataFrame({"pid": [7, 7], "comm": ["ls", "cat"], "hits": [1, 2]})
    shared = picked(EVENTS, [0])  # pid 7, ls
    assert marked(shared, "both", both) == [True, False]


def test_frames_without_a_key_in_common_are_not_marked_at_all() -> None:
    shared = picked(BYTES, ["ls"])
    assert shared.marks("ports", pd.DataFrame({"port": [80], "bytes": [20]})) is None
    assert Shared().marks("picked", BYTES) is None


def test_measured_numbers_buckets_and_moments_are_no_keys() -> None:
    hist = log2_hist([3, 4], [1, 2], unit="ns", keys={"comm": ["a", "a"]})
    assert keys_of(hist) == ["comm"]
    history = pd.concat([hist], keys=[0.5], names=["at_s"])
    assert keys_of(history) == ["comm"]
    assert keys_of(BYTES.reset_index(drop=True)) == []


def test_a_pick_follows_the_frame_and_can_be_taken_back() -> None:
    shared = Shared()
    frames = [BYTES]
    shared.pick("bytes", ["cat"], lambda: frames[-1][frames[-1].index == "cat"])
    frames.append(BYTES * 2)
    rows = shared.rows()
    assert rows is not None
    assert rows["bytes"].tolist() == [20]
    before = shared.version
    shared.pick("bytes", [], lambda: BYTES)
    assert shared.rows() is None
    assert shared.name == ""
    assert shared.version != before


def test_a_reset_leaves_nothing_picked() -> None:
    shared = picked(BYTES, ["cat"])
    shared.window = (1.0, 2.0)
    shared.clear()
    left: list[object] = [shared.rows(), shared.window, shared.marks("picked", BYTES)]
    assert left == [None, None, None]


def test_an_empty_window_is_refused_and_the_one_before_stays() -> None:
    shared = Shared()
    shared.window = (1.0, 2.0)
    with pytest.raises(ValueError, match="from 3 s to 3 s is empty"):
        shared.window = (3.0, 3.0)
    assert shared.window == (1.0, 2.0)
    shared.window = None
    assert shared.window is None


def test_a_million_rows_are_compared() -> None:
    pids = np.arange(1_000_000)
    frame = pd.DataFrame({"pid": pids, "hits": 1})
    shared = picked(pd.DataFrame({"pid": [5, 999_999]}), [0, 1])
    marks = shared.marks("many", frame)
    assert marks is not None
    assert np.flatnonzero(marks).tolist() == [5, 999_999]


def test_labels_of_other_rows_of_the_same_output_mark_nothing() -> None:
    hist = log2_hist([3, 4], [1, 2], unit="ns", keys={"comm": ["a", "a"]})
    shared = Shared()
    shared.pick("latency", [("a", 3)], lambda: hist.iloc[:1])
    assert shared.marks("latency", log2_hist([3, 4], [1, 2], unit="ns")) is None
    assert marked(shared, "latency", hist) == [True, False]
