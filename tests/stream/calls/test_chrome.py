"""Traces for Perfetto, as Perfetto itself reads them."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.stream.calls.chrome import chrome
from ktrace_nb.stream.calls.export import write_calls
from ktrace_nb.stream.calls.sums import by_path
from tests.perfetto import TraceProcessor, query
from tests.stream.calls.frames_kit import C, calls_frame, many_calls

NS = 5_184_000_123_456_789
"""Two months after boot: a float of microseconds has no room for nanoseconds left."""

SLICES = """
    select slice.ts, slice.dur, slice.depth, slice.name, tid, pid, thread.name as thread,
        process.name as process, extract_arg(slice.arg_set_id, 'args.call') as call
    from slice join thread_track on slice.track_id = thread_track.id
    join thread using (utid) left join process using (upid)
    order by call
"""


def slices(calls: pd.DataFrame, folder: Path) -> list[dict[str, Any]]:
    return query(write_calls(calls, folder / "walk.json"), SLICES)


def arguments(calls: pd.DataFrame, folder: Path, call: int) -> dict[str, str]:
    sql = f"""
        select args.key, args.display_value as value from slice join args using (arg_set_id)
        where extract_arg(slice.arg_set_id, 'args.call') = {call}
    """
    rows = query(write_calls(calls, folder / "walk.json"), sql)
    return {row["key"].removeprefix("args."): row["value"] for row in rows if row["key"].startswith("args.")}


def random_walk(threads: int) -> pd.DataFrame:
    """Calls that nest at random; no two of a thread's entries and returns at one time."""
    chance = random.Random(5)

    def calls(now: int, depth: int, tid: int) -> tuple[list[C], int]:
        made = []
        for _ in range(chance.randrange(4 if depth else 12)):
            start = now + chance.randrange(1, 2000)
            inner, now = calls(start, depth + 1, tid) if depth < 6 else ([], start)
            now += chance.randrange(1, 2000)
            error = chance.choice([None, None, None, "ENOENT"])
            name = f"ext4_{chance.randrange(20)}"
            made.append(C(name, start, now, inner, tid, tid - tid % 3, f"w{tid}", error=error))
        return made, now

    return calls_frame(*(call for tid in range(3, 3 + threads) for call in calls(NS, 0, tid)[0]))


def test_perfetto_shows_every_call_at_its_depth_to_the_nanosecond(tmp_path: Path) -> None:
    calls = random_walk(threads=200)
    assert len(calls) > 3000
    shown = pd.DataFrame(slices(calls, tmp_path)).set_index("call")
    assert len(shown) == len(calls)
    for column, expected in (
        ("ts", calls["start_ns"]),
        ("dur", calls["duration_ns"]),
        ("depth", calls["depth"]),
        ("tid", calls["tid"]),
        ("pid", calls["pid"]),
        ("name", calls["function"]),
        ("thread", calls["comm"]),
    ):
        assert shown[column].tolist() == expected.tolist(), column


def test_calls_may_come_in_the_order_of_their_return(tmp_path: Path) -> None:
    entered = random_walk(threads=20)
    ends = entered["start_ns"] + entered["duration_ns"].astype("int64")
    returned = entered.iloc[np.argsort(ends.to_numpy(), kind="stable")]
    place = {call: row for row, call in enumerate(returned.index)}
    returned = returned.assign(parent=[place.get(call, -1) for call in returned["parent"]])
    returned.index = pd.RangeIndex(len(returned), name="call")
    shown = slices(returned, tmp_path)
    assert [s["depth"] for s in shown] == returned["depth"].tolist()
    assert [s["name"] for s in shown] == returned["function"].tolist()
    pd.testing.assert_frame_equal(
        by_path(returned).sort_index(), by_path(entered).sort_index(), check_exact=True
    )


def test_a_call_that_still_lasts_has_no_duration(tmp_path: Path) -> None:
    calls = calls_frame(C("a", NS, None, [C("b", NS + 10, NS + 20), C("c", NS + 30, None)]))
    shown = [(s["name"], s["dur"], s["depth"]) for s in slices(calls, tmp_path)]
    assert shown == [("a", -1, 0), ("b", 10, 1), ("c", -1, 1)]
    assert arguments(calls, tmp_path, 2)["state"] == "open"


def test_a_missed_return_swallows_nothing(tmp_path: Path) -> None:
    missed = C("b", NS + 10, None, [C("c", NS + 12, NS + 15)], state="no return")
    calls = calls_frame(C("a", NS, NS + 100, [missed, C("d", NS + 50, NS + 60)]), C("e", NS + 200, NS + 300))
    shown = [(s["name"], s["dur"], s["depth"]) for s in slices(calls, tmp_path)]
    assert shown == [("a", 100, 0), ("b", 40, 1), ("c", 3, 2), ("d", 10, 1), ("e", 100, 0)]
    assert arguments(calls, tmp_path, 1)["state"] == "no return"


