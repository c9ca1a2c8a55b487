"""One program being written: where its values are kept and how it fails.

The modules ``script_numbers``, ``script_strings``, ``script_globals``,
``script_statements`` and ``script_intrinsics`` say how each node becomes C; they write
through a :class:`Body` and reach one another through it.

An integer becomes an expression of C without effect, what is needed for it having
been written before. A string is put where it is wanted. Errors leave by ``goto
failed``, where one piece of code per program reports them; between the reservation of
a record and its sending they are noted in the record.

The stack has 512 bytes for everything. Strings, keys and the like are put on it while
they are small and few, then into the program's slot of a per-CPU map. A program does
not run twice at once on a CPU: the kernel counts and leaves out what would
(``bpf_prog_active`` in ``trace_call_bpf()``, ``prog->active`` in ``__bpf_trace_run()``
and ``__bpf_prog_enter_recur()``). Programs of uprobes alone may be preempted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ktrace_nb.codegen import script_numbers, script_statements, script_strings
from ktrace_nb.codegen.script_lines import Lines
from ktrace_nb.codegen.script_unit import Unit
from ktrace_nb.codegen.script_values import Buffer, Faults, Returning, Variable, has_effect, is_constant
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import script_layout as layout
from ktrace_nb.source import Place

STACK_FOR_BUFFERS = 224
"""Bytes of the stack for strings and structures; what is left is for the compiler's own needs."""
LARGEST_ON_STACK = 96
"""Bytes of one such thing at most."""


