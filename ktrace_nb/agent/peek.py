"""Reading the kernel's memory where no event is handled.

A small program fills slots of a mapped array: the notebook's side of each slot says
what is to be read, the program's side what was found there. It is attached to
nothing: ``BPF_PROG_TEST_RUN`` runs it, which raw tracepoint programs allow since
Linux 5.10 ("bpf: Enable BPF_PROG_TEST_RUN for raw_tracepoint").

Opcodes are those of ``include/uapi/linux/bpf_common.h`` and ``bpf.h``.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import NamedTuple

from ktrace_nb.agent import bpf
from ktrace_nb.agent.errors import AgentError

SLOTS = 32
"""Reads in one run of the program."""
HEAD = struct.Struct("<QIIq")
"""Of a slot: address, bytes, whether it is a string; and the helper's result."""
SLOT_SIZE = 1024
MOST = SLOT_SIZE - HEAD.size
"""Bytes that one slot reads; longer reads take several."""

_ARRAY = 2  # BPF_MAP_TYPE_ARRAY
_MMAPABLE = 1 << 10  # BPF_F_MMAPABLE
_RAW_TRACEPOINT = 17  # BPF_PROG_TYPE_RAW_TRACEPOINT
_LOOKUP, _READ, _READ_STRING = 1, 113, 115  # bpf_map_lookup_elem, bpf_probe_read_kernel, .._kernel_str

_LOAD_64, _LOAD_32, _STORE_64, _STORE_32 = 0x79, 0x61, 0x7B, 0x63  # BPF_LDX and BPF_STX, BPF_MEM
_MOVE, _SET, _ADD = 0xBF, 0xB7, 0x07  # of 64 bits: register, constant, plus constant
_JUMP, _IF_EQUAL, _IF_ABOVE, _IF_NOT, _IF_AT_LEAST = 0x05, 0x15, 0x25, 0x55, 0x3D
_CALL, _EXIT, _WIDE = 0x85, 0x95, 0x18  # the last loads 64 bits from two instructions
_MAP_FD = 1  # BPF_PSEUDO_MAP_FD


class Wanted(NamedTuple):
    """What is to be read."""

    address: int
    size: int
    """Bytes; of a string at most so many, its NUL included."""
    text: bool
    """Whether reading ends at a NUL."""


