"""The program that counts what changes some pieces: exactly their probes, and nothing sent per event.

All pieces share one per-CPU array, in which a piece has a row for each part of its number. What is
added and what is taken away are counted apart, so that both only grow: see
:mod:`ktrace_nb.health.reading`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ktrace_nb.errors import OptionError, ProbeNotFoundError
from ktrace_nb.health.model import Change, Piece
from ktrace_nb.kernel.facts import KernelFacts

MOVES = "moves"
"""Name of the table."""

_HEAD = """\
struct moves {{ u64 up; u64 down; }};
BPF_PERCPU_ARRAY({table}, struct moves, {rows});

/* Atomic, because a program can be interrupted by another on its CPU. */
static inline void move(u32 row, s64 by) {{
    struct moves *sums = {table}.lookup(&row);
    if (!sums) return;
    if (by > 0) __sync_fetch_and_add(&sums->up, by);
    if (by < 0) __sync_fetch_and_add(&sums->down, -by);
}}
"""

_HELPERS = {
    "word": """\
static inline u64 word(u64 address) {
    u64 found = 0;
    bpf_probe_read_kernel(&found, sizeof(found), (void *)address);
    return found;
}
""",
    "half": """\
static inline u64 half(u64 address) {
    u16 found = 0;
    bpf_probe_read_kernel(&found, sizeof(found), (void *)address);
    return found;
}
""",
    # Linux mm/slab.h, virt_to_slab(): the page of an address, the first page of its folio, which is
    # the slab.
    "cache_of": """\
static inline u64 cache_of(u64 object, u64 direct_map, u64 pages) {
    u64 page = pages + ((object - direct_map) >> 12) * sizeof(struct page);
    u64 head = word(page + offsetof(struct page, compound_head));
    return word((head & 1 ? head - 1 : page) + offsetof(struct slab, slab_cache));
}
""",
}
_NEEDS = {"cache_of": ("word",)}
_FUNCTION = re.compile(r"(\w+)\((.*)\)")
_PREFIXES = {"fentry": "KFUNC_PROBE", "fexit": "KRETFUNC_PROBE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A piece with its rows of the table."""

    piece: Piece
    first: int
    rows: Mapping[str, int]
    """Label of a part to its row, counted from ``first``."""

    constants: Mapping[str, int]

    @property
    def end(self) -> int:
        """The first row that is not its."""
        return self.first + 1 + max(self.rows.values())


def place(
    piece: Piece, rows: Mapping[str, int], constants: Mapping[str, int], *, after: Sequence[Placed]
) -> Placed:
    """Give a piece its rows, behind those of others.

    Raises:
        OptionError: The kernel has none of its parts.
    """
    if not rows:
        raise OptionError(f"this kernel has nothing of piece {piece.name!r}")
    return Placed(piece=piece, first=after[-1].end if after else 0, rows=rows, constants=constants)


def program(placed: Sequence[Placed], facts: KernelFacts) -> str:
    """The program for a kernel, as a cell in C.

    Raises:
        ProbeNotFoundError: The kernel lacks where a piece changes.
    """
    bodies: dict[str, list[str]] = {}
    for one in placed:
        for change in one.piece.changes:
            point = _point(change, facts)
            if point:
                bodies.setdefault(point, []).append(_body(one, change))
    programs = [f"{_begin(point)} {{\n{''.join(body)}    return 0;\n}}\n" for point, body in bodies.items()]
    head = _HEAD.format(table=MOVES, rows=placed[-1].end)
    return "\n".join((head, *_helpers("".join(programs)), *programs))


def _helpers(text: str) -> list[str]:
    used = {name for name in _HELPERS if f"{name}(" in text}
    used |= {need for name in used for need in _NEEDS.get(name, ())}
    return [code for name, code in _HELPERS.items() if name in used]


def _point(change: Change, facts: KernelFacts) -> str:
    """The first point that the kernel has; empty if it need not have any."""
    for point in change.points:
        kind, _, target = point.partition(":")
        if kind == "raw_tracepoint":
            if facts.has_raw_tracepoint(target):
                return point
        elif facts.function_type_id(target.partition("(")[0]) is not None:
            return point
    if change.optional:
        return ""
    kind, _, target = change.points[0].partition(":")
    what = "tracepoint" if kind == "raw_tracepoint" else "function"
    raise ProbeNotFoundError(what, target.partition("(")[0], None, None, ())


def _begin(point: str) -> str:
    kind, _, target = point.partition(":")
    if kind == "raw_tracepoint":
        return f"RAW_TRACEPOINT_PROBE({target})"
    match = _FUNCTION.fullmatch(target)
    if match is None or kind not in _PREFIXES:
        raise OptionError(
            f"{point!r} is no point of a piece",
            hint="raw_tracepoint:EVENT, fentry:FUNCTION(PARAMETERS) or fexit:FUNCTION(PARAMETERS, RESULT)",
        )
    return f"{_PREFIXES[kind]}({match[1]}, {match[2]})"


def _body(placed: Placed, change: Change) -> str:
    row, by, given = (_with(text, placed.constants) for text in (change.row, change.by, change.given))
    room = placed.end - placed.first
    return (
        f"    if ({given}) {{ /* {placed.piece.name} */\n"
        f"        u64 row = {row};\n"
        f"        if (row < {room}) move({placed.first} + row, {by});\n"
        f"    }}\n"
    )


def _with(text: str, constants: Mapping[str, int]) -> str:
    """C with numbers for the names of constants."""
    return re.sub(r"\b[A-Z]\w*", lambda m: f"{constants[m[0]]:#x}ULL" if m[0] in constants else m[0], text)


def points(placed: Iterable[Placed], facts: KernelFacts) -> list[str]:
    """Where pieces are probed on a kernel, sorted, without parameters."""
    found = (_point(change, facts) for one in placed for change in one.piece.changes)
    return sorted({point.partition("(")[0] for point in found if point})
