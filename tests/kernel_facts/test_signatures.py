from __future__ import annotations

from pathlib import Path

import pytest

from ktrace_nb.kernel import signatures as k
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.signatures import ERRNO_NAMES, Parameter, Reading, Signature, Signatures
from tests.kernel_facts.btf_writer import BtfWriter

SIGNED, UNSIGNED, POINTER = (Reading(kind, 64) for kind in (k.SIGNED, k.UNSIGNED, k.POINTER))
INT, U32 = Reading(k.SIGNED, 32), Reading(k.UNSIGNED, 32)


class Kernel:
    """A few types, and functions made of them."""

    def __init__(self) -> None:
        w = self.w = BtfWriter()
        self.int = w.integer("int", 4, signed=True)
        self.u32 = w.integer("unsigned int", 4)
        self.long = w.integer("long int", 8, signed=True)
        self.u64 = w.integer("long unsigned int", 8)
        self.char = w.integer("char", 1, signed=True)
        self.short = w.integer("short unsigned int", 2)
        self.bool = w.integer("_Bool", 1, boolean=True)
        self.wide = w.integer("__int128", 16, signed=True)
        self.pointer = w.refer(Kind.PTR, self.int)
        self.pair = w.record("pair", 16, [("first", self.u64, 0), ("second", self.pointer, 64)])
        self.big = w.record("big", 24, [("a", self.u64, 0), ("b", self.u64, 64), ("c", self.u64, 128)])
        self.uid = w.refer(Kind.TYPEDEF, w.record("", 4, [("val", self.u32, 0)]), "kuid_t")

    def function(self, name: str, result: int, *parameters: int) -> None:
        listed = [(f"p{n}" if p else "", p) for n, p in enumerate(parameters)]
        self.w.refer(Kind.FUNC, self.w.prototype(result, listed), name)

    def typedef(self, name: str, target: int) -> int:
        return self.w.refer(Kind.TYPEDEF, target, name)

    def signature(self, name: str = "f", machine: str = "x86_64") -> Signature:
        return Signatures(self.w.btf(), machine).of(name)


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def places(signature: Signature) -> list[tuple[int, ...]]:
    return [p.registers for p in signature.parameters]


def test_parameters_and_result_are_read_by_their_types(kernel: Kernel) -> None:
    kernel.function("f", kernel.long, kernel.int, kernel.u64, kernel.bool, kernel.char, kernel.pointer)
    assert kernel.signature() == Signature(
        (
            Parameter("p0", INT, (0,)),
            Parameter("p1", UNSIGNED, (1,)),
            Parameter("p2", Reading(k.BOOL, 8), (2,)),
            Parameter("p3", Reading(k.CHAR, 8), (3,)),
            Parameter("p4", POINTER, (4,)),
        ),
        SIGNED,
        variadic=False,
        is_known=True,
    )


def test_a_structure_of_two_words_takes_two_registers(kernel: Kernel) -> None:
    kernel.function("f", 0, kernel.int, kernel.pair, kernel.int)
    signature = kernel.signature()
    assert places(signature) == [(0,), (1, 2), (3,)]
    assert signature.parameters[1].reading == Reading(
        k.RECORD, 128, members=(("first", 0, UNSIGNED), ("second", 64, POINTER))
    )
    assert signature.result.kind == k.VOID


def test_members_are_told_of_what_registers_have_alone(kernel: Kernel) -> None:
    kernel.function("f", 0, kernel.big)
    assert kernel.signature().parameters[0].reading == Reading(k.RECORD, 192)


def test_structures_of_structures_without_end_are_not_gone_through(kernel: Kernel) -> None:
    # 24 bytes that have two of 24 bytes each, and so on: 2 ** 40 members if one looked.
    inner = kernel.big
    for n in range(40):
        inner = kernel.w.record(f"s{n}", 24, [("a", inner, 0), ("b", inner, 0)])
    kernel.function("f", 0, inner)
    assert kernel.signature().parameters[0].reading.members == ()


@pytest.mark.parametrize("places", [(0, 0), (0, 64)])
def test_members_that_are_not_beside_each_other_are_not_read(kernel: Kernel, places: tuple[int, int]) -> None:
    inner = kernel.pair
    for n in range(25):
        inner = kernel.w.record(f"s{n}", 16, [("a", inner, places[0]), ("b", inner, places[1])])
    kernel.function("f", 0, inner)
    reading = kernel.signature().parameters[0].reading
    for _ in range(25):
        ((name, at, reading),) = reading.members
        assert (name, at) == ("a", 0)
    assert [name for name, _, _ in reading.members] == ["first", "second"]


def test_a_union_is_read_as_its_first_member(kernel: Kernel) -> None:
    inside = kernel.w.record("", 16, [("a", kernel.u64, 0), ("b", kernel.u64, 64)])
    union = kernel.w.record("either", 16, [("", inside, 0), ("all", kernel.wide, 0)], union=True)
    kernel.function("f", 0, union)
    assert kernel.signature().parameters[0].reading.members == (("a", 0, UNSIGNED), ("b", 64, UNSIGNED))


def test_a_structure_that_does_not_fit_the_registers_left_is_on_the_stack_and_the_next_is_not(
    kernel: Kernel,
) -> None:
    # System V ABI, section 3.2.3: "If there are no registers available for any eightbyte of an argument,
    # the whole argument is passed on the stack."
    kernel.function("f", 0, *[kernel.int] * 5, kernel.pair, kernel.int, kernel.int)
    assert places(kernel.signature()) == [(0,), (1,), (2,), (3,), (4,), (), (5,), ()]


