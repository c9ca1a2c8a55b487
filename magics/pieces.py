"""Scripts made of several cells: ``%%ktrace walk --piece``, ``%ktrace run walk``.

A piece is known again by the id that the front end gives its cell, or by the name
behind ``--piece``. Where there is neither (a terminal, a notebook run without a
front end), a cell takes the place of the piece with the same text, or of the one
piece that declares something it declares too; else it is a new piece.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from ktrace_nb.diagnostics import Problem
from ktrace_nb.errors import CellError, OptionError
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.source import Joined, Source, join

CELL = "cell"
_NO_PROBE = Source("probe never { }", "no probe yet")
"""Lets a script be checked whose first piece only declares things."""

Check = Callable[[Source], None]


@dataclass(frozen=True, slots=True)
class Piece:
    """The text of a cell."""

    text: str
    key: str = ""
    """By which its cell is known; empty if by nothing but the text."""


_scripts: dict[str, list[Piece]] = {}


def add(name: str, piece: Piece, check: Check) -> tuple[int, bool]:
    """Keep a piece if it fits those there are.

    Args:
        name: Of the script.
        piece: The piece.
        check: Compiles the script as it would be; raises what is wrong with it.

    Returns:
        Its number, from 1, and whether it replaced another.

    Raises:
        KTraceError: It does not fit; everything stays as it was.
    """
    pieces = _scripts.get(name, [])
    at = _place_of(piece, pieces)
    replaced = at < len(pieces)
    changed = [*pieces[:at], piece, *pieces[at + 1 :]]
    sources = [Source(p.text, CELL if n == at else _title(name, n)) for n, p in enumerate(changed)]
    try:
        check(join([*sources, _NO_PROBE], name))
    except CellError as error:
        # An end that is missing shows only in the next piece.
        alone = _mistake(sources[at])
        if alone is not None and alone.message != error.message and not is_in_cell(error.problems[0]):
            raise alone from None
        raise
    _scripts[name] = changed
    return at + 1, replaced


def _place_of(piece: Piece, pieces: list[Piece]) -> int:
    if piece.key:
        same = [n for n, p in enumerate(pieces) if p.key == piece.key]
        return same[0] if same else len(pieces)
    same = [n for n, p in enumerate(pieces) if p.text == piece.text]
    if same:
        return same[0]
    declared = declarations(piece.text)
    rivals = [n for n, p in enumerate(pieces) if not p.key and declared & declarations(p.text)]
    return rivals[0] if len(rivals) == 1 else len(pieces)


def _title(name: str, index: int) -> str:
    return f"piece {index + 1} of {name}"


def _parsed(source: Source) -> tree.Script | CellError:
    try:
        return parse(source)
    except CellError as error:
        return error


def _mistake(source: Source) -> CellError | None:
    parsed = _parsed(source)
    return parsed if isinstance(parsed, CellError) else None


def is_in_cell(problem: Problem) -> bool:
    """Whether something found in a script that is checked is in the cell that just ran."""
    if problem.source is None or problem.span is None:
        return False
    return problem.source.written(problem.span)[0].name == CELL


def declarations(text: str) -> set[str]:
    """Names of globals and functions that a text declares; none if it does not parse by itself."""
    parsed = _parsed(Source(text))
    if isinstance(parsed, CellError):
        return set()
    return {g.name for g in parsed.globals} | {f.name for f in parsed.functions}


def script(name: str) -> Joined:
    """A script as one text.

    Raises:
        OptionError: There is none of that name.
    """
    pieces = _pieces(name)
    return join([Source(p.text, _title(name, n)) for n, p in enumerate(pieces)], name)


def text(name: str) -> str:
    """The text of a script's pieces; empty if there is no such script."""
    return "\n".join(p.text for p in _scripts.get(name, ()))


def drop(name: str, number: int | None = None) -> None:
    """Forget a piece, counted from 1, or the whole script.

    Raises:
        OptionError: There is no such script or piece.
    """
    pieces = _pieces(name)
    if number is not None and not 1 <= number <= len(pieces):
        raise OptionError(f"{name!r} has no piece {number}", hint=f"it has {len(pieces)}")
    left = [] if number is None else [p for n, p in enumerate(pieces, 1) if n != number]
    if left:
        _scripts[name] = left
    else:
        del _scripts[name]


def names() -> list[str]:
    """The scripts that have pieces."""
    return list(_scripts)


def table(name: str | None = None) -> pd.DataFrame:
    """The pieces of a script, or of all.

    Returns:
        Indexed by ``script`` (str) and ``piece`` (int64, from 1): ``lines`` (int64),
        ``declares``, ``probes`` and ``cell`` (str).

    Raises:
        OptionError: There is no script of that name.
    """
    rows = []
    for script_name in [name] if name is not None else list(_scripts):
        for number, piece in enumerate(_pieces(script_name), 1):
            parsed = _parsed(Source(piece.text))
            probes = [] if isinstance(parsed, CellError) else parsed.probes
            rows.append(
                {
                    "script": script_name,
                    "piece": number,
                    "lines": piece.text.rstrip("\n").count("\n") + 1,
                    "declares": ", ".join(sorted(declarations(piece.text))),
                    "probes": ", ".join(str(point) for probe in probes for point in probe.points),
                    "cell": piece.key,
                }
            )
    columns = ["script", "piece", "lines", "declares", "probes", "cell"]
    return pd.DataFrame(rows, columns=columns).set_index(["script", "piece"])


def _pieces(name: str) -> list[Piece]:
    if name not in _scripts:
        known = ", ".join(_scripts) or "none"
        hint = f"%%ktrace {name} --piece adds one; there is {known}"
        raise OptionError(f"no script {name!r} has pieces", hint=hint)
    return _scripts[name]
