"""A state machine as it was measured: states, and transitions by how often they happened.

The page gets texts, numbers and paths of numbers, never markup. It is sent the diagram once; from then
on only the numbers that changed, as long as no state and no transition is new. What is sent is counted:
a page that missed something, such as what was sent while it loaded, asks for the whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets import assets
from ktrace_nb.widgets.callgraph_picture import curve
from ktrace_nb.widgets.curves import tip_of
from ktrace_nb.widgets.layers import Layout
from ktrace_nb.widgets.machine import StateGraph, state_graph
from ktrace_nb.widgets.pace import Rest
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.states_picture import (
    detail,
    long_time,
    machine_html,
    machine_text,
    said,
    shades,
    tell_link,
    tell_state,
    widths,
)
from ktrace_nb.widgets.states_places import Form, form_of, lay_out, sizes
from ktrace_nb.widgets.states_rates import LinkRates
from ktrace_nb.widgets.talking import TalkingWidget
from ktrace_nb.widgets.ticks import count_label

REST = 20
"""While more comes, it rests so many times as long as drawing took."""

Numbers = dict[str, Any]


class StatesView(TalkingWidget):
    """A state machine.

    Args:
        view: The transitions as they stand.
        changed: Called, from any thread, when a click asks for something to be drawn.
        running: Whether more will come.
    """

    _esm = assets.module("shortcuts.js", "still.js", "picture.js", "states.js")
    _css = assets.read("calls.css") + assets.read("states.css")

    diagram = traitlets.Dict().tag(sync=True)
    """Places, names and paths."""

    numbers = traitlets.Dict().tag(sync=True)
    """All that may change while the diagram stays. The page is sent what differs, and ``seq``: by
    how many changes it came to be."""

    def __init__(
        self, view: ViewData, changed: Callable[[], None], running: Callable[[], bool] = lambda: False
    ) -> None:
        self._running = running
        self._rest = Rest(spent=time.thread_time)
        self._skipped = False
        self._asked = False
        self._resend = False
        self._rates = LinkRates()
        self._picked: tuple[list[int], list[int]] = ([], [])
        self._form: Form | None = None
        self._version = 0
        diagram, numbers = self._draw(view)
        super().__init__(changed, diagram=diagram, numbers={**numbers, "seq": 0})

    @property
    def stale(self) -> bool:
        """Whether it has to be drawn again although the frame is the same."""
        return self._skipped or self._resend

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take a click, or which state a page has; any thread."""
        if "have" in message:
            if message["have"] != self.numbers["seq"]:
                self._resend = True
                self._changed()
            return
        if not isinstance(message.get("pick"), Mapping):
            return
        version, graph, view = self._shown
        if message.get("version") != version:
            return  # it was meant for another diagram
        states = _among(message["pick"].get("states"), len(graph.states))
        links = _among(message["pick"].get("links"), len(graph.links))
        if view.pick is None:
            return
        self._picked = (states, links)
        self._asked = True
        view.pick(view.frame.index[graph.rows(states, links)].tolist())
        self._changed()

    def update(self, view: ViewData) -> bool:
        """Show the frame; say whether anything had changed."""
        resend, self._resend = self._resend, False
        changed = self._redraw(view, whole=resend)
        if resend:
            # The diagram too: what was missed may have come with another one.
            self.send_state(["diagram", "numbers"])
        return changed or resend

    def _redraw(self, view: ViewData, *, whole: bool) -> bool:
        """Bring the traits up to date and send the difference, unless the whole is sent anyway."""
        if view.generation == self._shown[2].generation and not (self._skipped or self._asked):
            return False
        self._skipped = not self._asked and self._running() and not self._rest.over(REST)
        if self._skipped:
            return False
        self._asked = False
        diagram, numbers = self._draw(view)
        seq = self.numbers["seq"]
        if diagram != self.diagram:
            with self.hold_sync():
                self.diagram, self.numbers = diagram, {**numbers, "seq": seq + 1}
            return True
        changed = _difference(self.numbers, numbers)
        if not changed:
            return False
        # The page keeps what it has and gets the rest; a new page asks for the whole.
        self._trait_values["numbers"] = {**numbers, "seq": seq + 1}
        if not whole:
            self.send({"numbers": changed, "version": numbers["version"], "seq": seq + 1})
        return True

    def _draw(self, view: ViewData) -> tuple[dict[str, Any], Numbers]:
        with self._rest.work():
            before = self._form.names if self._form else ()
            graph = state_graph(view.frame, machine=view.options.get("machine", ""), before=before)
            form = form_of(graph)
            if form != self._form:
                self._form, self._layout = form, lay_out(form)
                self._version += 1
            self._shown = (self._version, graph, view)
            rates = self._rates.of(graph)
            picked = self._marked(graph, view.marks)
            diagram = _diagram(graph, form, self._layout, title=view.name, version=self._version)
            return diagram, _numbers(graph, rates, picked, version=self._version)

    def _marked(self, graph: StateGraph, marks: NDArray[np.bool_] | None) -> tuple[Any, Any] | None:
        if marks is None or not marks.any() or len(marks) != len(graph.start):
            return None
        own = tuple(
            [number for number in numbers if number < most]
            for numbers, most in zip(self._picked, (len(graph.states), len(graph.links)), strict=True)
        )
        if any(own) and np.array_equal(graph.rows(*own), marks):
            return own[0], own[1]
        return graph.marked(marks)


