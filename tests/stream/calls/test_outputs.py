from __future__ import annotations

import errno
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ktrace_nb.errors import StreamError
from ktrace_nb.ir import calls as ir
from ktrace_nb.ir.calls import Focus, LeftOut, Traced, Walk
from ktrace_nb.ir.program import Program
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.source import Edited, Source
from ktrace_nb.stream.calls import outputs as calls_outputs
from ktrace_nb.stream.calls.feed import ENTERED, RETURNED, UNSEEN
from ktrace_nb.stream.calls.outputs import WalkOutputs
from ktrace_nb.wire import bundle as b
from tests.facts_kit import StoredFacts
from tests.kernel_facts.btf_writer import BtfWriter
from tests.stream.calls.test_graph import FORMATS, FUNCTIONS, INNER, OUTER, enter, leave, page
from tests.stream.calls.trees import written

CPUS = 2
FIELDS = len(b.LEDGER_FIELDS)


class Types(StoredFacts):
    """A kernel of which only types are known."""

    def __init__(self) -> None:
        w = BtfWriter()
        number = w.integer("int", 4, signed=True)
        w.refer(Kind.FUNC, w.prototype(number, [("n", number)]), "a")
        super().__init__({"btf": w.blob()})


def make(walk: Walk, programs: tuple[b.ProgramDef, ...] = (), **options: Any) -> WalkOutputs:
    maps = (
        b.MapDef(4, ir.RING, b.RINGBUF, 0, 0, 4096, slot=0, role="ring"),
        b.MapDef(5, ir.OPEN, b.HASH, 8, 8, 100, slot=1),
    )
    points = (
        b.AttachPoint("calls_entry", "kprobe_multi", cookies=struct.pack("<2Q", 0, 1 << 16 | 1)),
        b.AttachPoint("calls_entry", "kprobe", cookie=1),
    )
    source = Source("")
    program = Program(source, Edited(source, []), (), (), walk=walk)
    facts = KernelFacts(Types(), release="6.12", machine="x86_64", cpus=CPUS)
    return WalkOutputs(b.Bundle(maps, programs, points), program, facts, **options)


def ring_span(records: NDArray[Any]) -> bytes:
    """As the BPF ring has them: a header of 8 bytes in front of each."""
    return b"".join(struct.pack("<II", records.itemsize, 0) + r.tobytes() for r in records)


def collected(
    outputs: WalkOutputs, span: bytes, graph: tuple[dict[str, Any], bytes] | None = None, **counts: int
) -> None:
    """Hand over a reply as the agent makes it; ``counts`` are the ring's in the ledger."""
    rows = np.zeros((3, CPUS, FIELDS), "<u8")
    for name, count in counts.items():
        rows[1, 0, b.LEDGER_FIELDS.index(name)] = count
    head: dict[str, Any] = {"spans": [[4, -1, len(span)]], "programs": {}}
    head["maps"] = [[b.LEDGER, 3, 8 * FIELDS * CPUS, 1000]]
    blob = span
    if graph is not None:
        head["graph"] = graph[0]
        blob += graph[1]
    outputs.ingest(head, blob + struct.pack("<3I", 0, 1, 2) + rows.tobytes())


WALK = Walk(functions=(Traced("a"), Traced("b")), left_out=(LeftOut("c", "inlined"),))
CASE = "7 in a 100\n7 in b 50\n7 out b 50\n7 out a 100\n8 out a 100\n8 in a 100\n8 in b 50\n8 out a 100"


