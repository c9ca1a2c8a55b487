"""clang's words, as it printed them, mapped to the cell."""

from __future__ import annotations

from ktrace_nb.compiler.clang import beyond_cell, compile_error, problems_of
from ktrace_nb.ir.program import LINE_BASE, Program
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.source import Edit, Edited, Source, Span
from tests.kernel_facts.btf_writer import BtfWriter

CELL = Source("BPF_HASH(h);\nint kprobe__f(void *ctx) {\n    h.increment(kk);\n    return x;\n}")


def btf() -> Btf:
    writer = BtfWriter()
    number = writer.integer("int", 4, signed=True)
    writer.record("file", 8, [("f_inode", number, 0), ("f_flags", number, 32)])
    return writer.btf()


def program(*edits: Edit) -> Program:
    return Program(CELL, Edited(CELL, list(edits)), (), (), functions=(("kprobe__f", Span(17, 26)),))


def test_a_placed_error_points_into_the_cell() -> None:
    printed = (
        f"/virtual/main.c:{LINE_BASE + 3}:17: error: use of undeclared identifier 'kk'\n"
        "   ^~\n1 error generated.\n"
    )
    (problem,) = problems_of(printed, program(), btf())
    assert problem.lines("error")[1:4] == ["cell:3:17", "        h.increment(kk);", "                    ^^"]


def test_places_behind_an_edit_are_mapped_back() -> None:
    at = CELL.text.index("increment")
    edited = program(Edit(Span(at, at + 9), "atomic_increment"))
    printed = f"/virtual/main.c:{LINE_BASE + 3}:24: error: use of undeclared identifier 'kk'\n"
    (problem,) = problems_of(printed, edited, btf())
    assert problem.span == Span(CELL.text.index("kk"), CELL.text.index("kk") + 2)


def test_the_same_complaint_of_two_passes_is_said_once_and_errors_come_first() -> None:
    warning = "/virtual/main.c:4:5: warning: unused [-Wunused]\n"
    printed = warning + warning + "/virtual/main.c:4:12: error: use of undeclared identifier 'x'\n"
    assert [p.message for p in problems_of(printed, program(), btf())] == [
        "unused",
        "use of undeclared identifier 'x'",
    ]
    assert compile_error(printed, program(), btf()).message == "use of undeclared identifier 'x'"


def test_a_missing_member_gets_the_structures_own() -> None:
    printed = "/virtual/main.c:4:5: error: no member named 'f_innode' in 'struct file'\n"
    assert problems_of(printed, program(), btf())[0].hint == "did you mean f_inode?"
    printed = "/virtual/main.c:4:5: error: no member named 'zzz' in 'struct file'\n"
    assert problems_of(printed, program(), btf())[0].hint == "struct file of this kernel has f_inode, f_flags"


def test_llvms_errors_name_a_function() -> None:
    printed = "error: /virtual/main.c:0:0: in function kprobe__f i32 (i8*): Looks like it is too much.\n"
    error = compile_error(printed, program(), btf())
    assert error.message == "Looks like it is too much."
    assert error.span == Span(17, 26)


def test_an_error_in_a_header_names_it() -> None:
    printed = "include/asm/page.h:7:1: error: redefinition of 'x'\n"
    assert compile_error(printed, program(), btf()).message == "redefinition of 'x' (in page.h)"


def test_silence_is_an_error_too() -> None:
    assert "no reason" in compile_error("", program(), btf()).message


def test_errors_behind_the_cell_are_known() -> None:
    assert beyond_cell("/virtual/main.c:99:1: error: unknown type name 'struct hidden'\n", program())
    assert not beyond_cell("/virtual/main.c:99:1: warning: unused\n", program())
    assert not beyond_cell(f"/virtual/main.c:{LINE_BASE + 4}:1: error: no\n", program())
