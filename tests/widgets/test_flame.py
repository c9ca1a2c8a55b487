from __future__ import annotations

import time
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.stream.calls.frames import calls_frame, paths_frame
from ktrace_nb.stream.calls.sums import by_path
from ktrace_nb.widgets import FlameView, ViewData, flame, flame_svg, flame_text, flame_tree, static_bundle
from ktrace_nb.widgets.calltree import TreeBuilder, top_nodes
from ktrace_nb.widgets.flame import flame_state
from ktrace_nb.widgets.flame_picture import boxes
from tests.stream.calls.test_frames import of_world
from tests.widgets.made_calls import Call, call, frame_of, workload
from tests.widgets.synthetic import Synthetic

SVG = "{http://www.w3.org/2000/svg}"
# 1,000 ns: read is 600 of them in two calls, of which 150 itself; open is 400.
HAND = (
    call("read", 400, call("map", 150, call("find", 100)), call("copy", 200, error="EFAULT")),
    call("open", 400),
    call("read", 200, call("map", 100, error="EIO")),
)
HAND_TREE = {
    # path: total, self, count, errors
    "read": (600, 150, 2, 0),
    "read;map": (250, 150, 2, 1),
    "read;map;find": (100, 100, 1, 0),
    "read;copy": (200, 200, 1, 1),
    "open": (400, 400, 1, 0),
}
COLUMNS = ["total_ns", "self_ns", "count", "errors"]


def by_path_of(tree: pd.DataFrame) -> dict[str, tuple[int, ...]]:
    return {
        path: tuple(row) for path, row in zip(tree["path"], tree[COLUMNS].to_numpy().tolist(), strict=True)
    }


def test_calls_of_one_path_are_one_node() -> None:
    tree = flame_tree(frame_of(*HAND))
    assert by_path_of(tree) == HAND_TREE
    assert tree.index.name == "node"
    by_name = tree.set_index("path")
    assert by_name["depth"].to_dict() == {path: path.count(";") for path in HAND_TREE}
    for path, row in by_name.iterrows():
        above = str(path).rpartition(";")[0]
        assert (tree["path"][row["parent"]] if row["parent"] >= 0 else "") == above
        assert row["function"] == str(path).rpartition(";")[2]
    assert (tree["parent"] < tree.index).all()


def test_recursion_is_a_path_of_its_own_and_nothing_counts_twice() -> None:
    tree = flame_tree(frame_of(call("walk", 100, call("walk", 60, call("walk", 10)))))
    assert by_path_of(tree) == {
        "walk": (100, 40, 1, 0),
        "walk;walk": (60, 50, 1, 0),
        "walk;walk;walk": (10, 10, 1, 0),
    }


def test_an_open_call_has_lasted_as_long_as_what_was_called_from_it() -> None:
    tree = flame_tree(
        frame_of(call("read", None, call("map", None, call("find", 30)), call("copy", 5)), call("read", 10))
    )
    assert by_path_of(tree) == {
        "read": (45, 10, 2, 0),
        "read;map": (30, 0, 1, 0),
        "read;map;find": (30, 30, 1, 0),
        "read;copy": (5, 5, 1, 0),
    }


def test_a_call_whose_parent_was_filtered_out_starts_a_tree() -> None:
    frame = frame_of(*HAND, first=1000)
    assert by_path_of(flame_tree(frame[frame["function"] != "read"])) == {
        "map": (250, 150, 2, 1),
        "map;find": (100, 100, 1, 0),
        "copy": (200, 200, 1, 1),
        "open": (400, 400, 1, 0),
    }
    # A stretch in the middle: the copy's parent is not in it.
    assert set(by_path_of(flame_tree(frame.iloc[3:5]))) == {"copy", "open"}


def test_another_part_of_the_product_finds_the_same_paths() -> None:
    frame = frame_of(*workload(300))
    other = by_path(frame)[COLUMNS].to_numpy().tolist()
    assert by_path_of(flame_tree(frame)) == {
        path: tuple(row) for path, row in zip(by_path(frame).index, other, strict=True)
    }


