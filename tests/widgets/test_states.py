from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.widgets import ViewData
from ktrace_nb.widgets.machine import StateGraph, state_graph
from ktrace_nb.widgets.states import StatesView
from ktrace_nb.widgets.states_picture import machine_text
from tests.widgets.made_transitions import TCP_COUNTS, growing, tcp_frame

FROM = {start for start, _ in TCP_COUNTS}
SVG = "{http://www.w3.org/2000/svg}"


@dataclass
class Desk:
    """Who shows a view: notes what is picked, and gives it back as marks."""

    frame: pd.DataFrame
    options: dict[str, str] = field(default_factory=lambda: {"machine": "tcp"})
    labels: list[Any] | None = None
    generation: int = 0
    changes: int = 0

    def pick(self, labels: Sequence[Any]) -> None:
        self.labels = list(labels)

    def changed(self) -> None:
        self.changes += 1

    def view(self, frame: pd.DataFrame | None = None) -> ViewData:
        """The view as it stands; another generation each time."""
        self.frame = self.frame if frame is None else frame
        self.generation += 1
        marks = np.asarray(self.frame.index.isin(self.labels)) if self.labels else None
        return ViewData(
            name="TCP",
            kind="states",
            frame=self.frame,
            generation=self.generation,
            options=self.options,
            pick=self.pick,
            marks=marks,
        )


def drawn(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> tuple[StatesView, list[dict[str, Any]]]:
    """A view, and what it sends from now on."""
    view = StatesView(desk.view(), desk.changed)
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(view, "send", sent.append)
    return view, sent


def named(graph: StateGraph) -> dict[tuple[str, str], tuple[int, float | None, bool]]:
    """Transitions that were seen, by name."""
    return {
        (graph.states[link.start].name, graph.states[link.end].name): (link.count, link.mean_ns, link.unusual)
        for link in graph.links
        if link.count
    }


def test_states_and_transitions_are_those_of_the_frame() -> None:
    graph = state_graph(tcp_frame(), machine="tcp")
    usual = {("ESTABLISHED", "CLOSE"), ("CLOSING", "CLOSE"), ("FIN_WAIT2", "CLOSE")}
    assert named(graph) == {pair: (*numbers, pair in usual) for pair, numbers in TCP_COUNTS.items()}
    assert graph.total == 11_824
    close = next(state for state in graph.states if state.name == "CLOSE")
    # By hand: 2 + 17 + 17 + 4 + 1166 + 1170 come to CLOSE, 1204 + 3 leave it.
    assert (close.entered, close.left, close.visits) == (2376, 1207, 2376)
    established = next(state for state in graph.states if state.name == "ESTABLISHED")
    assert established.mean_ns == (1170 * 3_240_000 + 1170 * 3_410_000 + 17 * 1_200_000_000) / (
        1170 + 1170 + 17
    )


def test_tcp_s_diagram_is_drawn_whole_though_little_of_it_was_seen() -> None:
    one = pd.DataFrame({"oldstate": [7, 7], "newstate": [2, 2]})
    graph = state_graph(one, machine="tcp")
    assert [state.name for state in graph.states if state.seen] == ["SYN_SENT", "CLOSE"]
    # RFC 9293, figure 5: eleven states; 19 arrows, and two more of its notes.
    assert len(graph.states) == 11
    assert len(graph.links) == 21
    assert named(graph) == {("CLOSE", "SYN_SENT"): (2, None, False)}


def test_events_are_counted_and_their_times_taken() -> None:
    events = pd.DataFrame(
        {
            "skaddr": [1, 2, 1, 2],
            "at_ns": [0, 5, 100, 305],
            "oldstate": [7, 7, 2, 2],
            "newstate": [2, 2, 1, 7],
        }
    )
    assert named(state_graph(events, machine="tcp")) == {
        ("CLOSE", "SYN_SENT"): (2, None, False),
        ("SYN_SENT", "ESTABLISHED"): (1, 100.0, False),
        ("SYN_SENT", "CLOSE"): (1, 300.0, False),
    }


def test_states_beyond_the_most_are_one_and_said_to_be() -> None:
    names = [f"s{n:02}" for n in range(60)]
    ring = pd.DataFrame({"from": names, "to": [*names[1:], names[0]], "count": range(100, 40, -1)})
    graph = state_graph(ring)
    assert len(graph.states) == 41
    assert graph.states[-1].name == "… 20 more states"
    # s39 goes to the first of them, the last of them to s00; 19 steps are among them.
    assert len(graph.links) == 39 + 2
    assert graph.states[-1].entered == sum(range(42, 62))
    text = machine_text(graph)
    assert "between 60 states; 20 in one" in text
    assert sum(link.count for link in graph.links) == graph.total - sum(range(60, 41, -1))


def test_of_very_many_pairs_the_most_frequent_are_drawn() -> None:
    pairs = [(f"a{one:02}", f"a{other:02}") for one in range(20) for other in range(20)]
    frame = pd.DataFrame(pairs, columns=["from", "to"]).assign(count=range(400))
    graph = state_graph(frame)
    assert sorted(link.count for link in graph.links) == list(range(280, 400))
    assert "280 pairs of states not drawn" in machine_text(graph)


def test_places_stay_while_only_numbers_change_and_new_states_come_behind() -> None:
    desk = Desk(pd.DataFrame({"from": ["b", "a"], "to": ["a", "b"], "count": [1, 2]}), options={})
    view = StatesView(desk.view(), desk.changed)
    first = view.diagram
    assert [state["name"] for state in first["states"]] == ["b", "a"]
    desk.frame = pd.DataFrame({"from": ["a", "b"], "to": ["b", "a"], "count": [9, 9]})
    assert view.update(desk.view())
    assert view.diagram == first
    assert view.update(desk.view(pd.DataFrame({"from": ["c", "a", "b"], "to": ["a", "b", "a"]})))
    assert [state["name"] for state in view.diagram["states"]] == ["b", "a", "c"]


# --- what the page is sent ------------------------------------------------------------------------


def test_after_the_first_state_only_numbers_that_changed_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tcp_frame())
    view, sent = drawn(desk, monkeypatch)
    assert not view.update(desk.view())
    assert sent == []
    assert view.update(desk.view(growing(1)))
    ((message,),) = [sent]
    links = [view.diagram["links"][int(number)] for number in message["numbers"]["links"]]
    names = [state["name"] for state in view.diagram["states"]]
    assert {(names[link["start"]], names[link["end"]]) for link in links} == set(list(TCP_COUNTS)[1:6])
    told = {link["count"] for link in message["numbers"]["links"].values()}
    assert told == {f"{count:,}" for count in growing(1)["count"][1:6]}
    assert len(json.dumps(message)) < len(json.dumps(view.numbers)) / 3
    # Who comes later asks for the whole.
    assert view.get_state("numbers")["numbers"] == view.numbers
    assert {link["count"] for link in view.numbers["links"].values()} >= told


