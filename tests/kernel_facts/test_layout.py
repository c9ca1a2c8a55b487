"""Offsets and sizes, checked by the compiler the cells are compiled with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ktrace_nb.compiler.client import CompilerWorker
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind, Member
from ktrace_nb.kernel.layout import Gap, Layout
from tests.kernel_facts.btf_writer import BtfWriter
from tests.kernel_facts.prove_layout import HOST_BTF, Proof, prove, sample


@pytest.fixture(scope="module")
def worker() -> Iterator[CompilerWorker]:
    worker = CompilerWorker()
    yield worker
    worker.close()


def shape(btf: Btf, record: int) -> list[str | int]:
    """Members by name and gaps by bits."""
    return [part.bits if isinstance(part, Gap) else part.name for part in Layout(btf).members(record)]


def odd_records() -> tuple[BtfWriter, dict[str, int]]:
    """Records that need every means there is."""
    w = BtfWriter()
    int_ = w.integer("unsigned int", 4)
    u64 = w.integer("long unsigned int", 8)
    char = w.integer("char", 1)
    bool_ = w.integer("_Bool", 1, boolean=True)
    records = {
        "plain": w.record("plain", 16, [("a", char, 0), ("b", int_, 32), ("c", u64, 64)]),
        "gap": w.record("gap", 24, [("a", char, 0), ("b", int_, 64), ("c", u64, 128)]),
        "packed": w.record("packed", 13, [("a", char, 0), ("b", u64, 8), ("c", int_, 72)]),
        "tail": w.record("tail", 64, [("a", u64, 0)]),
        "empty": w.record("empty", 0, []),
        "opaque": w.record("opaque", 12, []),
        "bits": w.record("bits", 4, [("a", int_, 0, 3), ("b", int_, 3, 7), ("c", int_, 10, 22)]),
        "bits_apart": w.record("bits_apart", 8, [("a", int_, 2, 1), ("b", int_, 9, 3), ("c", int_, 45, 4)]),
        "bits_across": w.record("bits_across", 5, [("a", int_, 0, 20), ("b", int_, 20, 20)]),
        "bool_bits": w.record("bool_bits", 2, [("a", bool_, 0, 1), ("b", bool_, 1, 1), ("c", char, 8, 0)]),
        "union": w.record("union_", 16, [("a", u64, 0), ("b", int_, 0, 5)], union=True),
        "flexible": w.record("flexible", 8, [("count", int_, 0), ("items", w.array(u64, 0), 64)]),
    }
    records["nested"] = w.record(
        "nested",
        40,
        [("head", records["packed"], 0), ("", w.record("", 8, [("x", int_, 0), ("y", int_, 40, 5)]), 128),
         ("many", w.array(records["bits_across"], 3), 192)],
    )  # fmt: skip
    return w, records


def test_gaps_stand_where_a_compiler_would_not_leave_them() -> None:
    w, records = odd_records()
    btf = w.btf()
    assert shape(btf, records["plain"]) == ["a", "b", "c"]
    assert shape(btf, records["gap"]) == ["a", 56, "b", "c"]
    assert shape(btf, records["packed"]) == ["a", "b", "c"]
    assert shape(btf, records["tail"]) == ["a", 448]
    assert shape(btf, records["opaque"]) == [96]
    assert shape(btf, records["bits"]) == ["a", "b", "c"]
    assert shape(btf, records["bits_apart"]) == [2, "a", 5, 1, "b", 4, 24, 5, "c"]
    assert shape(btf, records["union"]) == ["a", "b", 128]


def test_only_what_cannot_be_laid_out_otherwise_is_packed() -> None:
    w, records = odd_records()
    layout = Layout(w.btf())
    packed = {name for name, record in records.items() if layout.is_packed(record)}
    assert packed == {"packed", "bits_across"}
    assert layout.alignment(records["nested"]) == 4


def test_odd_records_compile_to_their_layout(worker: CompilerWorker) -> None:
    w, records = odd_records()
    proof = Proof()
    prove(w.btf(), list(records.values()), worker, proof)
    assert proof.failures == []
    assert (proof.records, proof.bitfields) == (13, 12)


class Claim(Btf):
    """A BTF that says something else about one member."""

    member_claimed = Member("", 0, 0, 0)

    def members(self, type_id: int) -> list[Member]:
        wrong = self.member_claimed
        return [wrong if member.name == wrong.name else member for member in super().members(type_id)]


@pytest.mark.parametrize(
    ("record", "wrong"),
    [
        ("bits", Member("c", 1, 12, 20)),
        ("bits", Member("b", 1, 3, 6)),
        ("plain", Member("c", 2, 32, 0)),
        ("plain", Member("c", 1, 64, 0)),
    ],
    ids=["bit-field elsewhere", "bit-field narrower", "member elsewhere", "member smaller"],
)
def test_the_proof_notices_a_wrong_claim(worker: CompilerWorker, record: str, wrong: Member) -> None:
    w, records = odd_records()
    claim = Claim(w.blob())
    claim.member_claimed = wrong
    proof = Proof()
    prove(w.btf(), [records[record]], worker, proof, claim)
    assert proof.failures


def test_a_sample_of_this_machines_kernel_compiles_to_its_layout(worker: CompilerWorker) -> None:
    btf = Btf(HOST_BTF.read_bytes())
    proof = Proof()
    prove(btf, sample(btf, 2000, seed=20), worker, proof)
    assert proof.failures == []
    assert proof.records > 2000
    assert proof.assertions > 10 * proof.records


def test_a_few_types_declare_little(worker: CompilerWorker) -> None:
    btf = Btf(HOST_BTF.read_bytes())
    for seed in range(10):
        proof = Proof()
        prove(btf, sample(btf, 1, seed), worker, proof)
        assert proof.failures == []
        assert 0 < proof.records < 1000


def test_registers_are_laid_out_as_the_processor_pushes_them() -> None:
    # Source: Linux arch/x86/include/asm/ptrace.h; bcc reads arguments through these names.
    btf = Btf(HOST_BTF.read_bytes())
    (registers,) = btf.find("pt_regs", Kind.STRUCT)
    member = btf.member(registers, "di")
    assert member is not None
    assert member.bit_offset == 8 * 14 * 8
