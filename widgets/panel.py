"""A live panel: the head of a trace and its views, kept up to date.

Nothing happens until a page says that it shows the panel, so a notebook that is
run without one (nbclient, papermill) starts no thread and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from uuid import uuid4

import ipywidgets

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets import direct
from ktrace_nb.widgets.callgraph import CallGraphView
from ktrace_nb.widgets.console import TextView
from ktrace_nb.widgets.flame import FlameView
from ktrace_nb.widgets.header import Header
from ktrace_nb.widgets.headline import Headline, headline
from ktrace_nb.widgets.histogram import HistogramView
from ktrace_nb.widgets.indent import IndentView
from ktrace_nb.widgets.models import close_tree
from ktrace_nb.widgets.pace import Rest
from ktrace_nb.widgets.publisher import Publisher
from ktrace_nb.widgets.source import PanelSource, ViewData
from ktrace_nb.widgets.static import saved_html, static_text
from ktrace_nb.widgets.table import TableView

SAVE_S = 10.0
"""How often the picture that stays is renewed while a page shows the panel, seconds, at most."""

SAVE_REST = 100
"""Between two of them it rests so many times as long as the last one took."""


class View(Protocol):
    """What shows one frame."""

    @property
    def stale(self) -> bool:
        """Whether it has to be drawn again although the frame is the same."""
        ...

    def update(self, view: ViewData) -> bool:
        """Show a frame; say whether anything had changed."""
        ...

    def close(self) -> None:
        """Take it out of the page and of the kernel."""
        ...


class Panel:
    """A trace on display.

    Args:
        source: The trace.
        saved: Called with the picture to keep: the final one when the trace is
            over, and every ``SAVE_S`` before while a page shows the panel.
    """

    def __init__(self, source: PanelSource, *, saved: Callable[[dict[str, str]], None] | None = None) -> None:
        self.source = source
        self.address = uuid4().hex
        """Names the panel in messages and in the page."""

        self.problem: Exception | None = None
        """What went wrong when it was last drawn; its headline says so too."""

        self._saved = saved
        self._box: ipywidgets.VBox | None = None
        self._header: Header | None = None
        self._views: dict[str, tuple[View, int]] = {}
        self._publisher = Publisher(self._running, self._publish, self._tick)
        self._saving = Rest()
        self._final_saved = False
        self._greeted = False
        """A page has come that may not have the final picture in its notebook."""

    @property
    def widget(self) -> ipywidgets.VBox:
        """The panel's widget, made when first asked for."""
        if self._box is None:
            self._header = Header(address=self.address, state=self._headline().as_dict())
            self._box = ipywidgets.VBox([self._header]).add_class("ktrace-panel")
            self._header.on_msg(lambda _widget, content, _buffers: self.receive(content))
            direct.register(self.address, self.receive)
            self._publisher.flush()
        return self._box

    def shown(self, name: str) -> View:
        """What draws a frame, e.g. to ask an indent view for what is selected.

        Raises:
            KeyError: Nothing has been drawn by that name.
        """
        return self._views[name][0]

    def finish(self) -> None:
        """Show how the trace ended and save its final picture; any thread.

        A session calls this when it is over. A panel that a page shows notices
        by itself; this is for the others.
        """
        self._publisher.flush()

    def picture(self) -> dict[str, str]:
        """The panel as it stands, as a MIME bundle without anything live."""
        return self._bundle(self._headline(), self.source.view_data())

    def close(self) -> None:
        """Remove the panel's models from the kernel and the page; the trace goes on."""
        self._publisher.close()
        direct.unregister(self.address)
        for view, _ in self._views.values():
            view.close()
        self._views.clear()
        if self._box is not None:
            close_tree(self._box)

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take a message of the page; any thread, so it only sets flags."""
        if message.get("stop"):
            self.source.request_stop()
        view = str(message.get("view", ""))
        if "bye" in message:
            self._publisher.leave(view)
        elif "hello" in message:
            self._greeted = True
            self._publisher.hear(view, None, direct=bool(message.get("direct")))
        elif isinstance(message.get("ack"), int):
            self._publisher.hear(view, message["ack"], direct=bool(message.get("direct")))

    def _running(self) -> bool:
        try:
            return self.source.status().state == "running"
        except Exception:
            return False  # publishing meets the same problem, and tells it

    def _headline(self) -> Headline:
        return headline(self.source.name, self.source.status())

    def _publish(self) -> bool:
        """Bring everything up to date; say whether anything had changed."""
        try:
            return self._redraw()
        except Exception as problem:
            # This runs in a thread of its own, where an exception would be lost
            # or land in the output of whichever cell runs: the panel tells it.
            self.problem = problem
            if self._header is None:
                return False
            return self._header.fail(printable(f"cannot be shown: {type(problem).__name__}: {problem}"))

    def _redraw(self) -> bool:
        # The status first: a trace that was over by then has its last data below.
        head = self._headline()
        views = self.source.view_data()
        changed = self._draw(views)
        self._save(head, views)
        return (self._header is not None and self._header.update(head)) or changed

    def _save(self, head: Headline, views: Sequence[ViewData]) -> None:
        """Keep the final picture, and one now and then before: the kernel may not live to the end."""
        if self._saved is None:
            return
        final = head.state != "running"
        due = not self._final_saved if final else self._saving.over(SAVE_REST, SAVE_S)
        missing = final and self._greeted
        if not (due or missing):
            return
        if due:
            with self._saving.work():
                picture = self._bundle(head, views)
                self._saved(picture)
            self._final_saved = final
        else:
            picture = self._bundle(head, views)
        if missing and self._header is not None:
            self._header.keep(picture)
            self._greeted = False

    def _draw(self, views: Sequence[ViewData]) -> bool:
        if self._box is None:
            return False
        changed = False
        for view in views:
            drawn, generation = self._views.get(view.name, (None, None))
            if drawn is None:
                drawn = self._view(view)
            elif generation == view.generation and not drawn.stale:
                continue
            changed |= drawn.update(view)
            self._views[view.name] = drawn, view.generation
        children = (self._header, *(self._views[view.name][0] for view in views))
        if self._box.children != children:
            self._box.children = children
            changed = True
        return changed

    def _view(self, view: ViewData) -> View:
        match view.kind:
            case "histogram":
                return HistogramView(view)
            case "table":
                return TableView(view, self._publisher.poke)
            case "text":
                return TextView(view, self._publisher.poke)
            case "flame":
                return FlameView(view, self._running)
            case "callgraph":
                return CallGraphView(view, self._running)
            case "indent":
                return IndentView(view, self._publisher.poke)

    def _tick(self, number: int) -> None:
        if self._header is not None:
            self._header.tick(number)

    def _bundle(self, head: Headline, views: Sequence[ViewData]) -> dict[str, str]:
        page = saved_html(self.address, head, views)
        return {"text/html": page, "text/plain": static_text(head, views)}
