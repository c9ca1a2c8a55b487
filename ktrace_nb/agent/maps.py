"""Create the maps of a bundle and read them out whole."""

from __future__ import annotations

import errno
import mmap
import struct
from collections.abc import Iterable
from typing import NamedTuple

from ktrace_nb.agent import bpf
from ktrace_nb.agent.errors import AgentError
from ktrace_nb.wire import bundle as b

_SLACK = 64
"""Entries beyond max_entries: a map may hold a few more while it is being changed."""

_NO_BATCH = (524, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSPC)
"""The kernel's answers where a batch look-up does not work out; 524 is its internal ENOTSUPP."""


_MMAPABLE = 1 << 10  # BPF_F_MMAPABLE, since Linux 5.5


class Snapshot(NamedTuple):
    """All entries of a map at one moment."""

    entries: int
    keys: bytes
    values: bytes
    value_size: int
    """Bytes per value; for per-CPU maps and mapped arrays 8-byte aligned."""


class MappedArray:
    """An array that is read and written as memory, without a system call.

    Raises:
        OSError: The map was made without :data:`_MMAPABLE`.
    """

    def __init__(self, fd: int, definition: b.MapDef) -> None:
        self._entries = definition.max_entries
        # kernel/bpf/arraymap.c: elem_size = round_up(value_size, 8)
        self._stride = (definition.value_size + 7) & ~7
        self._keys = struct.pack(f"<{self._entries}I", *range(self._entries))
        both = mmap.PROT_READ | mmap.PROT_WRITE
        self._memory = mmap.mmap(fd, self._entries * self._stride, mmap.MAP_SHARED, both)

    def read(self) -> Snapshot:
        """Every entry."""
        return Snapshot(self._entries, self._keys, self._memory[:], self._stride)

    def clear(self) -> None:
        """Make every byte 0."""
        self._memory[:] = bytes(len(self._memory))

    def close(self) -> None:
        """Unmap."""
        self._memory.close()


class Words:
    """An array of numbers of 64 bits that programs read, written without a system call where that can be.

    Args:
        fd: The map.
        definition: What it is.
    """

    def __init__(self, fd: int, definition: b.MapDef) -> None:
        self._fd = fd
        self._memory: mmap.mmap | None = None
        self._words: memoryview | None = None
        try:
            self._memory = mmap.mmap(fd, 8 * definition.max_entries, mmap.MAP_SHARED, mmap.PROT_WRITE)
        except OSError:
            return  # a kernel without BPF_F_MMAPABLE
        # An aligned access through the cast is one store.
        self._words = memoryview(self._memory).cast("Q")

    def set(self, words: Iterable[tuple[int, int]]) -> None:
        """Write words, each with its row before it.

        Raises:
            AgentError: There is no such row.
        """
        for row, word in words:
            try:
                if self._words is not None:
                    self._words[row] = word
                else:
                    bpf.update(self._fd, struct.pack("<I", row), struct.pack("<Q", word))
            except (IndexError, struct.error, ValueError):
                raise AgentError("bad_request", f"no program has row {row!r}") from None

    def close(self) -> None:
        """Unmap."""
        if self._words is not None and self._memory is not None:
            self._words.release()
            self._memory.close()


def create(maps: tuple[b.MapDef, ...], btf_fd: int, cpus: int) -> dict[int, int]:
    """Create maps, inner ones first; gives descriptor by :attr:`MapDef.fd`.

    Raises:
        AgentError: ``map`` with the name of the map the kernel refused.
    """
    fds: dict[int, int] = {}
    inner = {m.inner_fd for m in maps}
    for definition in sorted(maps, key=lambda m: m.inner_fd != 0):
        common = (
            definition.type,
            definition.name,
            definition.key_size,
            definition.value_size,
            definition.max_entries or cpus,
            definition.flags | (_MMAPABLE if _can_be_mapped(definition, inner) else 0),
            fds.get(definition.inner_fd, 0),
        )
        typed = btf_fd and definition.btf_value
        try:
            try:
                types = (btf_fd, definition.btf_key, definition.btf_value) if typed else (0, 0, 0)
                fds[definition.fd] = bpf.create_map(*common, types)
            except OSError:
                if not typed:
                    raise
                # Not every type of map takes BTF on every kernel; names are lost, nothing else.
                fds[definition.fd] = bpf.create_map(*common)
        except OSError as error:
            raise AgentError.from_os(error, f"map {definition.name!r}", map=definition.name) from None
    return fds


def _can_be_mapped(definition: b.MapDef, inner: set[int]) -> bool:
    return definition.type == b.ARRAY and definition.key_size == 4 and definition.fd not in inner


