from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.stream.calls.folded import folded, frame_name
from ktrace_nb.stream.calls.paths import call_paths, parent_rows
from ktrace_nb.stream.calls.sums import by_edge, by_function, by_path
from ktrace_nb.stream.calls.unseen import latest_ends
from tests.stream.calls.frames_kit import C, calls_frame, many_calls

#   a ─ b ─ c      c of another thread     a
#     └ b                                  └ b ─ a ─ a
WALK = calls_frame(
    C("a", 100, 200, [C("b", 110, 150, [C("c", 120, 130)]), C("b", 160, 190)]),
    C("c", 105, 106, tid=7),
    C("a", 300, 400, [C("b", 310, 390, [C("a", 320, 380, [C("a", 330, 340)])])]),
)


def test_calls_made_the_same_way_share_a_path() -> None:
    paths = call_paths(WALK)
    written = [paths.written()[n] for n in paths.of_call]
    assert written == ["a", "c", "a;b", "a;b;c", "a;b", "a", "a;b", "a;b;a", "a;b;a;a"]
    assert len(paths) == 6


def test_paths_may_begin_with_the_name_of_the_thread() -> None:
    walk = calls_frame(C("a", 1, 9, [C("b", 2, 3)], comm="cp"), C("b", 4, 5, comm="ls", tid=3))
    paths = call_paths(walk, commands=True)
    assert [paths.written()[n] for n in paths.of_call] == ["cp;a", "cp;a;b", "ls;b"]


def test_a_path_begins_anew_where_the_caller_was_left_out() -> None:
    some = WALK[WALK["function"].isin(["b", "c"])]
    paths = call_paths(some)
    # Both the outermost c and the ones below b are there, whatever their depths.
    assert sorted(set(paths.written())) == ["b", "b;c", "c"]
    assert len(paths) == 3


def test_a_path_knows_whether_its_function_occurred_before() -> None:
    paths = call_paths(WALK)
    again = {text for text, is_again in zip(paths.written(), paths.recursive(), strict=True) if is_again}
    assert again == {"a;b;a", "a;b;a;a"}


def test_callers_are_found_by_label_in_a_part_of_a_frame() -> None:
    assert parent_rows(WALK).tolist() == [-1, -1, 0, 2, 0, -1, 5, 6, 7]
    assert parent_rows(WALK.iloc[5:]).tolist() == [-1, 0, 1, 2]
    assert parent_rows(WALK.iloc[[2, 3, 8]]).tolist() == [-1, 0, -1]


def test_time_of_recursive_calls_counts_once() -> None:
    sums = by_function(WALK)
    # a: 100 + 100, the inner ones are inside; b: 40 + 30 + 80.
    assert sums["total_ns"].to_dict() == {"a": 200, "b": 150, "c": 11}
    # a: 30 + 20 + 50 + 10; b: 30 + 30 + 20.
    assert sums["self_ns"].to_dict() == {"a": 110, "b": 80, "c": 11}
    assert sums["count"].to_dict() == {"a": 4, "b": 3, "c": 2}
    # a: 10, 60, 100, 100; b: 30, 40, 80; c: 1, 10.
    assert sums["p50_ns"].to_dict() == {"a": 80.0, "b": 40.0, "c": 5.5}


def test_edges_tell_who_called_whom() -> None:
    edges = by_edge(WALK)
    assert edges["count"].to_dict() == {
        ("", "a"): 2,
        ("", "c"): 1,
        ("a", "a"): 1,
        ("a", "b"): 3,
        ("b", "a"): 1,
        ("b", "c"): 1,
    }
    assert edges.loc[("a", "b"), "total_ns"] == 40 + 30 + 80


def test_self_times_add_up_to_the_time_of_the_outermost_calls() -> None:
    calls = many_calls(10_000)
    outermost = int(calls["duration_ns"][calls["parent"] < 0].sum())
    for sums in (by_function(calls), by_edge(calls), by_path(calls)):
        assert sums["self_ns"].sum() == outermost
        assert sums["count"].sum() == 10_000