class Page:
    """A page that keeps numbers as ``initialize`` of ``states.js`` does."""

    def __init__(self, view: StatesView, monkeypatch: pytest.MonkeyPatch) -> None:
        self.view = view
        self.asked = 0
        self.loses = False
        self.diagram: dict[str, Any] = {}
        self.numbers: dict[str, Any] = {}
        self.take_all(("diagram", "numbers"))
        monkeypatch.setattr(view, "send", self.take)
        monkeypatch.setattr(view, "send_state", self.take_all)

    def take_all(self, keys: Sequence[str]) -> None:
        state = json.loads(json.dumps(self.view.get_state(list(keys))))
        self.diagram = state.get("diagram") or self.diagram
        self.numbers = state.get("numbers") or self.numbers

    def take(self, message: dict[str, Any]) -> None:
        if self.loses or message["seq"] <= self.numbers["seq"]:
            return
        if message["seq"] != self.numbers["seq"] + 1 or message["version"] != self.numbers["version"]:
            self.ask()
            return
        for name, part in json.loads(json.dumps(message["numbers"])).items():
            self.numbers[name] = self.numbers[name] | part if isinstance(part, dict) else part
        self.numbers["seq"] = message["seq"]

    def ask(self) -> None:
        self.asked += 1
        self.view.receive({"have": self.numbers["seq"]})


def test_a_page_that_missed_numbers_gets_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tcp_frame())
    view = StatesView(desk.view(), desk.changed)
    page = Page(view, monkeypatch)
    page.loses = True  # its module is being loaded
    assert view.update(desk.view(growing(1)))
    page.loses = False
    page.ask()
    assert (view.stale, desk.changes) == (True, 1)
    again = desk.view(growing(1))
    assert view.update(again)
    assert page.numbers == view.numbers
    assert not view.stale
    assert not view.update(again)
    page.ask()  # it has all there is
    assert (view.stale, desk.changes) == (False, 1)


def test_a_gap_is_noticed_and_filled_while_more_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tcp_frame())
    view = StatesView(desk.view(), desk.changed)
    page = Page(view, monkeypatch)
    for step in range(1, 9):
        page.loses = step in (3, 6)
        assert view.update(desk.view(growing(step)))
        assert (page.numbers == view.numbers) == (step not in (3, 4, 6, 7))
    assert page.asked == 2


