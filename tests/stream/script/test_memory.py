"""The kernel's memory in handlers beside the notebook: this machine's types, also shown as a file."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from ktrace_nb.ir import script as ir
from ktrace_nb.ir.script import Expr, Type
from ktrace_nb.stream.script.errors import ScriptError
from tests.kernel_facts.prove_layout import HOST_BTF
from tests.stream.script.kit import Session, World, call, lit, local, show

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may read the kernel's memory")

NOT_MAPPED = 0x10
NAME = b"\0task_struct\0"


@pytest.fixture(scope="module")
def address() -> int:
    """Where the kernel has its types."""
    lines = Path("/proc/kallsyms").read_text().splitlines()
    found = next(int(line.split()[0], 16) for line in lines if line.split()[2] == "__start_BTF")
    return found - (1 << 64)  # as a script has it


@pytest.fixture(scope="module")
def data() -> bytes:
    return HOST_BTF.read_bytes()


def load(address: int, size: int, *, signed: bool = False, shift: int = 0, bits: int = 0) -> ir.Load:
    return ir.Load(lit(address), size, signed, shift=shift, bits=bits)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("size", "code"), [(1, "b"), (2, "h"), (4, "i"), (8, "q")])
def test_integers_are_as_wide_as_they_are_read(
    address: int, data: bytes, size: int, code: str, signed: bool
) -> None:
    # Somewhere in the types every size has a negative number; find it.
    at = next(i for i in range(1000) if struct.unpack_from(f"<{code}", data, i)[0] < 0)
    expected = struct.unpack_from(f"<{code if signed or size == 8 else code.upper()}", data, at)[0]
    assert World().value(load(address + at, size, signed=signed)) == expected


@pytest.mark.parametrize("signed", [False, True])
def test_bit_fields_are_cut_out_of_what_is_read(address: int, data: bytes, signed: bool) -> None:
    # The first two bytes of BTF are its magic number, 0xeb9f: the bits 7 to 11 are 10111.
    assert data[:2] == b"\x9f\xeb"
    field = load(address, 2, signed=signed, shift=7, bits=5)
    assert World().value(field) == (0b10111 - 32 if signed else 0b10111)


def test_a_field_of_all_64_bits_keeps_its_sign(address: int, data: bytes) -> None:
    at = next(i for i in range(1000) if data[i + 7] > 127)
    assert World().value(load(address + at, 8, shift=0, bits=64)) == struct.unpack_from("<q", data, at)[0]


def test_an_address_is_computed(address: int, data: bytes) -> None:
    moved = ir.Binary("+", lit(address), ir.Number(1))
    assert World().value(ir.Load(moved, 1, signed=False)) == 0xEB


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("kernel_string", (), "task_struct"),
        ("kernel_string_n", (4,), "task"),
        ("kernel_string_n", (100,), "task_struct"),
        ("kernel_string_n", (0,), ""),
        ("kernel_string_n", (-3,), ""),
        ("kernel_string2", ("no",), "task_struct"),
        ("__kernel_bytes", (12,), "task_struct "),
        ("__kernel_bytes", (0,), ""),
        ("__kernel_bytes", (-1,), ""),
    ],
)
def test_strings_are_read(
    address: int, data: bytes, name: str, arguments: tuple[int | str, ...], expected: str
) -> None:
    at = lit(address + data.index(NAME) + 1)
    assert World().value(call(name, at, *map(lit, arguments), type=Type.STRING)) == expected


def test_strings_are_no_longer_than_a_script_allows(address: int, data: bytes) -> None:
    world = World(Session(max_string=5))
    at = lit(address + data.index(NAME) + 1)
    assert world.value(call("kernel_string", at, type=Type.STRING)) == "task"
    assert world.value(call("__kernel_bytes", at, lit(100), type=Type.STRING)) == "task"


@pytest.mark.parametrize(("size", "expected"), [(1, 0x9F), (2, 0xEB9F), (4, 0x0001EB9F), (0, 0), (-1, 0)])
def test_an_unsigned_integer_of_a_computed_size(address: int, data: bytes, size: int, expected: int) -> None:
    assert data[:4] == struct.pack("<I", 0x0001EB9F)
    assert World().value(call("__kernel_read", lit(address), lit(size))) == expected


@pytest.mark.parametrize(
    "expr",
    [
        load(NOT_MAPPED, 4),
        load(NOT_MAPPED, 4, shift=2, bits=3),
        call("kernel_string", lit(NOT_MAPPED), type=Type.STRING),
        call("kernel_string_n", lit(NOT_MAPPED), lit(5), type=Type.STRING),
        call("__kernel_bytes", lit(NOT_MAPPED), lit(5), type=Type.STRING),
        call("__kernel_read", lit(NOT_MAPPED), lit(8)),
    ],
)
def test_what_cannot_be_read_is_an_error_that_can_be_caught(expr: Expr) -> None:
    world = World()
    words = "read fault [man error::fault] at 0x10"
    with pytest.raises(ScriptError) as failed:
        world.value(expr)
    assert failed.value.message == words
    body = ir.Try((show("%p", expr),), "t", (show("%s", local("t")),))
    assert world.run(body) == words


def test_a_text_of_ones_own_stands_for_what_cannot_be_read() -> None:
    assert World().value(call("kernel_string2", lit(NOT_MAPPED), lit("none"), type=Type.STRING)) == "none"


def test_an_address_of_this_process_is_none_of_the_kernel() -> None:
    with pytest.raises(ScriptError, match="read fault"):
        World().value(load(id(None), 8))
