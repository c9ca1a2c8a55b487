"""The pieces that are built in, and how they are named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from ktrace_nb.diagnostics import near_hint
from ktrace_nb.errors import OptionError
from ktrace_nb.health import block, memory, network, processors
from ktrace_nb.health.model import Piece

PIECES: Mapping[str, Piece] = {
    piece.name: piece for part in (processors, network, memory, block) for piece in part.PIECES
}
"""Every built-in piece by name."""


def choose(wanted: Iterable[str | Piece]) -> tuple[Piece, ...]:
    """Pieces by their names, which may be globs; pieces of one's own stay as they are.

    Returns:
        Each once, in the order in which they are named.

    Raises:
        OptionError: No piece has such a name, or two have the same.
    """
    chosen: dict[str, Piece] = {}
    for one in wanted:
        found = [one] if isinstance(one, Piece) else [p for n, p in PIECES.items() if fnmatchcase(n, one)]
        if not found:
            hint = near_hint(str(one), PIECES) or f"there are {', '.join(PIECES)}"
            raise OptionError(f"no piece {one!r}", hint=hint)
        for piece in found:
            if chosen.setdefault(piece.name, piece) is not piece:
                raise OptionError(f"there are two pieces {piece.name!r}", hint="name one of them otherwise")
    if not chosen:
        raise OptionError("no piece to watch", hint=f"there are {', '.join(PIECES)}")
    return tuple(chosen.values())