def test_a_growing_frame_gives_what_the_whole_frame_gives() -> None:
    calls = workload(200)
    whole = frame_of(*calls)
    builder = TreeBuilder()
    for stop in (0, 1, 50, 51, 400, len(whole)):
        part = whole.iloc[:stop].copy()
        # As a live frame has it: fewer functions seen, so other categories, and the last call still open.
        part["function"] = part["function"].cat.remove_unused_categories()
        if stop:
            part.loc[part.index[-1], ["duration_ns", "self_ns"]] = pd.NA
        builder.update(part)
    grown, fresh = builder.update(whole), TreeBuilder().update(whole)
    assert grown.whole_ns == fresh.whole_ns == sum(made.duration or 0 for made in calls)
    for name in ("count", "errors", "total_ns", "self_ns"):
        assert getattr(grown, name).sum() == getattr(fresh, name).sum()
    assert len(grown) == len(fresh)
    assert (grown.total_ns >= grown.self_ns).all()


def test_a_frame_of_another_run_is_not_taken_for_a_longer_one() -> None:
    builder = TreeBuilder()
    builder.update(frame_of(*workload(50)))
    tree = builder.update(frame_of(*HAND))
    assert int(tree.count.sum()) == 7
    assert set(tree.names) == {"read", "map", "find", "copy", "open"}


def test_the_smallest_paths_are_merged_and_nothing_gets_lost() -> None:
    tree = TreeBuilder().update(frame_of(*HAND))
    small, merged = top_nodes(tree, 3)
    assert merged == 2
    shown = {
        (
            small.names[small.function[node]],
            int(small.total_ns[node]),
            int(small.count[node]),
            int(small.errors[node]),
        )
        for node in range(len(small))
    }
    # By share of time or calls: read, map and open are kept; find and copy are merged where they were.
    assert shown == {
        ("read", 600, 2, 0),
        ("open", 400, 1, 0),
        ("map", 250, 2, 1),
        ("…", 100, 1, 0),
        ("…", 200, 1, 1),
    }
    assert small.count.sum() == tree.count.sum()
    assert small.self_ns.sum() == tree.self_ns.sum()
    assert (small.parent[: len(small)] < np.arange(len(small))).all()


