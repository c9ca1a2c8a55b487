"""Proves by the compiler that declared types are laid out as the kernel's are.

Of every struct and union the size, and offset and size of every member, become
static assertions. A bit-field has no offset that C could ask for: a function
sets all its bits in zeroed memory and returns the bytes around it; compiled, it
must be that one constant which the BTF says.

As a script it proves all types of BTF files, or of this machine's kernel::

    python tests/kernel_facts/prove_layout.py [FILE ...]
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ktrace_nb.codegen.headers import bcc_names, header_tree
from ktrace_nb.compiler.client import CompilerWorker
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import RECORDS, Kind
from ktrace_nb.kernel.cdecl import Declarations

HOST_BTF = Path("/sys/kernel/btf/vmlinux")
CHUNK = 2000


@dataclass
class Proof:
    """What was proved, and what was not."""

    records: int = 0
    assertions: int = 0
    bitfields: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """A member reached from a named type: ``u.x.y`` of it."""

    path: str
    bit_offset: int
    size: int
    """Bytes, of a plain member."""
    bits: int
    """Of a bit-field, else 0."""
    boolean: bool
    constant: bool


def places(btf: Btf, record: int, path: str = "", start: int = 0) -> Iterator[Place]:
    """Every member that can be named, those of types without a name included."""
    for member in btf.members(record):
        offset = start + member.bit_offset
        name = f"{path}.{member.name}" if path and member.name else path or member.name
        inner = btf.unqualified(member.type_id)
        if member.name:
            boolean = btf.name(btf.resolve(inner)) == "_Bool"
            constant = inner != member.type_id
            yield Place(name, offset, btf.size(inner), member.bitfield_size, boolean, constant)
        if btf.kind(inner) in RECORDS and not btf.name(inner):
            yield from places(btf, inner, name, offset)


def prove(
    btf: Btf, roots: Sequence[int], worker: CompilerWorker, proof: Proof, claimed: Btf | None = None
) -> None:
    """Declare some types with all they need, and prove every record among what was declared.

    Args:
        btf: Where the declarations come from.
        roots: What to declare.
        worker: The compiler.
        proof: Added to.
        claimed: What to hold against them if not ``btf``, to see the proof fail.
    """
    reserved = bcc_names(*worker.builtin_headers)
    declarations = Declarations(btf, reserved=reserved)
    declarations.add(roots)
    named = {**declarations.declared(Kind.STRUCT), **declarations.declared(Kind.UNION)}
    spelled = {
        f"{'union' if btf.kind(type_id) is Kind.UNION else 'struct'} {name}": type_id
        for name, type_id in named.items()
    }
    for name, type_id in declarations.declared(Kind.TYPEDEF).items():
        target = btf.unqualified(btf.referent(type_id))
        if btf.kind(target) in RECORDS and not btf.name(target):
            spelled[name] = target
    types = declarations.take()
    everything = list(spelled.items())
    for i in range(0, len(everything), CHUNK):
        _prove_chunk(claimed or btf, dict(everything[i : i + CHUNK]), types, worker, proof)


def _prove_chunk(btf: Btf, spelled: dict[str, int], types: str, worker: CompilerWorker, proof: Proof) -> None:
    lines = []
    bitfields: dict[str, str] = {}
    for name, type_id in spelled.items():
        lines.append(_assert(f"sizeof({name})", btf.size(type_id)))
        for place in places(btf, type_id):
            if place.bits:
                function = f"bits_{len(bitfields)}"
                bitfields[function] = f"{name}.{place.path}"
                lines.append(_bitfield_function(function, name, place, btf.size(type_id)))
            else:
                lines.append(_assert(f"__builtin_offsetof({name}, {place.path})", place.bit_offset // 8))
                lines.append(_assert(f"sizeof((({name} *)0)->{place.path})", place.size))
    text = "\n".join(lines) + "\n"
    tree = header_tree("", btf, formats={}, config={}, release="6.1", cpus=1, bcc_names=())
    files = {**tree.files, "include/asm/page.h": f"#ifndef KT_PAGE_H\n#define KT_PAGE_H\n{types}#endif\n"}
    result = worker.compile(text, files, tree.cflags)
    proof.records += len(spelled)
    proof.assertions += sum(line.startswith("_Static") for line in lines)
    proof.bitfields += len(bitfields)
    if not result.ok or result.bundle is None:
        proof.failures += [line for line in result.diagnostics.splitlines() if "error" in line]
        return
    compiled = {program.name: program.insns for program in result.bundle.programs}
    for function, name in bitfields.items():
        if not _returns_zero(compiled[function]):
            proof.failures.append(f"{name}: compiled to {compiled[function].hex()}")


def _assert(expression: str, value: int) -> str:
    return f'_Static_assert({expression} == {value}, "");'


def _bitfield_function(function: str, record: str, place: Place, size: int) -> str:
    """C that sets all bits of a bit-field in zeroed memory, and returns 0 if just these are set.

    The bytes around it are compared too, as far as the record reaches.
    """
    first = place.bit_offset // 8
    bits = ((1 << place.bits) - 1) << (place.bit_offset - 8 * first)
    ones = "1" if place.boolean else "-1"
    union = f"union {{ {record} value; unsigned char bytes[{size}]; }} all"
    fill = f"{union}; __builtin_memset(&all, 0, sizeof(all)); all.value.{place.path} = {ones};"
    if place.constant:  # can only be initialised
        fill = f"{union} = {{ .value.{place.path} = {ones} }};"
    wrong = " | ".join(
        f"(all.bytes[{i}] ^ {bits >> 8 * (i - first) & 0xFF})" for i in range(first, min(first + 9, size))
    )
    return f"int {function}(void *ctx) {{ {fill} return {wrong}; }}"


def _returns_zero(insns: bytes) -> bool:
    """Whether a program does nothing but return 0."""
    # r0 = 0 (BPF_ALU64 or BPF_ALU | BPF_MOV | BPF_K), exit
    return len(insns) == 16 and insns[0] in (0xB7, 0xB4) and not any(insns[1:8]) and insns[8] == 0x95


def sample(btf: Btf, count: int, seed: int) -> list[int]:
    """Some structs and unions with a name."""
    records = [i for i in btf.ids() if btf.kind(i) in RECORDS and btf.name(i)]
    return random.Random(seed).sample(records, count)


def main() -> None:
    """Prove all types of the files named, or of this machine's kernel."""
    worker = CompilerWorker()
    for path in [Path(name) for name in sys.argv[1:]] or [HOST_BTF]:
        btf = Btf(path.read_bytes())
        start, proof = time.perf_counter(), Proof()
        roots = [i for i in btf.ids() if btf.kind(i) in (*RECORDS, Kind.TYPEDEF) and btf.name(i)]
        prove(btf, roots, worker, proof)
        print(
            f"{path}: {proof.records} records, {proof.assertions} assertions, {proof.bitfields} bit-fields,"
            f" {len(proof.failures)} failures, {time.perf_counter() - start:.1f} s"
        )
        for failure in proof.failures[:20]:
            print(f"  {failure}")
    worker.close()


if __name__ == "__main__":
    main()
