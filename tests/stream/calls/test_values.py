from __future__ import annotations

import numpy as np
import pytest

from ktrace_nb.kernel import signatures as k
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.signatures import Parameter, Reading, Signature, Signatures
from ktrace_nb.stream.calls.values import Values, show, show_result
from tests.kernel_facts.btf_writer import BtfWriter

U64 = (1 << 64) - 1
INT, LONG, U32 = Reading(k.SIGNED, 32), Reading(k.SIGNED, 64), Reading(k.UNSIGNED, 32)
POINTER, BOOL, VOID = Reading(k.POINTER, 64), Reading(k.BOOL, 8), Reading(k.VOID)
COLOUR = Reading(k.ENUM, 32, names=(("RED", 0), ("GREEN", 1), ("BLUE", 7)))
BITS = Reading(k.ENUM, 32, names=(("NONE", 0), ("A", 1), ("B", 2), ("C", 4)))
STATE = Reading(k.ENUM, 32, names=(("DEAD", -1), ("ALIVE", 1)))


@pytest.mark.parametrize(
    "reading, bits, text",
    [
        (INT, 0xDEADBEEF_FFFFFFFF, "-1"),
        (INT, 1 << 40 | 5, "5"),
        (U32, U64, "4294967295"),
        (LONG, U64, "-1"),
        (Reading(k.UNSIGNED, 8), 0x1FF, "255"),
        (Reading(k.SIGNED, 16), 0x8000, "-32768"),
        (BOOL, 0x100, "false"),
        (BOOL, 1, "true"),
        (Reading(k.CHAR, 8), ord("/"), "'/'"),
        (Reading(k.CHAR, 8), 0xFF, "-1"),
        (POINTER, 0, "NULL"),
        (POINTER, 0xFFFF888003A1C000, "0xffff888003a1c000"),
        (POINTER, (1 << 64) - 2, "-ENOENT"),
        (COLOUR, 7, "BLUE"),
        (COLOUR, 6, "6"),
        (BITS, 5, "A|C"),
        (BITS, 9, "9"),
        (BITS, 0, "NONE"),
        (STATE, 0xFFFFFFFF, "DEAD"),
        (STATE, 0xFFFFFFFE, "-2"),
        (Reading(k.MODE, 16), 0o100644, "S_IFREG|0644"),
        (Reading(k.MODE, 16), 0o42775, "S_IFDIR|2775"),
        (Reading(k.MODE, 16), 0o755, "0755"),
        (Reading(k.DEVICE, 32), 8 << 20 | 1, "8:1"),
        (Reading(k.FLAGS, 32, table="READ=1|WRITE=2"), 0x13, "READ|WRITE|0x10"),
        (Reading(k.FLAGS, 32, table="READ=1"), 0, "0"),
        (Reading(k.RECORD, 32, members=(("val", 0, U32),)), 1 << 32 | 1000, "{val=1000}"),
        (Reading(k.RECORD, 128, members=(("a", 0, LONG), ("b", 64, BOOL))), 1 << 64 | 7, "{a=7, b=true}"),
        (Reading(k.UNKNOWN), 255, "0xff"),
        (VOID, 12, ""),
    ],
)
def test_a_value_is_shown_as_its_type_has_it(reading: Reading, bits: int, text: str) -> None:
    assert show(reading, bits) == text


@pytest.mark.parametrize(
    "reading, bits, text",
    [
        (INT, (1 << 32) - 2, "-ENOENT"),
        (INT, U64, "-EPERM"),
        (INT, 0, "0"),
        (INT, (1 << 32) - 4096, "-4096"),
        (INT, (1 << 32) - 600, "-600"),
        (LONG, (1 << 64) - 512, "-ERESTARTSYS"),
        (LONG, (1 << 32) - 2, str((1 << 32) - 2)),
        (U32, (1 << 32) - 2, str((1 << 32) - 2)),
        (POINTER, (1 << 64) - 12, "-ENOMEM"),
        (POINTER, (1 << 64) - 4095, "-4095"),
        (BOOL, 0xFFFFFFFE, "true"),
    ],
)
def test_a_result_is_an_error_only_where_its_type_can_be_one(reading: Reading, bits: int, text: str) -> None:
    assert show_result(reading, bits) == text