def test_records_of_a_ring_become_frames() -> None:
    outputs = make(WALK)
    outputs.add_threads(b"7 7 1 ls\n")
    batch = written(CASE)
    batch["values"][0, 0] = 3
    batch["values"][3, 0] = (1 << 32) - errno.ENOENT
    collected(outputs, ring_span(batch[:3]), submitted=8)
    assert outputs.frame("calls")["state"].tolist() == ["open", "returned"]
    collected(outputs, ring_span(batch[3:]), submitted=8)
    calls = outputs.frame("calls")
    assert calls["return"][0] == "-ENOENT"
    assert calls["arguments"][0] == "n=3"
    assert outputs.names == ["calls", "functions", "edges", "left_out"]
    assert outputs.frame("functions")["count"].to_dict() == {"a": 2, "b": 2}
    assert ("a", "b") in outputs.frame("edges").index
    assert outputs.frame("left_out")["function"].tolist() == ["c"]
    assert outputs.feed.count() == outputs.store.count() == 8
    assert list(map(outputs.kind, outputs.names)) == ["events", "map", "map", "map"]
    assert outputs.map_names == [b.LEDGER]
    assert (outputs.counted, outputs.stream_names) == ([], ["calls"])
    assert len(outputs.events("calls").tail(2)) == 2
    with pytest.raises(KeyError):
        outputs.frame("calls_ring")
    with pytest.raises(ValueError, match="no per-CPU map"):
        outputs.frame("calls", per_cpu=True)


def test_a_frame_is_built_once_for_what_has_come() -> None:
    outputs = make(WALK)
    collected(outputs, ring_span(written(CASE)))
    assert outputs.frame("calls") is outputs.frame("calls")
    before = outputs.generation("calls")
    outputs.finish(10_000)
    assert outputs.generation("calls") != before


def test_the_ledger_says_what_is_missing() -> None:
    outputs = make(WALK)
    collected(outputs, ring_span(written(CASE)), submitted=11, dropped=3)
    ledger = outputs.ledger()
    records, calls = ledger.loc["records"], ledger.loc["calls"]
    assert list(records[["submitted", "delivered", "ring_full"]]) == [11, 8, 3]
    assert list(calls[["submitted", "delivered", "no_return", "unmatched", "not_kept"]]) == [4, 4, 1, 1, 0]
    assert outputs.entries()[0].lost == 2
    counts = outputs.store.counts
    assert counts.calls == counts.returned + counts.open + counts.no_return + counts.thread_ended == 4


@pytest.mark.parametrize(("focus", "column"), [(Focus(), "unmatched"), (Focus(errors=True), "no_return")])
def test_what_programs_found_open_has_not_been_seen_to_return(focus: Focus, column: str) -> None:
    outputs = make(replace(WALK, focus=focus))
    rows = np.zeros((3, CPUS, FIELDS), "<u8")
    rows[0, 0, b.LEDGER_FIELDS.index("unmatched")] = 5
    head = {"spans": [], "programs": {}, "maps": [[b.LEDGER, 3, 8 * FIELDS * CPUS, 1000]]}
    outputs.ingest(head, struct.pack("<3I", 0, 1, 2) + rows.tobytes())
    session = outputs.ledger().loc["session"]
    assert (session["lost"], session[column], session["unmatched"] + session["no_return"]) == (5, 5, 5)


def test_text_grows_with_what_comes_and_is_not_told_twice() -> None:
    outputs = make(WALK)
    batch = written(CASE)
    outputs.add_threads(b"7 7 1 ls\n8 8 1 cat\n")
    collected(outputs, ring_span(batch[:2]))
    lines, seen = outputs.lines_after(0)
    assert lines == ["     0 ls(7): -> a", "     1 ls(7):  -> b"]
    collected(outputs, ring_span(batch[2:]))
    lines, seen = outputs.lines_after(seen)
    assert lines[0] == "     2 ls(7):  <- b"
    assert outputs.lines_after(seen) == ([], seen)
    assert outputs.printed().startswith("     0 ls(7): -> a\n")
    assert len(outputs.printed().splitlines()) == seen


