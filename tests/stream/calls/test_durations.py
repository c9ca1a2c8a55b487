"""How much of a call is its own: the numbers are worked out by hand."""

from __future__ import annotations

import numpy as np

from ktrace_nb.ir.calls import ENTRY, RETURN
from ktrace_nb.stream.calls.frames import calls_frame, functions_frame
from ktrace_nb.stream.calls.records import RECORD
from ktrace_nb.stream.calls.store import CallStore

IRQ_STACK = 1 << 20


def store_of(*rows: tuple[int, int, int, int]) -> CallStore:
    """Records of one thread in the order of the ring: kind, function, frame, time."""
    records = np.zeros(len(rows), RECORD)
    records["tid"] = 7
    for name, column in zip(("kind", "function", "frame", "at"), zip(*rows, strict=True), strict=True):
        records[name] = column
    store = CallStore(["outer", "handler", "inner"])
    store.add(records)
    return store


def test_a_handler_that_ran_while_the_entry_was_written_takes_nothing_of_the_call() -> None:
    # The handler came between the record's place in the ring and its time: from 1000 to 1900,
    # and the call is from 2000 to 2100.
    store = store_of(
        (ENTRY, 0, 900, 2000),
        (ENTRY, 1, IRQ_STACK, 1000),
        (RETURN, 1, IRQ_STACK, 1900),
        (RETURN, 0, 900, 2100),
    )
    calls = calls_frame(store)
    assert calls["parent"].tolist() == [-1, 0]
    assert calls["duration_ns"].tolist() == [100, 900]
    assert calls["self_ns"].tolist() == [100, 900]


def test_a_handler_counts_as_far_as_it_lies_within_the_call() -> None:
    # Of 1000 to 2030 the last 30 are within 2000 to 2100; of 2090 to 2500 the first 10.
    store = store_of(
        (ENTRY, 0, 900, 2000),
        (ENTRY, 1, IRQ_STACK, 1000),
        (RETURN, 1, IRQ_STACK, 2030),
        (ENTRY, 2, 800, 2040),
        (RETURN, 2, 800, 2045),
        (ENTRY, 1, IRQ_STACK, 2090),
        (RETURN, 1, IRQ_STACK, 2500),
        (RETURN, 0, 900, 2100),
    )
    assert calls_frame(store)["self_ns"].tolist() == [100 - 30 - 5 - 10, 1030, 5, 410]
    assert functions_frame(store)["self_ns"].to_dict() == {"outer": 55, "handler": 1440, "inner": 5}
    assert "(self 55 ns)" in store.tell(0)


def test_a_call_that_is_open_takes_what_its_inner_calls_took() -> None:
    store = store_of((ENTRY, 0, 900, 2000), (ENTRY, 2, 800, 2040), (RETURN, 2, 800, 2045))
    assert calls_frame(store)["self_ns"].isna().tolist() == [True, False]
    assert calls_frame(store)["self_ns"].iloc[1] == 5
