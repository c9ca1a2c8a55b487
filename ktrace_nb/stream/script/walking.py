"""Going through an array: ``foreach``, and what takes slices like ``a[*, 1]``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from ktrace_nb.stream.script.arrays import ArrayStore
from ktrace_nb.stream.script.statistics import Statistics
from ktrace_nb.stream.script.values import Key, Value

Slice: TypeAlias = Sequence[Value | None]
"""The parts a key must have; None for any."""


def matching(store: ArrayStore, wanted: Slice) -> Iterator[tuple[Key, Value | Statistics]]:
    """Entries whose keys fit a slice, the oldest first."""
    fixed = [(i, part) for i, part in enumerate(wanted) if part is not None]
    return ((key, value) for key, value in store.items() if all(key[i] == part for i, part in fixed))


def contains_any(store: ArrayStore, wanted: Slice) -> int:
    """1 if an entry fits a slice, else 0."""
    return int(any(True for _ in matching(store, wanted)))


def delete_all(store: ArrayStore, wanted: Slice) -> None:
    """Remove the entries that fit a slice."""
    for key, _ in list(matching(store, wanted)):
        store.delete(key)


def walk(
    store: ArrayStore,
    wanted: Slice = (),
    *,
    sort_by: int | None = None,
    statistic: str = "",
    descending: bool = False,
    limit: int | None = None,
) -> list[tuple[Key, Value | Statistics]]:
    """The entries that ``foreach`` goes through, as they are when it begins.

    Entries that sort alike keep the order in which they were made.

    Args:
        store: The array.
        wanted: Only entries that fit this slice; all if it is empty.
        sort_by: 0 for the value, n for the n-th part of the key; None to leave the order.
        statistic: What of statistics is the value to sort by; the count if empty.
        descending: The greatest first.
        limit: At most so many; None for all.
    """
    found = list(matching(store, wanted) if wanted else store.items())
    if sort_by == 0:
        what = statistic or "count"
        found.sort(key=lambda entry: _rank(entry[1], what), reverse=descending)
    elif sort_by:
        part = sort_by - 1
        found.sort(key=lambda entry: entry[0][part], reverse=descending)
    return found if limit is None else found[: max(0, limit)]


def _rank(value: Value | Statistics, what: str) -> Value:
    return value.value(what) if isinstance(value, Statistics) else value
