from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.stream.machines import TCP, machine_of
from ktrace_nb.stream.steps import ends_of, read_steps
from ktrace_nb.stream.transitions import transitions_of

HAND = pd.DataFrame(
    {
        "skaddr": np.array([1, 1, 2, 1, 2, 1, 1], dtype=np.uint64) + np.uint64(2**64 - 100),
        "ts": [0, 10, 15, 40, 55, 100, 900],
        "oldstate": [7, 2, 7, 1, 2, 4, 7],
        "newstate": [2, 1, 2, 4, 1, 7, 2],
    }
)
"""Two sockets; the first is closed, and 800 ns later its address is that of another."""


def by_pair(frame: pd.DataFrame) -> dict[tuple[str, str], tuple[object, ...]]:
    names = ("count", "timed", "total_ns")
    return {(row["from"], row["to"]): tuple(row[name] for name in names) for row in frame.to_dict("records")}


def test_times_are_taken_between_events_of_one_socket() -> None:
    assert by_pair(transitions_of(HAND, machine="tcp")) == {
        ("CLOSE", "SYN_SENT"): (3, 0, 0),
        ("SYN_SENT", "ESTABLISHED"): (2, 2, 10 + 40),
        ("ESTABLISHED", "FIN_WAIT1"): (1, 1, 30),
        ("FIN_WAIT1", "CLOSE"): (1, 1, 60),
    }


def test_without_a_machine_states_are_called_as_they_come_and_none_is_the_end() -> None:
    found = by_pair(transitions_of(HAND))
    assert found["7", "2"] == (3, 1, 800)
    assert found["2", "1"] == (2, 2, 50)


