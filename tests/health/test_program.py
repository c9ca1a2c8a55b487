"""The program that is made of pieces: exactly their probes, and rows of their own."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ktrace_nb.errors import OptionError, ProbeNotFoundError
from ktrace_nb.health.memory import PAGES
from ktrace_nb.health.model import TOTAL, Change, Piece
from ktrace_nb.health.network import RETRANSMITS, SKB
from ktrace_nb.health.processors import CTXT, FORKS, INTERRUPTS, NMI, SOFTIRQS
from ktrace_nb.health.program import Placed, place, points, program
from ktrace_nb.kernel.facts import KernelFacts
from tests.facts_kit import StoredFacts
from tests.kernel_facts.prove_layout import HOST_BTF


@pytest.fixture(scope="module")
def facts() -> KernelFacts:
    """A kernel of which only the types are known."""
    source = StoredFacts({"btf": HOST_BTF.read_bytes(), "tracepoints": b""})
    return KernelFacts(source, release="6.12.0 #1", machine="x86_64", cpus=2)


def placed(*pieces: Piece, rows: int = 1, **constants: int) -> list[Placed]:
    found: list[Placed] = []
    for piece in pieces:
        labels = {str(n): n for n in range(rows)} if rows > 1 else {TOTAL: 0}
        found.append(place(piece, labels, constants, after=found))
    return found


def probes(text: str) -> list[str]:
    return re.findall(r"^(?:RAW_TRACEPOINT|KFUNC|KRETFUNC)_PROBE\((\w+)", text, re.MULTILINE)


def test_a_piece_adds_its_probes_and_no_others(facts: KernelFacts) -> None:
    assert probes(program(placed(CTXT), facts)) == ["sched_switch"]
    assert points(placed(CTXT, FORKS), facts) == [
        "raw_tracepoint:sched_switch",
        "raw_tracepoint:task_newtask",
    ]


def test_pieces_that_change_at_one_point_share_its_program(facts: KernelFacts) -> None:
    text = program(placed(CTXT, replace(CTXT, name="again")), facts)
    assert probes(text) == ["sched_switch"]
    assert "move(0 + row, 1)" in text
    assert "move(1 + row, 1)" in text


def test_rows_of_pieces_do_not_overlap(facts: KernelFacts) -> None:
    one, two, three = placed(SOFTIRQS, CTXT, INTERRUPTS, rows=10)
    assert [(p.first, p.end) for p in (one, two, three)] == [(0, 10), (10, 20), (20, 30)]
    text = program([one, two, three], facts)
    assert "BPF_PERCPU_ARRAY(moves, struct moves, 30);" in text
    assert set(re.findall(r"if \(row < 10\) move\((\d+) \+ row", text)) == {"0", "10", "20"}


def test_constants_are_numbers_in_the_program(facts: KernelFacts) -> None:
    text = program(placed(NMI, HANDLER=0xFFFFFFFF8108B9E0), facts)
    assert "if (ctx->args[0] == 0xffffffff8108b9e0ULL)" in text
    assert "HANDLER" not in text


def test_only_helpers_that_are_used_are_there(facts: KernelFacts) -> None:
    assert "word(" not in program(placed(CTXT), facts)
    text = program(placed(SKB), facts)
    assert text.index("static inline u64 word(") < text.index("static inline u64 cache_of(")
    assert "static inline u64 half(" not in text
    assert "static inline u64 half(" in program(placed(RETRANSMITS), facts)


def test_the_first_point_that_a_kernel_has_is_taken(facts: KernelFacts) -> None:
    older = Change(points=("raw_tracepoint:no_such_event", "fentry:vfs_read(struct file *file)"))
    text = program(placed(replace(CTXT, changes=(older,))), facts)
    assert "KFUNC_PROBE(vfs_read, struct file *file) {" in text
    assert "alloc_pages_bulk_noprof" in " ".join(points(placed(PAGES), facts))


def test_a_point_may_be_absent_only_where_the_piece_says_so(facts: KernelFacts) -> None:
    absent = Change(points=("raw_tracepoint:no_such_event",), optional=True)
    assert probes(program(placed(replace(CTXT, changes=(absent, *CTXT.changes))), facts)) == ["sched_switch"]
    needed = replace(CTXT, changes=(replace(absent, optional=False),))
    with pytest.raises(ProbeNotFoundError, match="no tracepoint 'no_such_event'"):
        program(placed(needed), facts)


def test_a_point_without_parameters_is_refused_with_the_way_to_write_it(facts: KernelFacts) -> None:
    wrong = replace(CTXT, changes=(Change(points=("fexit:vfs_read",)),))
    with pytest.raises(OptionError, match="no point of a piece") as caught:
        program(placed(wrong), facts)
    assert "fexit:FUNCTION(PARAMETERS, RESULT)" in str(caught.value.hint)


def test_a_piece_of_which_a_kernel_has_nothing_is_refused() -> None:
    with pytest.raises(OptionError, match="nothing of piece 'softirqs'"):
        place(SOFTIRQS, {}, {}, after=[])