def test_a_large_structure_takes_no_register_on_x86_and_one_with_its_address_on_arm(kernel: Kernel) -> None:
    kernel.function("f", 0, kernel.big, kernel.int)
    assert places(kernel.signature()) == [(), (0,)]
    arm = kernel.signature(machine="aarch64")
    assert places(arm) == [(0,), (1,)]
    assert arm.parameters[0].reading == POINTER


def test_a_large_result_is_written_to_where_the_first_register_says(kernel: Kernel) -> None:
    kernel.function("f", kernel.big, kernel.int)
    assert places(kernel.signature()) == [(1,)]
    assert kernel.signature().result == POINTER
    assert places(kernel.signature(machine="aarch64")) == [(0,)]  # x8 has the address there


def test_a_number_of_two_words_begins_at_an_even_register_on_arm(kernel: Kernel) -> None:
    kernel.function("f", 0, kernel.int, kernel.wide)
    assert places(kernel.signature()) == [(0,), (1, 2)]
    assert places(kernel.signature(machine="aarch64")) == [(0,), (2, 3)]


def test_the_seventh_parameter_is_not_recorded(kernel: Kernel) -> None:
    kernel.function("f", kernel.int, *[kernel.long] * 8)
    assert places(kernel.signature())[5:] == [(5,), (), ()]
    assert places(kernel.signature(machine="aarch64"))[5:] == [(5,), (), ()]


def test_a_variadic_function_says_so(kernel: Kernel) -> None:
    kernel.function("f", kernel.int, kernel.pointer, 0)
    signature = kernel.signature()
    assert (signature.variadic, len(signature.parameters)) == (True, 1)


def test_names_of_types_that_mean_more_than_their_integers(kernel: Kernel) -> None:
    mode, dev = kernel.typedef("umode_t", kernel.short), kernel.typedef("dev_t", kernel.u32)
    const = kernel.w.refer(Kind.CONST, kernel.typedef("fmode_t", kernel.u32))
    kernel.function("f", kernel.typedef("loff_t", kernel.long), mode, dev, const, kernel.uid)
    signature = kernel.signature()
    assert [(p.reading.kind, p.reading.bits) for p in signature.parameters] == [
        (k.MODE, 16),
        (k.DEVICE, 32),
        (k.FLAGS, 32),
        (k.RECORD, 32),
    ]
    assert signature.result == SIGNED


def test_gfp_flags_are_named_where_the_kernel_numbers_their_bits(kernel: Kernel) -> None:
    gfp = kernel.typedef("gfp_t", kernel.u32)
    kernel.function("f", 0, gfp)
    assert kernel.signature().parameters[0].reading == U32
    bits = ("DMA", "HIGH", "IO", "FS", "KSWAPD_RECLAIM", "DIRECT_RECLAIM")
    kernel.w.enum("", [(f"___GFP_{name}_BIT", n) for n, name in enumerate(bits)])
    reading = kernel.signature().parameters[0].reading
    assert reading.kind == k.FLAGS
    assert "GFP_KERNEL=0x3c|" in reading.table
    assert reading.table.endswith("__GFP_KSWAPD_RECLAIM=0x10|__GFP_DIRECT_RECLAIM=0x20")


def test_clones_have_no_known_arguments_and_only_constprop_the_result_of_their_original(
    kernel: Kernel,
) -> None:
    kernel.function("f", kernel.int, kernel.int)
    assert kernel.signature("f.constprop.0") == Signature(result=INT)
    assert kernel.signature("f.isra.0") == Signature()
    assert kernel.signature("f.part.3") == Signature()
    assert kernel.signature("g") == Signature()


def test_what_can_be_an_error(kernel: Kernel) -> None:
    kinds = {
        "int": INT,
        "u32": U32,
        "pointer": POINTER,
        "bool": Reading(k.BOOL, 8),
        "char": Reading(k.CHAR, 8),
    }
    bits = {name: reading.error_bits for name, reading in kinds.items()}
    assert bits == {"int": 32, "u32": 0, "pointer": 64, "bool": 0, "char": 0}


def test_every_function_of_this_machines_kernel_has_a_signature_with_registers_in_order(btf: Btf) -> None:
    reader = Signatures(btf)
    names = btf.names(Kind.FUNC)
    assert len(names) > 10_000
    for name in names:
        signature = reader.of(name)
        used = [r for p in signature.parameters for r in p.registers]
        assert used == list(range(used[0] if used else 0, (used[0] if used else 0) + len(used)))


def test_known_functions_of_this_machines_kernel(btf: Btf) -> None:
    # ssize_t vfs_read(struct file *file, char __user *buf, size_t count, loff_t *pos), fs/read_write.c
    signature = Signatures(btf).of("vfs_read")
    assert [p.name for p in signature.parameters] == ["file", "buf", "count", "pos"]
    assert [p.reading for p in signature.parameters] == [POINTER, POINTER, UNSIGNED, POINTER]
    assert signature.result == SIGNED
    # int vfs_mkdir(struct mnt_idmap *, struct inode *, struct dentry *, umode_t), fs/namei.c; later a dentry
    assert Signatures(btf).of("vfs_mkdir").parameters[-1].reading == Reading(k.MODE, 16)


def test_names_of_errors_are_those_of_the_kernels_headers() -> None:
    header = Path("/usr/include/asm-generic/errno.h")
    for path in (header, header.with_name("errno-base.h")):
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] == ["#define"] and len(words) > 2 and words[2].isdigit():
                assert ERRNO_NAMES[int(words[2])] == words[1]
    assert (ERRNO_NAMES[512], ERRNO_NAMES[530]) == ("ERESTARTSYS", "ERECALLCONFLICT")