def test_what_was_asked_for_is_sent_though_drawing_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tcp_frame())
    view = StatesView(desk.view(), desk.changed, lambda: True)
    page = Page(view, monkeypatch)
    view._rest._cost_s = 1000.0  # as if a million events had been read
    page.numbers = {**page.numbers, "seq": -1, "foot": ""}
    page.ask()
    assert view.update(desk.view(growing(2)))
    assert page.numbers == view.numbers
    assert view.stale  # the new numbers are still to be drawn


def test_of_the_same_generation_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tcp_frame())
    view, sent = drawn(desk, monkeypatch)
    again = desk.view(growing(3))
    assert view.update(again)
    assert not view.update(again)
    assert len(sent) == 1


def test_a_click_picks_the_rows_of_a_state_or_a_transition(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tcp_frame())
    desk.frame.index = pd.Index([f"row{n}" for n in range(len(desk.frame))])
    view, sent = drawn(desk, monkeypatch)
    names = [state["name"] for state in view.diagram["states"]]
    version = view.diagram["version"]
    view.receive({"pick": {"states": [names.index("LISTEN")], "links": []}, "version": version})
    assert desk.labels == ["row1", "row2", "row3"]
    assert desk.changes == 1
    assert view.update(desk.view())
    assert [
        names[int(number)] for number, state in sent[-1]["numbers"]["states"].items() if state["picked"]
    ] == ["LISTEN"]
    ends = [(names[link["start"]], names[link["end"]]) for link in view.diagram["links"]]
    view.receive({"pick": {"states": [], "links": [ends.index(("LAST_ACK", "CLOSE"))]}, "version": version})
    assert desk.labels == ["row15"]
    view.receive({"pick": {"states": [], "links": []}, "version": version})
    assert desk.labels == []
    assert view.update(desk.view())
    assert not view.numbers["picked"]


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"pick": None},
        {"pick": "states", "version": 1},
        {"pick": {"states": [0]}, "version": 0},
        {"pick": {"states": [0]}},
    ],
)
def test_what_a_page_says_that_makes_no_sense_picks_nothing(message: dict[str, Any]) -> None:
    desk = Desk(tcp_frame())
    view = StatesView(desk.view(), desk.changed)
    view.receive(message)
    assert desk.labels is None


def test_numbers_of_shapes_that_are_not_there_are_left_out() -> None:
    desk = Desk(tcp_frame())
    view = StatesView(desk.view(), desk.changed)
    view.receive(
        {"pick": {"states": [-1, 11, "x", None, 2.5], "links": 7}, "version": view.diagram["version"]}
    )
    assert desk.labels == []


def test_rows_marked_elsewhere_mark_their_transitions() -> None:
    desk = Desk(
        tcp_frame(), labels=[7, 9]
    )  # the two that leave ESTABLISHED for another state than CLOSE_WAIT
    view = StatesView(desk.view(), desk.changed)
    marked = [
        view.diagram["links"][int(number)] for number, link in view.numbers["links"].items() if link["picked"]
    ]
    names = [state["name"] for state in view.diagram["states"]]
    assert {(names[link["start"]], names[link["end"]]) for link in marked} == {
        ("ESTABLISHED", "FIN_WAIT1"),
        ("ESTABLISHED", "CLOSE"),
    }
    assert view.numbers["picked"]


def test_while_more_comes_what_is_dear_is_put_off_and_the_last_is_drawn() -> None:
    running = True
    desk = Desk(tcp_frame())
    view = StatesView(desk.view(), desk.changed, lambda: running)
    view._rest._cost_s = 1000.0  # as if a million events had been read
    assert not view.update(desk.view(growing(2)))
    put_off = view.stale
    assert put_off
    running = False
    assert view.update(desk.view(growing(2)))
    assert not view.stale


def test_a_million_events_are_drawn_exactly() -> None:
    rng = np.random.default_rng(3)
    events = pd.DataFrame(
        {
            "skaddr": rng.integers(0, 5000, 10**6).astype(np.uint64),
            "at_ns": np.arange(10**6),
            "oldstate": rng.integers(1, 12, 10**6),
            "newstate": rng.integers(1, 12, 10**6),
        }
    )
    graph = state_graph(events, machine="tcp")
    wanted = events.groupby(["oldstate", "newstate"]).size()
    assert sorted(link.count for link in graph.links)[-120:] == sorted(wanted.tolist())[-120:]
    assert graph.total == 10**6
    assert graph.hidden == 1


def test_very_many_different_states_are_counted() -> None:
    names = np.arange(10**5)
    graph = state_graph(pd.DataFrame({"from": names, "to": names + 1}))
    assert (len(graph.states), graph.states[-1].merged, graph.total) == (41, 10**5 + 1 - 40, 10**5)