def test_arguments_are_named_and_what_was_not_recorded_is_left_open() -> None:
    pair = Reading(k.RECORD, 128, members=(("a", 0, LONG), ("b", 64, POINTER)))
    parameters = (
        Parameter("dir", POINTER, (0,)),
        Parameter("", INT, (1,)),
        Parameter("at", pair, (2, 3)),
        Parameter("last", INT, ()),
    )
    values = Values([Signature(parameters, INT, variadic=True, is_known=True)])
    registers = [0xFFFF888000000010, (1 << 64) - 7, 5, 0, 0, 0]
    shown = values.arguments(0, registers)
    assert shown == "dir=0xffff888000000010, -7, at={a=5, b=NULL}, last=…, ..."


def test_many_results_at_once_say_the_same_as_each_alone() -> None:
    readings = (INT, LONG, U32, POINTER, BOOL, VOID, STATE, Reading(k.UNKNOWN), Reading(k.CHAR, 8))
    values = Values([Signature(result=reading) for reading in readings])
    bits = (0, 1, 7, (1 << 32) - 2, (1 << 64) - 2, (1 << 64) - 4095, (1 << 64) - 4096, 1 << 63, 0xFF)
    function = np.repeat(np.arange(len(readings)), len(bits)).astype(np.uint16)
    result = np.array(bits * len(readings), np.uint64)
    errors, numbers = values.errors(function, result), values.numbers(function, result)
    for n, f, r in zip(range(len(result)), function.tolist(), result.tolist(), strict=True):
        text = values.result(f, r)
        if readings[f] in (INT, LONG) and not errors[n]:
            assert text == str(numbers[n])
        if errors[n]:
            assert text.startswith("-")
            assert readings[f] in (INT, LONG, POINTER)
    assert values.failed(function, result).tolist() == (errors != 0).tolist()
    # By hand: -2 as an int; as a long; -4095 as a long; as pointers the same two.
    assert errors[function == 0].tolist() == [0, 0, 0, 2, 2, 4095, 0, 0, 0]
    assert errors[function == 1].tolist() == [0, 0, 0, 0, 2, 4095, 0, 0, 0]
    assert errors[function == 3].tolist() == [0, 0, 0, 0, 2, 4095, 0, 0, 0]
    assert numbers[(function == 6) & (result == (1 << 32) - 2)].tolist() == [-2]
    assert numbers[(function == 8) & (result == 0xFF)].tolist() == [-1]
    assert values.is_void(np.array([4, 5])).tolist() == [False, True]


def test_a_function_is_read_by_its_types() -> None:
    w = BtfWriter()
    number, wide = w.integer("int", 4, signed=True), w.integer("long unsigned int", 8)
    inode = w.refer(Kind.PTR, w.record("inode", 8, [("i_ino", wide, 0)]))
    mode = w.refer(Kind.TYPEDEF, w.integer("short unsigned int", 2), "umode_t")
    prototype = w.prototype(number, [("dir", inode), ("mode", mode), ("len", wide)])
    w.refer(Kind.FUNC, prototype, "vfs_make")
    values = Values([Signatures(w.btf()).of("vfs_make")])
    shown = values.arguments(0, [0xFFFF888000000010, 0o40755, 4096, 0, 0, 0])
    assert shown == "dir=0xffff888000000010, mode=S_IFDIR|0755, len=4096"
    assert values.result(0, 0xFFFFFFEF) == "-EEXIST"


def test_every_function_of_this_machines_kernel_can_be_shown(btf: Btf) -> None:
    reader = Signatures(btf)
    signatures = [reader.of(name) for name in btf.names(Kind.FUNC)[::7]]
    values = Values(signatures)
    for number in range(len(signatures)):
        for word in (0, 1, U64, 0xFFFF888012345678):
            assert isinstance(values.arguments(number, [word] * 6), str)
            assert isinstance(values.result(number, word), str)
