"""The timeline's half in Python: what is sent, what comes back, and the picture that stays."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.stream.spells import spells_of
from ktrace_nb.widgets import timeline
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.timeline import CHUNK, TimelineView, timeline_html, timeline_text
from ktrace_nb.widgets.timeline_names import HUES, Colours
from tests.widgets.calls import synthetic_calls
from tests.widgets.made_spells import made_switches, many_spells

SECOND = 1_000_000_000


def spells(*rows: tuple[float, float | None, int, int, str]) -> pd.DataFrame:
    """Start and duration in seconds, CPU, thread and name."""
    return pd.DataFrame(
        {
            "start_ns": [round(row[0] * SECOND) for row in rows],
            "duration_ns": pd.array(
                [None if row[1] is None else round(row[1] * SECOND) for row in rows], dtype="Int64"
            ),
            "cpu": [row[2] for row in rows],
            "tid": [row[3] for row in rows],
            "comm": [row[4] for row in rows],
        },
        index=[f"event {n}" for n in range(len(rows))],
    )


def data(frame: pd.DataFrame, generation: int = 0, **more: Any) -> ViewData:
    options = {"lane": "cpu", **more.pop("options", {})}
    return ViewData(
        name="sched", kind="timeline", frame=frame, generation=generation, options=options, **more
    )


class Sent(TimelineView):
    """A view that notes what it sends, and reads it as the page does."""

    def __init__(self, view: ViewData, changed: Callable[[], None] = lambda: None) -> None:
        self.messages: list[tuple[dict[str, Any], Sequence[bytes]]] = []
        super().__init__(view, changed)

    def send(self, content: dict[str, Any], buffers: Sequence[bytes] | None = None) -> None:
        self.messages.append((content, buffers or []))

    def taken(self) -> list[tuple[dict[str, Any], Sequence[bytes]]]:
        messages, self.messages = self.messages, []
        return messages


def hello(view: TimelineView, have: int = 0, number: int = 0, page: str = "p") -> None:
    view.receive({"view": page, "have": have, "names": {}, "number": number})


def unpacked(message: tuple[dict[str, Any], Sequence[bytes]]) -> list[dict[str, float | None]]:
    """The rows of a message, read by the rules its docstring tells."""
    head, buffers = message
    columns: dict[str, list[Any]] = {}
    for (name, kind), buffer in zip(head["columns"], buffers, strict=True):
        code = {"u1": "B", "u2": "H", "u4": "I", "f8": "d"}[kind]
        columns[name] = list(struct.unpack(f"<{head['count']}{code}", buffer))
        if name == "start":
            columns[name] = [head["base"] + value for value in columns[name]]
        if name == "duration":
            columns[name] = [
                None if value != value or (kind == "u4" and value == 2**32 - 1) else value
                for value in columns[name]
            ]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


SMALL = spells(
    (5, 1, 0, 11, "ls"),
    (6, 2.5, 0, 12, "<b>cat\x1b"),
    (5.5, 0.25, 1, 12, "<b>cat\x1b"),
    (9, None, 1, 11, "ls"),
)


def test_a_page_that_asks_gets_all_rows_and_their_names() -> None:
    view = Sent(data(SMALL))
    assert view.update(data(SMALL)) is False
    hello(view)
    assert view.stale
    assert view.update(data(SMALL)) is True
    (message,) = view.taken()
    head = message[0]
    assert (head["start"], head["count"], head["total"], head["last"]) == (0, 4, 4, True)
    rows = unpacked(message)
    assert [row["start"] for row in rows] == [0, SECOND, SECOND / 2, 4 * SECOND]
    assert [row["duration"] for row in rows] == [SECOND, 2.5 * SECOND, SECOND / 4, None]
    tasks, cpus = head["names"]["task"][1], head["names"]["cpu"][1]
    assert [tasks[int(row["task"] or 0) - 1][0] for row in rows] == [
        "ls (11)",
        "<b>cat\\x1b (12)",
        "<b>cat\\x1b (12)",
        "ls (11)",
    ]
    assert [cpus[int(row["cpu"] or 0) - 1][0] for row in rows] == ["CPU 0", "CPU 0", "CPU 1", "CPU 1"]
    assert view.about["lanes"] == [["cpu", "CPU"], ["task", "task"]]
    assert view.update(data(SMALL)) is False
    assert view.taken() == []


def test_times_are_since_the_first_start_or_the_origin_that_is_told() -> None:
    view = Sent(data(SMALL, options={"origin_ns": str(2 * SECOND)}))
    hello(view)
    view.update(data(SMALL, options={"origin_ns": str(2 * SECOND)}))
    assert [row["start"] for row in unpacked(view.taken()[0])] == [3 * SECOND, 4e9, 3.5e9, 7e9]


def test_a_growing_frame_costs_only_what_is_new_and_what_has_ended() -> None:
    frame = many_spells(1000)
    first = frame.iloc[:900].copy()
    first.loc[first.index[[5, 899]], "duration_ns"] = pd.NA
    view = Sent(data(first))
    hello(view)
    view.update(data(first))
    view.taken()
    hello(view, 900)
    assert view.update(data(first)) is False
    assert view.update(data(frame, 1)) is True
    ended, rows = view.taken()
    assert ended[0] == {"number": 0, "ended": 2}
    assert struct.unpack("<2I", ended[1][0]) == (5, 899)
    assert struct.unpack("<2d", ended[1][1]) == tuple(frame["duration_ns"].iloc[[5, 899]])
    assert (rows[0]["start"], rows[0]["count"]) == (900, 100)
    assert [row["duration"] for row in unpacked(rows)] == frame["duration_ns"].iloc[900:].tolist()
    # 4 + 4 for the times, and a byte each for CPU, task and state.
    assert sum(map(len, rows[1])) == 100 * 11
    assert view.update(data(frame.copy(), 2)) is False
    assert view.taken() == []


def test_many_rows_travel_in_messages_below_a_megabyte() -> None:
    frame = many_spells(CHUNK + 10)
    view = Sent(data(frame))
    hello(view)
    view.update(data(frame))
    messages = view.taken()
    assert [head["count"] for head, _ in messages] == [CHUNK, 10]
    assert [head["last"] for head, _ in messages] == [False, True]
    assert all(sum(map(len, buffers)) < 1_000_000 for _, buffers in messages)
    assert sum(map(len, messages[0][1])) <= 13 * CHUNK


def test_another_frame_starts_afresh_and_old_requests_count_no_more() -> None:
    view = Sent(data(SMALL))
    hello(view)
    view.update(data(SMALL))
    view.taken()
    other = SMALL.assign(comm="other")
    assert view.update(data(other, 1)) is True
    assert view.taken() == [({"number": 1}, [])]
    hello(view, 4, number=0)
    view.update(data(other, 1))
    assert view.taken() == [({"number": 1}, [])]
    hello(view, 0, number=1)
    view.update(data(other, 1))
    assert [head["number"] for head, _ in view.taken()] == [1]


def test_rows_that_went_from_the_end_are_taken_back() -> None:
    frame = many_spells(50)
    view = Sent(data(frame))
    hello(view)
    view.update(data(frame))
    view.taken()
    hello(view, 50)
    shorter = frame.drop(frame.index[[45]])
    view.update(data(shorter, 1))
    kept, rows = view.taken()
    assert kept[0] == {"number": 0, "keep": 45}
    assert (rows[0]["start"], rows[0]["count"]) == (45, 4)
    assert [row["duration"] for row in unpacked(rows)] == frame["duration_ns"].iloc[46:].tolist()


def test_picking_gives_the_labels_of_the_frame() -> None:
    picked: list[Sequence[Any]] = []
    bad = spells((1, -2, 0, 1, "a"), (1, 1, 0, 1, "a"), (2, 1, 0, 1, "a"))
    view = Sent(data(bad, pick=picked.append))
    assert "1 row left out: no start, or a negative duration" in view.about["remark"]
    view.receive({"pick": [0, 1], "number": 0, "view": "p"})
    view.receive({"pick": [1, 99, -1, "x"], "number": 0, "view": "p"})
    view.receive({"pick": [0], "number": 7, "view": "p"})  # of a frame that is no more
    view.receive({"pick": [], "number": 0, "view": "p"})
    assert picked == [["event 1", "event 2"], ["event 2"], []]


def test_the_window_is_told_both_ways() -> None:
    windows: list[Any] = []
    view = Sent(data(SMALL, set_window=windows.append))
    view.receive({"window": [0.5, 2], "number": 0, "view": "p"})
    view.receive({"window": [2, 0.5], "number": 0, "view": "p"})
    view.receive({"window": None, "number": 0, "view": "p"})
    assert windows == [(0.5, 2.0), None]
    assert view.update(data(SMALL, 1, window=(0.5, 2.0))) is True
    assert view.about["window"] == [0.5, 2.0]
    assert view.update(data(SMALL, 1, window=(0.5, 2.0))) is False


def test_marks_are_sent_when_they_change_and_for_new_rows() -> None:
    frame = many_spells(100)
    marks = np.arange(100) % 3 == 0
    view = Sent(data(frame))
    hello(view)
    view.update(data(frame.iloc[:60]))
    view.taken()
    assert view.update(data(frame.iloc[:60], 1, marks=marks[:60])) is True
    ((head, (bits,)),) = view.taken()
    assert head["marked"] == [0, 60]
    unpacked_bits = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[:60]
    assert unpacked_bits.tolist() == marks[:60].astype(int).tolist()
    assert view.update(data(frame.iloc[:60], 2, marks=marks[:60])) is False
    hello(view, 60)
    view.update(data(frame, 3, marks=marks))
    assert [head.get("marked") for head, _ in view.taken()] == [None, [60, 40]]
    view.update(data(frame, 4))
    assert view.taken() == [({"number": 0, "marked": None}, [])]


@pytest.mark.parametrize(
    "change",
    [
        {"start_ns": [1.0, np.nan, 3.0, 4.0]},
        {"start_ns": np.array([2**63 + 5, 2**63 + 1, 2**64 - 1, 2**63 + 9], np.uint64)},
        {"duration_ns": [1.5, -1.0, np.nan, np.inf]},
        {"duration_ns": np.array([1, 2**64 - 1, 2**53 + 1, 0], np.uint64)},
        {"duration_ns": [None, None, None, None]},
        {"comm": [None, "a", None, "\x00\u202e<img src=x>"]},
        {"cpu": [-1, 0, 300, -1]},
        {"tid": pd.array([None, 1, 2, 3], dtype="Int64")},
    ],
)
def test_bad_input_is_shown_as_far_as_it_can_be(change: dict[str, Any]) -> None:
    frame = SMALL.assign(**change)
    for lane in ("cpu", "task"):
        view = Sent(data(frame, options={"lane": lane}))
        hello(view)
        view.update(data(frame, options={"lane": lane}))
        for message in view.taken():
            rows = unpacked(message)
            assert all((row["start"] or 0) >= 0 for row in rows)
        text = timeline_text(data(frame, options={"lane": lane}))
        assert "\x1b" not in text
        assert "<b>" not in timeline_html(data(frame, options={"lane": lane}))


def test_unsigned_starts_beyond_int64_keep_their_distances() -> None:
    frame = SMALL.assign(start_ns=np.array([2**63 + 5, 2**63 + 1, 2**64 - 1, 2**63 + 9], np.uint64))
    view = Sent(data(frame))
    hello(view)
    view.update(data(frame))
    assert [row["start"] for row in unpacked(view.taken()[0])] == [4.0, 0.0, float(2**63 - 2), 8.0]


def test_a_missing_column_is_named_when_the_view_is_made() -> None:
    with pytest.raises(ValueError, match="no column 'duration_ns'"):
        timeline(SMALL.drop(columns="duration_ns"))
    with pytest.raises(ValueError, match="no column 'device'"):
        timeline(SMALL, lane="device")
    with pytest.raises(ValueError, match=r"holds .*, not nanoseconds"):
        timeline(SMALL.assign(start_ns="now"))


def test_calls_of_a_walk_work_as_they_stand() -> None:
    calls = synthetic_calls(200)
    view = Sent(data(calls, options={"lane": "task"}))
    hello(view)
    view.update(data(calls, options={"lane": "task"}))
    message = view.taken()[0]
    names = message[0]["names"]["function"][1]
    rows = unpacked(message)
    assert [names[int(row["function"] or 0) - 1][0] for row in rows] == calls["function"].tolist()
    assert [row["depth"] for row in rows] == calls["depth"].tolist()
    assert view.about["colours"][0] == ["function", "function"]


def strips_of(text: str) -> dict[str, tuple[float, str]]:
    """Lane, percent and strip of each line."""
    found = re.findall(r"^(.+?) +([\d.]+) % \|(.*)\|$", text, re.M)
    return {name: (float(share), strip) for name, share, strip in found}


def test_the_text_tells_lane_share_and_when_it_was_busy() -> None:
    # Over 4 s: CPU 0 is busy from 0 to 3.5 s, CPU 1 from 0.5 to 0.75 s, and what began then has not.
    frame = spells(
        (5, 1, 0, 11, "ls"), (6, 2.5, 0, 12, "cat"), (5.5, 0.25, 1, 12, "cat"), (9, None, 1, 11, "ls")
    )
    text = timeline_text(data(frame))
    lanes = strips_of(text)
    assert lanes["CPU 0"] == (87.5, "█" * 42 + " " * 6)
    assert lanes["CPU 1"] == (6.2, " " * 6 + "█" * 3 + " " * 39)
    assert text.splitlines()[0] == "sched"
    assert text.splitlines()[-1].split() == ["0", "4", "s"]
    assert max(map(len, text.splitlines())) <= 80
    tasks = strips_of(timeline_text(data(frame, options={"lane": "task"})))
    assert list(tasks) == ["cat (12)", "ls (11)"]
    assert tasks["cat (12)"][0] == 68.8  # 2.5 s and 0.25 s
    assert tasks["ls (11)"][0] == 25.0


def test_what_overlaps_in_a_lane_counts_once() -> None:
    frame = spells((0, 2, 0, 1, "a"), (1, 2, 0, 2, "b"), (5, 1, 0, 3, "c"))
    assert strips_of(timeline_text(data(frame)))["CPU 0"] == (66.7, "█" * 24 + " " * 16 + "█" * 8)


def test_only_running_counts_as_busy_where_waiting_is_told_too() -> None:
    events, woken = made_switches(400, wakeups=True)
    frame = spells_of(events, woken, waiting=True)
    running = frame[frame["state"] == "running"]
    whole = spells_of(events)
    assert strips_of(timeline_text(data(running))) == strips_of(timeline_text(data(whole)))
    lanes = strips_of(timeline_text(data(frame, options={"lane": "task"})))
    ends = (frame["start_ns"] + frame["duration_ns"]).max()
    span = int(ends - frame["start_ns"].min())
    for tid, own in running.groupby("tid"):
        busy = int((own["duration_ns"].fillna(ends - own["start_ns"])).sum())
        name = next(name for name in lanes if name.endswith(f"({tid})"))
        assert lanes[name][0] == pytest.approx(100 * busy / span, abs=0.051)


def test_the_picture_is_an_image_that_says_the_same() -> None:
    html = timeline_html(data(SMALL))
    match = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    assert match
    svg = base64.b64decode(match[1]).decode()
    root = ElementTree.fromstring(svg)
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "CPU 0 88 %" in texts
    assert {"0", "4 s", "time"} <= set(texts)
    assert 'alt="sched' in html
    assert "script" not in html


def test_an_empty_frame_and_a_single_spell_are_shown() -> None:
    empty = SMALL.iloc[:0]
    assert timeline_text(data(empty)) == "sched\nnothing ran yet"
    assert (
        "nothing ran yet"
        in base64.b64decode(timeline_html(data(empty)).split("base64,")[1].split('"')[0]).decode()
    )
    view = Sent(data(empty))
    hello(view)
    assert view.update(data(empty)) is False
    assert view.update(data(SMALL.iloc[:1], 1)) is True
    assert strips_of(timeline_text(data(SMALL.iloc[:1])))["CPU 0"] == (100.0, "█" * 48)
    point = spells((1, 0, 0, 1, "a"))
    assert strips_of(timeline_text(data(point)))["CPU 0"][0] == 0.0


def test_more_lanes_than_fit_are_said() -> None:
    frame = many_spells(2000, tasks=60)
    text = timeline_text(data(frame, options={"lane": "task"}))
    assert text.splitlines()[-1] == f"{frame['tid'].nunique() - 16} more lanes not drawn"


def test_names_have_colours_of_their_own_and_threads_shades_of_them() -> None:
    colours = Colours()
    names = [f"program {n}" for n in range(6)]
    own = [colours.of(name) for name in names]
    assert sorted(own) == sorted(HUES)
    again = Colours()
    assert again.of(names[0]) == own[0]
    threads = [again.of(names[0]) for _ in range(2)]
    assert len({own[0], *threads}) == 3
    assert len({*own, *(colours.of(f"more {n}") for n in range(12))}) == 18
