"""Which globals a piece of a script may touch, functions it calls included."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ktrace_nb.ir import script as ir
from ktrace_nb.ir.walk import calls, expressions, globals_used, statements


@dataclass(frozen=True, slots=True)
class Uses:
    """Names of globals."""

    read: frozenset[str] = frozenset()
    """All that are mentioned: also what is only written may have to be read for it."""
    written: frozenset[str] = frozenset()
    """Those that are set, added to or deleted from."""

    def __or__(self, other: Uses) -> Uses:
        return Uses(self.read | other.read, self.written | other.written)


def uses_of(body: ir.Body, functions: Iterable[ir.Function]) -> Uses:
    """What statements and the functions that they may call use.

    Args:
        body: The statements.
        functions: All functions there are.
    """
    bodies = {function.name: function.body for function in functions}
    seen: set[str] = set()
    waiting = [body]
    found = Uses()
    while waiting:
        part = waiting.pop()
        found |= Uses(frozenset(globals_used(part)), frozenset(_written(part)))
        called = calls(part)
        waiting += [bodies[name] for name in sorted(called - seen) if name in bodies]
        seen |= called
    return found


def _written(body: ir.Body) -> set[str]:
    targets: list[ir.Expr] = [e.target for e in expressions(body) if isinstance(e, ir.Assign | ir.Step)]
    targets += [s.target for s in statements(body) if isinstance(s, ir.Accumulate | ir.Delete)]
    found = {t.name for t in targets if isinstance(t, ir.Global)}
    return found | {t.array for t in targets if isinstance(t, ir.Element)}
