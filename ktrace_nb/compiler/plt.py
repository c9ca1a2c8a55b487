"""Redirect calls that a shared library makes through its own relocations.

libbcc creates maps and loads types while it compiles. Its calls go through
slots of its global offset table; here a slot is pointed at a Python function
instead, in this process only. ELF-64, little-endian.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from typing import Any

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_PLTRELSZ, _DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_RELASZ, _DT_JMPREL = 2, 5, 6, 7, 8, 23
# Relocations that hold a function's address: R_X86_64_GLOB_DAT and JUMP_SLOT, R_AARCH64 likewise.
_SLOT_TYPES = (6, 7, 1025, 1026)


def loaded_library(prefix: str) -> tuple[int, str]:
    """Base address and path of a library of this process, by the beginning of its file name.

    Raises:
        OSError: It is not loaded.
    """
    with open("/proc/self/maps") as maps:
        for line in maps:
            fields = line.split()
            if len(fields) > 5 and int(fields[2], 16) == 0 and os.path.basename(fields[5]).startswith(prefix):
                return int(fields[0].split("-")[0], 16), fields[5]
    raise OSError(f"{prefix} is not loaded")


def slots(path: str, names: set[str]) -> dict[str, list[int]]:
    """Where a library keeps the addresses of functions it calls, relative to its base."""
    with open(path, "rb") as file:
        data = file.read()
    (phoff,) = struct.unpack_from("<Q", data, 32)
    phentsize, phnum = struct.unpack_from("<HH", data, 54)
    segments: list[tuple[int, int, int]] = []
    dynamic: dict[int, int] = {}
    for i in range(phnum):
        kind, _, offset, address, _, size = struct.unpack_from("<IIQQQQ", data, phoff + i * phentsize)
        if kind == _PT_LOAD:
            segments.append((address, offset, size))
        elif kind == _PT_DYNAMIC:
            dynamic.update(struct.iter_unpack("<QQ", data[offset : offset + size // 16 * 16]))

    def place(address: int) -> int:
        for start, offset, size in segments:
            if start <= address < start + size:
                return address - start + offset
        raise ValueError(f"{path}: address {address:#x} is in no segment")

    symbols, strings = place(dynamic[_DT_SYMTAB]), place(dynamic[_DT_STRTAB])
    found: dict[str, list[int]] = {}
    for table, length in ((_DT_JMPREL, _DT_PLTRELSZ), (_DT_RELA, _DT_RELASZ)):
        if table not in dynamic:
            continue
        start = place(dynamic[table])
        for offset, info, _ in struct.iter_unpack("<QQq", data[start : start + dynamic[length]]):
            if info & 0xFFFFFFFF in _SLOT_TYPES:
                (name_offset,) = struct.unpack_from("<I", data, symbols + 24 * (info >> 32))
                at = strings + name_offset
                name = data[at : data.index(b"\0", at)].decode()
                if name in names:
                    found.setdefault(name, []).append(offset)
    return found


def redirect(library: str, functions: dict[str, Any]) -> None:
    """Make a library call ctypes callbacks instead of the functions of these names.

    The callbacks must live as long as the library is used.

    Raises:
        OSError: The library does not call one of them through a slot, or its
            memory cannot be made writable.
    """
    base, path = loaded_library(library)
    places = slots(path, set(functions))
    missing = sorted(set(functions) - set(places))
    if missing:
        raise OSError(f"{path} does not call {', '.join(missing)} through its relocations")
    libc = ctypes.CDLL(None, use_errno=True)
    for name, offsets in places.items():
        for offset in offsets:
            slot = base + offset
            page = slot & -mmap.PAGESIZE
            length = ctypes.c_size_t(slot + 8 - page)
            # Full RELRO leaves the table read-only after start-up.
            if libc.mprotect(ctypes.c_void_p(page), length, mmap.PROT_READ | mmap.PROT_WRITE):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            target = ctypes.cast(functions[name], ctypes.c_void_p).value
            ctypes.c_void_p.from_address(slot).value = target
