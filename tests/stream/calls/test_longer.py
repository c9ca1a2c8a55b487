"""Calls that took long, chosen as they arrive."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ktrace_nb.ir.calls import END, ENTRY, RETURN, THREAD
from ktrace_nb.stream.calls.longer import Longer
from ktrace_nb.stream.calls.records import RECORD

TOP = 0xFFFFFFFF


def record(
    kind: int, at: int, tid: int = 1, depth: int = 0, function: int = 0, cpu: int = 0
) -> NDArray[np.void]:
    made = np.zeros(1, RECORD)
    made["kind"], made["at"], made["tid"], made["cpu"] = kind, at, tid, cpu
    made["frame"], made["function"] = TOP - depth, function
    return made


def told(records: NDArray[np.void]) -> list[tuple[int, int, int]]:
    """Kind, time and depth of each."""
    return [(int(r["kind"]), int(r["at"]), int(r["depth"])) for r in records]


def test_a_call_comes_at_its_return_if_it_took_long_enough() -> None:
    batch = np.concatenate(
        [
            record(ENTRY, 0),
            record(ENTRY, 5, depth=1, function=1),
            record(RETURN, 14, depth=1, function=1),
            record(ENTRY, 20, depth=1, function=1),
            record(RETURN, 32, depth=1, function=1),
            record(RETURN, 40),
        ]
    )
    assert told(Longer(10).add(batch)) == [(ENTRY, 20, 1), (RETURN, 32, 1), (ENTRY, 0, 0), (RETURN, 40, 0)]


def test_what_tells_of_threads_stays_in_its_place() -> None:
    batch = np.concatenate([record(THREAD, 1), record(ENTRY, 2), record(RETURN, 9), record(END, 10)])
    assert [kind for kind, _, _ in told(Longer(5).add(batch))] == [THREAD, ENTRY, RETURN, END]
    assert [kind for kind, _, _ in told(Longer(50).add(batch))] == [THREAD, END]


def test_an_entry_waits_for_a_return_in_a_later_batch() -> None:
    longer = Longer(5)
    assert told(longer.add(record(ENTRY, 2))) == []
    assert told(longer.add(record(THREAD, 3))) == [(THREAD, 3, 0)]
    assert told(longer.add(record(RETURN, 9))) == [(ENTRY, 2, 0), (RETURN, 9, 0)]


def test_idle_threads_are_told_apart_by_their_cpus() -> None:
    batch = np.concatenate(
        [record(ENTRY, 0, 0), record(ENTRY, 1, 0, cpu=1), record(RETURN, 2, 0, cpu=1), record(RETURN, 9, 0)]
    )
    assert told(Longer(5).add(batch)) == [(ENTRY, 0, 0), (RETURN, 9, 0)]


def test_an_entry_without_a_return_is_counted_and_gone() -> None:
    longer = Longer(0)
    batch = np.concatenate([record(ENTRY, 0), record(ENTRY, 5), record(RETURN, 6)])
    assert told(longer.add(batch)) == [(ENTRY, 5, 0), (RETURN, 6, 0)]
    assert (longer.no_return, longer.unmatched) == (1, 0)


def test_a_return_without_an_entry_is_counted() -> None:
    longer = Longer(0)
    batch = np.concatenate([record(RETURN, 0), record(ENTRY, 5), record(RETURN, 6), record(RETURN, 7)])
    assert told(longer.add(batch)) == [(ENTRY, 5, 0), (RETURN, 6, 0)]
    assert (longer.no_return, longer.unmatched) == (0, 2)


@pytest.mark.parametrize("cut", range(5))
def test_a_thread_that_has_ended_makes_no_call_of_the_next_one_with_its_number(cut: int) -> None:
    longer = Longer(0)
    batch = np.concatenate([record(ENTRY, 1), record(END, 2), record(THREAD, 3), record(RETURN, 4)])
    found = [kind for part in (batch[:cut], batch[cut:]) for kind, _, _ in told(longer.add(part))]
    assert found == [END, THREAD]
    assert (longer.no_return, longer.unmatched) == (1, 1)


def test_calls_that_wait_at_the_end_are_counted() -> None:
    longer = Longer(0)
    longer.add(np.concatenate([record(ENTRY, 1), record(ENTRY, 2, depth=1), record(RETURN, 3, depth=1)]))
    assert longer.no_return == 0
    longer.finish()
    longer.finish()
    assert (longer.no_return, longer.unmatched) == (1, 0)


@given(
    st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.integers(1, 20)), max_size=60), st.integers(0, 40)
)
def test_it_chooses_what_a_stack_per_thread_would(steps: list[tuple[int, bool, int]], least: int) -> None:
    now, open_calls = 0, {1: [], 2: [], 3: []}  # type: tuple[int, dict[int, list[int]]]
    records, wanted = [np.zeros(0, RECORD)], []
    for tid, enters, took in steps:
        now += took
        stack = open_calls[tid]
        if enters:
            records.append(record(ENTRY, now, tid, len(stack)))
            stack.append(now)
        elif stack:
            begun = stack.pop()
            records.append(record(RETURN, now, tid, len(stack)))
            if now - begun >= least:
                wanted += [(ENTRY, begun, len(stack)), (RETURN, now, len(stack))]
    longer = Longer(least)
    half = len(records) // 2
    found = [*told(longer.add(np.concatenate(records[:half] or records[:1])))]
    found += told(longer.add(np.concatenate(records[half:])))
    assert found == wanted
    assert (longer.no_return, longer.unmatched) == (0, 0)
