from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from ktrace_nb.widgets import (
    CallGraphView,
    ViewData,
    call_graph,
    callgraph,
    callgraph_svg,
    callgraph_text,
    graphviz,
    static_bundle,
)
from ktrace_nb.widgets.callgraph_picture import lay_out, shape, short_count, sizes
from ktrace_nb.widgets.graphviz import graphviz_layout, read_plain
from ktrace_nb.widgets.layers import Layout, Point, layered_layout
from tests.widgets.made_calls import call, edges_of, workload
from tests.widgets.synthetic import Synthetic

SVG = "{http://www.w3.org/2000/svg}"
HAND = (
    call("read", 600, call("map", 300, call("find", 200)), call("copy", 200, error="EFAULT")),
    call("open", 400, call("map", 50)),
)
CYCLE = [(0, 1), (1, 2), (2, 0), (2, 2), (0, 2)]


def test_nodes_have_the_sums_of_their_edges() -> None:
    graph = call_graph(edges_of(*HAND))
    assert {(node.name, node.count, node.errors, node.self_ns, node.total_ns) for node in graph.nodes} == {
        ("read", 1, 0, 100, 600),
        ("open", 1, 0, 350, 400),
        ("map", 2, 0, 150, 350),
        ("find", 1, 0, 200, 200),
        ("copy", 1, 1, 200, 200),
    }
    names = [node.name for node in graph.nodes]
    assert {
        (names[edge.caller], names[edge.callee], edge.count, edge.errors, edge.total_ns)
        for edge in graph.edges
    } == {
        ("read", "map", 1, 0, 300),
        ("map", "find", 1, 0, 200),
        ("read", "copy", 1, 1, 200),
        ("open", "map", 1, 0, 50),
    }
    assert graph.whole_ns == 1000
    assert graph.functions == 5
    assert graph.hidden == 0


def test_a_function_s_time_does_not_hold_calls_made_by_itself() -> None:
    graph = call_graph(edges_of(call("walk", 100, call("walk", 60))))
    (node,) = graph.nodes
    assert (node.count, node.total_ns, node.self_ns) == (2, 100, 100)
    assert [(edge.caller, edge.callee, edge.count) for edge in graph.edges] == [(0, 0, 1)]


def test_functions_beyond_the_most_are_one_node() -> None:
    graph = call_graph(edges_of(*HAND), most=2)  # open has most self time, read most time
    assert {(node.name, node.count, node.self_ns, node.errors) for node in graph.nodes} == {
        ("open", 1, 350, 0),
        ("read", 1, 100, 0),
        ("… 3 more functions", 4, 550, 1),
    }
    names = [node.name for node in graph.nodes]
    # map to find lies within the rest and is not drawn.
    assert {(names[edge.caller], names[edge.callee], edge.count, edge.total_ns) for edge in graph.edges} == {
        ("read", "… 3 more functions", 2, 500),
        ("open", "… 3 more functions", 1, 50),
    }
    assert "3 in one node" in callgraph_text(edges_of(*HAND), most=2)


def test_of_very_many_edges_the_longest_are_drawn_and_each_node_keeps_one() -> None:
    names = [f"f{n}" for n in range(30)]
    pairs = [(one, other) for one in names for other in names if one < other]
    edges = pd.DataFrame(
        {"count": 1, "errors": 0, "total_ns": range(len(pairs)), "self_ns": 1},
        index=pd.MultiIndex.from_tuples(pairs, names=["caller", "callee"]),
    )
    graph = call_graph(edges)
    assert len(pairs) == 435
    assert 120 <= len(graph.edges) <= 150
    assert graph.hidden == 435 - len(graph.edges)
    assert {edge.callee for edge in graph.edges} == {
        place for place, node in enumerate(graph.nodes) if node.name != "f0"
    }
    assert f"{graph.hidden} edges not drawn" in callgraph_text(edges)


def test_a_frame_that_is_not_of_edges_is_refused_with_what_was_wanted() -> None:
    with pytest.raises(
        ValueError, match=r"no 'total_ns' in the frame, wanted a frame of edges: caller, callee"
    ):
        callgraph(edges_of(*HAND).drop(columns="total_ns"))
    with pytest.raises(ValueError, match="no 'caller' in the frame"):
        callgraph(edges_of(*HAND).droplevel("caller"))
    with pytest.raises(ValueError, match="most is 0, wanted at least 1"):
        callgraph(edges_of(*HAND), most=0)


