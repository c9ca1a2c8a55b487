"""What the agent is told of a walk."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest

from ktrace_nb.errors import LoadError
from ktrace_nb.ir.calls import TRACKED, Focus, Traced, Walk
from ktrace_nb.stream.calls.run import WalkRun
from ktrace_nb.wire.frames import Message
from tests.stream.calls.test_outputs import make

WALK = Walk(functions=(Traced("a"),), focus=Focus(tracked=True))


class Machine:
    """Stands for an agent whose machine's processes change from list to list.

    Args:
        lists: Of each list the processes with their parents; the last is given again and again.
        refused: Of how many keys each change of a map refuses.
    """

    def __init__(self, lists: Iterator[dict[int, int]], refused: int = 0) -> None:
        self.lists = lists
        self.refused = refused
        self.tracked: list[set[int]] = []

    def __call__(self, op: str, blob: bytes = b"", **fields: Any) -> Message:
        if op == "threads":
            processes = next(self.lists)
            lines = (f"{process} {process} {parent} sh\n" for process, parent in processes.items())
            return Message(0, {}, "".join(lines).encode())
        ((_, name, count),) = fields["steps"]
        if name == TRACKED:
            self.tracked.append(set(struct.unpack(f"<{count}I", blob[: 4 * count])))
        return Message(0, {"monotonic_ns": 2000, "refused": self.refused}, b"")


def attach(machine: Machine, *processes: int) -> int:
    return WalkRun(WALK, make(WALK), machine, "s").attached({"monotonic_ns": 1000}, processes)


def test_a_process_that_has_a_new_child_in_every_list_is_tracked_and_that_is_all() -> None:
    def lists() -> Iterator[dict[int, int]]:
        processes = {1: 0, 7: 1}
        for child in range(100, 200):
            yield processes
            processes = {**processes, child: 7}

    machine = Machine(lists())
    attach(machine, 7)
    # 100 may have come before 7 was tracked; of 101 the kernel has told, and 100 has no children.
    assert machine.tracked == [{7}, {100}]


def test_a_child_of_a_child_that_came_between_two_lists_is_tracked() -> None:
    first, second, third = {7: 1}, {7: 1, 8: 7}, {7: 1, 8: 7, 9: 8}
    machine = Machine(iter([first, second, third, third, third]))
    attach(machine, 7)
    assert machine.tracked == [{7}, {8}, {9}]


def test_a_process_that_is_not_there_is_named_with_a_way_out() -> None:
    with pytest.raises(LoadError, match="there is no process 9") as caught:
        attach(Machine(iter([{7: 1}])), 7, 9)
    assert "-c COMMAND" in str(caught.value.hint)


def test_more_processes_than_the_kernel_takes_are_an_error_with_a_way_out() -> None:
    with pytest.raises(LoadError, match="1 of 2 processes") as caught:
        attach(Machine(iter([{7: 1, 8: 7}]), refused=1), 7)
    assert "leave -x out" in str(caught.value.hint)
