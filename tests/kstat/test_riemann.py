"""Sums of stamps against the form that kstat has: a step at each change of state."""

from __future__ import annotations

import random
from dataclasses import dataclass
from importlib import resources
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.kstat.riemann import QueueTimes, RiemannQueue
from ktrace_nb.kstat.riemann_sums import FIELDS, added, is_whole, lengths, signed, times_of, weight

Visit: TypeAlias = tuple[int, int | None]
"""When something enters, and when it leaves; None if it has not."""

UPTIME = 40 * 86400 * 10**9


@dataclass
class StateChanges:
    """``kstat_waitq_enter`` and ``kstat_waitq_exit`` of kstat_queue(9F), as the source document has them."""

    count: int = 0
    last: int = 0
    length_time: int = 0
    busy_time: int = 0

    def change(self, by: int, now: int) -> None:
        delta, self.last = now - self.last, now
        if self.count:
            self.length_time += delta * self.count
            self.busy_time += delta
        self.count += by


def by_state_changes(visits: list[Visit], now: int) -> QueueTimes:
    """What kstat would tell at a moment."""
    changes = [(entered, 1) for entered, _ in visits]
    changes += [(left, -1) for _, left in visits if left is not None]
    kstat = StateChanges()
    # Entering goes first where times are equal: nothing can leave before it has entered.
    for at, by in sorted(changes, key=lambda change: (change[0], -change[1])):
        kstat.change(by, at)
    last = kstat.last
    kstat.change(0, now)
    return QueueTimes(
        at_ns=now,
        length=kstat.count,
        length_ns=kstat.length_time,
        busy_ns=kstat.busy_time,
        left=sum(left is not None for _, left in visits),
        last_ns=last,
    )


@st.composite
def traces(draw: st.DrawFn) -> tuple[list[Visit], int]:
    """Visits of a queue, some still inside at the moment that is given with them."""
    begin = draw(st.sampled_from([0, UPTIME, 2**62]))
    visits: list[Visit] = []
    for entered, stay, stays in draw(
        st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40), st.booleans()), max_size=30)
    ):
        visits.append((begin + entered, None if stays else begin + entered + stay))
    return visits, begin + 100 + draw(st.integers(0, 1000))


@given(traces())
def test_sums_of_stamps_are_what_kstat_sums_at_each_change(trace: tuple[list[Visit], int]) -> None:
    visits, now = trace
    queue = RiemannQueue()
    changes = [(entered, 0) for entered, _ in visits] + [(left, 1) for _, left in visits if left is not None]
    for at, leaves in sorted(changes):
        if leaves:
            queue.leave(at)
        else:
            queue.enter(at)
    assert queue.at(now) == by_state_changes(visits, now)


@given(traces(), st.randoms(use_true_random=False))
def test_all_visits_at_once_give_the_same_in_any_order(
    trace: tuple[list[Visit], int], chance: random.Random
) -> None:
    visits, now = trace
    chance.shuffle(visits)
    queue = RiemannQueue.of([entered for entered, _ in visits], [left for _, left in visits])
    assert queue.at(now) == by_state_changes(visits, now)


class Cpus:
    """What riemann.h does, on several CPUs and with words of 64 bits."""

    def __init__(self, count: int) -> None:
        self.sums = [dict.fromkeys((*FIELDS, "check", "last"), 0) for _ in range(count)]
        self.length = 0

    def change(self, cpu: int, by: int, now: int) -> list[tuple[str, int]]:
        """What a program adds, one by one."""
        before, self.length = self.length, self.length + by
        adds = {"inside": by, "stamps": -by * now, "left": int(by < 0)}
        if before == (0 if by > 0 else 1):
            adds.update(busy=by, busy_stamps=-by * now)
        check = sum(value * weight(FIELDS.index(name)) for name, value in adds.items())
        self.sums[cpu]["last"] = now
        return [*adds.items(), ("check", check)]

    def add(self, cpu: int, adds: list[tuple[str, int]]) -> None:
        for name, value in adds:
            self.sums[cpu][name] = (self.sums[cpu][name] + value) % 2**64


@given(traces(), st.randoms(use_true_random=False))
def test_sums_that_cpus_keep_apart_give_the_same_together(
    trace: tuple[list[Visit], int], chance: random.Random
) -> None:
    visits, now = trace
    cpus = Cpus(4)
    changes = [(entered, 0) for entered, _ in visits] + [(left, 1) for _, left in visits if left is not None]
    for at, leaves in sorted(changes):
        cpu = chance.randrange(4)
        cpus.add(cpu, cpus.change(cpu, -1 if leaves else 1, at))
    assert all(is_whole(sums) for sums in cpus.sums)
    assert is_whole(added(cpus.sums))
    assert times_of(added(cpus.sums), now) == by_state_changes(visits, now)


@given(st.integers(0, 2**62), st.integers(1, 4), st.booleans())
def test_a_copy_that_caught_a_program_at_work_is_known_by_its_check(
    now: int, done: int, leaves: bool
) -> None:
    cpus = Cpus(1)
    for at in (5, 9):
        cpus.add(0, cpus.change(0, 1, at))
    adds = [one for one in cpus.change(0, -1 if leaves else 1, now + 10) if one[1]]
    some = adds[:done] if done < len(adds) else adds[1:]
    cpus.add(0, some)
    assert not is_whole(cpus.sums[0])


