"""Reading this machine's kernel: its types, which it also shows as a file, are the second source."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ktrace_nb.agent.errors import AgentError
from ktrace_nb.agent.peek import MOST, SLOTS, Peek, Wanted
from tests.kernel_facts.prove_layout import HOST_BTF

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may read the kernel's memory")

NOT_MAPPED = 0x10
"""In the first page, which nobody has."""


@pytest.fixture(scope="module")
def types() -> tuple[int, bytes]:
    """Where the kernel has its types, and what they are."""
    lines = Path("/proc/kallsyms").read_text().splitlines()
    address = next(int(line.split()[0], 16) for line in lines if line.split()[2] == "__start_BTF")
    return address, HOST_BTF.read_bytes()


@pytest.fixture
def peek() -> Iterator[Peek]:
    made = Peek()
    yield made
    made.close()


def test_bytes_are_those_the_kernel_has(peek: Peek, types: tuple[int, bytes]) -> None:
    address, data = types
    assert peek.read([Wanted(address + 3, 8, False)]) == [data[3:11]]


@pytest.mark.parametrize("size", [0, 1, MOST - 1, MOST, MOST + 1, 2 * MOST, 5000])
def test_reads_of_any_length_are_whole(peek: Peek, types: tuple[int, bytes], size: int) -> None:
    address, data = types
    assert peek.read([Wanted(address, size, False)]) == [data[:size]]


def test_a_string_ends_at_its_nul_or_where_it_is_cut(peek: Peek, types: tuple[int, bytes]) -> None:
    address, data = types
    at = address + data.index(b"\0task_struct\0") + 1
    wanted = [Wanted(at, size, True) for size in (4096, 12, 11, 5, 1)]
    assert peek.read(wanted) == [b"task_struct", b"task_struct", b"task_struc", b"task", b""]


@pytest.mark.parametrize("most", [2, 3, 5, 11, 12, 13])
def test_long_strings_are_read_in_pieces(types: tuple[int, bytes], most: int) -> None:
    address, data = types
    at = address + data.index(b"\0task_struct\0") + 1
    peek = Peek(most)
    wanted = [Wanted(at, 4096, True), Wanted(at, 11, True), Wanted(at, 12, True)]
    assert peek.read(wanted) == [b"task_struct", b"task_struc", b"task_struct"]
    peek.close()


def test_an_address_without_memory_spoils_only_its_own_read(peek: Peek, types: tuple[int, bytes]) -> None:
    address, data = types
    wanted = [Wanted(NOT_MAPPED, 8, False), Wanted(address, 4, False), Wanted(NOT_MAPPED, 8, True)]
    assert peek.read(wanted) == [None, data[:4], None]


def test_more_reads_than_fit_in_one_run_keep_their_order(peek: Peek, types: tuple[int, bytes]) -> None:
    address, data = types
    places = range(3 * SLOTS + 1)
    found = peek.read([Wanted(address + 7 * n, 1500 if n % 5 == 0 else 9, False) for n in places])
    assert found == [data[7 * n :][: 1500 if n % 5 == 0 else 9] for n in places]


def test_memory_of_a_process_is_not_read(peek: Peek) -> None:
    import ctypes

    own = ctypes.create_string_buffer(b"mine")
    assert peek.read([Wanted(ctypes.addressof(own), 4, False)]) == [None]


def test_closing_leaves_no_descriptor() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    made = Peek()
    made.read([Wanted(NOT_MAPPED, 1, False)])
    made.close()
    made.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_without_privilege_it_is_refused_in_words() -> None:
    child = os.fork()
    if not child:
        os.setresuid(65534, 65534, 65534)
        try:
            Peek()
        except AgentError as error:
            os._exit(
                0 if "does not let its memory be read" in error.message and "EPERM" in error.message else 2
            )
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
