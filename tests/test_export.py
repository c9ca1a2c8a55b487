from __future__ import annotations

import datetime
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.errors import KTraceError, OptionError
from ktrace_nb.export import export_action, export_frames, export_page
from ktrace_nb.snapshots import Snapshot
from ktrace_nb.stream.histogram import log2_hist

LARGEST = 2**64 - 1


def snapshot(**frames: pd.DataFrame) -> Snapshot:
    """What a session held at one moment."""
    ledger = pd.DataFrame(
        {"received": pd.array([3], dtype="uint64")}, index=pd.Index(["latency"], name="name")
    )
    return Snapshot(
        session="trace",
        number=1,
        taken_at=datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        frames=frames,
        ledger=ledger,
        probes=pd.DataFrame(),
        text="",
    )


def latency() -> pd.DataFrame:
    return log2_hist(np.array([4, 5]), np.array([LARGEST, 7], dtype=np.uint64), unit="ns")


def awkward() -> pd.DataFrame:
    """What processes call themselves and what measuring gives: everything a file could break at."""
    return pd.DataFrame(
        {
            "comm": pd.Categorical(["a,b", 'say "x"', None]),
            "pid": [1, 2, 3],
            "mean_ns": [1.5, float("nan"), float("inf")],
            "wide": pd.Series([2**100, -1, 0], dtype=object),
            "frames": pd.Series([["f", "g"], [], None], dtype=object),
            "at": [pd.Timestamp("2026-01-02T03:04:05.000000006Z"), pd.NaT, pd.NaT],
            "lone": pd.Series(["\ud800", "\n", ""], dtype=object),
        }
    ).set_index(pd.Index([10, 11, 12], name="pid"))


def test_csv_has_the_index_and_every_digit(tmp_path: Path) -> None:
    paths = export_frames(snapshot(latency=latency()), tmp_path, "csv")
    assert [path.name for path in paths] == ["trace-1-latency.csv", "trace-1-ledger.csv"]
    assert paths[0].read_text().splitlines() == [
        "bucket,low_ns,high_ns,count",
        "4,8,15,18446744073709551615",
        "5,16,31,7",
    ]
    assert paths[1].read_text() == "name,received\nlatency,3\n"


def test_json_has_integers_as_numbers_with_every_digit(tmp_path: Path) -> None:
    path, _ = export_frames(snapshot(latency=latency()), tmp_path, "json")
    assert f'"count": {LARGEST}}}' in path.read_text()
    assert json.loads(path.read_text()) == [
        {"bucket": 4, "low_ns": 8, "high_ns": 15, "count": LARGEST},
        {"bucket": 5, "low_ns": 16, "high_ns": 31, "count": 7},
    ]


