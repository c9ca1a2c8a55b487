from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrace_nb.ir.calls import ENTRY, RETURN
from ktrace_nb.stream.calls.feed import ENTERED, RETURNED, UNSEEN
from ktrace_nb.stream.calls.states import DONE, NO_RETURN, OPEN, STATES
from ktrace_nb.stream.calls.store import CallStore
from tests.stream.calls.trees import FUNCTIONS, Sent, World, records, written

SEEDS = st.integers(0, 2**32)


def fed(sent: list[Sent], rng: random.Random, **options: Any) -> CallStore:
    """A store that was given records in batches of any size."""
    store = CallStore(FUNCTIONS, **options)
    batch = records(sent)
    while len(batch):
        count = rng.randrange(1, len(batch) + 1) if rng.random() < 0.9 else 1
        store.add(batch[:count])
        batch = batch[count:]
    return store


def store_of(text: str, *, whole: bool = True) -> CallStore:
    """A store that was given records written down, at once or one by one."""
    store = CallStore([chr(ord("a") + n) for n in range(26)])
    batch = written(text)
    for part in [batch] if whole else np.array_split(batch, len(batch)):
        store.add(part)
    return store


def states(store: CallStore) -> list[str]:
    return [STATES[n] for n in store.calls["state"]]


@settings(max_examples=150)
@given(SEEDS, st.integers(1, 6))
def test_calls_of_several_threads_in_random_batches_are_the_trees_that_made_them(
    seed: int, threads: int
) -> None:
    world = World(seed, threads)
    store = fed(world.sent, random.Random(seed))
    truth = world.calls
    assert store.calls.rows == len(truth)
    assert store.calls["function"].tolist() == [c.function for c in truth]
    assert store.calls["depth"].tolist() == [c.depth for c in truth]
    assert store.parents().tolist() == [c.parent.row if c.parent else -1 for c in truth]
    assert store.calls["start"].tolist() == [c.start for c in truth]
    assert store.calls["duration"].tolist() == [c.end - c.start for c in truth]
    assert store.self_ns().tolist() == [c.self_ns for c in truth]
    assert set(store.calls["state"]) == {DONE}
    assert [store.roster.labels[n].tid for n in store.calls["label"]] == [c.tid for c in truth]


@given(SEEDS)
def test_steps_are_the_entries_and_returns_as_they_came(seed: int) -> None:
    world = World(seed)
    store = fed(world.sent, random.Random(seed))
    steps = store.steps(0, store.count())
    calls = [one.call for one in world.sent]
    assert steps.at.tolist() == [one.at for one in world.sent]
    assert steps.call.tolist() == [c.row for c in calls if c]
    assert steps.depth.tolist() == [c.depth for c in calls if c]
    assert steps.kind.tolist() == [ENTERED if one.kind == ENTRY else RETURNED for one in world.sent]


@settings(max_examples=200)
@given(SEEDS, st.integers(0, 10**6))
def test_with_one_record_lost_all_other_calls_are_as_they_were(seed: int, place: int) -> None:
    world = World(seed)
    lost = world.sent.pop(place % len(world.sent))
    store = fed(world.sent, random.Random(seed))
    entries = [one.call for one in world.sent if one.kind == ENTRY]
    for row, call in enumerate(entries):
        assert call is not None
        wanted = call.end - call.start if call is not lost.call else -1
        assert store.calls["duration"][row] == wanted
    assert store.counts.unmatched == (lost.kind == ENTRY)
    assert store.counts.no_return + store.counts.open == (lost.kind == RETURN)