LAYOUTS = [layered_layout, *([graphviz_layout] if shutil.which("dot") else [])]
"""Both where Graphviz is installed."""


@pytest.mark.parametrize("lay", LAYOUTS)
def test_boxes_do_not_overlap_and_callers_are_above(
    lay: Callable[[list[Point], tuple[tuple[int, int], ...]], Layout],
) -> None:
    graph = call_graph(edges_of(*workload(300)))
    form = shape(graph)
    boxes = sizes(form)
    layout = lay(boxes, form.links)
    assert len(layout.centres) == len(boxes) > 30
    for one, (x, y) in enumerate(layout.centres):
        assert boxes[one][0] / 2 <= x <= layout.width - boxes[one][0] / 2 + 1
        assert boxes[one][1] / 2 <= y <= layout.height - boxes[one][1] / 2 + 1
        for other, (x2, y2) in enumerate(layout.centres[:one]):
            apart = abs(x - x2) >= (boxes[one][0] + boxes[other][0]) / 2 - 1
            below = abs(y - y2) >= (boxes[one][1] + boxes[other][1]) / 2 - 1
            assert apart or below, (form.names[one], form.names[other])
    for (start, end), path in zip(form.links, layout.paths, strict=True):
        assert layout.centres[start][1] < layout.centres[end][1]  # this workload has no cycle
        assert len(path) % 3 == 1
        for node, (x, y) in ((start, path[0]), (end, path[-1])):
            assert abs(x - layout.centres[node][0]) <= boxes[node][0] / 2 + 6
            assert abs(y - layout.centres[node][1]) <= boxes[node][1] / 2 + 6


@pytest.mark.parametrize("lay", LAYOUTS)
def test_cycles_and_calls_to_itself_are_drawn_from_caller_to_callee(
    lay: Callable[[list[Point], list[tuple[int, int]]], Layout],
) -> None:
    layout = lay([(100.0, 40.0)] * 3, CYCLE)

    def distance(point: Point, node: int) -> float:
        x, y = layout.centres[node]
        return max(abs(point[0] - x) - 50, abs(point[1] - y) - 20)

    for (start, end), path in zip(CYCLE, layout.paths, strict=True):
        assert distance(path[0], start) <= 6
        assert distance(path[-1], end) <= 6


def test_a_graph_with_few_crossings_possible_gets_none() -> None:
    # Two callers and their callees given in crossed order.
    layout = layered_layout([(50.0, 20.0)] * 6, [(0, 5), (0, 4), (1, 3), (1, 2)])
    across = [x for x, _ in layout.centres]
    left, right = sorted([(across[0], {4, 5}), (across[1], {2, 3})])
    assert max(across[node] for node in left[1]) < min(across[node] for node in right[1])


# What https://graphviz.org/docs/outputs/plain/ says: inches, the origin at the bottom on the left.
PLAIN = """graph 1 2.5 3
node n0 1 2.75 1 0.5 "" solid box black lightgrey
node n1 1 0.25 1 0.5 "" solid box black lightgrey
edge n0 n1 4 1 2.5 1 2 1 1 1 0.5 000000 1.25 1.5 solid black
stop
"""


def test_an_answer_of_dot_is_read_in_pixels_from_the_top() -> None:
    layout = read_plain(PLAIN, [(72.0, 36.0)] * 2, [(0, 1)])
    # 72 pixels to the inch, and 8 around it all.
    assert [layout.width, layout.height] == [196.0, 232.0]
    assert layout.centres == ((80.0, 26.0), (80.0, 206.0))
    assert list(layout.paths[0]) == [(80.0, 44.0), (80.0, 80.0), (80.0, 152.0), (80.0, 188.0)]
    assert list(layout.labels) == [(98.0, 116.0)]


