"""Views that stand alone in a cell: live, and below a picture that stays.

In two outputs, as a panel has them; see :mod:`ktrace_nb.widgets.display` for why.
"""

from __future__ import annotations

from html import escape
from typing import Any
from uuid import uuid4

import anywidget
import traitlets

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets import assets


def module(*names: str) -> str:
    """An ES module of ours, made of these files, with what these views have in common in front."""
    return "\n".join(map(assets.read, ("still.js", *names)))


class StandingView(anywidget.AnyWidget):
    """A view of calls that shows itself as what a cell ends with."""

    address = traitlets.Unicode().tag(sync=True)
    """Ties the picture that stays to the view that hides it."""

    def __init__(self, **state: Any) -> None:
        super().__init__(address=uuid4().hex, **state)

    def still(self) -> tuple[str, str]:
        """The picture as it stands with its heading, as HTML and as text."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Everything in one, for front ends that do not let a view show itself."""
        live = super()._repr_mimebundle_(**kwargs)
        data, metadata = live if isinstance(live, tuple) else (live or {}, {})
        html, text = self.still()
        return {**data, "text/html": html, "text/plain": text}, metadata

    def _ipython_display_(self, **kwargs: Any) -> None:
        from ktrace_nb.widgets.display import show_alone

        html, text = self.still()
        show_alone(self.model_id, {"text/html": still_html(self.address, html), "text/plain": text})


def headed(title: str, html: str) -> str:
    """A picture with a heading outside, where it has the page's own colour."""
    return f"<p><b>{escape(printable(title))}</b></p>\n{html}" if title else html


def still_html(address: str, html: str) -> str:
    """A picture that its view hides while it lives, and that hides what is left of a dead one.

    Without a kernel JupyterLab shows "Loading widget..." or "model not found" in the output above.
    """
    picture = f'.ktrace-static[data-panel="{address}"]'
    output = ".jp-OutputArea-child"
    dead = f"{output}:not(:has(.ktrace-calls, .ktrace-indent)):has(+ {output} {picture})"
    style = f"<style>{dead} {{ display: none; }}</style>"
    return f'<div class="ktrace-static" data-panel="{address}">\n{style}\n{html}\n</div>'