def test_the_columns_have_the_types_that_are_promised_and_the_pairs_their_order() -> None:
    for frame in (HAND, HAND.iloc[:0]):
        found = transitions_of(frame, machine="tcp")
        assert found.dtypes.astype(str).to_dict() == {
            "from": "category",
            "to": "category",
            "count": "int64",
            "timed": "int64",
            "total_ns": "int64",
            "mean_ns": "float64",
            "p95_ns": "float64",
        }
    found = transitions_of(HAND, machine="tcp")
    assert found["to"].tolist() == ["SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "CLOSE"]
    assert np.isnan(found["mean_ns"][0])
    assert found["mean_ns"].tolist()[1:] == [25, 30, 60]
    # A name that comes up later leaves the labels of rows that are there as they are.
    assert transitions_of(HAND.iloc[:4], machine="tcp")["to"].tolist() == [
        "SYN_SENT",
        "ESTABLISHED",
        "FIN_WAIT1",
    ]


def test_events_out_of_order_are_sorted_by_their_time() -> None:
    mixed = HAND.sample(frac=1, random_state=4)
    assert by_pair(transitions_of(mixed, machine="tcp")) == by_pair(transitions_of(HAND, machine="tcp"))


def test_a_state_that_does_not_follow_from_the_last_has_no_time() -> None:
    missed = HAND.drop(index=1)  # SYN_SENT to ESTABLISHED of the first socket
    assert by_pair(transitions_of(missed, machine="tcp"))["ESTABLISHED", "FIN_WAIT1"] == (1, 0, 0)


def test_times_and_objects_may_have_any_name_and_seconds_are_seconds() -> None:
    other = HAND.rename(columns={"skaddr": "whom", "ts": "at_s"}).assign(at_s=lambda f: f["at_s"] * 1e-6)
    assert by_pair(transitions_of(other))["2", "1"] == (2, 0, 0)  # nobody says whose state it is
    assert by_pair(transitions_of(other, by="whom"))["2", "1"] == (2, 2, 50_000)
    with pytest.raises(ValueError, match="no 'who' in the frame; there is whom, at_s, oldstate, newstate"):
        transitions_of(other, by="who")


def test_the_percentile_is_the_nearest_rank() -> None:
    # Of 1 to 100 the smallest number that 95 of them are not above is 95.
    spent = np.random.default_rng(1).permutation(np.arange(1, 101))
    at_ns = np.column_stack([1000 * np.arange(100), 1000 * np.arange(100) + spent]).ravel()
    events = pd.DataFrame({"tid": np.repeat(np.arange(100), 2), "ts": at_ns, "from": ["a", "b"] * 100})
    events["to"] = ["b", "a"] * 100
    found = transitions_of(events).set_index(["from", "to"])
    assert found.loc[("b", "a"), "p95_ns"] == 95
    assert found.loc[("b", "a"), "mean_ns"] == 50.5


def test_the_same_sums_as_pandas_finds_for_random_events() -> None:
    rng = np.random.default_rng(7)
    rows = 5000
    events = pd.DataFrame(
        {
            "tid": rng.integers(0, 40, rows),
            "ts": np.sort(rng.integers(0, 10**9, rows)),
            "from": rng.integers(0, 3, rows),
            "to": rng.integers(0, 3, rows),
        }
    )
    before = events.groupby("tid")[["ts", "to"]].shift()
    spent = (events["ts"] - before["ts"]).where(before["to"] == events["from"])
    wanted = spent.groupby([events["from"], events["to"]]).agg(["size", "count", "sum"])
    assert by_pair(transitions_of(events)) == {
        (str(first), str(second)): tuple(row)
        for (first, second), row in zip(wanted.index, wanted.astype(int).to_numpy().tolist(), strict=True)
    }


def test_counts_are_exact_beyond_what_floats_hold() -> None:
    large = np.array([2**53 + 1, 2**64 - 1, 2**64 - 1], dtype=np.uint64)
    frame = pd.DataFrame({"from": ["a", "b", "b"], "to": ["b", "a", "a"], "count": large})
    assert transitions_of(frame)["count"].tolist() == [2**53 + 1, 2 * (2**64 - 1)]


def test_a_map_keyed_by_two_states_has_its_counts_in_value() -> None:
    index = pd.MultiIndex.from_tuples([(7, 2), (2, 1)], names=["oldstate", "newstate"])
    found = transitions_of(pd.DataFrame({"value": [5, 4]}, index=index), machine="tcp")
    assert found["count"].tolist() == [5, 4]


def test_sums_made_of_sums_are_the_same() -> None:
    once = transitions_of(HAND, machine="tcp")
    again = transitions_of(once, machine="tcp")
    pd.testing.assert_frame_equal(once.drop(columns="p95_ns"), again.drop(columns="p95_ns"))


@pytest.mark.parametrize(
    ("names", "pair"),
    [
        (["from", "to", "oldstate", "newstate"], ("from", "to")),
        (["oldport", "newport", "old_state", "new_state"], ("old_state", "new_state")),
        (["prev_comm", "next_comm"], ("prev_comm", "next_comm")),
        (["old", "new", "oldx", "newx"], ("old", "new")),
    ],
)
def test_the_two_states_are_found_by_their_names(names: list[str], pair: tuple[str, str]) -> None:
    assert ends_of(pd.DataFrame(columns=names)) == pair


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["oldstate", "port"], "there is 'oldstate' in the frame, but no 'newstate'"),
        (["to"], "there is 'to' in the frame, but no 'from'"),
        (["next_state"], "there is 'next_state' in the frame, but no 'prev_state'"),
        (["a", "b"], "wanted from and to, old… and new…, or prev… and next…; there is a, b"),
    ],
)
def test_what_is_missing_is_told(names: list[str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        transitions_of(pd.DataFrame(columns=names))


def test_numbers_that_are_no_counts_are_refused_and_missing_ones_are_none() -> None:
    frame = pd.DataFrame({"from": ["a", "a"], "to": ["b", "c"], "count": [3.0, np.nan]})
    assert transitions_of(frame)["count"].tolist() == [3, 0]
    with pytest.raises(ValueError, match="'count' holds -1, wanted counts of 0 and more"):
        transitions_of(frame.assign(count=[-1, 2]))
    with pytest.raises(ValueError, match=r"'count' holds .*, wanted numbers"):
        transitions_of(frame.assign(count=["x", "y"]))


def test_missing_states_and_negative_times_are_left_out() -> None:
    frame = pd.DataFrame({"from": [1, np.nan, 2], "to": [2, 2, None], "mean_ns": [-5.0, 1.0, 1.0]})
    found = transitions_of(frame)
    assert by_pair(found) == {("1", "2"): (1, 0, 0)}
    steps = read_steps(frame, machine_of(""))
    assert steps.out_of_order == 1


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (1, "ESTABLISHED"),
        (11, "CLOSING"),
        (12, "NEW_SYN_RECV"),
        ("TCP_LISTEN", "LISTEN"),
        ("BPF_TCP_CLOSE", "CLOSE"),
        (77, "77"),
        (7.0, "CLOSE"),
        ("LAST_ACK", "LAST_ACK"),
    ],
)  # include/net/tcp_states.h
def test_tcp_s_states_have_the_kernel_s_names(value: object, name: str) -> None:
    assert TCP.call(value) == name


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("S", "S sleeping"),
        (2, "D disk sleep"),
        (256, "R+ preempted"),
        ("t", "t traced"),
        ("T", "T stopped"),
        ("W", "W"),
    ],
)
def test_states_of_tasks_are_letters_and_bits(value: object, name: str) -> None:
    assert machine_of("task").call(value) == name


def test_there_is_no_other_machine() -> None:
    with pytest.raises(ValueError, match="no machine called 'udp', wanted 'tcp' or 'task'"):
        transitions_of(HAND, machine="udp")