def test_text_may_be_a_tree_or_nothing() -> None:
    tree, nothing = make(WALK, text="tree"), make(WALK, text="none")
    for outputs in (tree, nothing):
        collected(outputs, ring_span(written("7 in a 100\n7 out a 100\n8 in b 50")))
    lines, seen = tree.lines_after(0)
    assert [line.split()[0] for line in lines] == ["?", "↔"]
    tree.finish(9000)
    assert [line.split()[0] for line in tree.lines_after(seen)[0]] == ["?", "→"]
    assert nothing.lines_after(0) == ([], 0)
    assert nothing.printed() == ""


def test_who_asks_until_nothing_comes_misses_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_outputs, "TEXT_LINES", 3)
    outputs = make(WALK)
    collected(outputs, ring_span(written(CASE.split("8 out")[0] + "7 in b 50\n7 out b 50\n8 in a 100")))
    found: list[str] = []
    lines, seen = outputs.lines_after(0)
    while lines:
        found += lines
        lines, seen = outputs.lines_after(seen)
    assert [line.split()[-2:] for line in found] == [
        *(["->", "a"], ["->", "b"], ["<-", "b"], ["<-", "a"], ["->", "b"], ["<-", "b"], ["->", "a"]),
    ]
    assert outputs.printed() == "".join(f"{line}\n" for line in found[-3:])
    assert outputs.last_lines(2) == found[-2:]


@pytest.mark.parametrize(
    ("form", "came", "stands"),
    [
        ("indent", ["->b", "<-b", "->a", "<-a"], ["->a", "->b", "<-b", "<-a"]),
        # Only the type of a() is known.
        ("tree", ["?(7)", "↔b()", "↔a(n=0)"], ["?(7)", "→a(n=0)", "↔b()", "←a"]),
        ("none", [], []),
    ],
)
def test_text_of_calls_sent_when_they_are_over_is_in_order_of_entry_at_last(
    form: str, came: list[str], stands: list[str]
) -> None:
    outputs = make(Walk(functions=WALK.functions, focus=Focus(longer_ns=1)), text=form)
    batch = written("7 in b 50\n7 out b 50\n7 in a 100\n7 out a 100")
    batch["at"], batch["depth"] = [2000, 3000, 1000, 4000], [1, 1, 0, 0]
    collected(outputs, ring_span(batch))

    def shown(lines: list[str]) -> list[str]:
        start = 2 if form == "indent" else 0
        found = ["".join(line.split()[start : start + 2]) for line in lines]
        return [word.removesuffix("0") for word in found]  # what they returned

    assert shown(outputs.last_lines()) == came
    outputs.finish(9000)
    assert shown(outputs.last_lines()) == stands
    assert shown(outputs.printed().splitlines()) == stands


def test_what_the_kernel_refused_is_left_out_with_its_error() -> None:
    outputs = make(WALK)
    outputs.refuse([[0, 1, errno.EINVAL], [1, 0, errno.ENOENT]])
    assert outputs.frame("left_out").to_dict("list") == {
        "function": ["c", "b"],
        "reason": ["inlined", "the kernel refused to attach to it (EINVAL)"],
    }


def test_functions_of_one_name_are_told_apart() -> None:
    outputs = make(
        Walk(functions=(Traced("a", "ext4"), Traced("a", "", 16), Traced("a", "", 32), Traced("b")))
    )
    assert outputs.feed.functions == ["a [ext4]", "a [vmlinux] 0x10", "a [vmlinux] 0x20", "b"]
    collected(outputs, ring_span(written("7 in c 100\n7 out c 100\n7 in a 100")))
    assert outputs.frame("calls")["function"].tolist() == ["a [vmlinux] 0x20", "a [ext4]"]


def test_a_ring_that_is_damaged_is_told_of() -> None:
    outputs = make(WALK)
    with pytest.raises(StreamError, match=r"'calls_ring' is damaged: a record of calls of kind 9"):
        batch = written("7 in a 100")
        batch["kind"] = 9
        collected(outputs, ring_span(batch))
    collected(outputs, struct.pack("<IIQ", 8, 0, 1))
    assert outputs.ledger().loc["records", "unread"] == 1


