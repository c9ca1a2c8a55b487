"""Offsets in ELF files, against where the dynamic linker put the functions."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from ktrace_nb.agent.elf import ElfFile, resolve_binary
from ktrace_nb.agent.errors import AgentError


def linked_at(function: str) -> tuple[str, int]:
    """File and offset of a function of this very process."""
    pointer = ctypes.cast(getattr(ctypes.CDLL(None), function), ctypes.c_void_p).value
    assert pointer is not None
    for line in Path("/proc/self/maps").read_text().splitlines():
        bounds, _, offset, _, _, *path = line.split()
        start, end = (int(bound, 16) for bound in bounds.split("-"))
        if start <= pointer < end:
            return path[0], pointer - start + int(offset, 16)
    raise AssertionError(f"{function} is in no mapping")


@pytest.mark.parametrize("function", ["read", "malloc", "getpid", "qsort"])
def test_a_function_lies_where_the_linker_put_it(function: str) -> None:
    path, offset = linked_at(function)
    assert ElfFile(path).function_offsets()[function] == offset


def test_a_library_is_found_by_its_short_name_and_a_program_on_the_path() -> None:
    assert resolve_binary("c") == str(Path(linked_at("read")[0]).resolve())
    assert resolve_binary("sh") == str(Path("/bin/sh").resolve())
    with pytest.raises(AgentError, match="no program or library 'nonesuch'"):
        resolve_binary("nonesuch")
    with pytest.raises(AgentError, match="no file '/none/such'"):
        resolve_binary("/none/such")


def test_a_library_s_own_usdt_probes_are_found() -> None:
    # GCC's C++ library documents throw, rethrow and catch.
    probes = {(p.provider, p.name) for p in ElfFile(resolve_binary("stdc++")).usdt_probes()}
    assert probes == {("libstdcxx", "throw"), ("libstdcxx", "rethrow"), ("libstdcxx", "catch")}


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fELF\x02\x01" + bytes(40)])
def test_what_is_no_elf_file_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(AgentError, match=str(path)):
        ElfFile(str(path))
