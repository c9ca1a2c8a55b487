from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrace_nb.ir.calls import LeftOut
from ktrace_nb.kernel import signatures as k
from ktrace_nb.kernel.signatures import Parameter, Reading, Signature
from ktrace_nb.stream.calls import frames
from ktrace_nb.stream.calls.feed import FrameFeed
from ktrace_nb.stream.calls.store import CallStore
from ktrace_nb.stream.calls.values import Values
from tests.stream.calls.trees import FUNCTIONS, World, records, written

INT, POINTER = Reading(k.SIGNED, 32), Reading(k.POINTER)
VALUES = Values(
    [
        Signature((Parameter("n", INT, (0,)),), INT, is_known=True),
        Signature((Parameter("p", POINTER, (1,)),), POINTER, is_known=True),
        Signature(result=Reading(k.VOID), is_known=True),
        Signature(),
    ]
)

# a calls b, which fails; then c, whose return is lost; d is open.
CASE = """
7 fork 7 ls
7 in a 100
7 in b 50
7 out b 50
7 in c 40
7 out a 100
8 in d 100
"""


@pytest.fixture
def store() -> CallStore:
    store = CallStore(["a", "b", "c", "d"], VALUES)
    batch = written(CASE)
    batch["values"][1, 0] = 5
    batch["values"][2, 1] = 0xFFFF888000000010
    batch["values"][3, 0] = (1 << 64) - 2
    batch["values"][5, 0] = 12
    store.add(batch)
    return store


def of_world(seed: int, share: float = 0.0) -> CallStore:
    rng = np.random.default_rng(seed)
    store = CallStore(FUNCTIONS, Values([Signature(result=INT, is_known=True)] * len(FUNCTIONS)))
    batch = records(World(seed).sent)
    batch["values"][:, 0] = rng.choice([0, 1, (1 << 32) - 2, (1 << 32) - 12], len(batch))
    store.add(batch[rng.random(len(batch)) >= share])
    return store


def test_a_call_has_a_row_with_all_that_is_known_of_it(store: CallStore) -> None:
    calls = frames.calls_frame(store)
    assert calls.index.name == "call"
    assert calls["tid"].tolist() == [7, 7, 7, 8]
    assert calls["pid"].isna().tolist() == [False, False, False, True]
    assert calls["comm"].isna().tolist() == [False, False, False, True]
    assert calls["comm"][0] == "ls"
    assert calls["function"].tolist() == ["a", "b", "c", "d"]
    assert calls["depth"].tolist() == [0, 1, 1, 0]
    assert calls["parent"].tolist() == [-1, 0, 0, -1]
    assert calls["start_ns"].tolist() == [2000, 3000, 5000, 7000]
    assert calls["duration_ns"].fillna(-1).tolist() == [4000, 1000, -1, -1]
    assert calls["self_ns"].fillna(-1).tolist() == [3000, 1000, -1, -1]
    assert calls["arguments"].fillna("?").tolist() == ["n=5", "p=0xffff888000000010", "", "?"]
    assert calls["return"].fillna("?").tolist() == ["12", "-ENOENT", "?", "?"]
    assert calls["value"].fillna(0).tolist() == [12, -2, 0, 0]
    assert calls["error"].isna().tolist() == [True, False, True, True]
    assert calls["error"][1] == "ENOENT"
    assert calls["state"].tolist() == ["returned", "returned", "no return", "open"]


def test_columns_have_the_types_that_are_written_down(store: CallStore) -> None:
    dtypes = {name: str(dtype) for name, dtype in frames.calls_frame(store).dtypes.items()}
    assert dtypes == {
        **{"tid": "int32", "pid": "Int32", "comm": "category", "cpu": "int16", "function": "category"},
        **{"depth": "int16", "parent": "int64", "start_ns": "int64", "duration_ns": "Int64"},
        **{"self_ns": "Int64", "arguments": "lazy_text", "return": "lazy_text", "value": "Int64"},
        **{"error": "category", "state": "category"},
    }
    without = CallStore(["a"])
    assert {name: str(dtype) for name, dtype in frames.calls_frame(without).dtypes.items()} == dtypes
    integers = ("count", "errors", "open", "lost", "self_ns", "total_ns")
    found = frames.functions_frame(store).dtypes
    assert [str(found[name]) for name in integers] == ["int64"] * 6
    assert {str(found[name]) for name in ("min_ns", "p50_ns", "p95_ns", "p99_ns", "max_ns")} == {"float64"}
    assert {str(dtype) for dtype in frames.edges_frame(store).dtypes} == {"int64"}


def test_a_frame_stays_as_it_was_when_more_comes(store: CallStore) -> None:
    before = frames.calls_frame(store)
    text = before.to_csv()
    store.add(written("8 in a 90\n8 out a 90\n8 out d 100"))
    assert before.to_csv() == text
    assert len(frames.calls_frame(store)) == 5