@settings(max_examples=200)
@given(SEEDS, st.sampled_from((0.01, 0.1, 0.5)))
def test_with_records_lost_no_call_gets_the_return_of_another(seed: int, share: float) -> None:
    rng = random.Random(seed)
    kept = [one for one in World(seed).sent if rng.random() >= share]
    store = fed(kept, rng)
    entries = [one.call for one in kept if one.kind == ENTRY]
    calls = {one.at: one.call for one in kept if one.kind == RETURN}
    records_of = Counter(id(one.call) for one in kept)
    for row, call in enumerate(entries):
        assert call is not None
        if store.calls["state"][row] == DONE:
            other = calls[call.start + int(store.calls["duration"][row])]
            assert other is not None
            if other is not call:
                # Nothing tells these from one call: same function, same place, and what lay between is lost.
                assert (other.function, other.frame, other.tid) == (call.function, call.frame, call.tid)
                assert records_of[id(other)] + records_of[id(call)] < 4


@given(SEEDS, st.sampled_from((0.0, 0.01, 0.1, 0.5)))
def test_with_records_lost_the_counts_add_up(seed: int, share: float) -> None:
    rng = random.Random(seed)
    world = World(seed)
    kept = [one for one in world.sent if rng.random() >= share]
    store = fed(kept, rng)
    counts = store.counts
    assert counts.calls == sum(one.kind == ENTRY for one in kept)
    assert counts.returned + counts.unmatched == sum(one.kind == RETURN for one in kept)
    found = np.bincount(store.calls["state"], minlength=4).tolist()
    assert found == [counts.open, counts.returned, counts.no_return, counts.thread_ended]
    steps = store.steps(0, store.count())
    assert np.count_nonzero(steps.kind == ENTERED) == counts.calls
    assert np.count_nonzero(steps.kind == RETURNED) == counts.returned
    assert np.count_nonzero(steps.kind == UNSEEN) == counts.no_return
    assert len(np.unique(steps.call[steps.kind != ENTERED])) == counts.returned + counts.no_return
    assert (np.diff(steps.at.astype(np.int64)) >= 0).all()
    assert (store.parents() < np.arange(store.calls.rows)).all()


@given(SEEDS)
def test_a_call_is_told_of_as_missed_whatever_the_batches_are(seed: int) -> None:
    rng = random.Random(seed)
    kept = [one for one in World(seed).sent if rng.random() >= 0.05]
    once, again = fed(kept, random.Random(1)), CallStore(FUNCTIONS)
    again.add(records(kept))
    done = once.calls["state"] == DONE
    assert (done == (again.calls["state"] == DONE)).all()
    assert (once.calls["duration"] == again.calls["duration"]).all()


