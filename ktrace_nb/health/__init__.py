"""Health: numbers that a kernel keeps, counted a second time by their events and compared.

    with health.watch("lab", ["ctxt", "interrupts", "skb"]) as watch:
        ...
        print(watch.frame())

Public names are imported when they are first used: a session needs pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ktrace_nb.health.model import Account, Change, Piece
    from ktrace_nb.health.pieces import PIECES, choose
    from ktrace_nb.health.watching import Watch, watch

__all__ = ["PIECES", "Account", "Change", "Piece", "Watch", "choose", "watch"]

_HOMES = {
    "Account": "model",
    "Change": "model",
    "PIECES": "pieces",
    "Piece": "model",
    "Watch": "watching",
    "choose": "pieces",
    "watch": "watching",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