def _diagram(graph: StateGraph, form: Form, layout: Layout, *, title: str, version: int) -> dict[str, Any]:
    """What stays while only numbers change."""
    states = [
        {
            "name": state.name,
            "x": round(x, 1),
            "y": round(y, 1),
            "width": round(width, 1),
            "height": round(height, 1),
            "merged": bool(state.merged),
        }
        for state, (x, y), (width, height) in zip(graph.states, layout.centres, sizes(form), strict=True)
    ]
    links = [
        {
            "start": link.start,
            "end": link.end,
            "curve": curve(path),
            "tip": tip_of(path),
            "x": round(x, 1),
            "y": round(y, 1),
        }
        for link, path, (x, y) in zip(graph.links, layout.paths, layout.labels, strict=True)
    ]
    return {
        "title": printable(title),
        "version": version,
        "width": round(layout.width, 1),
        "height": round(layout.height, 1),
        "states": states,
        "links": links,
    }


def _numbers(
    graph: StateGraph,
    rates: list[float],
    picked: tuple[Any, Any] | None,
    *,
    version: int,
) -> Numbers:
    visits = shades([state.visits for state in graph.states])
    stays = shades([state.total_ns for state in graph.states])
    states, links = picked or ((), ())
    return {
        "version": version,
        "foot": said(graph),
        "alt": f"state machine: {said(graph)}",
        "picked": picked is not None,
        "timed": any(state.timed for state in graph.states),
        "states": {
            str(number): {
                "detail": detail(state),
                "tell": tell_state(state),
                "seen": state.seen,
                "visits": visits[number],
                "time": stays[number],
                "picked": number in states,
            }
            for number, state in enumerate(graph.states)
        },
        "links": {
            str(number): {
                "count": f"{link.count:,}" if link.count else "",
                "label": count_label(link.count) if link.count else "",
                "mean": long_time(link.mean_ns),
                "rate": _rate(rate),
                "wide": wide,
                "unusual": link.unusual,
                "tell": tell_link(graph, link),
                "picked": number in links,
            }
            for number, (link, rate, wide) in enumerate(zip(graph.links, rates, widths(graph), strict=True))
        },
    }


def _rate(per_s: float) -> str:
    if per_s < 0.05:
        return ""
    return f"+{count_label(round(per_s))}/s" if per_s >= 9.95 else f"+{per_s:.1f}/s"


def _difference(old: Numbers, new: Numbers) -> Numbers:
    """What of the numbers is new; empty if nothing is."""
    changed: Numbers = {}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            parts = {key: part for key, part in value.items() if before.get(key) != part}
            if parts:
                changed[name] = parts
        elif value != before:
            changed[name] = value
    return changed


def _among(numbers: object, count: int) -> list[int]:
    """What a page says is picked, as far as there is such."""
    if not isinstance(numbers, list):
        return []
    return sorted({number for number in numbers if isinstance(number, int) and 0 <= number < count})


def states_html(view: ViewData) -> str:
    """The picture that stays."""
    graph = state_graph(view.frame, machine=view.options.get("machine", ""))
    return machine_html(graph, lay_out(form_of(graph)))


def states_text(view: ViewData) -> str:
    """The same as text, headed by its name."""
    return machine_text(state_graph(view.frame, machine=view.options.get("machine", "")), title=view.name)
