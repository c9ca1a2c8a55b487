"""Logs of the verifier of Linux 6.12, as it wrote them, in plain words and at their lines."""

from __future__ import annotations

import struct

import pytest

from ktrace_nb.compiler.verifier import lines_of, verifier_error
from ktrace_nb.ir.program import LINE_BASE, Program
from ktrace_nb.source import Edited, Source, Span
from ktrace_nb.wire.bundle import ProgramDef

CELL = Source(
    "BPF_HASH(h, u32);\nint kprobe__f(void *ctx) {\n"
    "    u64 *v = h.lookup(&k);\n    *v += 1;\n    return 0;\n}"
)
PROGRAM = Program(CELL, Edited(CELL, []), (), (), functions=(("kprobe__f", Span(22, 31)),))

MAYBE_NULL = """\
0: R1=ctx() R10=fp0
0: (b7) r1 = 1                        ; R1_w=1
6: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null(id=1,map=h,ks=4,vs=8)
; *v += 1; @ main.c:17
7: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""
LOOP = """\
4: (63) *(u32 *)(r10 -4) = r1         ; R1_w=scalar() R10=fp0 fp-8=mmmm????
5: (05) goto pc-4
infinite loop detected at insn 2
cur state: R1_w=scalar(smin=umin=1) R10=fp0 fp-8=mmmm????
old state: R1_w=scalar(smin=umin=1) R10=fp0 fp-8_r=mmmm????
processed 15 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 1
"""
HELPER = """\
0: (b7) r2 = 1                        ; R2_w=1
1: (85) call bpf_override_return#58
program of this type cannot use helper bpf_override_return#58
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""


def definition() -> ProgramDef:
    # Instructions 0 to 5 come from line 3, 6 and 7 from line 4, the rest from a header.
    lines = [(0, LINE_BASE + 3), (6, LINE_BASE + 4), (8, 23)]
    info = b"".join(struct.pack("<4I", at, 0, 0, line << 10 | 5) for at, line in lines)
    return ProgramDef("kprobe__f", 2, "GPL", bytes(8 * 10), line_info=info, line_info_size=16)


def test_instructions_know_the_lines_of_the_cell_and_no_others() -> None:
    assert lines_of(definition()) == {**dict.fromkeys(range(6), 3), 6: 4, 7: 4}


@pytest.mark.parametrize(
    ("log", "plain", "own_words", "line"),
    [
        (MAYBE_NULL, "the pointer may be NULL here", "R0 invalid mem access 'map_value_or_null'", 4),
        (LOOP, "the verifier cannot see that this loop ends", "infinite loop detected at insn 2", 3),
        (HELPER, "this kind of probe may not call this helper", "program of this type cannot use helper", 3),
    ],
)
def test_reasons_come_first_and_in_plain_words(log: str, plain: str, own_words: str, line: int) -> None:
    error = verifier_error(log, "EACCES", PROGRAM, definition())
    assert plain in error.message
    assert own_words in error.message
    assert "cur state" not in error.message
    assert error.span is not None
    assert CELL.position(error.span.start)[0] == line
    assert "--show bytecode" in (error.hint or "")
    assert error.log == log


def test_a_reason_nobody_has_words_for_is_quoted() -> None:
    error = verifier_error("3: (85) call x#1\nsomething new under the sun\n", "EINVAL", PROGRAM, definition())
    assert error.message.endswith("something new under the sun")


def test_without_a_log_the_error_itself_is_the_reason() -> None:
    error = verifier_error("", "Operation not permitted", PROGRAM, definition())
    assert "Operation not permitted" in error.message
    assert error.span == Span(22, 31)
