"""A live panel: the head of a trace and its views, kept up to date.

Nothing happens until a page says that it shows the panel, so a notebook that is
run without one (nbclient, papermill) starts no thread and waits for nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import ipywidgets

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets import direct
from ktrace_nb.widgets.asked import Asked
from ktrace_nb.widgets.header import Header
from ktrace_nb.widgets.headline import Headline, headline
from ktrace_nb.widgets.keeping import Keeping
from ktrace_nb.widgets.kinds import LOOKS, Host, View
from ktrace_nb.widgets.models import tree_of
from ktrace_nb.widgets.pace import Tick
from ktrace_nb.widgets.publisher import LOOK_S, Publisher
from ktrace_nb.widgets.source import PanelSource, PanelStatus, State, ViewData
from ktrace_nb.widgets.static import saved_html, static_html, static_text


class Panel:
    """A trace on display.

    Args:
        source: The trace.
        saved: Called with the picture to keep: the final one when the trace is
            over, and before every now and then while a page shows the panel.
        headed: Whether it has a head: not that of a frame that stands alone.
        big: Whether it is to be read from the last row of a lecture hall.
    """

    def __init__(
        self,
        source: PanelSource,
        *,
        saved: Callable[[dict[str, str]], None] | None = None,
        headed: bool = True,
        big: bool = False,
    ) -> None:
        self.source = source
        self._headed = headed
        self._big = big
        self.address = uuid4().hex
        """Names the panel in messages and in the page."""

        self.problem: Exception | None = None
        """What went wrong when it was last drawn; its headline says so too."""

        self._saved = saved
        self._box: ipywidgets.VBox | None = None
        self._header: Header | None = None
        self._views: dict[str, tuple[View, Hashable]] = {}
        self._asked = Asked(source)
        self._reading = threading.Lock()
        self._publisher = Publisher(self._attentive, self._publish, self._tick)
        self._behind = False
        """Whether the source was said to have changed since the picture that stays was made."""
        self._keeping = Keeping()
        self._stood: tuple[State, float] | None = None
        """How the source stood, and when it said so, seconds, monotonic."""

        self._watching: set[str] = set()
        """Views whose list of probes is open."""

        self._watchers_new = False
        self._snapshots: list[tuple[str, Mapping[str, str] | None]] = []
        self._greeted = False
        """A page has come that may not have the final picture in its notebook."""

    @property
    def widget(self) -> ipywidgets.VBox:
        """The panel's widget, made when first asked for."""
        if self._box is None:
            head = self._headline(self.source.status())
            self._header = Header(address=self.address, head=head, headed=self._headed)
            self._box = ipywidgets.VBox([self._header]).add_class("ktrace-panel")
            if self._big:
                self._box.add_class("ktrace-big")
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

    def keep_with(self, saved: Callable[[dict[str, str]], None]) -> None:
        """Have the picture to keep given to somebody from now on."""
        self._saved = saved

    def refresh(self) -> None:
        """Show what the source has now, even if it is over; any thread, returns at once."""
        self._behind = True
        self._stood = None
        self._publisher.poke()

    def keep(self) -> None:
        """Renew the picture that stays, if :meth:`refresh` was called since it was made."""
        if self._behind and self._saved is not None:
            self._behind = False
            self._saved(self.picture())

    def picture(self) -> dict[str, str]:
        """The panel as it stands, as a MIME bundle without anything live."""
        return self._bundle(self._headline(self.source.status()), self._data())

    def insert_snapshot(self, source: str, bundle: Mapping[str, str] | None = None) -> None:
        """Have the page put a new cell below the panel's; any thread, returns at once.

        The page whose click asked for it does, as soon as it draws; nothing is put anywhere
        if it has been closed. Where a front end lets no widget write cells, the panel says
        what to type.

        Args:
            source: The cell's text, e.g. ``trace.snapshots[0]``.
            bundle: What its output shows; by default the panel as it stands when it is sent,
                as :func:`~ktrace_nb.widgets.static.static_html` draws it.
        """
        self._snapshots.append((source, bundle))
        self._publisher.poke()

    def close(self) -> None:
        """Remove the panel's models from the kernel and the page; the trace goes on."""
        self._publisher.close()
        direct.unregister(self.address)
        views = [view for view, _ in self._views.values()]  # the box knows only those shown now
        parts = tree_of([*views, *([] if self._box is None else [self._box])])
        if self._header is not None:
            self._header.forget(parts)
        for part in parts:
            part.close()
        self._views.clear()

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take a message of the page; any thread, so it only sets flags."""
        if message.get("stop"):
            self.source.request_stop()
            self._stood = None
        if self._asked.take(message):
            self._publisher.poke()
        view = str(message.get("view", ""))
        if "probes" in message:
            self._watch(view, bool(message["probes"]))
        if "bye" in message:
            self._watching.discard(view)
            self._publisher.leave(view)
        elif "away" in message:
            self._publisher.leave(view)
        elif "back" in message:
            self._publisher.hear(view, None, direct=bool(message.get("direct")))
        elif "hello" in message:
            self._greeted = True
            self._publisher.hear(view, None, direct=bool(message.get("direct")))
        elif isinstance(message.get("ack"), int):
            self._publisher.hear(view, message["ack"], direct=bool(message.get("direct")))

    def _running(self) -> bool:
        """Whether the trace runs, as of half a second ago at most: this is asked several times an update."""
        stood = self._stood
        if stood is not None and time.monotonic() - stood[1] < LOOK_S:
            return stood[0] == "running"
        try:
            return self._status().state == "running"
        except Exception:
            return False  # publishing meets the same problem, and tells it

    def _status(self) -> PanelStatus:
        status = self.source.status()
        self._stood = status.state, time.monotonic()
        return status

    def _attentive(self) -> bool:
        """Whether there may be more to show: what was asked of a trace that is over comes late."""
        return self._asked.recent or self._keeping.owed or self._running()

    def _watch(self, view: str, opened: bool) -> None:
        if opened:
            self._watchers_new = True
            self._watching.add(view)
            self._publisher.poke()
        else:
            self._watching.discard(view)

    def _headline(self, status: PanelStatus) -> Headline:
        return headline(self.source.name, status, notice=self._asked.notice(status))

    def _data(self) -> Sequence[ViewData]:
        # A picture may be asked for, e.g. by an export, while the publisher draws.
        with self._reading:
            return self.source.view_data()

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
        status = self._status()
        head = self._headline(status)
        views = self._data()
        changed = self._draw(views)
        self._save(head, views)
        return self._draw_head(head, status, views) or changed

    def _draw_head(self, head: Headline, status: PanelStatus, views: Sequence[ViewData]) -> bool:
        if self._header is None:
            return False
        changed = self._header.update(head)
        if self._watching:
            fresh, self._watchers_new = self._watchers_new, False
            changed |= self._header.list_probes(status.probes, fresh=fresh)
        while self._snapshots:
            source, picture = self._snapshots.pop(0)
            still = {"text/html": static_html(head, views), "text/plain": static_text(head, views)}
            self._header.insert(self._asked.view, source, picture or still)
            changed = True
        return changed

    def _save(self, head: Headline, views: Sequence[ViewData]) -> None:
        """Keep a picture, and have the page keep the final one, if they are due."""
        if self._saved is None:
            return
        final = head.state != "running"
        missing = self._greeted and (final or self._keeping.turned(head))
        due = self._keeping.is_due(head, views)
        if not (due or missing):
            return
        if due:
            with self._keeping.work(head, views):
                picture = self._bundle(head, views)
                self._saved(picture)
        else:
            picture = self._bundle(head, views)
        if missing and self._header is not None:
            self._header.keep(picture)
            self._greeted = not final

    def _draw(self, views: Sequence[ViewData]) -> bool:
        if self._box is None:
            return False
        changed = False
        for view in views:
            drawn, generation = self._views.get(view.name, (None, None))
            if drawn is None:
                drawn = LOOKS[view.kind].live(view, Host(self._publisher.poke, self._running))
            elif generation == view.generation and not drawn.stale:
                continue
            changed |= drawn.update(view)
            self._views[view.name] = drawn, view.generation
        children = (self._header, *(self._views[view.name][0] for view in views))
        if self._box.children != children:
            self._box.children = children
            changed = True
        return changed

    def _tick(self, tick: Tick) -> None:
        if self._header is None:
            return
        # The second time without what could not be sent, for the header has let go of it: a
        # page that gets no tick says nothing, and would be taken to be gone.
        for _ in range(2):
            try:
                return self._header.tick(tick)
            except Exception as problem:
                self.problem = problem  # as in _publish

    def _bundle(self, head: Headline, views: Sequence[ViewData]) -> dict[str, str]:
        shown = head if self._headed else None
        page = saved_html(self.address, shown, views)
        return {"text/html": page, "text/plain": static_text(shown, views)}