def map_arrays(maps: tuple[b.MapDef, ...], fds: dict[int, int]) -> dict[int, MappedArray]:
    """The arrays that can be read as memory, by :attr:`MapDef.fd`."""
    found = {}
    for definition in maps:
        if definition.type == b.ARRAY:
            try:
                found[definition.fd] = MappedArray(fds[definition.fd], definition)
            except OSError:
                pass  # it is read by system calls
    return found


def read(fd: int, definition: b.MapDef, cpus: int) -> Snapshot:
    """Every entry of a map."""
    entries = definition.max_entries or cpus
    size = stride(definition, cpus)
    try:
        return Snapshot(*bpf.lookup_batch(fd, definition.key_size, size, entries + _SLACK), size)
    except OSError as error:
        if error.errno not in _NO_BATCH:
            raise
    return _walk(fd, definition, entries, size)


def take(fd: int, definition: b.MapDef, cpus: int, keys: bytes = b"") -> Snapshot:
    """Remove entries of a hash and give what they were, each read and removed in one step.

    Where the kernel has no such step (a whole map since Linux 5.6, one entry since
    5.14), what is added between the two is lost.

    Args:
        fd: The map.
        definition: What it is.
        cpus: Possible CPUs.
        keys: Which entries; by default all.
    """
    size = stride(definition, cpus)
    if keys:
        taken = {key: bpf.lookup_and_delete(fd, key, size) for key in _pieces(keys, definition.key_size)}
        found = {key: value for key, value in taken.items() if value is not None}
        return Snapshot(len(found), b"".join(found), b"".join(found.values()), size)
    command = bpf.MAP_LOOKUP_AND_DELETE_BATCH
    capacity = definition.max_entries + _SLACK
    try:
        return Snapshot(*bpf.lookup_batch(fd, definition.key_size, size, capacity, command), size)
    except OSError as error:
        if error.errno not in _NO_BATCH:
            raise
    snapshot = _walk(fd, definition, definition.max_entries, size)
    return take(fd, definition, cpus, snapshot.keys) if snapshot.entries else snapshot


def update(fd: int, definition: b.MapDef, cpus: int, keys: bytes, values: bytes) -> int:
    """Set entries; gives how many the kernel refused, as it does when a map is full."""
    refused = 0
    size = stride(definition, cpus)
    for key, value in zip(_pieces(keys, definition.key_size), _pieces(values, size)):
        try:
            bpf.update(fd, key, value)
        except OSError as error:
            if error.errno not in (errno.E2BIG, errno.ENOMEM, errno.EBUSY):
                raise
            refused += 1
    return refused


def delete(fd: int, definition: b.MapDef, keys: bytes) -> None:
    """Remove entries, those that are not there too."""
    for key in _pieces(keys, definition.key_size):
        bpf.delete(fd, key)


def clear(fd: int, definition: b.MapDef, cpus: int, array: MappedArray | None = None) -> None:
    """Make a map what it was when it was made; nobody may be changing it.

    Args:
        fd: The map.
        definition: What it is; of a type that the kernel lists.
        cpus: Possible CPUs.
        array: The map as memory, if it can be had so.
    """
    if array is not None:
        array.clear()
    elif definition.type in (b.ARRAY, b.PERCPU_ARRAY):
        nothing = bytes(stride(definition, cpus))
        for number in range(definition.max_entries or cpus):
            bpf.update(fd, struct.pack("<I", number), nothing)
    elif definition.type in (b.STACK_TRACE, b.LPM_TRIE):
        for key in bpf.walk_keys(fd, definition.key_size, definition.max_entries + _SLACK):
            bpf.delete(fd, key)
    else:
        # Where a bucket was too full for one step, what is left goes in the next.
        while take(fd, definition, cpus).entries:
            pass


def stride(definition: b.MapDef, cpus: int) -> int:
    """Bytes of a value in a system call: of a per-CPU map, those of all CPUs."""
    size = definition.value_size
    return (size + 7) // 8 * 8 * cpus if definition.type in b.PERCPU_TYPES else size


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def _walk(fd: int, definition: b.MapDef, entries: int, size: int) -> Snapshot:
    keys: list[bytes] = []
    values: list[bytes] = []
    for key in bpf.walk_keys(fd, definition.key_size, 2 * entries + _SLACK):
        value = bpf.lookup(fd, key, size)
        if value is not None:
            keys.append(key)
            values.append(value)
    # A walk starts over when the key it stands on is deleted; keep the last value of each.
    unique = dict(zip(keys, values))
    return Snapshot(len(unique), b"".join(unique), b"".join(unique.values()), size)
