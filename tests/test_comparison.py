"""Comparing two runs; every expected number is added up by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import ktrace_nb
from ktrace_nb import compare
from ktrace_nb.errors import OptionError
from ktrace_nb.stream.calls.sums import by_edge, by_function
from tests.stream.calls.frames_kit import C, calls_frame

# A lookup that misses, then one that hits the cache.
COLD = calls_frame(
    C("open", 0, 1000, [C("lookup", 100, 900, [C("read_block", 200, 800)])]),
    C("open", 2000, 2300, [C("lookup", 2100, 2200, error="ENOENT")]),
    C("sync", 3000, 4000),
)
WARM = calls_frame(
    C("open", 0, 300, [C("lookup", 100, 200)]),
    C("open", 1000, 1500, [C("lookup", 1100, 1200), C("atime", 1300, 1400)]),
    C("lookup", 1900, 2000),
)


def row(frame: pd.DataFrame, *key: str) -> dict[str, Any]:
    place: Any = key if len(key) > 1 else key[0]
    return dict(frame.loc[place])


def test_functions_are_compared_by_count_errors_and_time() -> None:
    difference = compare(COLD, WARM)
    lookup = row(difference, "lookup")
    assert (lookup["count_a"], lookup["count_b"], lookup["count_change"], lookup["count_ratio"]) == (
        2,
        3,
        1,
        1.5,
    )
    assert (lookup["errors_a"], lookup["errors_b"]) == (1, 0)
    # 800 - 600, and 100; against three times 100.
    assert (lookup["self_ns_a"], lookup["self_ns_b"], lookup["self_ns_change"]) == (300, 300, 0)
    assert (lookup["total_ns_a"], lookup["total_ns_b"], lookup["total_ns_ratio"]) == (900, 300, 1 / 3)
    assert (lookup["p50_ns_a"], lookup["p50_ns_b"], lookup["p50_ns_change"]) == (450.0, 100.0, -350.0)


def test_what_only_one_run_did_is_told() -> None:
    difference = compare(COLD, WARM)
    assert difference["status"].to_dict() == {
        "sync": "only a",
        "read_block": "only a",
        "atime": "only b",
        "open": "both",
        "lookup": "both",
    }
    atime = row(difference, "atime")
    assert (atime["count_a"], atime["self_ns_a"], atime["self_ns_change"]) == (0, 0, 100)
    assert atime["count_ratio"] == np.inf
    assert np.isnan(atime["p50_ns_a"])
    assert row(difference, "sync")["count_ratio"] == 0


def test_what_changed_most_comes_first() -> None:
    # sync -1000, read_block -600, open (200 + 200) to (200 + 300): +100, atime +100, lookup 0;
    # of the two of 100, the total time of open changed more: 1300 to 800.
    assert compare(COLD, WARM).index.tolist() == ["sync", "read_block", "open", "atime", "lookup"]


def test_a_run_is_like_itself() -> None:
    difference = compare(COLD, COLD)
    assert (difference["status"] == "both").all()
    assert (difference["self_ns_change"] == 0).all()
    assert (difference["total_ns_ratio"] == 1).all()


def test_edges_tell_who_calls_more() -> None:
    difference = compare(COLD, WARM, by="edges")
    assert difference.index.names == ["caller", "callee"]
    assert row(difference, "", "lookup")["status"] == "only b"
    assert row(difference, "open", "lookup")["count_change"] == 0
    assert row(difference, "open", "lookup")["total_ns_change"] == 200 - 900
    assert row(difference, "lookup", "read_block")["status"] == "only a"


def test_paths_tell_which_calls_are_made_in_a_new_way() -> None:
    difference = compare(COLD, WARM, by="paths")
    new = difference.index[difference["status"] == "only b"]
    assert sorted(new) == ["lookup", "open;atime"]
    assert row(difference, "open;lookup;read_block")["status"] == "only a"
    # That path's last function alone: 300 before, 200 now.
    assert row(difference, "open;lookup")["self_ns_change"] == -100


def test_per_call_times_are_divided_by_the_calls() -> None:
    lookup = row(compare(COLD, WARM, per="call"), "lookup")
    assert (lookup["self_ns_a"], lookup["self_ns_b"]) == (150.0, 100.0)
    assert (lookup["total_ns_a"], lookup["total_ns_b"]) == (450.0, 100.0)
    assert (lookup["errors_a"], lookup["errors_b"]) == (0.5, 0.0)
    assert (lookup["count_a"], lookup["count_b"]) == (2, 3)


def test_per_call_what_was_not_called_has_no_time_and_still_a_place() -> None:
    difference = compare(COLD, WARM, per="call")
    assert np.isnan(row(difference, "atime")["self_ns_a"])
    # sync 1000, read_block 600, atime 100, lookup 150 to 100, open 200 to 250.
    assert difference.index.tolist()[:3] == ["sync", "read_block", "atime"]


def test_per_second_everything_is_divided_by_the_time_of_the_run() -> None:
    difference = compare(COLD, WARM, per="second", seconds=(2.0, 0.5))
    lookup = row(difference, "lookup")
    assert (lookup["count_a"], lookup["count_b"], lookup["count_ratio"]) == (1.0, 6.0, 6.0)
    assert (lookup["errors_a"], lookup["self_ns_a"], lookup["self_ns_b"]) == (0.5, 150.0, 600.0)
    assert lookup["p50_ns_a"] == 450.0
    assert difference.attrs["ktrace"]["seconds"] == (2.0, 0.5)


def test_a_frame_of_calls_lasted_from_its_first_entry_to_its_last_return() -> None:
    difference = compare(COLD, WARM, per="second")
    assert difference.attrs["ktrace"]["seconds"] == (4000e-9, 2000e-9)
    assert row(difference, "lookup")["count_a"] == pytest.approx(2 / 4000e-9)


def test_frames_already_added_up_are_compared_alike() -> None:
    pd.testing.assert_frame_equal(compare(by_function(COLD), by_function(WARM)), compare(COLD, WARM))
    edges = [by_edge(calls).drop(columns="p50_ns") for calls in (COLD, WARM)]
    whole = compare(COLD, WARM, by="edges")
    left = [name for name in whole.columns if "p50" not in name]
    pd.testing.assert_frame_equal(compare(*edges, by="edges")[left], whole[left])


def test_functions_that_were_recorded_and_not_called_are_on_neither_side() -> None:
    functions = by_function(COLD)
    functions.loc["unused"] = 0
    assert "unused" not in compare(functions, WARM).index


def test_losses_of_either_run_are_told() -> None:
    a, b = COLD.copy(), WARM.copy()
    a.attrs["ktrace"] = {"session": "cold", "lost": {}}
    b.attrs["ktrace"] = {"session": "warm", "lost": {"ring full": 3}}
    about = compare(a, b).attrs["ktrace"]
    assert about["lost"] == {"a": {}, "b": {"ring full": 3}}
    assert not about["complete"]
    assert (about["a"]["session"], about["b"]["session"]) == ("cold", "warm")
    assert compare(a, a).attrs["ktrace"]["complete"]


def test_calls_that_did_not_return_are_counted() -> None:
    still = calls_frame(C("wait", 0, None))
    wait = row(compare(still, COLD), "wait")
    assert (wait["count_a"], wait["total_ns_a"], wait["status"]) == (1, 0, "only a")


def test_a_run_without_calls_has_nothing() -> None:
    assert (compare(COLD.iloc[:0], WARM)["status"] == "only b").all()
    assert compare(COLD.iloc[:0], WARM.iloc[:0]).empty


@pytest.mark.parametrize("by", ["functions", "edges", "paths"])
@pytest.mark.parametrize("per", ["run", "call", "second"])
def test_dtypes_are_those_documented(by: str, per: str) -> None:
    difference = compare(COLD, WARM, by=by, per=per)  # type: ignore[arg-type]
    assert difference["status"].dtype == "category"
    whole = {"run": ["count", "errors", "self_ns", "total_ns"], "call": ["count"], "second": []}[per]
    for measure in ("count", "errors", "self_ns", "total_ns", "p50_ns"):
        kind = "int64" if measure in whole else "float64"
        for side in ("a", "b", "change"):
            assert difference[f"{measure}_{side}"].dtype == kind, (measure, side)
        assert difference[f"{measure}_ratio"].dtype == "float64"


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(OptionError, match="no comparison by 'threads'"):
        compare(COLD, WARM, by="threads")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="no numbers per 'minute'"):
        compare(COLD, WARM, per="minute")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="not a frame of calls or edges"):
        compare(by_function(COLD), by_function(WARM), by="edges")
    with pytest.raises(OptionError, match="how long a run was is not known"):
        compare(by_function(COLD), by_function(WARM), per="second")
    with pytest.raises(OptionError, match="str has no calls"):
        compare("cold", WARM)  # type: ignore[arg-type]


def test_the_package_offers_it_without_loading_pandas_first() -> None:
    assert {"compare", "write_calls"} <= set(dir(ktrace_nb))
    with pytest.raises(AttributeError, match="no attribute 'compares'"):
        ktrace_nb.compares  # noqa: B018
