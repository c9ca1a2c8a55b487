"""Put a panel on display. The one module here that knows IPython.

Two outputs: the live panel, and below it the picture that stays, which the
panel hides while it lives. One output with both would not do: a trusted
JupyterLab shows "model not found" for a widget without a kernel, whatever else
the output offers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

from IPython.core.getipython import get_ipython
from IPython.display import publish_display_data

from ktrace_nb.widgets import direct
from ktrace_nb.widgets.headline import headline
from ktrace_nb.widgets.panel import Panel
from ktrace_nb.widgets.source import PanelSource

_WIDGET = "application/vnd.jupyter.widget-view+json"

_standing: WeakSet[Panel] = WeakSet()
"""Panels of frames that stand for themselves."""

_panels: dict[str, tuple[str, list[Panel]]] = {}
"""The panels of each cell by its id, with the request that ran the cell."""


def show(source: PanelSource, *, big: bool = False) -> Panel:
    """Display a trace where the cell that runs puts its output.

    In a notebook that is a live panel and the picture that stays when the
    notebook is saved; call :meth:`Panel.finish` when the trace is over, so that
    the picture is the final one even where nobody was looking. In a terminal it
    is one line of text. A cell that is run again closes the panels of its last run.

    Args:
        source: The trace.
        big: Whether it is to be read from the last row of a lecture hall.
    """
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        panel = Panel(source)
        print(headline(source.name, source.status()).text)
        return panel

    panel = Panel(source, saved=lambda picture: _keep(panel, picture, update=True), big=big)
    _replace(panel, kernel)
    direct.install(kernel)
    _show_live(panel.widget.model_id)
    _keep(panel, panel.picture())
    return panel


def show_panel(panel: Panel) -> None:
    """Display a panel that is made already, of a source that stands for itself."""
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        print(panel.picture()["text/plain"])
        return
    panel.keep_with(lambda picture: _keep(panel, picture, update=True))
    if not _standing:
        kernel.shell.events.register("post_run_cell", _renew)
    _standing.add(panel)
    direct.install(kernel)
    _show_live(panel.widget.model_id)
    _keep(panel, panel.picture())


def _renew(_: object) -> None:
    """A cell is over that may have changed frames on display: a notebook without a page keeps the last."""
    for panel in list(_standing):
        panel.keep()


def show_alone(model_id: str, still: Mapping[str, str]) -> None:
    """Display a view that belongs to no panel, and below it the picture that stays.

    Args:
        model_id: Of the view's widget.
        still: The picture, as a MIME bundle.
    """
    if getattr(get_ipython(), "kernel", None) is None:
        print(still["text/plain"])
        return
    _show_live(model_id)
    _send(dict(still))


def _show_live(model_id: str) -> None:
    live = {_WIDGET: {"version_major": 2, "version_minor": 0, "model_id": model_id}}
    _send({**live, "text/plain": ""})


def _keep(panel: Panel, bundle: Mapping[str, str], *, update: bool = False) -> None:
    """Show or replace the picture that stays."""
    _send(dict(bundle), transient={"display_id": f"ktrace-{panel.address}"}, update=update)


def _send(bundle: dict[str, Any], **how: Any) -> None:
    publish_display_data(bundle, **how)  # type: ignore[no-untyped-call]  # IPython's is not


def _replace(panel: Panel, kernel: Any) -> None:
    """Note the panel's cell and close what an earlier run of it left."""
    request = kernel.get_parent("shell") if hasattr(kernel, "get_parent") else {}
    cell = request.get("metadata", {}).get("cellId")
    run = request.get("header", {}).get("msg_id", "")
    if cell is None:
        return
    earlier, panels = _panels.get(cell, (run, []))
    if earlier != run:
        for old in panels:
            old.close()
        panels = []
    _panels[cell] = run, [*panels, panel]
