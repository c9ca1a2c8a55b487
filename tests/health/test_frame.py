"""The frame: its columns, and what a lamp shows."""

from __future__ import annotations

import math
import struct
from dataclasses import replace

import pytest

from ktrace_nb.errors import StreamError
from ktrace_nb.health.counting import decode
from ktrace_nb.health.frame import STATES, Row, health_frame
from ktrace_nb.health.processors import CTXT, RUNNABLE
from ktrace_nb.health.reading import Comparison, Moves

SINCE = Comparison(added=8000, moves=8000, told=12000, drift=0, slack=6, seconds=20.0)
RUNNING = replace(SINCE, told=5)


def row(part: str = "", *, since: Comparison = SINCE, most: float | None = None) -> Row:
    return Row(piece=replace(CTXT, most=most), part=part, since_start=since, since_last=since)


def level(least: float | None, most: float | None, since: Comparison = RUNNING) -> Row:
    piece = replace(RUNNABLE, least=least, most=most)
    return Row(piece=piece, part="", since_start=since, since_last=since)


def test_columns_have_the_dtypes_that_are_documented() -> None:
    frame = health_frame([row("a", most=500.0), row()])
    assert list(frame.index) == [("ctxt", "a"), ("ctxt", "")]
    assert frame.index.names == ["name", "part"]
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        "title": "str",
        "unit": "str",
        "kind": "category",
        "level": "int64",
        "source": "int64",
        "drift": "int64",
        "relative": "float64",
        "slack": "int64",
        "moves": "uint64",
        "rate": "float64",
        "least": "float64",
        "most": "float64",
        "state": "category",
    }
    assert frame["rate"].tolist() == [400.0, 400.0]
    assert frame["most"].iloc[0] == 500.0
    assert math.isnan(frame["least"].iloc[0])


def test_a_frame_of_nothing_has_all_columns() -> None:
    assert list(health_frame([]).columns) == list(health_frame([row()]).columns)


@pytest.mark.parametrize(
    ("shown", "state"),
    [
        (row(), "ok"),
        (row(most=400.0), "ok"),
        (row(most=399.9), "high"),
        (level(5, 5), "ok"),
        (level(6, None), "low"),
        (level(None, 4), "high"),
        (row(since=replace(SINCE, drift=7)), "ok"),
        (row(since=replace(SINCE, drift=-8)), "drift"),
        (level(6, None, replace(RUNNING, drift=8)), "drift"),
        (row(since=replace(SINCE, moves=0, drift=1)), "drift"),
    ],
)
def test_a_lamp_shows_the_band_and_first_of_all_the_drift(shown: Row, state: str) -> None:
    assert state in STATES
    assert shown.state == state


def test_a_look_that_took_no_time_has_no_rate() -> None:
    assert row(since=replace(SINCE, seconds=0.0)).rate == 0.0


def test_counters_of_all_cpus_are_added_up() -> None:
    keys = struct.pack("<2I", 1, 0)
    values = struct.pack("<8Q", 5, 1, 7, 0, 2**63, 3, 11, 4)  # row 1 on two CPUs, then row 0
    rows = decode(keys + values + b"of the command", 2, 32)
    assert rows == [Moves(2**63 + 11, 7), Moves(12, 1)]


def test_counters_that_are_cut_off_are_told_of() -> None:
    with pytest.raises(StreamError, match="not as long"):
        decode(bytes(39), 2, 16)