def test_the_picture_of_the_document_has_the_area_it_shows() -> None:
    # kstat(9S), "i1" to "i4": a length of 2, 6, 4 and 8 from t1 to t5, here ten nanoseconds each.
    steps = {10: 2, 20: 6, 30: 4, 40: 8, 50: 0}
    queue, length = RiemannQueue(), 0
    for at, wanted in steps.items():
        for _ in range(wanted - length):
            queue.enter(at)
        for _ in range(length - wanted):
            queue.leave(at)
        length = wanted
    times = queue.at(60)
    assert (times.length_ns, times.busy_ns, times.left, times.length) == (200, 40, 10, 0)


def test_an_interval_tells_what_iostat_shows() -> None:
    # Two calls of 30 and 50 ns in 100 ns, which overlap by 20.
    queue = RiemannQueue.of([1000, 1010], [1030, 1060])
    between = queue.at(1100).since(QueueTimes(at_ns=1000))
    assert between.length == pytest.approx(0.8)
    assert between.busy == pytest.approx(0.6)
    assert between.stay_ns == pytest.approx(40)
    assert between.per_s == pytest.approx(2 / 100e-9)


def test_no_time_and_nothing_that_left_are_zeros_not_errors() -> None:
    now = QueueTimes(at_ns=5)
    between = now.since(now)
    assert (between.length, between.busy, between.stay_ns, between.per_s) == (0, 0, 0, 0)


def test_columns_of_frames_are_taken_as_they_are() -> None:
    entered = pd.Series([10, 20, 30], dtype="uint64")
    as_missing: list[Any] = [
        pd.Series([15, None, 45], dtype="Int64"),
        pd.Series([15.0, np.nan, 45.0]),
        [15, None, 45],
    ]
    for left in as_missing:
        times = RiemannQueue.of(entered, left).at(50)
        assert (times.length, times.length_ns, times.busy_ns) == (1, 5 + 30 + 15, 5 + 30)
    assert RiemannQueue.of([], []).at(7) == QueueTimes(at_ns=7)


def test_sums_beyond_64_bits_are_exact() -> None:
    begin = 2**62
    times = RiemannQueue.of([begin] * 1000, [begin + 3] * 1000).at(begin + 10)
    assert (times.length_ns, times.busy_ns) == (3000, 3)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="none is inside"):
        RiemannQueue().leave(5)
    with pytest.raises(ValueError, match="left before it entered"):
        RiemannQueue.of([10], [9])
    with pytest.raises(ValueError, match="times of entering"):
        RiemannQueue.of([10, 11], [12])
    with pytest.raises(ValueError, match="missing"):
        RiemannQueue.of([10, None], [12, None])


def test_weights_are_odd_and_all_different() -> None:
    weights = [weight(field) for field in range(32)]
    assert len(set(weights)) == 32
    assert all(number % 2 and 0 < number < 2**64 for number in weights)


def test_fields_are_those_of_the_header_in_their_order() -> None:
    text = (resources.files("ktrace_nb.codegen") / "riemann.h").read_text()
    struct = text[text.index("struct riemann {\n") :].split("}")[0]
    members = [line.split()[1].rstrip(";") for line in struct.splitlines()[1:] if line.strip()]
    assert members == [*FIELDS, "check", "last"]


def test_a_word_has_its_sign() -> None:
    assert [signed(word) for word in (0, 1, 2**63 - 1, 2**63, 2**64 - 1)] == [
        0, 1, 2**63 - 1, -(2**63), -1,
    ]  # fmt: skip


def _session(rows: list[tuple[str, int, dict[str, int]]], at_ns: int) -> Any:
    index = pd.MultiIndex.from_tuples([(server, cpu) for server, cpu, _ in rows], names=["server", "cpu"])
    frame = pd.DataFrame([row for *_, row in rows], index=index, dtype="uint64")
    return SimpleNamespace(
        frame=lambda name, per_cpu: frame, outputs=SimpleNamespace(snapshot_ns=lambda name: at_ns)
    )


def test_queues_of_a_session_are_read_by_their_keys() -> None:
    near, far = Cpus(2), Cpus(2)
    near.add(0, near.change(0, 1, 100))
    near.add(1, near.change(1, -1, 130))
    far.add(1, far.change(1, 1, 110))
    rows = [
        ("near", 0, near.sums[0]),
        ("near", 1, near.sums[1]),
        ("far", 0, far.sums[0]),
        ("far", 1, far.sums[1]),
    ]
    table = lengths(_session(rows, 150), "calls")
    assert table.index.tolist() == ["near", "far"]
    assert table.to_numpy().tolist()[0] == [0, 30, 30, 1, 130]
    assert table.to_numpy().tolist()[1] == [1, 40, 40, 0, 110]
    assert table.attrs["at_ns"] == 150
    assert set(map(str, table.dtypes)) == {"Int64"}


def test_a_queue_that_a_program_was_at_is_missing_until_it_is_read_again() -> None:
    torn = Cpus(1)
    torn.add(0, torn.change(0, 1, 100)[:1])
    table = lengths(_session([("here", 0, torn.sums[0])], 150), "calls")
    assert table.loc["here"].isna().all()


def test_a_map_of_something_else_is_no_queue() -> None:
    with pytest.raises(KeyError, match="no map of struct riemann"):
        lengths(_session([("here", 0, {"value": 1})], 150), "calls")
