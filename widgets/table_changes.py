"""What to tell a page that has one state of a table so that it has another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_HEADS = ("names", "keys", "numeric", "units", "plain", "barred")
_GRIDS = ("rows", "exact", "bars")


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find what differs between two states, see :func:`ktrace_nb.widgets.table_state.table_state`.

    Returns:
        ``cells``: ``[row, column, text, exact, bar]`` of each cell that differs, and ``set``:
        whatever else does; both are left out if there is nothing. None if it is better to
        send the new state as it is: its columns or the number of its rows are others, or about
        half of its cells are.
    """
    if len(old["rows"]) != len(new["rows"]) or any(old[name] != new[name] for name in _HEADS):
        return None
    cells = []
    size = 0
    for row, now in enumerate(zip(*(new[name] for name in _GRIDS), strict=True)):
        before = tuple(old[name][row] for name in _GRIDS)
        size += len(now[0])
        if now == before:
            continue
        for column, cell in enumerate(zip(*now, strict=True)):
            if cell != tuple(part[column] for part in before):
                cells.append([row, column, *cell])
    if 2 * len(cells) > max(size, 1):
        return None
    others = {name: new[name] for name in new if name not in _GRIDS and old.get(name) != new[name]}
    return {**({"cells": cells} if cells else {}), **({"set": others} if others else {})}
