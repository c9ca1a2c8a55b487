"""Views that stand alone in a cell: live, and below a picture that stays.

In two outputs, as a panel has them; see :mod:`ktrace_nb.widgets.display` for why.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape
from typing import Any, ClassVar
from uuid import uuid4

import anywidget
import traitlets

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets import assets
from ktrace_nb.widgets.pace import Rest
from ktrace_nb.widgets.source import ViewData


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


class DearView(StandingView):
    """A view of calls that takes long to draw: while more calls come it leaves time for other work.

    What the page shows is the trait :attr:`shown`, made by :meth:`draw`.

    Args:
        view: The calls as they stand.
        running: Whether more will come.
        spent: How what drawing costs is measured, see :class:`~ktrace_nb.widgets.pace.Rest`.
    """

    shown: ClassVar[str]
    rest_times: ClassVar[float] = 50
    """Between two updates it rests so many times as long as the last one took."""
    least_s: ClassVar[float] = 0.0
    """And so long at least, seconds."""

    def __init__(
        self,
        view: ViewData,
        running: Callable[[], bool],
        *,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._running = running
        self._rest = Rest(spent=spent)
        self._skipped = False
        super().__init__(**{self.shown: self._drawn(view)})

    def draw(self, view: ViewData) -> dict[str, Any]:
        """What the page is to show."""
        raise NotImplementedError

    @property
    def stale(self) -> bool:
        """Whether it has to be drawn again although the frame is the same."""
        return self._skipped

    def update(self, view: ViewData) -> bool:
        """Show the frame; say whether anything had changed."""
        self._skipped = self._running() and not self._rest.over(self.rest_times, self.least_s)
        if self._skipped:
            return False
        new = self._drawn(view)
        if new == getattr(self, self.shown):
            return False
        setattr(self, self.shown, new)
        return True

    def _drawn(self, view: ViewData) -> dict[str, Any]:
        with self._rest.work():
            return self.draw(view)


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