def test_arguments_results_and_errors_are_shown(tmp_path: Path) -> None:
    call = C(
        "ext4_lookup",
        NS,
        NS + 9,
        arguments='dir=0xffff888003c4d2a8, name="a\tb"',
        result="-ENOENT",
        error="ENOENT",
        cpu=3,
    )
    assert arguments(calls_frame(call), tmp_path, 0) == {
        "call": "0",
        "arguments": 'dir=0xffff888003c4d2a8, name="a\tb"',
        "return": "-ENOENT",
        "error": "ENOENT",
        "cpu": "3",
    }


def test_names_of_threads_may_be_anything(tmp_path: Path) -> None:
    names = ['a"b', "back\\slash", "new\nline", "\x1b[31mred", "é – ü", "{},;:"]
    calls = calls_frame(*(C("f", NS, NS + 5, tid=10 + n, comm=name) for n, name in enumerate(names)))
    assert [s["thread"] for s in slices(calls, tmp_path)] == names


def test_text_that_is_no_text_does_no_harm(tmp_path: Path) -> None:
    calls = calls_frame(C("f", NS, NS + 5, arguments="nul\0byte"))
    calls["comm"] = pd.Categorical.from_codes([0], pd.Index(["bad\udcff"], dtype=object))
    path = write_calls(calls, tmp_path / "walk.json")
    assert path.read_bytes().isascii()
    (event,) = (e for e in json.loads(path.read_text())["traceEvents"] if e["ph"] == "X")
    assert event["args"]["arguments"] == "nul\0byte"
    assert [s["thread"] for s in slices(calls, tmp_path)] == ["bad\N{REPLACEMENT CHARACTER}"]


def test_idle_threads_of_each_cpu_have_a_track_of_their_own(tmp_path: Path) -> None:
    idle = [C("a", NS, NS + 100, tid=0, pid=0, cpu=0, comm="swapper/0")]
    idle += [C("a", NS + 50, NS + 150, tid=0, pid=0, cpu=1, comm="swapper/1")]
    shown = slices(calls_frame(*idle), tmp_path)
    assert [(s["thread"], s["depth"], s["dur"]) for s in shown] == [
        ("swapper/0", 0, 100),
        ("swapper/1", 0, 100),
    ]
    assert {s["process"] for s in shown} == {"idle"}


def test_a_thread_has_its_last_name_and_its_calls_tell_the_earlier(tmp_path: Path) -> None:
    calls = calls_frame(C("execve", NS, NS + 5, comm="sh"), C("open", NS + 10, NS + 15, comm="ls"))
    assert {s["thread"] for s in slices(calls, tmp_path)} == {"ls"}
    assert arguments(calls, tmp_path, 0)["comm"] == "sh"
    assert "comm" not in arguments(calls, tmp_path, 1)


def test_a_thread_of_an_unknown_process_is_shown(tmp_path: Path) -> None:
    (shown,) = slices(calls_frame(C("f", NS, NS + 5, tid=42, pid=None, comm="x")), tmp_path)
    assert (shown["tid"], shown["thread"]) == (42, "x")


def test_losses_are_marked_in_the_picture_and_told_in_the_file(tmp_path: Path) -> None:
    calls = calls_frame(C("f", NS, NS + 5))
    calls.attrs["ktrace"] = {"session": "walk", "lost": {"ring full": 17}}
    path = write_calls(calls, tmp_path / "walk.json")
    assert [row["name"] for row in query(path, "select name from slice where name like 'incomplete%'")] == [
        "incomplete: 17 ring full"
    ]
    assert json.loads(path.read_text())["otherData"]["lost"] == {"ring full": 17}


def test_perfetto_reports_no_errors(tmp_path: Path) -> None:
    path = write_calls(random_walk(threads=20), tmp_path / "walk.json.gz")
    with TraceProcessor(trace=str(path)) as processor:
        bad = processor.query("select name, value from stats where severity != 'info' and value > 0")
        assert [row.name for row in bad] == []
        assert next(iter(processor.query("select count(*) as n from slice"))).n > 100


def test_no_calls_are_a_trace_too(tmp_path: Path) -> None:
    path = write_calls(calls_frame(C("f", 1, 2)).iloc[:0], tmp_path / "walk.json")
    assert json.loads(path.read_text())["traceEvents"] == []


@pytest.mark.parametrize("count", [65_535, 65_536, 65_537])
def test_pieces_are_put_together_without_seam(count: int) -> None:
    events = json.loads(b"".join(chrome(many_calls(count))))["traceEvents"]
    assert [e["args"]["call"] for e in events if e["ph"] == "X"] == list(range(count))


def test_the_file_is_made_piece_by_piece() -> None:
    sizes = [len(piece) for piece in chrome(many_calls(300_000))]
    assert max(sizes) < 0.3 * sum(sizes)


def test_a_compressed_file_is_the_same_file(tmp_path: Path) -> None:
    calls = many_calls(1000)
    plain = write_calls(calls, tmp_path / "walk.json").read_bytes()
    packed = write_calls(calls, tmp_path / "walk.json.gz").read_bytes()
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain) / 10


def test_some_calls_of_a_walk_keep_their_numbers(tmp_path: Path) -> None:
    calls = random_walk(threads=10)
    some = calls[calls["error"].notna()]
    shown = slices(some, tmp_path)
    assert [s["call"] for s in shown] == some.index.tolist()
    assert np.array_equal([s["ts"] for s in shown], some["start_ns"])
