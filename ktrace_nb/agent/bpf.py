"""bpf(2), through ctypes.

Field order and sizes of ``union bpf_attr`` are those of
``include/uapi/linux/bpf.h``; names are the kernel's.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

_SYSCALLS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361}
_libc = ctypes.CDLL(None, use_errno=True)

# enum bpf_cmd
MAP_CREATE, MAP_LOOKUP_ELEM, MAP_UPDATE_ELEM, MAP_DELETE_ELEM, MAP_GET_NEXT_KEY, PROG_LOAD = 0, 1, 2, 3, 4, 5
PROG_TEST_RUN, MAP_LOOKUP_AND_DELETE_ELEM = 10, 21
OBJ_GET_INFO_BY_FD, RAW_TRACEPOINT_OPEN, BTF_LOAD, BTF_GET_FD_BY_ID, BTF_GET_NEXT_ID = 15, 17, 18, 19, 23
MAP_LOOKUP_BATCH, MAP_LOOKUP_AND_DELETE_BATCH, LINK_CREATE, ENABLE_STATS = 24, 25, 28, 32

LOG_SIZES = (1 << 18, 1 << 24)
"""Sizes of the verifier's log buffer in bytes, tried in turn."""


class Buffer:
    """Memory whose address goes into a system call; lives as long as the object."""

    def __init__(self, data: bytes = b"", size: int = 0) -> None:
        self._memory = ctypes.create_string_buffer(data, max(size, len(data), 1))
        self.address = ctypes.addressof(self._memory)

    def bytes(self, length: int) -> bytes:
        """The first ``length`` bytes."""
        return ctypes.string_at(self.address, length)


def bpf(command: int, attr: bytes) -> tuple[int, bytes]:
    """Call bpf(2); gives its result and the attribute block as the kernel left it.

    Raises:
        OSError: The kernel refused.
    """
    block = Buffer(attr)
    result = _libc.syscall(_SYSCALLS[os.uname().machine], command, ctypes.c_void_p(block.address), len(attr))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result, block.bytes(len(attr))


def load_btf(data: bytes) -> int:
    """Load a program's BTF; gives its descriptor."""
    blob = Buffer(data)
    return bpf(BTF_LOAD, struct.pack("<QQIII", blob.address, 0, len(data), 0, 0))[0]


def create_map(
    type_: int,
    name: str,
    key_size: int,
    value_size: int,
    max_entries: int,
    flags: int = 0,
    inner_fd: int = 0,
    btf: tuple[int, int, int] = (0, 0, 0),
) -> int:
    """Create a map; ``btf`` is a BTF descriptor and the type ids of key and value."""
    attr = struct.pack(
        "<7I16sI3I", type_, key_size, value_size, max_entries, flags, inner_fd, 0, _name(name), 0, *btf
    )
    return bpf(MAP_CREATE, attr)[0]


def _name(name: str) -> bytes:
    """A BPF object's name: at most 15 characters of ``[A-Za-z0-9_.]``."""
    return "".join(c if c.isalnum() or c in "_." else "_" for c in name)[:15].encode("ascii", "replace")


class ProgramRefused(Exception):  # noqa: N818 (named for what happened)
    """The kernel did not load a program; carries the errno and the verifier's log."""

    def __init__(self, number: int, log: str) -> None:
        super().__init__(os.strerror(number))
        self.errno = number
        self.log = log