def test_a_million_calls_are_merged_in_a_tenth_of_a_second() -> None:
    part = frame_of(*workload(3000))
    times = -(-1_000_000 // len(part))
    columns = {name: np.tile(part[name].to_numpy(), times) for name in ("depth", "start_ns")}
    offsets = np.repeat(np.arange(times) * len(part), len(part))
    parent = np.tile(part["parent"].to_numpy(), times)
    frame = pd.DataFrame(
        {
            **columns,
            "parent": np.where(parent < 0, -1, parent + offsets),
            **{
                name: pd.Categorical.from_codes(
                    np.tile(part[name].cat.codes, times), part[name].cat.categories
                )
                for name in ("function", "error")
            },
            **{
                name: pd.array(np.tile(part[name].to_numpy(np.int64), times), dtype="Int64")
                for name in ("duration_ns", "self_ns")
            },
        }
    )
    builder = TreeBuilder()
    builder.update(frame.iloc[:-50_000])
    begun = time.process_time()
    tree = builder.update(frame)
    flame_state(tree)
    assert time.process_time() - begun < 0.1
    assert int(tree.count.sum()) == len(frame) >= 1_000_000
    assert tree.whole_ns == TreeBuilder().update(part).whole_ns * times


def test_boxes_are_as_wide_as_their_share_and_narrow_neighbours_are_one() -> None:
    tree = TreeBuilder().update(frame_of(*HAND))
    assert [(box.node, box.depth, box.left, box.width) for box in boxes(tree, 1000)][:2] == [
        (0, 0, 0.0, 600.0),
        (1, 0, 600.0, 400.0),
    ]
    many = TreeBuilder().update(frame_of(call("root", 1000, *(call(f"f{n}", 1) for n in range(1000)))))
    drawn = boxes(many, 500)
    assert [(box.node, box.width) for box in drawn] == [(0, 500.0), (-1, pytest.approx(500))]


def test_the_picture_is_to_scale_and_names_cannot_leave_their_place() -> None:
    root = ElementTree.fromstring(flame_svg(frame_of(*HAND), title="walk"))
    widths = {
        str(box.findtext(f"{SVG}title")).partition(" ")[0]: float(box.attrib["width"])
        for box in root.iter(f"{SVG}rect")
        if box.find(f"{SVG}title") is not None
    }
    # 720 pixels for 1,000 ns, 0.6 less for the gap.
    assert widths == pytest.approx({"read": 431.4, "open": 287.4, "map": 179.4, "copy": 143.4, "find": 71.4})
    nasty = flame_svg(frame_of(call('"><script>\x1b', 10)), title="</text><script>")
    ElementTree.fromstring(nasty)
    assert "<script" not in nasty
    assert "\x1b" not in nasty


def test_text_is_the_tree_with_shares() -> None:
    assert flame_text(frame_of(*HAND), title="walk").splitlines() == [
        "walk",
        "  share     total      self     calls  function",
        " 60.0 %    600 ns    150 ns         2  read",
        " 25.0 %    250 ns    150 ns         2    map",
        " 10.0 %    100 ns    100 ns         1      find",
        " 20.0 %    200 ns    200 ns         1    copy",
        " 40.0 %    400 ns    400 ns         1  open",
    ]


def test_no_calls_are_said_to_be_none() -> None:
    empty = frame_of()
    assert len(flame_tree(empty)) == 0
    assert "no calls yet" in flame_svg(empty)
    assert "(no calls)" in flame_text(empty)
    assert flame(empty).tree["foot"] == "no calls yet"


def test_a_frame_that_is_not_of_calls_is_refused_with_what_was_wanted() -> None:
    with pytest.raises(ValueError, match=r"no column 'parent' in the frame, wanted a frame of calls"):
        flame(frame_of(*HAND).drop(columns="parent"))
    twice = pd.concat([frame_of(*HAND)] * 2)
    with pytest.raises(ValueError, match="a label of the index occurs twice"):
        flame_tree(twice)


def read_state(state: dict[str, Any]) -> list[tuple[Any, ...]]:
    function = np.frombuffer(state["function"], "<i4")
    parent = np.frombuffer(state["parent"], "<i4")
    values = [np.frombuffer(state[name], "<f8").tolist() for name in ("total", "self", "count", "errors")]
    names = [state["names"][number] for number in function]
    return list(zip(names, parent.tolist(), *values, strict=True))


def test_the_page_gets_numbers_of_every_node() -> None:
    view = flame(frame_of(*HAND), title="walk\x1b")
    assert view.tree["title"] == "walk\\x1b"
    assert view.tree["foot"] == "7 calls, 5 paths, 1 µs"
    nodes = read_state(view.tree)
    assert {(name, *values) for name, _, *values in nodes} == {
        (path.rpartition(";")[2], *values) for path, values in HAND_TREE.items()
    }
    for name, parent, *_ in nodes:
        assert (nodes[parent][0] if parent >= 0 else "") == {
            "map": "read",
            "copy": "read",
            "find": "map",
        }.get(name, "")


def view_of(*calls: Call, generation: int = 0) -> ViewData:
    return ViewData(name="walk", kind="flame", frame=frame_of(*calls), generation=generation)


def test_an_update_that_comes_too_soon_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    running = True
    view = FlameView(view_of(call("read", 10)), lambda: running)
    monkeypatch.setattr(FlameView, "rest_times", 0)
    assert view.update(view_of(call("read", 20)))
    monkeypatch.setattr(FlameView, "rest_times", 1e9)
    assert not view.update(view_of(call("read", 30)))
    skipped = view.stale
    assert skipped
    running = False  # the last state is shown whatever the pace
    assert view.update(view_of(call("read", 30)))
    assert not view.stale
    assert read_state(view.tree)[0][2] == 30
    assert not view.update(view_of(call("read", 30)))


def test_what_a_running_walk_hands_over_gives_the_tree_of_its_calls() -> None:
    store = of_world(4, 0.1)
    pd.testing.assert_frame_equal(flame_tree(paths_frame(store)), flame_tree(calls_frame(store)))


def test_in_a_terminal_a_view_is_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    view = flame(frame_of(*HAND), title="walk <b>")
    view._ipython_display_()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "walk <b>"
    assert printed[-1] == " 40.0 %    400 ns    400 ns         1  open"
    assert "<b>walk &lt;b&gt;</b>" in view.still()[0]


def test_a_saved_notebook_has_a_picture_and_text() -> None:
    data, _ = flame(frame_of(*HAND))._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert 'src="data:image/svg+xml;base64,' in data["text/html"]
    assert " 60.0 %    600 ns    150 ns         2  read" in data["text/plain"]
    bundle = static_bundle([view_of(*HAND)], Synthetic().status(), name="walk")
    assert 'src="data:image/svg+xml;base64,' in bundle["text/html"]
    assert " 60.0 %    600 ns    150 ns         2  read" in bundle["text/plain"]
