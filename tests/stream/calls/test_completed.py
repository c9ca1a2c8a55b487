from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrace_nb.ir.calls import ENTRY, RETURN
from ktrace_nb.stream.calls.feed import FrameFeed
from ktrace_nb.stream.calls.frames import calls_frame
from ktrace_nb.stream.calls.states import DONE, NO_RETURN, OPEN
from ktrace_nb.stream.calls.store import CallStore
from tests.stream.calls.trees import FUNCTIONS, Call, Sent, World, records, written


def completed(world: World, wanted: set[int]) -> list[Sent]:
    """What is sent of calls that are wanted once they are over: both records at the return."""
    found = []
    for one in world.sent:
        call = one.call
        if one.kind == RETURN and call is not None and call.row in wanted:
            entry = Sent(ENTRY, one.tid, one.cpu, call.start, call, call.frame)
            found += [entry, Sent(RETURN, one.tid, one.cpu, call.end, call, call.frame)]
    return found


def store_of(sent: list[Sent], rng: random.Random) -> CallStore:
    store = CallStore(FUNCTIONS, completed=True)
    batch = records(sent)
    batch["depth"] = [one.call.depth if one.call else 0 for one in sent]
    while len(batch):
        count = rng.randrange(1, len(batch) + 1)
        store.add(batch[:count])
        batch = batch[count:]
    return store


def wanted_above(call: Call, wanted: set[int]) -> Call | None:
    above = call.parent
    while above is not None and above.row not in wanted:
        above = above.parent
    return above


@settings(max_examples=150)
@given(st.integers(0, 2**32), st.sampled_from((1.0, 0.5, 0.1)))
def test_calls_sent_when_they_are_over_are_those_that_were_wanted(seed: int, share: float) -> None:
    rng = random.Random(seed)
    world = World(seed)
    wanted = {call.row for call in world.calls if rng.random() < share}
    sent = completed(world, wanted)
    store = store_of(sent, rng)
    order = [one.call for one in sent if one.kind == ENTRY and one.call]
    row = {id(call): n for n, call in enumerate(order)}
    assert store.calls["start"].tolist() == [c.start for c in order]
    assert store.calls["duration"].tolist() == [c.end - c.start for c in order]
    assert store.calls["depth"].tolist() == [c.depth for c in order]
    above = [wanted_above(call, wanted) for call in order]
    assert store.parents().tolist() == [row[id(a)] if a else -1 for a in above]
    inner = np.zeros(len(order), int)
    for call, parent in zip(order, above, strict=True):
        if parent:
            inner[row[id(parent)]] += call.end - call.start
    assert store.self_ns().tolist() == [
        c.end - c.start - n for c, n in zip(order, inner.tolist(), strict=True)
    ]


@given(st.integers(0, 2**32))
def test_the_feed_of_their_frame_has_them_in_order_of_entry(seed: int) -> None:
    world = World(seed)
    store = store_of(completed(world, {c.row for c in world.calls}), random.Random(seed))
    feed = FrameFeed(calls_frame(store))
    steps = feed.steps(0, feed.count())
    assert steps.at.tolist() == [one.at for one in world.sent]
    assert steps.depth.tolist() == [one.call.depth for one in world.sent if one.call]


def test_a_record_without_the_other_one_is_counted() -> None:
    store = CallStore(["a", "b", "c"], completed=True)
    store.add(written("7 in a 100\n7 in b 50\n7 out b 50\n7 out c 70\n7 in a 100\n7 out a 100\n7 in b 50"))
    assert store.calls["state"].tolist()[:3] == [NO_RETURN, DONE, DONE]
    assert (store.counts.no_return, store.counts.unmatched, store.counts.open) == (1, 1, 1)
    store.add(written("7 out b 50"))
    assert store.counts.open == 0


@pytest.mark.parametrize("cut", range(7))
def test_calls_of_an_interrupt_may_come_between_the_two_records_of_a_call(cut: int) -> None:
    store = CallStore(["a", "b", "c"], completed=True)
    # a is interrupted, and so is the b of the first interrupt
    batch = written("7 in a 100\n7 in b 9000\n7 in c 20000\n7 out c 20000\n7 out b 9000\n7 out a 100")
    for part in (batch[:cut], batch[cut:]):
        store.add(part)
    assert store.calls["state"].tolist() == [DONE] * 3
    assert store.calls["duration"].tolist() == [5000, 3000, 1000]
    assert (store.counts.no_return, store.counts.unmatched, store.counts.open) == (0, 0, 0)


@pytest.mark.parametrize("cut", range(6))
def test_several_entries_whose_returns_were_lost_are_counted_in_any_cut(cut: int) -> None:
    store = CallStore(["a", "b"], completed=True)
    batch = written("7 in a 100\n7 in b 50\n7 in b 50\n7 in a 100\n7 out b 50")
    for part in (batch[:cut], batch[cut:]):
        store.add(part)
    assert store.calls["state"].tolist() == [NO_RETURN, NO_RETURN, DONE, OPEN]
    assert (store.counts.no_return, store.counts.unmatched, store.counts.open) == (2, 0, 1)
