"""What has a value only while an event is handled."""

from __future__ import annotations

from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk
from ktrace_nb.ir.intrinsics import INTRINSICS

_NODES = (ir.Argument, ir.Result, ir.Load, ir.AtEntry, ir.EntryValue)


def is_event_node(expr: ir.Expr) -> bool:
    """Whether a node by itself has a value only while the event is handled."""
    if isinstance(expr, ir.Intrinsic):
        place = INTRINSICS[expr.name]
        return place.event or not place.user
    return isinstance(expr, _NODES)


def can_be_late(expr: ir.Expr) -> bool:
    """Whether a node by itself can be read after the event, too: the kernel's memory as it is then."""
    if isinstance(expr, ir.Intrinsic):
        return INTRINSICS[expr.name].late
    return isinstance(expr, ir.Load) and not expr.user


def of_event(expr: ir.Expr) -> bool:
    """Whether an expression needs the event."""
    return any(is_event_node(e) for e in walk.expressions(expr))
