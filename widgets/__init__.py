"""Live panels and static pictures of a trace. Import as ``ktrace_nb.widgets``.

:func:`show` displays a :class:`PanelSource`, which is all this package knows of
a running trace. What is drawn is a function of a frame; the widgets only assign
it; one publisher per panel decides when.
"""

from __future__ import annotations

if __name__ != "ktrace_nb.widgets":
    raise ImportError(f"import ktrace_nb.widgets, not {__name__}")

from ktrace_nb.widgets.display import show
from ktrace_nb.widgets.panel import Panel
from ktrace_nb.widgets.source import PanelSource, PanelStatus, ViewData
from ktrace_nb.widgets.static import static_bundle
from ktrace_nb.widgets.svg import histogram_svg

__all__ = [
    "Panel",
    "PanelSource",
    "PanelStatus",
    "ViewData",
    "histogram_svg",
    "show",
    "static_bundle",
]
