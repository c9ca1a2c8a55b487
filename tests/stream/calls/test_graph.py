"""Records out of pages of ftrace's ring buffer, written here by hand."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ktrace_nb.errors import StreamError
from ktrace_nb.ir.calls import ENTRY, RETURN, Traced
from ktrace_nb.stream.calls.graph import GraphDecoder
from ktrace_nb.stream.calls.records import RECORD

PAGE = 4096
OUTER, INNER = 0xFFFFFFFF81000100, 0xFFFFFFFF81000200
FUNCTIONS = [Traced("outer", "", OUTER), Traced("inner", "", INNER)]
TIME_EXTEND, TIME_STAMP, PADDING = 30, 31, 29

# As Linux 6.1 and 6.12 show them.
HEADER = """\
\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;
\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
\tfield: char data;\toffset:16;\tsize:4080;\tsigned:1;
"""
COMMON = """\
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:unsigned long func;\toffset:8;\tsize:8;\tsigned:0;
"""
ENTRY_FORMAT = f"name: funcgraph_entry\nID: 11\n{COMMON}\tfield:int depth;\toffset:16;\tsize:4;\tsigned:1;\n"
EXIT_FORMAT = f"""\
name: funcgraph_exit
ID: 10
{COMMON}\tfield:int depth;\toffset:16;\tsize:4;\tsigned:1;
\tfield:unsigned int overrun;\toffset:20;\tsize:4;\tsigned:0;
\tfield:unsigned long long calltime;\toffset:24;\tsize:8;\tsigned:0;
\tfield:unsigned long long rettime;\toffset:32;\tsize:8;\tsigned:0;
"""
# With CONFIG_FUNCTION_GRAPH_RETVAL, since Linux 6.5 (kernel/trace/trace_entries.h).
RETVAL_FORMAT = f"""\
name: funcgraph_exit
ID: 10
{COMMON}\tfield:unsigned long retval;\toffset:16;\tsize:8;\tsigned:0;
\tfield:int depth;\toffset:24;\tsize:4;\tsigned:1;
\tfield:unsigned int overrun;\toffset:28;\tsize:4;\tsigned:0;
\tfield:unsigned long long calltime;\toffset:32;\tsize:8;\tsigned:0;
\tfield:unsigned long long rettime;\toffset:40;\tsize:8;\tsigned:0;
"""
FORMATS = {"header_page": HEADER, "funcgraph_entry": ENTRY_FORMAT, "funcgraph_exit": EXIT_FORMAT}


def event(delta: int, data: bytes) -> bytes:
    """``struct ring_buffer_event``: 5 bits of kind, 27 of time, the data in whole words."""
    assert len(data) % 4 == 0
    if len(data) <= 112:
        return struct.pack("<I", len(data) // 4 | delta << 5) + data
    return struct.pack("<II", delta << 5, len(data) + 4) + data


def enter(delta: int, tid: int, address: int, depth: int) -> bytes:
    return event(delta, struct.pack("<HBBiQi", 11, 0, 0, tid, address, depth))


def leave(delta: int, tid: int, address: int, depth: int, overrun: int = 0) -> bytes:
    return event(delta, struct.pack("<HBBiQiIQQ", 10, 0, 0, tid, address, depth, overrun, 1, 2))


def page(at: int, *events: bytes, flags: int = 0, size: int = PAGE) -> bytes:
    data = b"".join(events)
    return (struct.pack("<QQ", at, len(data) | flags) + data).ljust(size, b"\xa5")


def head(
    *cpus: tuple[int, int, int],
    before_ns: int = 1 << 63,
    lost: int = 0,
    formats: Any = None,
    size: int = PAGE,
) -> dict[str, Any]:
    told = {} if formats is None else {"formats": formats}
    return {"page": size, "cpus": [list(cpu) for cpu in cpus], "before_ns": before_ns, "lost": lost, **told}


def decode(*pages: bytes, formats: Any = FORMATS) -> NDArray[np.void]:
    return GraphDecoder(FUNCTIONS).add(head((0, len(pages), 1), formats=formats), b"".join(pages))


def short(records: NDArray[Any]) -> list[tuple[int, int, int, int, int]]:
    """Time, thread, depth, kind, function."""
    return [
        (int(r["at"]), int(r["tid"]), 0xFFFFFFFF - int(r["frame"]), int(r["kind"]), int(r["function"]))
        for r in records
    ]


CALL = (
    (1000, 7, 0, ENTRY, 0),
    (1003, 7, 1, ENTRY, 1),
    (1008, 7, 1, RETURN, 1),
    (1010, 7, 0, RETURN, 0),
)


def call(tid: int = 7) -> list[bytes]:
    return [
        enter(0, tid, OUTER, 0),
        enter(3, tid, INNER, 1),
        leave(5, tid, INNER, 1),
        leave(2, tid, OUTER, 0),
    ]


def test_a_call_and_one_made_from_it() -> None:
    records = decode(page(1000, *call()))
    assert records.dtype == RECORD
    assert short(records) == list(CALL)
    assert records["values"].sum() == 0


def test_pages_of_a_cpu_follow_each_other() -> None:
    first, second = call()[:3], [leave(0, 7, OUTER, 0)]
    assert short(decode(page(1000, *first), page(1010, *second))) == list(CALL)


def test_events_of_a_page_that_is_not_in_use_are_none() -> None:
    assert len(decode(page(1000), page(1000))) == 0


def test_long_times_are_extended() -> None:
    far = (5 << 27) + 9
    extend = struct.pack("<II", TIME_EXTEND | 9 << 5, 5)
    records = decode(page(1000, enter(0, 7, OUTER, 0), extend, leave(1, 7, OUTER, 0)))
    assert [int(at) for at in records["at"]] == [1000, 1000 + far + 1]


def test_a_time_stamp_is_absolute_but_for_its_highest_bits() -> None:
    high = 3 << 59
    stamp = struct.pack("<II", TIME_STAMP | 77 << 5, 6)
    records = decode(page(high + 1000, enter(0, 7, OUTER, 0), stamp, leave(1, 7, OUTER, 0)))
    assert [int(at) for at in records["at"]] == [high + 1000, high + (6 << 27) + 77 + 1]


def test_padding_and_other_events_are_passed_over() -> None:
    removed = struct.pack("<II", PADDING | 1 << 5, 12) + bytes(8)
    other = event(4, struct.pack("<HBBi", 317, 0, 0, 7) + bytes(4))
    long = event(5, struct.pack("<HBBi", 318, 0, 0, 7) + bytes(200))
    rest = struct.pack("<I", PADDING) + b"\xff" * 40
    records = decode(page(1000, enter(0, 7, OUTER, 0), removed, other, long, leave(1, 7, OUTER, 0), rest))
    assert [int(at) for at in records["at"]] == [1000, 1010]


def test_the_call_to_ftrace_may_lie_behind_the_first_instruction() -> None:
    assert short(decode(page(5, enter(0, 7, OUTER + 4, 0)))) == [(5, 7, 0, ENTRY, 0)]


def test_functions_that_are_not_ours_are_counted() -> None:
    decoder = GraphDecoder(FUNCTIONS)
    addresses = [OUTER - 1, OUTER + 17, INNER + 0x1000, 1]
    pages = page(5, *(enter(0, 7, address, 0) for address in addresses))
    assert len(decoder.add(head((0, 1, 1), formats=FORMATS), pages)) == 0
    assert decoder.foreign == 4


def test_results_are_values_where_the_kernel_has_them() -> None:
    data = struct.pack("<HBBiQQiIQQ", 10, 0, 0, 7, OUTER, (1 << 64) - 2, 3, 0, 1, 2)
    records = decode(page(5, event(0, data)), formats={**FORMATS, "funcgraph_exit": RETVAL_FORMAT})
    assert short(records) == [(5, 7, 3, RETURN, 0)]
    assert int(records["values"][0, 0]) == (1 << 64) - 2


def test_threads_of_several_cpus_come_in_order_of_time() -> None:
    decoder = GraphDecoder(FUNCTIONS)
    pages = page(1000, *call(7)) + page(1001, *call(8))
    records = decoder.add(head((0, 1, 1), (3, 1, 1), formats=FORMATS), pages)
    assert short(records[records["tid"] == 7]) == list(CALL)
    assert [int(at) for at in records["at"]] == [1000, 1001, 1003, 1004, 1008, 1009, 1010, 1011]
    assert [int(cpu) for cpu in records["cpu"]] == [0, 3, 0, 3, 0, 3, 0, 3]


def test_what_others_may_come_before_waits() -> None:
    decoder = GraphDecoder(FUNCTIONS)
    # CPU 0 was read before the thread moved there from CPU 1, whose page is read after.
    moved = page(1000, enter(0, 7, OUTER, 0), enter(3, 7, INNER, 1))
    first = decoder.add(head((0, 0, 1), (1, 1, 1), before_ns=1002, formats=FORMATS), moved)
    assert short(first) == list(CALL[:1])
    back = page(1008, leave(0, 7, INNER, 1), leave(2, 7, OUTER, 0))
    second = decoder.add(head((0, 1, 1), (1, 0, 1), before_ns=2000), back)
    assert short(second) == list(CALL[1:])
    assert len(decoder.flush()) == 0


def test_a_cpu_that_was_not_read_to_its_end_holds_the_others_up() -> None:
    decoder = GraphDecoder(FUNCTIONS)
    pages = page(500, enter(0, 8, OUTER, 0)) + page(1000, *call())
    first = decoder.add(head((0, 1, 0), (1, 1, 1), before_ns=3000, formats=FORMATS), pages)
    assert [int(at) for at in first["at"]] == [500]
    again = decoder.add(head((0, 0, 0), (1, 0, 1), before_ns=4000), b"")
    assert len(again) == 0
    assert short(decoder.flush()) == list(CALL)
    assert len(decoder.flush()) == 0


def test_nothing_is_given_out_that_came_after_the_agent_began_to_read() -> None:
    decoder = GraphDecoder(FUNCTIONS)
    first = decoder.add(head((0, 1, 0), before_ns=1003, formats=FORMATS), page(1000, *call()))
    assert short(first) == list(CALL[:2])
    assert short(decoder.add(head((0, 0, 1), before_ns=2000), b"")) == list(CALL[2:])


def test_a_page_without_events_does_not_tell_how_far_its_cpu_is() -> None:
    decoder = GraphDecoder(FUNCTIONS)
    first = decoder.add(head((0, 1, 1), (1, 1, 0), formats=FORMATS), page(1000, *call()) + page(5000))
    assert len(first) == 0
    assert short(decoder.add(head((0, 0, 1), (1, 0, 1)), b"")) == list(CALL)


def test_what_comes_of_one_moment_keeps_its_order() -> None:
    nothing = [enter(0, 7, OUTER, 0), leave(0, 7, OUTER, 0)] * 50
    records = decode(page(1000, *nothing))
    assert [int(kind) for kind in records["kind"]] == [ENTRY, RETURN] * 50


def test_losses_are_told() -> None:
    decoder = GraphDecoder(FUNCTIONS)
    pages = page(1000, *call()) + page(2000, *call(), flags=1 << 31) + page(3000, flags=1 << 31 | 1 << 30)
    decoder.add(head((0, 3, 1), lost=12, formats=FORMATS), pages)
    decoder.add(head((0, 0, 1), lost=13), b"")
    assert (decoder.lost, decoder.gaps) == (13, 2)


def test_calls_that_were_too_deep_are_counted_per_thread() -> None:
    decoder = GraphDecoder(FUNCTIONS)
    for at, tid, overrun in ((1, 8, 0), (2, 7, 3), (3, 7, 5), (4, 8, 4), (5, 7, 6)):
        decoder.add(head((0, 1, 1), formats=FORMATS), page(at, leave(0, tid, OUTER, 0, overrun)))
    assert decoder.too_deep == (6 - 3) + (4 - 0)


@pytest.mark.parametrize(
    ("pages", "what"),
    [
        (page(1000)[:-4], "whole pages"),
        (page(1000) * 2, "whole pages"),
        (page(1000, flags=4096), "more of it is in use"),
        (page(1000, enter(0, 7, OUTER, 0)[:-4]), "does not end"),
        (page(1000, struct.pack("<II", 0, 1 << 31)), "does not end"),
        (page(1000, struct.pack("<II", PADDING | 1 << 5, 4096)), "does not end"),
    ],
)
def test_damaged_pages_are_refused(pages: bytes, what: str) -> None:
    with pytest.raises(StreamError, match=what):
        GraphDecoder(FUNCTIONS).add(head((0, 1, 1), formats=FORMATS), pages)


@given(st.binary(max_size=4080), st.integers(0, 4080))
def test_any_page_is_read_or_refused(data: bytes, used: int) -> None:
    text = struct.pack("<QQ", 1000, used) + data.ljust(4080, b"\0")
    with contextlib.suppress(StreamError):
        decode(text)


@pytest.mark.parametrize(
    ("formats", "what"),
    [
        ({**FORMATS, "header_page": HEADER.replace("commit", "length")}, "no 'commit'"),
        ({**FORMATS, "header_page": HEADER.replace("size:8", "size:4")}, "not known"),
        ({**FORMATS, "funcgraph_entry": ENTRY_FORMAT.replace("depth", "level")}, "no 'depth'"),
        ({**FORMATS, "funcgraph_exit": EXIT_FORMAT.replace("offset:16", "offset:18")}, "odd place"),
        ({**FORMATS, "funcgraph_exit": "none"}, "expected the format"),
    ],
)
def test_formats_that_are_not_known_are_refused(formats: dict[str, str], what: str) -> None:
    with pytest.raises(StreamError, match=what):
        decode(page(1000), formats=formats)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"page": 0}, {"page": -4096}, {"page": 4094}, {"page": 16}, {"page": 1 << 40}, {"page": "4096"}),
        *({"cpus": [[1 << 16, 1, 1]]}, {"cpus": [[-1, 1, 1]]}, {"cpus": [[0, 2, 1], [1, -1, 1]]}),
        *({"before_ns": 1 << 64}, {"before_ns": -1}, {"lost": -1}, {"lost": None}),
    ],
)
def test_numbers_that_no_machine_has_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(StreamError, match="ftrace's"):
        GraphDecoder(FUNCTIONS).add({**head((0, 1, 1), formats=FORMATS), **wrong}, page(1000))


def test_pages_before_their_formats_are_refused() -> None:
    with pytest.raises(StreamError, match="before their format"):
        GraphDecoder(FUNCTIONS).add(head((0, 1, 1)), page(1000))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 400)), max_size=300), st.integers(1, 40))
def test_batches_give_what_one_gives(events: list[tuple[int, int]], pages_at_once: int) -> None:
    """Events of four CPUs; each CPU's pages have few events, to have many pages."""
    now = dict.fromkeys(range(4), 1000)
    pages: dict[int, list[bytes]] = {cpu: [] for cpu in now}
    for cpu, gap in events:
        now[cpu] += gap
        pages[cpu].append(page(now[cpu], enter(0, cpu, OUTER, 0), leave(1, cpu, OUTER, 0), size=256))
        now[cpu] += 1
    everything = [(cpu, len(p), 1) for cpu, p in pages.items()]
    whole = GraphDecoder(FUNCTIONS)
    told = head(*everything, formats=FORMATS, size=256)
    expected = whole.add(told, b"".join(b"".join(p) for p in pages.values()))
    decoder, parts = GraphDecoder(FUNCTIONS), []
    while True:
        taken = {cpu: p[:pages_at_once] for cpu, p in pages.items()}
        pages = {cpu: p[pages_at_once:] for cpu, p in pages.items()}
        cpus = [(cpu, len(p), int(not pages[cpu])) for cpu, p in taken.items()]
        told = head(*cpus, formats=FORMATS, size=256)
        parts.append(decoder.add(told, b"".join(b"".join(p) for p in taken.values())))
        if not any(pages.values()):
            break
    found = np.concatenate((*parts, decoder.flush()))
    assert len(found) == 2 * len(events)
    assert short(found[np.argsort(found["cpu"], kind="stable")]) == short(
        expected[np.argsort(expected["cpu"], kind="stable")]
    )
    assert (np.diff(found["at"].astype(np.int64)) >= 0).all()
