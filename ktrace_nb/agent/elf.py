"""What uprobes and USDT need to know of an ELF file: symbols, offsets, notes.

64-bit little-endian files, as the kernels we trace run them. Formats: ELF-64
Object File Format; for ``.note.stapsdt`` the SystemTap wiki page
"UserSpaceProbeImplementation".
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from ktrace_nb.agent.errors import AgentError

_MAGIC = b"\x7fELF\x02\x01"  # ELFCLASS64, ELFDATA2LSB
_PT_LOAD, _SHT_SYMTAB, _SHT_NOTE, _SHT_DYNSYM = 1, 2, 7, 11
_FUNC_TYPES = (2, 10)  # STT_FUNC, STT_GNU_IFUNC


class Section(NamedTuple):
    """A row of the section header table."""

    name: str
    type: int
    address: int
    offset: int
    size: int
    link: int
    entry_size: int


class Symbol(NamedTuple):
    """A function of the file."""

    name: str
    address: int
    size: int


class UsdtProbe(NamedTuple):
    """One place of a USDT probe; a probe may have several."""

    provider: str
    name: str
    offset: int
    """Of the nop instruction, in the file."""
    semaphore_offset: int
    """Of the probe's reference counter, in the file; 0 for none."""
    arguments: str


class ElfFile:
    """An ELF file, mapped.

    Raises:
        AgentError: ``not_elf``.
        OSError: The file cannot be read.
    """

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            try:
                self._data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
            except ValueError:
                raise AgentError("not_elf", f"{path}: an empty file") from None
        if self._data[:6] != _MAGIC:
            raise AgentError("not_elf", f"{path}: not a 64-bit ELF file")
        self._path = path
        try:
            self._read_headers()
        except struct.error:
            raise AgentError("not_elf", f"{path}: truncated ELF file") from None

    def _read_headers(self) -> None:
        phoff, shoff = struct.unpack_from("<QQ", self._data, 32)
        phentsize, phnum, shentsize, shnum, shstrndx = struct.unpack_from("<5H", self._data, 54)
        self._segments: list[tuple[int, int, int]] = []  # address, offset, size in the file
        for i in range(phnum):
            type_, _, offset, address, _, size = struct.unpack_from(
                "<IIQQQQ", self._data, phoff + i * phentsize
            )
            if type_ == _PT_LOAD:
                self._segments.append((address, offset, size))
        raw = [struct.unpack_from("<IIQQQQIIQQ", self._data, shoff + i * shentsize) for i in range(shnum)]
        names = raw[shstrndx][4] if raw else 0
        self.sections = [Section(self._string(names + r[0]), r[1], r[3], r[4], r[5], r[6], r[9]) for r in raw]

    def _string(self, at: int) -> str:
        end = self._data.find(b"\0", at)
        return self._data[at:end].decode("utf-8", "replace")

    def file_offset(self, address: int) -> int:
        """Where a virtual address lies in the file.

        Raises:
            AgentError: ``no_symbol`` if no segment holds it.
        """
        for start, offset, size in self._segments:
            if start <= address < start + size:
                return address - start + offset
        raise AgentError("no_symbol", f"{self._path}: address {address:#x} is not in the file")

    def symbols(self) -> Iterator[Symbol]:
        """Functions from .symtab and .dynsym; a name may come twice."""
        for section in self.sections:
            if section.type in (_SHT_SYMTAB, _SHT_DYNSYM):
                strings = self.sections[section.link].offset
                table = self._data[section.offset : section.offset + section.size]
                for name, info, _, index, value, size in struct.iter_unpack(
                    "<IBBHQQ", table[: len(table) // 24 * 24]
                ):
                    if info & 15 in _FUNC_TYPES and index and value:
                        # Dynamic symbols may carry a version behind "@".
                        yield Symbol(self._string(strings + name).split("@")[0], value, size)

    def function_offsets(self) -> dict[str, int]:
        """File offset of every function."""
        return {symbol.name: self.file_offset(symbol.address) for symbol in self.symbols()}

    def usdt_probes(self) -> list[UsdtProbe]:
        """Every USDT probe point of the file."""
        base = next((s.address for s in self.sections if s.name == ".stapsdt.base"), 0)
        found = []
        for type_, owner, data in self._notes(".note.stapsdt"):
            if type_ != 3 or owner != b"stapsdt":
                continue
            location, note_base, semaphore = struct.unpack_from("<QQQ", data)
            # Prelink moves sections but not the notes: the base tells by how much.
            moved = base - note_base if base else 0
            provider, name, arguments = data[24:].split(b"\0")[:3]
            found.append(
                UsdtProbe(
                    provider.decode(),
                    name.decode(),
                    self.file_offset(location + moved),
                    self.file_offset(semaphore + moved) if semaphore else 0,
                    arguments.decode(),
                )
            )
        return found

    def _notes(self, section_name: str) -> Iterator[tuple[int, bytes, bytes]]:
        for section in self.sections:
            if section.type == _SHT_NOTE and section.name == section_name:
                at, end = section.offset, section.offset + section.size
                while at + 12 <= end:
                    name_size, data_size, type_ = struct.unpack_from("<III", self._data, at)
                    at += 12
                    name = self._data[at : at + name_size].rstrip(b"\0")
                    at += (name_size + 3) & ~3
                    yield type_, name, self._data[at : at + data_size]
                    at += (data_size + 3) & ~3


_LIBRARY_FOLDERS = ("/lib", "/usr/lib", "/usr/local/lib", "/lib64", "/usr/lib64")


def resolve_binary(path: str) -> str:
    """A program or library by path, by name on PATH, or by short name (``c`` for libc.so.6).

    Raises:
        AgentError: ``no_binary`` if there is none.
    """
    if "/" in path:
        if os.path.exists(path):
            return os.path.realpath(path)
        raise AgentError("no_binary", f"no file {path!r} on the target")
    for folder in os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").split(":"):
        if os.path.isfile(os.path.join(folder, path)):
            return os.path.realpath(os.path.join(folder, path))
    machine = os.uname().machine
    for folder in [f + sub for sub in (f"/{machine}-linux-gnu", "") for f in _LIBRARY_FOLDERS]:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for name in names:
            if name == path or name.startswith((f"lib{path}.so", f"{path}.so")):
                found = os.path.realpath(os.path.join(folder, name))
                if _is_elf(found):  # libc.so is a script for the linker
                    return found
    raise AgentError("no_binary", f"no program or library {path!r} on the target")


def _is_elf(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False