def test_functions_add_up_their_calls(store: CallStore) -> None:
    functions = frames.functions_frame(store)
    assert functions.index.tolist() == ["a", "b", "c", "d"]
    assert list(functions.loc["a", ["count", "errors", "open", "lost"]]) == [1, 0, 0, 0]
    assert list(functions.loc["b", ["count", "errors", "self_ns", "total_ns"]]) == [1, 1, 1000, 1000]
    assert list(functions.loc["c", ["count", "open", "lost", "total_ns"]]) == [1, 0, 1, 0]
    assert list(functions.loc["d", ["count", "open", "lost"]]) == [1, 1, 0]
    assert functions.loc["c", ["min_ns", "p99_ns"]].isna().all()


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from((0.0, 0.1)))
def test_functions_and_edges_are_what_pandas_finds_in_the_calls(seed: int, share: float) -> None:
    store = of_world(seed, share)
    calls = frames.calls_frame(store)
    if not len(calls):
        return
    functions = frames.functions_frame(store)
    caller = calls["function"].astype(str).reindex(calls["parent"]).fillna("").to_numpy()
    for name, group in calls.groupby(calls["function"].astype(str)):
        row = functions.loc[name]
        known = group["duration_ns"].dropna().astype(float)
        assert row["count"] == len(group)
        assert row["errors"] == group["error"].notna().sum()
        assert row["self_ns"] == group["self_ns"].sum()
        if len(known):
            wanted = [known.min(), *np.percentile(known, (50, 95, 99)), known.max()]
            assert list(row[["min_ns", "p50_ns", "p95_ns", "p99_ns", "max_ns"]]) == pytest.approx(wanted)
        outermost = 0
        for call in group.index:
            above = calls["parent"][call]
            while above >= 0 and calls["function"][above] != name:
                above = calls["parent"][above]
            duration = calls["duration_ns"][call]
            outermost += 0 if above >= 0 or duration is pd.NA else int(duration)
        assert row["total_ns"] == outermost
    edges = frames.edges_frame(store)
    wanted_edges = calls.groupby([caller, calls["function"].astype(str).to_numpy()])
    assert edges["count"].sort_index().to_dict() == wanted_edges.size().to_dict()
    assert edges["total_ns"].sort_index().to_dict() == wanted_edges["duration_ns"].sum().to_dict()
    assert edges["self_ns"].sort_index().to_dict() == wanted_edges["self_ns"].sum().to_dict()
    assert edges.index.names == ["caller", "callee"]


@settings(max_examples=60)
@given(st.integers(0, 10_000))
def test_the_feed_of_a_frame_has_the_steps_of_the_walk_it_is_of(seed: int) -> None:
    store = of_world(seed)
    feed = FrameFeed(frames.calls_frame(store))
    assert feed.count() == store.count()
    live, again = store.steps(0, store.count()), feed.steps(0, feed.count())
    for name in ("at", "depth", "kind", "call"):
        assert getattr(live, name).tolist() == getattr(again, name).tolist()
    named = [[f.threads[n] for n in s.thread] for f, s in ((store, live), (feed, again))]
    assert named[0] == named[1]
    assert [FUNCTIONS[n] for n in live.function] == [feed.functions[n] for n in again.function]
    for call in range(0, store.calls.rows, 5):
        assert feed.tell(call) == store.tell(call)


def test_the_feed_of_a_frame_ends_what_was_not_seen_to_end_where_the_next_begins(store: CallStore) -> None:
    feed = FrameFeed(frames.calls_frame(store))
    steps = feed.steps(0, feed.count())
    assert steps.call.tolist() == [0, 1, 1, 2, 2, 0, 3]
    assert steps.kind.tolist() == [0, 0, 2, 0, 3, 1, 0]
    assert feed.threads == ["ls (7)", "? (8)"]


def test_the_feed_of_some_rows_of_a_frame_has_those_only(store: CallStore) -> None:
    calls = frames.calls_frame(store)
    feed = FrameFeed(calls[calls["depth"] == 1])
    assert feed.steps(0, feed.count()).call.tolist() == [1, 1, 2, 2]
    assert FrameFeed(calls.iloc[:0]).count() == 0


def test_a_call_is_told_in_one_line(store: CallStore) -> None:
    assert store.tell(0) == "a(n=5) = 12  4.00 µs (self 3.00 µs)"
    assert store.tell(1) == "b(p=0xffff888000000010) = -ENOENT  1.00 µs"
    assert store.tell(2) == "c()  no return"
    assert store.tell(3) == "d()  open"
    with pytest.raises(KeyError):
        store.tell(4)


def test_a_function_that_takes_days_has_its_percentiles() -> None:
    day = 86_400 * 10**9
    store = CallStore(["a", "b"])
    batch = written("7 in b 50\n7 out b 50\n" + "7 in a 100\n7 out a 100\n" * 3)
    batch["at"] = [0, 5, 10, 11, 20, 20 + 2 * day, 3 * day, 3 * day + 7]
    store.add(batch)
    functions = frames.functions_frame(store)
    spread = functions[["min_ns", "p50_ns", "max_ns"]]
    assert spread.loc[["a", "b"]].to_numpy().tolist() == [[1, 7, 2 * day], [5, 5, 5]]


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_what_a_picture_of_paths_reads_says_the_same_as_the_calls(share: float) -> None:
    store = of_world(4, share)
    calls, paths = frames.calls_frame(store), frames.paths_frame(store)
    same = ["function", "depth", "parent"]
    pd.testing.assert_frame_equal(paths[same], calls[same])
    for name in ("duration_ns", "self_ns"):
        assert paths[name].dropna().astype(np.int64).to_dict() == calls[name].dropna().to_dict()
    assert paths["error"].notna().tolist() == calls["error"].notna().tolist()
    assert calls["error"].notna().any()


def test_what_was_left_out_is_listed_with_the_reason() -> None:
    frame = frames.left_out_frame([LeftOut("f", "inlined")])
    assert frame.to_dict("list") == {"function": ["f"], "reason": ["inlined"]}
    assert frames.left_out_frame([]).columns.tolist() == ["function", "reason"]