def load_program(
    type_: int,
    name: str,
    insns: bytes,
    license_: str,
    kern_version: int = 0,
    flags: int = 0,
    attach_type: int = 0,
    btf_fd: int = 0,
    func_info: tuple[bytes, int] = (b"", 0),
    line_info: tuple[bytes, int] = (b"", 0),
    attach_btf_id: int = 0,
    attach_btf_fd: int = 0,
) -> int:
    """Load a program; without a log first, because a log slows the verifier.

    Raises:
        ProgramRefused: With the verifier's log, empty if it did not get that far.
    """
    code, text, funcs, lines = (
        Buffer(insns),
        Buffer(license_.encode() + b"\0"),
        Buffer(func_info[0]),
        Buffer(line_info[0]),
    )
    counts = [len(data) // size if size and btf_fd else 0 for data, size in (func_info, line_info)]

    def attempt(log: Buffer | None, log_size: int) -> int:
        attr = struct.pack(
            "<IIQQIIQII16sIIIIQIIQIII",
            type_, len(insns) // 8, code.address, text.address,
            1 if log else 0, log_size, log.address if log else 0,
            kern_version, flags, _name(name), 0, attach_type, btf_fd,
            func_info[1] if counts[0] else 0, funcs.address if counts[0] else 0, counts[0],
            line_info[1] if counts[1] else 0, lines.address if counts[1] else 0, counts[1],
            attach_btf_id, attach_btf_fd,
        )  # fmt: skip
        return bpf(PROG_LOAD, attr)[0]

    try:
        return attempt(None, 0)
    except OSError as error:
        number = error.errno or 0
    if number == errno.EPERM:
        raise ProgramRefused(number, "")
    for size in LOG_SIZES:
        log = Buffer(size=size)
        try:
            return attempt(log, size)
        except OSError as error:
            number = error.errno or 0
            written = log.bytes(size).split(b"\0", 1)[0].decode("utf-8", "replace")
            if number != errno.ENOSPC:
                break
    raise ProgramRefused(number, written)


def module_btf_fd(module: str) -> int:
    """A descriptor of a kernel module's BTF, which fentry in a module needs.

    Raises:
        OSError: ENOENT if the module is not loaded or has no BTF.
    """
    id_ = 0
    while True:
        id_ = struct.unpack_from("<4xI", bpf(BTF_GET_NEXT_ID, struct.pack("<III", id_, 0, 0))[1])[0]
        fd = bpf(BTF_GET_FD_BY_ID, struct.pack("<III", id_, 0, 0))[0]
        name = Buffer(size=64)
        # struct bpf_btf_info: btf, btf_size, id, name, name_len, kernel_btf
        info = Buffer(struct.pack("<QIIQII", 0, 0, 0, name.address, 64, 0))
        bpf(OBJ_GET_INFO_BY_FD, struct.pack("<IIQ", fd, 32, info.address))
        if (
            name.bytes(64).split(b"\0")[0].decode() == module
            and struct.unpack_from("<28xI", info.bytes(32))[0]
        ):
            return fd
        os.close(fd)


def open_raw_tracepoint(program_fd: int, name: str | None) -> int:
    """Attach to a raw tracepoint; without a name to what the program was loaded for."""
    text = Buffer(name.encode() + b"\0") if name else None
    return bpf(RAW_TRACEPOINT_OPEN, struct.pack("<QI", text.address if text else 0, program_fd))[0]


def run_raw_tracepoint(program_fd: int, context: bytes) -> None:
    """Run a raw tracepoint program once, here and now (kernels since 5.10).

    Raises:
        OSError: EINVAL or ENOTSUPP on kernels that cannot.
    """
    given = Buffer(context)
    attr = struct.pack(
        "<4I2Q4I2Q4I",
        program_fd, 0, 0, 0,  # retval, sizes of data
        0, 0,  # data
        0, 0, len(context), 0,  # repeat, duration, sizes of contexts
        given.address, 0,  # contexts in and out
        0, 0, 0, 0,  # flags, cpu, batch_size
    )  # fmt: skip
    bpf(PROG_TEST_RUN, attr)


def enable_run_stats() -> int:
    """Count runs and run time of every program while the descriptor is open."""
    return bpf(ENABLE_STATS, struct.pack("<I", 0))[0]


def lookup(fd: int, key: bytes, value_size: int) -> bytes | None:
    """One value, None if the key is absent."""
    k, v = Buffer(key), Buffer(size=value_size)
    try:
        bpf(MAP_LOOKUP_ELEM, struct.pack("<IIQQQ", fd, 0, k.address, v.address, 0))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    return v.bytes(value_size)


def update(fd: int, key: bytes, value: bytes) -> None:
    """Set one value."""
    k, v = Buffer(key), Buffer(value)
    bpf(MAP_UPDATE_ELEM, struct.pack("<IIQQQ", fd, 0, k.address, v.address, 0))


def delete(fd: int, key: bytes) -> bool:
    """Remove one entry; whether it was there."""
    k = Buffer(key)
    try:
        bpf(MAP_DELETE_ELEM, struct.pack("<IIQQQ", fd, 0, k.address, 0, 0))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise
    return True


def lookup_and_delete(fd: int, key: bytes, value_size: int) -> bytes | None:
    """Remove one entry and give its value, None if it is not there."""
    k, v = Buffer(key), Buffer(size=value_size)
    try:
        bpf(MAP_LOOKUP_AND_DELETE_ELEM, struct.pack("<IIQQQ", fd, 0, k.address, v.address, 0))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, 524):
            raise
        value = lookup(fd, key, value_size)
        return value if delete(fd, key) else None
    return v.bytes(value_size)