def test_calls_that_are_sent_when_they_are_over_have_no_parents_until_then() -> None:
    outputs = make(Walk(functions=WALK.functions, focus=Focus(longer_ns=1)))
    batch = written("7 in b 50\n7 out b 50\n7 in a 100\n7 out a 100")
    batch["at"], batch["depth"] = [2000, 3000, 1000, 4000], [1, 1, 0, 0]
    collected(outputs, ring_span(batch[:2]))
    assert outputs.frame("calls")["parent"].tolist() == [-1]
    collected(outputs, ring_span(batch[2:]))
    assert outputs.frame("calls")["parent"].tolist() == [1, -1]
    assert outputs.frame("calls")["self_ns"].tolist() == [1000, 2000]


def test_pages_of_ftrace_and_what_the_ring_tells_of_threads_are_put_in_order_of_time() -> None:
    outputs = make(Walk(functions=tuple(FUNCTIONS), means=ir.GRAPH))
    events = [
        *(enter(0, 7, OUTER, 0), enter(10, 7, INNER, 1), leave(10, 7, INNER, 1), leave(10, 7, OUTER, 0)),
        *(enter(1000, 7, OUTER, 0), leave(10, 7, OUTER, 0)),
    ]
    pages = page(1000, *events)
    head = {
        **{"formats": FORMATS, "lost": 2, "page": 4096, "bytes": len(pages)},
        **{"cpus": [[0, 1, 1]], "before_ns": 10_000},
    }
    threads = written("7 fork 7 bash\n7 exec 7 ls")
    threads["at"] = [900, 1500]
    collected(outputs, ring_span(threads), (head, pages))
    outputs.finish(9000)
    calls = outputs.frame("calls")
    assert calls["comm"].tolist() == ["bash", "bash", "ls"]
    assert calls["function"].tolist() == ["outer", "inner", "outer"]
    assert calls["depth"].tolist() == [0, 1, 0]
    assert calls["duration_ns"].tolist() == [30, 10, 10]
    assert calls["self_ns"].tolist() == [20, 10, 10]
    assert calls["arguments"].isna().all()
    assert calls["return"].isna().all()
    assert outputs.ledger().loc["calls", "ring_full"] == 2


