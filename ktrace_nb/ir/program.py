"""A cell after its language is done with it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ktrace_nb.diagnostics import Problem
from ktrace_nb.source import Edited, Place, Source, Span

if TYPE_CHECKING:
    from ktrace_nb.ir.calls import Walk
    from ktrace_nb.ir.script import Handler, Placed
    from ktrace_nb.ir.script_layout import Site

LOG2, LINEAR = "log2", "linear"
MAP, HISTOGRAM, EVENTS, STACKS = "map", "histogram", "events", "stacks"
"""Kinds of :class:`Output`."""

LINE_BASE = 2_000_000
"""Added to the numbers of lines that are the cell's own; BTF has room for 22 bits."""


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """A function of the cell and where the user wants it."""

    function: str
    kind: str
    """One of :data:`ktrace_nb.ir.probes.KINDS`."""
    target: str
    """What the kind needs: a function or a glob, ``category/event``, ``path:symbol``, ``hz:99``."""
    source: Source | None = None
    span: Span | None = None
    conditional: bool = False
    """The function may turn out not to be compiled; what is wrong with its probe counts only if it is."""
    every: bool = False
    """Where the kernel has several functions of the name, all of them are meant."""


@dataclass(frozen=True, slots=True)
class Output:
    """Something of a cell that becomes a frame."""

    name: str
    kind: str
    """:data:`MAP` and so on."""
    scale: str = LINEAR
    """Of a histogram: :data:`LOG2` (bucket is a bit length) or :data:`LINEAR`."""
    type_names: tuple[str, ...] = ()
    """C types of what an event may carry, best guess first, where the text tells."""
    lru: bool = False
    """Whether it is a map that throws old entries out."""


@dataclass(frozen=True)
class Program:
    """What is compiled, where it goes, and what comes out of it."""

    source: Source
    code: Edited
    """The cell's text as the compiler gets it."""
    probes: tuple[ProbeRequest, ...]
    outputs: tuple[Output, ...]
    structs: tuple[str, ...] = ()
    """C types whose layout is wanted because an event may carry them."""
    functions: tuple[tuple[str, Span], ...] = ()
    """Functions that become programs, with their places."""
    bodies: tuple[int, ...] = ()
    """Offsets in the source right behind the opening braces of all functions."""
    pid: int | None = None
    """The only process the programs run for."""
    capped: bool = False
    """Whether events are admitted at a rate that is set while programs run."""
    throttled: bool = False
    """Whether programs run for a share of the time that is set while they do."""
    script: Placed | None = None
    """The script that the text was generated from; then :attr:`source` is the generated text."""
    walk: Walk | None = None
    """The calls that are recorded; then the text was generated for them."""
    places: tuple[tuple[int, Place], ...] = ()
    """Of a script: lines of the generated text, rising, and what of the script each begins."""
    problems: tuple[Problem, ...] = ()
    """What its language has to say about it."""
    tree: str = ""
    """Of a script: its syntax tree as text, for ``--show ast``."""

    sites: tuple[Site, ...] = ()
    """Of a script: where its part in the kernel can go wrong, by the number that the kernel tells."""

    def marked_text(self) -> str:
        """The text for the compiler, every body preceded by its own line number.

        bcc inserts lines as it rewrites; behind a mark its output tells the lines
        of the cell again, :data:`LINE_BASE` added so that marked lines are known
        from others. Blanks behind the mark keep the columns.
        """
        text = self.code.text
        for body in sorted(self.bodies, reverse=True):
            at = self.code.offset_of(body - 1) + 1
            line, column = self.code.position(at)
            text = f"{text[:at]}\n#line {LINE_BASE + line}\n{' ' * (column - 1)}{text[at:]}"
        return text

    def hits_row(self, function: str) -> int:
        """The row in which a function counts its hits; -1 for one that came out of a macro."""
        names = list(dict.fromkeys(name for name, _ in self.functions))
        return names.index(function) if function in names else -1

    def place_of_line(self, line: int) -> Place | None:
        """What of a script a line of the generated text comes from."""
        index = bisect_right(self.places, line, key=lambda place: place[0]) - 1
        return self.places[index][1] if index >= 0 else None

    def handler_of(self, function: str) -> Handler | None:
        """The script's handler that a program was generated for."""
        handlers = self.script.script.handlers if self.script else ()
        return next((h for h in handlers if function in (h.function, h.entry_function)), None)

    def span_of(self, function: str) -> Span | None:
        """Where a function's name stands."""
        return dict(self.functions).get(function)