@pytest.mark.parametrize("whole", (True, False), ids=("at once", "one by one"))
class TestMissing:
    """Each case by hand: what was called from what is in the comment."""

    def test_a_call_whose_thread_works_above_its_frame_has_missed_its_return(self, whole: bool) -> None:
        # a calls b, whose return is lost, then c from a place above b's
        store = store_of("1 in a 100\n1 in b 50\n1 in c 60\n1 out c 60\n1 out a 100", whole=whole)
        assert states(store) == ["returned", "no return", "returned"]
        assert store.parents().tolist() == [-1, 0, 0]
        assert store.calls["depth"].tolist() == [0, 1, 1]
        steps = store.steps(0, 6)
        assert steps.call.tolist() == [0, 1, 1, 2, 2, 0]
        assert steps.kind.tolist() == [ENTERED, ENTERED, UNSEEN, ENTERED, RETURNED, RETURNED]
        assert steps.at.tolist() == [1000, 2000, 3000, 3000, 4000, 5000]

    def test_the_return_of_a_caller_ends_what_it_called(self, whole: bool) -> None:
        store = store_of("1 in a 100\n1 in b 50\n1 in c 40\n1 out a 100", whole=whole)
        assert states(store) == ["returned", "no return", "no return"]
        assert store.steps(3, 6).call.tolist() == [2, 1, 0]

    def test_a_return_without_its_entry_is_counted_and_nothing_else(self, whole: bool) -> None:
        store = store_of("1 in a 100\n1 out b 50\n1 out a 100\n1 out c 90", whole=whole)
        assert states(store) == ["returned"]
        assert store.counts.unmatched == 2
        assert store.count() == 2

    def test_a_tail_call_returns_right_before_its_caller(self, whole: bool) -> None:
        store = store_of(
            "1 in a 100\n1 in b 100\n1 in c 60\n1 out c 60\n1 out b 100\n1 out a 100", whole=whole
        )
        assert states(store) == ["returned"] * 3
        assert store.parents().tolist() == [-1, 0, 1]
        assert store.counts.repaired == 0

    def test_if_the_caller_does_not_return_next_it_was_no_tail_call(self, whole: bool) -> None:
        # a's return is lost; b and c are called from the same place after it
        store = store_of("1 in a 100\n1 in b 100\n1 out b 100\n1 in c 90\n1 out c 90", whole=whole)
        assert states(store) == ["no return", "returned", "returned"]
        assert store.parents().tolist() == [-1, 0, -1]

    def test_an_interrupt_may_come_between_the_returns_of_a_tail_call(self, whole: bool) -> None:
        text = "1 in a 100\n1 in b 100\n1 out b 100\n1 in i 5000\n1 out i 5000\n1 out a 100"
        store = store_of(text, whole=whole)
        assert states(store) == ["returned"] * 3

    def test_an_interrupt_is_over_when_its_thread_is_back_on_its_own_stack(self, whole: bool) -> None:
        store = store_of("1 in a 100\n1 in i 5000\n1 in b 50\n1 out b 50\n1 out a 100", whole=whole)
        assert states(store) == ["returned", "no return", "returned"]
        assert store.parents().tolist() == [-1, 0, 0]

    def test_calls_of_one_place_that_never_return_do_not_pile_up(self, whole: bool) -> None:
        store = store_of("\n".join("1 in a 100" for _ in range(100)), whole=whole)
        assert int(store.calls["depth"].max()) <= 10
        assert store.counts.no_return >= 89

    def test_recursion_is_paired_by_frames(self, whole: bool) -> None:
        store = store_of("1 in a 100\n1 in a 80\n1 in a 60\n1 out a 80\n1 out a 100", whole=whole)
        assert states(store) == ["returned", "returned", "no return"]
        assert store.calls["duration"].tolist() == [4000, 2000, -1]

    def test_a_second_return_of_a_call_is_one_without_an_entry(self, whole: bool) -> None:
        store = store_of("1 in a 100\n1 out a 100\n1 out a 100", whole=whole)
        assert states(store) == ["returned"]
        assert store.counts.unmatched == 1


def test_calls_beyond_the_limit_are_counted_and_do_not_disturb_the_others() -> None:
    world = World(7, threads=2, calls=40)
    store = fed(world.sent, random.Random(7), keep_calls=15)
    assert store.calls.rows == 15
    assert store.not_kept == len(world.calls) - 15
    assert store.counts.returned == len(world.calls)
    assert store.calls["duration"].tolist() == [c.end - c.start for c in world.calls[:15]]
    assert int(store.steps(0, store.count()).call.max()) == 14


def test_calls_under_way_are_open() -> None:
    store = store_of("1 in a 100\n1 in b 50")
    assert states(store) == ["open", "open"]
    assert store.calls["duration"].tolist() == [-1, -1]
    assert store.calls["state"].tolist() == [OPEN, OPEN]
    store.add(written("1 out b 50\n1 out a 100"))
    assert set(store.calls["state"]) == {DONE}


def test_only_the_thread_with_a_record_missing_is_looked_at_one_by_one() -> None:
    whole = "\n".join(f"{tid} {word} a 100" for _ in range(50) for tid in (1, 2) for word in ("in", "out"))
    store = store_of(whole + "\n2 out b 90")
    assert store.counts.repaired == 101
    assert store.counts.returned == 100
    assert NO_RETURN not in store.calls["state"]
