from __future__ import annotations

import pytest

from ktrace_nb.diagnostics import Problem, near
from ktrace_nb.errors import CellError, KTraceError, MissingError, ProbeNotFoundError
from ktrace_nb.source import Source, Span

CELL = Source("int kprobe__vfs_reed(void *ctx)\n\t{ return 0; }")


def test_an_error_shows_place_carets_and_hint() -> None:
    error = ProbeNotFoundError("kernel function", "vfs_reed", CELL, Span(4, 20), ["vfs_read", "ext4_sync"])
    assert error.lines() == [
        "ProbeNotFoundError: no kernel function 'vfs_reed' on this kernel",
        "cell:1:5",
        "    int kprobe__vfs_reed(void *ctx)",
        "        ^^^^^^^^^^^^^^^^",
        "hint: did you mean vfs_read?",
    ]


def test_carets_stand_under_text_behind_a_tab() -> None:
    lines = CellError("x", CELL, Span(33, 34)).lines()
    assert lines[2] == "    \t{ return 0; }"
    assert lines[3] == "    \t^"


def test_further_problems_follow_the_first() -> None:
    error = CellError("first", CELL, Span(0, 3), others=[Problem("second", severity="warning")])
    assert error.lines()[-1] == "warning: second"


def test_brief_errors_render_themselves_and_others_do_not() -> None:
    error = KTraceError("it broke", hint="mend it")
    assert not hasattr(error, "_render_traceback_")
    error.brief = True
    assert error._render_traceback_() == ["KTraceError: it broke", "hint: mend it"]


def test_a_missing_thing_names_the_command() -> None:
    with pytest.raises(MissingError) as caught:
        raise MissingError("no qemu", fix="sudo apt-get install qemu-system-x86")
    assert caught.value.lines()[-1] == "hint: sudo apt-get install qemu-system-x86"


def test_near_matches_are_found_among_very_many_names() -> None:
    names = [f"some_function_{i}" for i in range(60_000)] + ["vfs_read", "vfs_readv"]
    assert near("vfs_reed", names)[0] == "vfs_read"
