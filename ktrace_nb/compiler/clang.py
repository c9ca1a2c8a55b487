"""What clang and LLVM print, mapped to the cell.

Source of the form: clang's "file:line:column: severity: message"; the lines
below it repeat the source and are not needed. LLVM's own errors name a function
instead of a place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ktrace_nb.diagnostics import Problem, near, near_hint
from ktrace_nb.errors import CompileError
from ktrace_nb.ir.program import LINE_BASE, Program
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import ENUMS, RECORDS, Kind
from ktrace_nb.kernel.errors import FactError
from ktrace_nb.source import Span

MAIN_FILE = "/virtual/main.c"

_PLACED = re.compile(
    r"^(?P<file>[^:\s][^:\n]*):(?P<line>\d+):(?P<column>\d+): "
    r"(?P<severity>fatal error|error|warning): (?P<text>.*)$"
)
_UNPLACED = re.compile(r"^(?:error: )?(?:\S+:\d+:\d+: )?in function (?P<function>\w+) .*?: (?P<text>.*)$")
_BCC = re.compile(r"^(?:could not open bpf map|LLVM ERROR|error): ?(?P<text>.*)$")


def problems_of(printed: str, program: Program, btf: Btf) -> list[Problem]:
    """Everything clang complained of, once each, in order; places in the cell where they are there."""
    found: dict[tuple[str, Span | None], Problem] = {}
    for line in printed.splitlines():
        problem = _placed(line, program, btf) or _unplaced(line, program)
        if problem is not None:
            found.setdefault((problem.message, problem.span), problem)
    return list(found.values())


def compile_error(printed: str, program: Program, btf: Btf) -> CompileError:
    """The exception for a compilation that failed."""
    problems = problems_of(printed, program, btf)
    errors = [p for p in problems if p.severity == "error"]
    if not errors:
        words = printed.strip() or "the compiler gave no reason"
        return CompileError(words, program.source, None)
    first, *rest = errors
    return CompileError(first.message, first.source, first.span, hint=first.hint, others=rest)


def beyond_cell(printed: str, program: Program) -> bool:
    """Whether an error lies behind the cell's last line, in what was added to it."""
    return any(
        match["file"] == MAIN_FILE and int(match["line"]) % LINE_BASE > program.source.line_count
        for match in map(_PLACED.match, printed.splitlines())
        if match and match["severity"] != "warning"
    )


def _placed(line: str, program: Program, btf: Btf) -> Problem | None:
    match = _PLACED.match(line)
    if not match:
        return None
    severity = "warning" if match["severity"] == "warning" else "error"
    text = re.sub(r" \[-W[^\]]*\]$", "", match["text"])
    if match["file"] != MAIN_FILE:
        return Problem(f"{text} (in {match['file'].rpartition('/')[2]})", severity=severity)
    number = int(match["line"]) % LINE_BASE
    if number > program.source.line_count:
        return None
    place = program.code.original(number, int(match["column"]))
    return Problem(text, program.source, program.source.token_at(*place), _hint(text, btf), severity)


def _unplaced(line: str, program: Program) -> Problem | None:
    match = _UNPLACED.match(line)
    if match:
        return Problem(match["text"], program.source, program.span_of(match["function"]))
    match = _BCC.match(line)
    return Problem(match["text"] or line, program.source, None) if match else None


# --- hints ---------------------------------------------------------------------------


def _hint(text: str, btf: Btf) -> str | None:
    for pattern, write in _HINTS:
        match = re.search(pattern, text)
        if match:
            try:
                return write(match, btf)
            except FactError:
                return None
    return None


def _missing_member(match: re.Match[str], btf: Btf) -> str | None:
    """``no member named 'x' in 'struct y'``."""
    keyword, _, name = match[2].rpartition(" ")
    kinds = RECORDS if keyword else {Kind.TYPEDEF}
    for type_id in btf.find(name, *kinds):
        members = list(_member_names(btf, btf.resolve(type_id)))
        close = near(match[1], members)
        if close:
            return f"did you mean {', '.join(close)}?"
        return f"{match[2]} of this kernel has {', '.join(members[:12])}{', …' if len(members) > 12 else ''}"
    return None


def _member_names(btf: Btf, record: int) -> Iterator[str]:
    for member in btf.members(record):
        if member.name:
            yield member.name
        elif btf.kind(btf.resolve(member.type_id)) in RECORDS:
            yield from _member_names(btf, btf.resolve(member.type_id))


def _unknown_type(match: re.Match[str], btf: Btf) -> str | None:
    if btf.find(match[1], *RECORDS):
        return f"write struct {match[1]}"
    return near_hint(match[1], btf.names(Kind.TYPEDEF))


def _incomplete(match: re.Match[str], btf: Btf) -> str | None:
    name = match[1].rpartition(" ")[2]
    if btf.find(name, *RECORDS, *ENUMS):
        return None
    return near_hint(name, btf.names(*RECORDS)) or f"this kernel has no {match[1]}"


def _undeclared(match: re.Match[str], btf: Btf) -> str | None:
    return near_hint(match[1], ("PT_REGS_RC", "PT_REGS_PARM1", "args", "ctx"))


def _implicit(match: re.Match[str], btf: Btf) -> str | None:
    if btf.function(match[1]) is not None:
        return "it is a function of the kernel; a program calls only BPF helpers and functions of the cell"
    return "neither a BPF helper nor a function of this cell (inline functions of headers are not there)"


_HINTS: tuple[tuple[str, Callable[[re.Match[str], Btf], str | None]], ...] = (
    (r"no member named '(\w+)' in '([^']+)'", _missing_member),
    (r"unknown type name '(\w+)'", _unknown_type),
    (r"incomplete (?:definition of )?type '([^']+)'", _incomplete),
    (r"use of undeclared identifier '(\w+)'", _undeclared),
    (r"implicit declaration of function '(\w+)'", _implicit),
    (
        r"cannot use map function inside a macro",
        lambda *_: "bcc rewrites calls of tables; write this one out",
    ),
)