def walk_keys(fd: int, key_size: int, limit: int) -> list[bytes]:
    """Keys by repeated MAP_GET_NEXT_KEY, for maps without batch look-up."""
    keys: list[bytes] = []
    at: Buffer | None = None
    while len(keys) < limit:
        following = Buffer(size=key_size)
        try:
            bpf(MAP_GET_NEXT_KEY, struct.pack("<IIQQ", fd, 0, at.address if at else 0, following.address))
        except OSError as error:
            if error.errno == errno.ENOENT:
                break
            raise
        keys.append(following.bytes(key_size))
        at = following
    return keys


def lookup_batch(
    fd: int, key_size: int, value_size: int, capacity: int, command: int = MAP_LOOKUP_BATCH
) -> tuple[int, bytes, bytes]:
    """Every entry of a map: how many, their keys, their values.

    Args:
        fd: The map.
        key_size: Bytes of a key.
        value_size: Bytes of a value, of all CPUs together.
        capacity: Entries to make room for.
        command: ``MAP_LOOKUP_AND_DELETE_BATCH`` takes the entries out of the map as it reads them.

    Raises:
        OSError: The kernel has no batch look-up for this type of map.
    """
    keys, values = Buffer(size=key_size * capacity), Buffer(size=value_size * capacity)
    token_size = max(8, key_size)
    token, following = Buffer(size=token_size), Buffer(size=token_size)
    done, step, first = 0, capacity, True
    while done < capacity:
        attr = struct.pack(
            "<QQQQIIQQ",
            0 if first else token.address, following.address,
            keys.address + done * key_size, values.address + done * value_size,
            min(step, capacity - done), fd, 0, 0,
        )  # fmt: skip
        block = Buffer(attr)
        result = _libc.syscall(
            _SYSCALLS[os.uname().machine], command, ctypes.c_void_p(block.address), len(attr)
        )
        number = ctypes.get_errno() if result < 0 else 0
        if number == errno.ENOSPC:
            # One bucket of the hash holds more than is left of the step.
            if min(step, capacity - done) == capacity - done:
                if done and command == MAP_LOOKUP_AND_DELETE_BATCH:
                    break  # what was read is gone from the map; what is left stays there
                raise OSError(number, os.strerror(number))
            step *= 2
            continue
        if number not in (0, errno.ENOENT):
            raise OSError(number, os.strerror(number))
        done += struct.unpack_from("<32xI", block.bytes(40))[0]
        token, following, first = following, Buffer(size=token_size), False
        if number == errno.ENOENT:
            break
    return done, keys.bytes(done * key_size), values.bytes(done * value_size)
