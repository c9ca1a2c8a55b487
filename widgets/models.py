"""Closing widgets with everything they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ipywidgets import Widget


def close_tree(widget: Any) -> None:
    """Close a widget and every widget its traits refer to.

    ``Widget.close`` closes one model and leaves its layout, style, children,
    marks and scales behind, in the kernel and in the page.
    """
    for part in tree_of([widget]):
        part.close()


def tree_of(widgets: Iterable[Widget]) -> list[Widget]:
    """Widgets and every widget their traits refer to, each once."""
    seen: set[int] = set()
    return [part for widget in widgets for part in _reachable(widget, seen)]


def _reachable(value: Any, seen: set[int]) -> Iterator[Any]:
    if isinstance(value, Widget):
        if id(value) in seen:
            return
        seen.add(id(value))
        yield value
        value = [getattr(value, name) for name in value.keys]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _reachable(item, seen)