def test_parquet_comes_back_with_its_types(tmp_path: Path) -> None:
    path, _ = export_frames(snapshot(latency=latency()), tmp_path, "parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(path), latency())


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_an_empty_frame_is_written_too(tmp_path: Path, form: str) -> None:
    path, _ = export_frames(snapshot(latency=latency().head(0)), tmp_path, form)
    if form == "json":
        assert json.loads(path.read_text()) == []
    else:
        read = pd.read_csv(path) if form == "csv" else pd.read_parquet(path).reset_index()
        assert list(read.columns) == ["bucket", "low_ns", "high_ns", "count"]
        assert len(read) == 0


def test_values_that_json_does_not_know_are_null_or_text(tmp_path: Path) -> None:
    path, _ = export_frames(snapshot(odd=awkward()), tmp_path, "json")
    first, second, third = json.loads(path.read_text())
    assert first == {
        "pid_index": 10,
        "comm": "a,b",
        "pid": 1,
        "mean_ns": 1.5,
        "wide": 2**100,
        "frames": ["f", "g"],
        "at": "2026-01-02T03:04:05.000000006+00:00",
        "lone": "\ud800",
    }
    assert (second["mean_ns"], second["at"], second["frames"]) == (None, None, [])
    assert (third["comm"], third["mean_ns"], third["frames"]) == (None, None, None)


def test_csv_of_awkward_names_is_read_as_what_it_was(tmp_path: Path) -> None:
    path, _ = export_frames(snapshot(odd=awkward()), tmp_path, "csv")
    read = pd.read_csv(path, index_col="pid_index")
    assert read["comm"].tolist()[:2] == ["a,b", 'say "x"']
    assert read.index.tolist() == [10, 11, 12]
    assert read["lone"].tolist()[:2] == ["\\ud800", "\n"]


def test_many_rows_are_written_once_each(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": np.arange(25_001, dtype=np.uint64)})
    path, _ = export_frames(snapshot(n=frame), tmp_path, "json")
    rows = json.loads(path.read_text())
    assert [row["n"] for row in rows] == list(range(25_001))
    assert rows[3] == {"index": 3, "n": 3}


def test_nothing_that_is_there_is_replaced_and_one_export_has_one_number(tmp_path: Path) -> None:
    (tmp_path / "monday-ledger.csv").write_text("mine")
    held = snapshot(latency=latency())
    names = [[path.name for path in export_frames(held, tmp_path / "monday", "csv")] for _ in range(2)]
    assert names == [
        ["monday-latency-2.csv", "monday-ledger-2.csv"],
        ["monday-latency-3.csv", "monday-ledger-3.csv"],
    ]
    assert (tmp_path / "monday-ledger.csv").read_text() == "mine"
    assert not (tmp_path / "monday-latency.csv").exists()


def test_names_of_frames_stay_in_the_folder_and_hide_no_other(tmp_path: Path) -> None:
    frame = latency()
    held = snapshot(**{"../up": frame, "a b": frame, "a_b": frame, "ledger": frame})
    paths = export_frames(held, tmp_path, "csv")
    assert [path.name for path in paths] == [
        "trace-1-.._up.csv",
        "trace-1-a_b.csv",
        "trace-1-a_b_.csv",
        "trace-1-ledger.csv",
        "trace-1-ledger_.csv",
    ]
    assert {path.parent for path in paths} == {tmp_path}


def test_an_unknown_form_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(OptionError) as told:
        export_frames(snapshot(), tmp_path, "xlsx")
    assert told.value.message == "cannot export as 'xlsx'"
    assert told.value.hint == "there are csv, parquet, json"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(KTraceError) as told:
        export_frames(snapshot(latency=latency()), tmp_path / "none" / "monday", "csv")
    path = tmp_path / "none" / "monday-latency.csv"
    assert told.value.message == f"cannot write {path}: no such file or directory"
    assert told.value.hint == "make the folder first"


@contextmanager
def small_files() -> Iterator[None]:
    """No file may grow beyond a thousand bytes: the way a full disk fails, in the midst of writing.

    For as short as can be: it holds for what pytest writes as well.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_what_could_not_be_written_whole_is_not_left_behind(tmp_path: Path, form: str) -> None:
    large = pd.DataFrame({"n": np.arange(50_000, dtype=np.uint64)})
    tiny = pd.DataFrame({"n": [1]})
    kept = snapshot(tiny=tiny, large=large) if form != "parquet" else snapshot(n=large)
    with pytest.raises(KTraceError, match="file too large"), small_files():
        export_frames(kept, tmp_path, form)
    assert list(tmp_path.iterdir()) == []


def test_a_page_holds_the_picture_and_its_name_is_not_taken_for_html(tmp_path: Path) -> None:
    path = export_page("<p>µs <b>here</b></p>", tmp_path, "<i>t")
    assert path.name == "_i_t.html"
    text = path.read_text(encoding="utf-8")
    assert "<title>&lt;i&gt;t</title>" in text
    assert "<p>µs <b>here</b></p>" in text
    assert export_page("", tmp_path, "<i>t").name == "_i_t-2.html"


def test_the_action_says_what_it_wrote_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lecture").mkdir()
    held = snapshot(latency=latency())
    picture = {"text/html": "<p>picture</p>"}
    said = export_action(held, "csv", lambda: picture, where="lecture")
    assert said == "wrote trace-1-latency.csv, trace-1-ledger.csv in ~/lecture"
    assert export_action(held, "html", lambda: picture) == "wrote trace-1.html in ~"
    assert "<p>picture</p>" in (tmp_path / "trace-1.html").read_text()
    many = snapshot(**{name: latency() for name in "abcd"})
    assert export_action(many, "json", lambda: picture) == (
        "wrote 5 files, trace-1-a.json to trace-1-ledger.json, in ~"
    )