class Body:
    """A program's text.

    Args:
        unit: The script's.
        handler: Its part in the kernel.
        context: What the program gets; see :mod:`ktrace_nb.codegen.script_contexts`.
        slot: Which slot of scratch memory is its own.
    """

    def __init__(self, unit: Unit, handler: ir.KernelHandler, context: str, slot: int) -> None:
        self.unit = unit
        self.handler = handler
        self.context = context
        self.slot = slot
        self.lines = Lines(1)
        self.variables: dict[str, Variable] = {}
        self.used: set[str] = set()
        """What the program needs beside its body: names of what is declared at its top, and labels."""
        self.words: dict[str, str] = {}
        """Variables for words of ctx, and C of the word."""
        self.returning: Returning | None = None
        """How a function that is being written out returns."""
        self.continuing: list[str] = []
        """Labels where the rounds of loops end, innermost last."""
        self.reserved = ""
        """C of the record that has been reserved and not yet sent."""
        self._faults: Faults | None = None
        self._numbers: dict[str, int] = {}
        self._stack_left = STACK_FOR_BUFFERS
        self._scratch = 0
        self.scratch_bytes = 0
        """Scratch memory needed."""

    # --- values ------------------------------------------------------------------------

    def number(self, expr: ir.Expr) -> str:
        """C of an integer's or a symbol's value, without effect of its own."""
        return script_numbers.number(self, expr)

    def condition(self, expr: ir.Expr) -> str:
        """C of whether an integer is not 0."""
        return script_numbers.condition(self, expr)

    def numbers(self, exprs: Sequence[ir.Expr]) -> list[str]:
        """Several integers, evaluated in their order."""
        found = []
        for i, expr in enumerate(exprs):
            text = self.number(expr)
            if not isinstance(expr, ir.Number) and any(has_effect(later) for later in exprs[i + 1 :]):
                text = self.keep(text)
            found.append(text)
        return found

    def text(self, expr: ir.Expr) -> Buffer:
        """A string's bytes, where they are if they are somewhere."""
        return script_strings.text(self, expr)

    def put_text(self, expr: ir.Expr, to: Buffer, *, padded: bool = True) -> None:
        """Put a string somewhere; unless ``padded`` what is behind its end may be anything."""
        script_strings.put(self, expr, to, padded=padded)

    def shape(self, expr: ir.Expr) -> ir.Shape:
        """How the value of an expression would best be kept."""
        return script_strings.shape(self, expr)

    def run(self, body: ir.Body) -> None:
        """Write statements."""
        script_statements.run(self, body)

    def given(self, c: str) -> str:
        """C that reads words of ctx, with variables in their place.

        They are read once, at the top: what is read in several places the compiler may
        read through a pointer into ctx, which the verifier does not allow.
        """

        def variable(found: re.Match[str]) -> str:
            # No script's local: those end in a digit.
            name = f"ctx_{found[1].removeprefix('KTRACE_').lower()}_"
            self.words.setdefault(name, found[0])
            return name

        return re.sub(r"\bctx\[(\w+)\]", variable, c)

    # --- names and memory ----------------------------------------------------------------

    def put(self, line: str) -> None:
        """Write a line."""
        self.lines.put(line)

    def name(self, stem: str) -> str:
        """A name that is not taken."""
        self._numbers[stem] = self._numbers.get(stem, 0) + 1
        return f"{stem}{self._numbers[stem]}"

    def use(self, name: str) -> str:
        """Have something declared at the program's beginning."""
        self.used.add(name)
        return name

    def keep(self, value: str) -> str:
        """Put an integer into a variable of its own, so that it stays what it is."""
        name = self.name("n")
        self.put(f"u64 {name} = {value};")
        return name

    def steady(self, value: str) -> str:
        """The same, unless it is a constant or such a variable already."""
        is_steady = is_constant(value) or (value[:1] == "n" and value[1:].isdigit())
        return value if is_steady else self.keep(value)

    def buffer(self, size: int) -> Buffer:
        """Memory for a string, with anything in it."""
        words = (size + 7) // 8
        if self._on_stack(8 * words):
            name = self.name("text")
            self.put(f"u64 {name}[{words}];")
            return Buffer(name, size)
        return Buffer(self._from_scratch(8 * words), size)

    def structure(self, kind: str, size: int, stem: str) -> tuple[str, str]:
        """Memory for a structure, with anything in it: C of a pointer, and what precedes a member."""
        name = self.name(stem)
        if self._on_stack(size):
            self.put(f"{kind} {name};")
            return f"&{name}", f"{name}."
        self.put(f"{kind} *{name} = ({kind} *){self._from_scratch(size)};")
        return name, f"{name}->"

    def _on_stack(self, size: int) -> bool:
        if size > LARGEST_ON_STACK or size > self._stack_left:
            return False
        self._stack_left -= size
        return True

    def _from_scratch(self, size: int) -> str:
        at = self._scratch
        self._scratch += size
        self.scratch_bytes = max(self.scratch_bytes, self._scratch)
        return f"(scratch + {at // 8})" if at else "scratch"

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Scratch memory taken meanwhile is free again afterwards."""
        at = self._scratch
        yield
        self._scratch = at

    @contextmanager
    def placed(self, at: Place | None) -> Iterator[None]:
        """Lines written meanwhile come from a place of the script."""
        outer = self.lines.at
        self.lines.at = at or outer
        yield
        self.lines.at = outer

    # --- failing -------------------------------------------------------------------------

    def fail(self, code: int, at: Place | None, *, name: str = "", detail: str = "0") -> None:
        """Write what leaves the handler with an error of the script."""
        if self._faults and code == layout.FAULT:
            slot = f"*(u64 *){self._faults.slot}" if self._faults.is_text else self._faults.slot
            self.put(f"{self.use('faults')} |= {1 << self._faults.index}ULL;")
            self.put(f"{slot} = {detail};")
            self.put(f"goto {self.use(self._faults.label)};")
            return
        if self.reserved:
            self.put(f"{layout.RECORDS}.ringbuf_discard({self.reserved}, 0);")
        self.put(f"site = {self.unit.site(code, at or self.lines.at, name)};")
        self.put(f"detail = {detail};")
        self.put(f"goto {self.use('failed')};")

    def leave(self) -> None:
        """Write what ends the handler."""
        self.put(f"goto {self.use('out')};" if self.handler.entry else "return 0;")

    @contextmanager
    def noting(self, index: int, slot: str, *, is_text: bool = False) -> Iterator[None]:
        """Note beside value ``index`` that a read for it failed."""
        label = self.name("next")
        outer, self._faults = self._faults, Faults(index, slot, is_text, label)
        yield
        self._faults = outer
        if label in self.used:
            self.lines.label(label)