def graph_head(pages: bytes, drained: int, before_ns: int, **more: Any) -> dict[str, Any]:
    cpus = [[0, len(pages) // 4096, drained]]
    return {"lost": 0, "page": 4096, "bytes": len(pages), "cpus": cpus, "before_ns": before_ns, **more}


def test_what_the_ring_tells_of_threads_is_taken_in_while_no_call_comes() -> None:
    outputs = make(Walk(functions=tuple(FUNCTIONS), means=ir.GRAPH))
    threads = written("7 fork 7 bash\n7 exec 7 ls")
    threads["at"] = [900, 5000]
    collected(outputs, ring_span(threads), (graph_head(b"", 1, 2000, formats=FORMATS), b""))
    # Of 7, which has made no call, only what came before 2000 is known.
    outputs.add_threads(b"")
    pages = page(3000, enter(0, 7, OUTER, 0), leave(10, 7, OUTER, 0))
    collected(outputs, b"", (graph_head(pages, 1, 4000), pages))
    assert outputs.store.threads == ["bash (7)"]
    pages = page(6000, enter(0, 7, OUTER, 0), leave(10, 7, OUTER, 0))
    collected(outputs, b"", (graph_head(pages, 1, 7000), pages))
    assert outputs.store.threads == ["bash (7)", "ls (7)"]


def test_threads_without_a_call_do_not_pile_up() -> None:
    outputs = make(Walk(functions=tuple(FUNCTIONS), means=ir.GRAPH))
    for n in range(1, 50):
        threads = written("7 fork 7 bash\n7 end")
        threads["at"] = [1000 * n, 1000 * n + 1]
        head = graph_head(b"", 1, 1000 * n, **({"formats": FORMATS} if n == 1 else {}))
        collected(outputs, ring_span(threads), (head, b""))
    # All that is later than what was read of the CPU is one END.
    assert sum(map(len, outputs._early)) == 1


def test_calls_that_took_long_are_chosen_and_the_others_counted() -> None:
    focus = Focus(longer_ns=20)
    outputs = make(Walk(functions=tuple(FUNCTIONS), means=ir.GRAPH, focus=focus))
    events = [
        *(leave(0, 8, INNER, 0), enter(0, 7, OUTER, 0), enter(10, 7, INNER, 1), leave(10, 7, INNER, 1)),
        *(leave(10, 7, OUTER, 0), enter(10, 7, OUTER, 0)),
    ]
    pages = page(1000, *events)
    collected(outputs, b"", (graph_head(pages, 1, 5000, formats=FORMATS), pages))
    outputs.finish(9000)
    assert outputs.frame("calls")["duration_ns"].tolist() == [30]
    assert list(outputs.ledger().loc["calls", ["no_return", "unmatched"]]) == [1, 1]


def test_a_call_that_was_open_when_nobody_looked_is_never_the_one_that_returns() -> None:
    outputs = make(WALK)
    outputs.add_threads(b"7 7 1 ls\n")
    collected(outputs, ring_span(written("7 in a 100\n7 in b 50")))
    outputs.cut(5000)
    # In the meantime both returned and were called again, at the same places of the stack.
    collected(outputs, ring_span(written("7 out b 50\n7 out a 100\n7 in a 100\n7 out a 100")))
    calls = outputs.frame("calls")
    assert calls["state"].tolist() == ["no return", "no return", "returned"]
    counts = outputs.store.counts
    assert (counts.no_return, counts.unmatched, counts.open) == (2, 2, 0)
    steps = outputs.store.steps(0, outputs.store.count())
    # Two entries, their ends unseen, the inner first; then the call that was seen whole.
    assert steps.call.tolist() == [0, 1, 1, 0, 2, 2]
    assert steps.kind.tolist() == [ENTERED, ENTERED, UNSEEN, UNSEEN, ENTERED, RETURNED]


def test_a_walk_that_forgets_keeps_the_threads_it_knows() -> None:
    outputs = make(WALK)
    outputs.add_threads(b"7 7 1 ls\n8 8 1 cat\n")
    batch = written(CASE)
    collected(outputs, ring_span(batch[:3]), submitted=4, dropped=1)
    before, feed, generation = outputs.frame("calls"), outputs.feed, outputs.generation("calls")
    outputs.forget()
    assert outputs.frame("calls").empty and outputs.generation("calls") != generation
    assert outputs.printed() == ""
    assert outputs.ledger().drop(columns="kind").to_numpy().sum() == 0
    collected(outputs, ring_span(batch[3:]), submitted=10, dropped=2)
    calls = outputs.frame("calls")
    # What thread 7 was in has returned; of thread 8 there are two calls.
    assert calls["comm"].astype(str).tolist() == ["cat", "cat"]
    ledger = outputs.ledger()
    records = ledger.loc["records"]
    assert list(records[["submitted", "delivered", "ring_full"]]) == [6, 5, 1]
    assert ledger.loc["calls", "unmatched"] == 2
    assert before["state"].tolist() == ["open", "returned"]
    assert feed.count() == 3 and outputs.feed is not feed


def test_programs_at_functions_are_switched_together_and_those_of_threads_never() -> None:
    rows = {"calls_entry_0": 0, "calls_return_0": 1, "calls_entry_1": 2, "calls_return_1": 3, "calls_fork": 4}
    programs = tuple(b.ProgramDef(name, b.TRACING, "GPL", b"", hits_row=row) for name, row in rows.items())
    outputs = make(WALK, programs=programs)
    # One word for all: there is no moment at which only some record.
    at_functions = [name for name in rows if name != "calls_fork"]
    assert outputs.switches == dict.fromkeys(at_functions, (0,))