class Peek:
    """The program, loaded; holds two descriptors until it is closed.

    Args:
        most: Bytes that one slot reads, up to :data:`MOST`.

    Raises:
        AgentError: The kernel does not let memory be read in this way.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._fds: list[int] = []
        self._memory: mmap.mmap | None = None
        try:
            slots = bpf.create_map(_ARRAY, "ktrace_peek", 4, SLOT_SIZE, SLOTS, _MMAPABLE)
            self._fds.append(slots)
            self._memory = mmap.mmap(slots, SLOTS * SLOT_SIZE)
            self._program = bpf.load_program(_RAW_TRACEPOINT, "ktrace_peek", _program(slots), "GPL")
            self._fds.append(self._program)
        except (OSError, bpf.ProgramRefused) as error:
            self.close()
            raise _refused(error.errno or 0) from None

    def read(self, wanted: list[Wanted]) -> list[bytes | None]:
        """What is at each address; of a string without its NUL; None where it cannot be read."""
        found: list[bytes | None] = [b""] * len(wanted)
        waiting = list(range(len(wanted)))
        while waiting:
            turn = waiting[:SLOTS]
            pieces = [self._next_piece(wanted[i], len(found[i] or b"")) for i in turn]
            again = []
            for i, piece, data in zip(turn, pieces, self._run(pieces)):
                before = found[i]
                assert before is not None
                found[i] = None if data is None else before + data
                if data is not None and _goes_on(wanted[i], piece, before, data):
                    again.append(i)
            waiting = again + waiting[SLOTS:]
        return found

    def _next_piece(self, wanted: Wanted, done: int) -> Wanted:
        address = (wanted.address + done) & (1 << 64) - 1
        return Wanted(address, min(wanted.size - done, self._most), wanted.text)

    def _run(self, pieces: list[Wanted]) -> list[bytes | None]:
        memory = self._memory
        assert memory is not None
        for number, piece in enumerate(pieces):
            HEAD.pack_into(memory, number * SLOT_SIZE, *piece, 0)
        try:
            bpf.run_raw_tracepoint(self._program, struct.pack("<Q", len(pieces)))
        except OSError as error:
            raise _refused(error.errno or 0) from None
        return [_result(memory, number * SLOT_SIZE, piece) for number, piece in enumerate(pieces)]

    def close(self) -> None:
        """Unload it. Safe to call twice."""
        if self._memory:
            self._memory.close()
            self._memory = None
        for fd in self._fds:
            os.close(fd)
        self._fds = []


def _result(memory: mmap.mmap, at: int, piece: Wanted) -> bytes | None:
    """What was read into the slot at an offset."""
    result = HEAD.unpack_from(memory, at)[-1]
    if result < 0:
        return None
    # The helper for strings gives their length with the NUL, the other one 0.
    size = max(result - 1, 0) if piece.text else piece.size
    return memory[at + HEAD.size : at + HEAD.size + size]


def _goes_on(wanted: Wanted, piece: Wanted, before: bytes, data: bytes) -> bool:
    """Whether there is more to come of a read that does not fit in one slot."""
    whole = piece.size - piece.text  # a piece of a string has a NUL of its own
    return len(data) == whole and 0 < whole < wanted.size - wanted.text - len(before)


def _refused(number: int) -> AgentError:
    text = "this kernel does not let its memory be read outside of an event"
    return AgentError.from_os(OSError(number, os.strerror(number)), text)


def _program(slots: int) -> bytes:
    """Reads what the first slots of a map ask for; its context says how many."""
    return _assembled(
        (_LOAD_64, 7, 1, 0, 0),
        (_SET, 6, 0, 0, 0),
        "loop",
        (_IF_ABOVE, 6, 0, "end", SLOTS - 1),
        (_IF_AT_LEAST, 6, 7, "end", 0),
        (_STORE_32, 10, 6, -4, 0),
        (_MOVE, 2, 10, 0, 0),
        (_ADD, 2, 0, 0, -4),
        (_WIDE, 1, _MAP_FD, 0, slots),
        (0, 0, 0, 0, 0),
        (_CALL, 0, 0, 0, _LOOKUP),
        (_IF_EQUAL, 0, 0, "end", 0),
        (_MOVE, 8, 0, 0, 0),
        (_LOAD_64, 3, 8, 0, 0),
        (_LOAD_32, 2, 8, 8, 0),
        (_IF_ABOVE, 2, 0, "next", MOST),
        (_LOAD_32, 4, 8, 12, 0),
        (_MOVE, 1, 8, 0, 0),
        (_ADD, 1, 0, 0, HEAD.size),
        (_IF_NOT, 4, 0, "string", 0),
        (_CALL, 0, 0, 0, _READ),
        (_JUMP, 0, 0, "done", 0),
        "string",
        (_CALL, 0, 0, 0, _READ_STRING),
        "done",
        (_STORE_64, 8, 0, 16, 0),
        "next",
        (_ADD, 6, 0, 0, 1),
        (_JUMP, 0, 0, "loop", 0),
        "end",
        (_SET, 0, 0, 0, 0),
        (_EXIT, 0, 0, 0, 0),
    )


def _assembled(*lines: tuple[int, int, int, int | str, int] | str) -> bytes:
    """Instructions from ``(opcode, destination, source, offset or label, constant)`` and labels."""
    labels: dict[str, int] = {}
    instructions: list[tuple[int, int, int, int | str, int]] = []
    for line in lines:
        if isinstance(line, str):
            labels[line] = len(instructions)
        else:
            instructions.append(line)
    code = b""
    for at, (opcode, destination, source, offset, constant) in enumerate(instructions):
        distance = labels[offset] - at - 1 if isinstance(offset, str) else offset
        code += struct.pack("<BBhi", opcode, destination | source << 4, distance, constant)
    return code
