"""The browser's half of our widgets, read from ``static/``.

Plain ES modules without a build step. anywidget loads one text per widget, so
what several need is put in front of each.
"""

from __future__ import annotations

from importlib.resources import files


def read(name: str) -> str:
    """The text of a file in ``static/``."""
    return (files("ktrace_nb.widgets") / "static" / name).read_text(encoding="utf-8")


def module(*names: str) -> str:
    """An ES module of ours, made of these files, with the channel to the kernel in front."""
    return "\n".join(map(read, ("channel.js", *names)))
