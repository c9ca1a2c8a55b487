from __future__ import annotations

import numpy as np
import pytest

from ktrace_nb.errors import StreamError
from ktrace_nb.stream.calls.feed import UNSEEN
from ktrace_nb.stream.calls.records import RECORD
from ktrace_nb.stream.calls.states import STATES
from ktrace_nb.stream.calls.store import CallStore
from tests.stream.calls.trees import written


def store_of(text: str, listed: bytes = b"", *, whole: bool = True) -> CallStore:
    store = CallStore(["a", "b", "c"])
    store.add_threads(listed)
    batch = written(text)
    for part in [batch] if whole else np.array_split(batch, len(batch)):
        store.add(part)
    return store


def named(store: CallStore) -> list[str]:
    """The thread of each call."""
    return [store.threads[n] for n in store.calls["label"]]


def states(store: CallStore) -> list[str]:
    return [STATES[n] for n in store.calls["state"]]


both = pytest.mark.parametrize("whole", (True, False), ids=("at once", "one by one"))


@both
def test_a_thread_has_the_name_it_had_when_the_call_began(whole: bool) -> None:
    text = "7 fork 7 bash\n7 in a 100\n7 exec 7 ls\n7 in b 50\n7 out b 50\n7 out a 100\n7 in a 100"
    store = store_of(text, whole=whole)
    assert named(store) == ["bash (7)", "ls (7)", "ls (7)"]
    assert [store.roster.labels[n].pid for n in store.calls["label"]] == [7, 7, 7]
    steps = store.steps(0, 5)
    assert [store.threads[n] for n in steps.thread] == ["bash (7)", "ls (7)", "ls (7)", "bash (7)", "ls (7)"]


@both
def test_threads_that_were_there_before_are_known_by_the_list(whole: bool) -> None:
    store = store_of("8 in a 100\n9 in a 100", b"7 7 1 ssh d\n8 7 1 ssh d\n", whole=whole)
    assert named(store) == ["ssh d (8)", "? (9)"]


@both
def test_calls_open_when_their_thread_ends_ended_with_it(whole: bool) -> None:
    store = store_of("7 in a 100\n7 in b 50\n7 in c 40\n7 out c 40\n7 end\n8 in a 100", whole=whole)
    assert states(store) == ["thread ended", "thread ended", "returned", "open"]
    assert (store.counts.thread_ended, store.counts.open, store.counts.no_return) == (2, 1, 0)
    steps = store.steps(0, store.count())
    assert steps.call.tolist() == [0, 1, 2, 2, 1, 0, 3]
    assert steps.kind[4:6].tolist() == [UNSEEN, UNSEEN]
    assert steps.at[4:6].tolist() == [5000, 5000]


@both
def test_a_number_used_again_is_a_new_thread(whole: bool) -> None:
    text = "7 fork 7 ls\n7 in a 100\n7 end\n7 fork 7 cat\n7 in b 50\n7 out b 50"
    store = store_of(text, whole=whole)
    assert named(store) == ["ls (7)", "cat (7)"]
    assert store.calls["depth"].tolist() == [0, 0]
    assert states(store) == ["thread ended", "returned"]


@both
def test_a_fork_tells_that_the_number_is_another_thread_even_if_its_end_was_lost(whole: bool) -> None:
    store = store_of("7 fork 7 ls\n7 in a 100\n7 fork 7 cat\n7 in a 100\n7 out a 100", whole=whole)
    assert named(store) == ["ls (7)", "cat (7)"]
    assert states(store) == ["thread ended", "returned"]


@both
def test_a_thread_that_is_seen_after_its_end_is_another_one(whole: bool) -> None:
    store = store_of("7 fork 7 ls\n7 in a 100\n7 end\n7 in b 50\n7 out b 50", whole=whole)
    assert named(store) == ["ls (7)", "? (7)"]
    assert states(store) == ["thread ended", "returned"]


def test_every_cpu_has_an_idle_thread_of_its_own() -> None:
    batch = written("0 in a 100\n0 in a 100\n0 out a 100\n0 out a 100")
    batch["cpu"] = [0, 3, 0, 3]
    store = CallStore(["a"])
    store.add(batch)
    assert named(store) == ["swapper/0 (0)", "swapper/3 (0)"]
    assert store.calls["depth"].tolist() == [0, 0]
    assert store.calls["duration"].tolist() == [2000, 2000]


def test_two_hundred_threads_that_come_and_go_at_once_keep_their_calls_apart() -> None:
    lines = [f"{tid} fork {tid} t{tid}" for tid in range(200, 400)]
    lines += [f"{tid} in a {100 + tid * 2048}" for tid in range(200, 400)]
    lines += [f"{tid} out a {100 + tid * 2048}" for tid in reversed(range(200, 400))]
    lines += [f"{tid} end" for tid in range(200, 400)]
    store = store_of("\n".join(lines))
    assert named(store) == [f"t{tid} ({tid})" for tid in range(200, 400)]
    # The n-th to enter is the n-th last to return: 2 (200 - n) - 1 records later.
    assert store.calls["duration"].tolist() == [1000 * (399 - 2 * n) for n in range(200)]


@pytest.mark.parametrize("field, value", (("tid", 1 << 22), ("kind", 4), ("function", 3)))
def test_records_that_no_kernel_sends_are_refused(field: str, value: int) -> None:
    batch = np.zeros(1, RECORD)
    batch[field] = value
    with pytest.raises(StreamError, match="record of calls"):
        CallStore(["a", "b", "c"]).add(batch)


def test_a_process_with_a_number_that_none_can_have_is_refused() -> None:
    batch = written("7 in a 100\n7 fork 4194303 sh")
    CallStore(["a"]).add(batch)
    batch["frame"][1] += 1
    with pytest.raises(StreamError, match="names process 4194304"):
        CallStore(["a"]).add(batch)


@both
def test_only_threads_that_made_calls_are_named(whole: bool) -> None:
    text = "5 fork 5 sh\n6 fork 6 sh\n6 exec 6 ls\n6 in a 100\n5 end\n5 in a 100\n0 named 0 idle"
    store = store_of(text, b"1 1 0 init\n", whole=whole)
    assert set(store.threads) == {"ls (6)", "? (5)"}


def test_a_list_that_comes_late_names_threads_that_have_no_name() -> None:
    store = store_of("5 in a 100\n6 fork 6 ls\n6 in a 100")
    store.add_threads(b"5 4 1 sh\n6 6 1 old\n")
    assert named(store) == ["sh (5)", "ls (6)"]


def test_a_line_that_is_no_thread_is_refused() -> None:
    with pytest.raises(StreamError, match="list of threads has the line 'x y z'"):
        CallStore([]).add_threads(b"1 1 0 init\nx y z\n")