def test_what_did_not_return_has_a_count_and_no_time() -> None:
    walk = calls_frame(C("a", 10, None, [C("b", 20, 30), C("b", 40, None, error=None)]))
    sums = by_function(walk)
    assert sums["count"].to_dict() == {"a": 1, "b": 2}
    assert sums["total_ns"].to_dict() == {"a": 0, "b": 10}
    assert np.isnan(sums["p50_ns"]["a"])


def test_no_calls_have_no_sums() -> None:
    nothing = WALK.iloc[:0]
    for sums in (by_function(nothing), by_edge(nothing), by_path(nothing)):
        assert sums.empty
    assert len(call_paths(nothing, commands=True)) == 0


def test_a_call_without_return_ended_before_its_thread_called_something_else() -> None:
    walk = calls_frame(
        C("a", 100, 200, [C("b", 110, None), C("c", 150, None, [C("d", 160, None)])]),
        C("a", 180, 190, tid=7),
        C("a", 300, None, [C("b", 310, None)]),
    )
    ends = latest_ends(walk)
    assert dict(zip(walk["start_ns"], ends, strict=True)) == {
        100: -1,  # its return was seen
        110: 150,  # then c was called, from a
        150: 200,  # then a returned
        160: 200,  # c had, by then
        180: -1,
        300: -1,  # may last
        310: -1,
    }


def test_calls_of_idle_threads_are_told_apart_by_cpu() -> None:
    walk = calls_frame(C("a", 100, None, tid=0, cpu=0), C("b", 110, 120, tid=0, cpu=1))
    assert latest_ends(walk).tolist() == [-1, -1]


@st.composite
def walks(draw: st.DrawFn) -> pd.DataFrame:
    """Any trees of calls, some rows of which were left out."""
    count = draw(st.integers(1, 30))
    parents = [draw(st.integers(-1, row - 1)) for row in range(count)]
    depths: list[int] = []
    for parent in parents:
        depths.append(0 if parent < 0 else depths[parent] + 1)
    frame = pd.DataFrame(
        {
            "function": pd.Categorical(
                draw(st.lists(st.sampled_from("abc"), min_size=count, max_size=count))
            ),
            "comm": pd.Categorical(draw(st.lists(st.sampled_from("xy"), min_size=count, max_size=count))),
            "parent": parents,
            "depth": depths,
            "duration_ns": pd.array(range(1, count + 1), dtype="Int64"),
            "self_ns": pd.array(range(1, count + 1), dtype="Int64"),
            "error": pd.Categorical([None] * count),
        }
    )
    return frame[draw(st.lists(st.booleans(), min_size=count, max_size=count))]


def path_of(calls: pd.DataFrame, call: int) -> list[str]:
    """The same, one call after the other."""
    parent = int(calls.loc[call, "parent"])  # type: ignore[arg-type]
    above = path_of(calls, parent) if parent in calls.index else [str(calls.loc[call, "comm"])]
    return [*above, str(calls.loc[call, "function"])]


@given(walks())
def test_paths_are_those_found_call_by_call(calls: pd.DataFrame) -> None:
    weights = Counter[str]()
    nested = Counter[str]()
    for call in calls.index:
        comm, *functions = path_of(calls, call)
        weights[";".join([comm, *functions])] += int(calls.loc[call, "self_ns"])
        if functions[-1] not in functions[:-1]:
            nested[functions[-1]] += int(calls.loc[call, "duration_ns"])
    assert sorted(folded(calls)) == sorted(f"{path} {weight}\n" for path, weight in weights.items())
    assert by_function(calls)["total_ns"].to_dict() == dict(nested)
    paths = call_paths(calls)
    assert len(set(paths.written())) == len(paths)


@given(st.text())
def test_any_name_is_one_frame_of_one_line(name: str) -> None:
    clean = frame_name(name)
    assert clean and clean == clean.strip()
    assert not set(clean) & set(";\n\r\0")
    assert len(clean.splitlines()) == 1
