"""Types that may not be known yet, and what is said where two of them differ."""

from __future__ import annotations

from ktrace_nb.diagnostics import Problem
from ktrace_nb.errors import CellError
from ktrace_nb.ir.script import Type
from ktrace_nb.source import Place

_WORDS = {
    Type.LONG: "a number",
    Type.STRING: "a string",
    Type.STATISTICS: "statistics",
    Type.NOTHING: "nothing",
}
_HINTS = {
    Type.LONG: "strtol(s, 10) makes a number of a string",
    Type.STRING: "sprint(x) makes a string of a number",
    Type.STATISTICS: "statistics are what x <<< value fills, and x is then used in no other way",
}


class Cell:
    """A type that may not be known yet; equal cells are one.

    Args:
        type_: The type, if it is known.
        at: Where that is said.
    """

    __slots__ = ("_at", "_parent", "_type")

    def __init__(self, type_: Type | None = None, at: Place | None = None) -> None:
        self._type = type_
        self._at = at
        self._parent: Cell | None = None

    def _root(self) -> Cell:
        cell = self
        while cell._parent is not None:
            cell = cell._parent
        if cell is not self:
            self._parent = cell
        return cell

    @property
    def type(self) -> Type | None:
        """What it is; None as long as nothing tells."""
        return self._root()._type

    @property
    def at(self) -> Place | None:
        """Where that was decided."""
        return self._at or self._root()._at

    def unify(self, other: Cell, at: Place, what: str, hint: str | None = None) -> None:
        """Make this cell and another one.

        Args:
            other: The type wanted.
            at: What is complained about if they differ.
            what: The same in words.
            hint: The way out, where it is not the usual one.

        Raises:
            CellError: They differ.
        """
        mine, theirs = self._root(), other._root()
        if mine is theirs:
            return
        if mine._type is not None and theirs._type is not None:
            if mine._type is not theirs._type:
                raise _mismatch(self, other, at, what, hint)
            return
        if mine._type is None:
            mine._parent = theirs
        else:
            theirs._parent = mine
        # A note shows the use that told, not the declaration of what was used there.
        for cell in (self, other):
            cell._at = cell._at or at


def _mismatch(found: Cell, wanted: Cell, at: Place, what: str, hint: str | None) -> CellError:
    assert found.type and wanted.type
    message = f"{what} is {_WORDS[found.type]}, expected {_WORDS[wanted.type]}"
    told = [(found.type, found.at), (wanted.type, wanted.at)]
    places = [(type_, place) for type_, place in told if place is not None and not _overlap(place, at)]
    # A place in the script tells more than a declaration of the tapset.
    own = [
        (f"{_WORDS[type_]} because of this", place) for type_, place in places if place.source is at.source
    ]
    declared = [("declared here", place) for _, place in places[:1]]
    others = [Problem(text, place.source, place.span, severity="note") for text, place in (own or declared)]
    return CellError(message, at.source, at.span, hint=hint or _HINTS.get(wanted.type), others=others)


def _overlap(one: Place, other: Place) -> bool:
    """Whether one of two places is within the other, and so tells nothing more."""
    start, end = max(one.span.start, other.span.start), min(one.span.end, other.span.end)
    return one.source is other.source and start < end
