"""Closing widgets with everything they are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ipywidgets import Widget


def close_tree(widget: Any) -> None:
    """Close a widget and every widget its traits refer to.

    ``Widget.close`` closes one model and leaves its layout, style, children,
    marks and scales behind, in the kernel and in the page.
    """
    for part in {id(part): part for part in _reachable(widget, set())}.values():
        part.close()


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