def fake_dot(folder: Path, text: str) -> str:
    """A PATH where ``dot`` is a shell script."""
    script = folder / "dot"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize(
    "text", ["exec sleep 60", "exit 1", "echo '<svg onload=alert(1)>'", "echo graph 1 2 3; echo node n0 x y"]
)
def test_without_a_useful_answer_of_dot_our_own_layers_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("PATH", fake_dot(tmp_path, text))
    monkeypatch.setattr(graphviz, "PATIENCE_S", 0.5)
    assert graphviz_layout([(50.0, 20.0)] * 2, [(0, 1)]) is None
    assert lay_out(shape(call_graph(edges_of(*HAND)))).engine == "layers"


def test_no_name_is_part_of_what_dot_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake_dot(tmp_path, f"cat > {tmp_path / 'asked'}"))
    lay_out(shape(call_graph(edges_of(call('"];evil[label="', 10, call("inner_name", 5))))))
    asked = (tmp_path / "asked").read_text()
    assert "n1 -> n0" in asked  # the inner one has as much time, and comes first by name
    assert "evil" not in asked
    assert "inner_name" not in asked


def test_the_picture_shows_every_function_and_count_and_no_name_leaves_its_place() -> None:
    svg = callgraph_svg(edges_of(*HAND, call("<script>\x1b", 5)), title="</text><script>")
    texts = [str(text.text) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert {"read", "map", "find", "copy", "open", "<script>\\x1b"} <= set(texts)
    assert texts.count("1") == 4
    assert "self 150 ns · 2×" in texts
    assert "<script" not in svg
    assert "\x1b" not in svg


def test_text_tells_the_longest_edges_first() -> None:
    assert (
        callgraph_text(edges_of(*HAND), title="who").splitlines()
        == [
            "who",
            "      calls     total  caller → callee",
            "          1    300 ns  read → map",
            "          1    200 ns  read → copy",
            "          1    200 ns  map → find",
            "          1     50 ns  open → map",
            "5 functions, self time 1 µs",
        ]
        or callgraph_text(edges_of(*HAND)).splitlines()[1:] == []
    )


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (7, "7"),
        (99_999, "99,999"),
        (123_456, "123k"),
        (999_700, "1000k"),
        (1_234_567, "1.23M"),
        (5 * 10**12, "5T"),
    ],
)
def test_counts_at_edges_are_short(count: int, text: str) -> None:
    assert short_count(count) == text


def test_nothing_is_said_to_be_nothing() -> None:
    empty = edges_of()
    assert callgraph(empty).graph["foot"].startswith("no calls yet")
    assert "no calls yet" in callgraph_svg(empty)
    assert "(no calls of one function by another)" in callgraph_text(empty)


def view_of(frame: pd.DataFrame, generation: int = 0) -> ViewData:
    return ViewData(name="who", kind="callgraph", frame=frame, generation=generation)


def test_places_stay_while_only_numbers_grow() -> None:
    view = CallGraphView(view_of(edges_of(*HAND)))
    before = [(node["name"], node["x"], node["y"]) for node in view.graph["nodes"]]
    assert view.update(view_of(edges_of(*HAND, *HAND)))
    assert [(node["name"], node["x"], node["y"]) for node in view.graph["nodes"]] == before
    assert {edge["label"] for edge in view.graph["edges"]} == {"2"}
    assert not view.update(view_of(edges_of(*HAND, *HAND)))


def test_updates_are_a_second_apart_but_the_last_one_is_shown() -> None:
    running = True
    view = CallGraphView(view_of(edges_of(*HAND)), lambda: running)
    begun = time.monotonic()
    assert not view.update(view_of(edges_of(*HAND, *HAND)))
    assert time.monotonic() - begun < 1
    skipped = view.stale
    assert skipped
    running = False
    assert view.update(view_of(edges_of(*HAND, *HAND)))
    assert not view.stale


def test_a_saved_notebook_has_a_picture_and_text() -> None:
    data, _ = callgraph(edges_of(*HAND))._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert 'src="data:image/svg+xml;base64,' in data["text/html"]
    assert "read → map" in data["text/plain"]
    bundle = static_bundle([view_of(edges_of(*HAND))], Synthetic().status(), name="walk")
    assert 'src="data:image/svg+xml;base64,' in bundle["text/html"]
    assert "read → map" in bundle["text/plain"]
