"""Where states and transitions are drawn."""

from __future__ import annotations

import pandas as pd
import pytest

from ktrace_nb.widgets.curves import points_of
from ktrace_nb.widgets.layers import Point
from ktrace_nb.widgets.machine import state_graph
from ktrace_nb.widgets.states_places import Form, form_of, lay_out, sizes
from tests.widgets.made_transitions import tcp_frame


def clear_of_boxes(form: Form) -> None:
    """No box lies on another, no path runs through one, no two labels lie on each other."""
    layout, boxes = lay_out(form), sizes(form)
    assert len(layout.paths) == len(layout.labels) == len(form.links)

    def inside(point: Point, number: int, more: float = 0.0) -> bool:
        (x, y), (wide, high) = layout.centres[number], boxes[number]
        return abs(point[0] - x) < wide / 2 + more and abs(point[1] - y) < high / 2 + more

    for number, (x, y) in enumerate(layout.centres):
        assert boxes[number][0] / 2 <= x <= layout.width - boxes[number][0] / 2
        assert boxes[number][1] / 2 <= y <= layout.height - boxes[number][1] / 2
        assert not any(
            inside((x, y), other, boxes[number][0] / 2) and abs(y - layout.centres[other][1]) < 48
            for other in range(number)
        )
    for (start, end), path in zip(form.links, layout.paths, strict=True):
        assert inside(path[0], start, 8)
        assert inside(path[-1], end, 22)  # where the head of the arrow begins
        if form.machine:
            through = [other for other in range(len(boxes)) if other not in (start, end)]
            assert not any(inside(point, other) for point in points_of(path) for other in through), (
                form.names[start],
                form.names[end],
            )
    apart = [
        abs(one[0] - other[0]) >= 50 or abs(one[1] - other[1]) >= 26
        for number, one in enumerate(layout.labels)
        for other in layout.labels[:number]
    ]
    assert all(apart)


def test_in_tcp_s_diagram_nothing_lies_on_anything_else() -> None:
    clear_of_boxes(form_of(state_graph(tcp_frame(), machine="tcp")))


def test_transitions_of_linux_that_the_diagram_does_not_have_go_around_it() -> None:
    own = [
        (name, "CLOSE")
        for name in ("SYN_RECV", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "CLOSING", "CLOSE_WAIT")
    ]
    own += [("NEW_SYN_RECV", "SYN_RECV"), ("CLOSE", "BOUND_INACTIVE"), ("FIN_WAIT1", "FIN_WAIT1")]
    graph = state_graph(pd.DataFrame(own, columns=["from", "to"]), machine="tcp")
    layout = lay_out(form_of(graph))
    before = lay_out(form_of(state_graph(tcp_frame(), machine="tcp")))
    assert layout.centres[:11] == before.centres
    below = [y for _, y in layout.centres[11:]]
    assert len(below) == 2
    assert min(below) > max(y for _, y in before.centres) + 48


@pytest.mark.parametrize("graphviz_there", [True, False])
def test_other_machines_are_laid_out_as_call_graphs_are(
    monkeypatch: pytest.MonkeyPatch, graphviz_there: bool
) -> None:
    if not graphviz_there:
        monkeypatch.setenv("PATH", "/nowhere")
    frame = pd.DataFrame({"from": ["S", "R", "R", "D", "R"], "to": ["R", "S", "D", "R", "R"]})
    form = form_of(state_graph(frame, machine="task"))
    assert form.names == ("S sleeping", "R running", "D disk sleep")
    clear_of_boxes(form)
