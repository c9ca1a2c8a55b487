"""Programs that go to several functions are attached at once where the kernel can."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from ktrace_nb.ir.calls import Traced, Walk
from ktrace_nb.ir.gather import gather, refusals
from ktrace_nb.ir.probes import Plan, ProgramKind, resolve
from ktrace_nb.ir.program import ProbeRequest, Program
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.source import Edited, Source, Span
from ktrace_nb.wire import bundle as b
from tests.facts_kit import StoredFacts
from tests.kernel_facts.btf_writer import BtfWriter

KALLSYMS = """\
ffffffff81001000 T vfs_read
ffffffff81002000 T vfs_write
ffffffff81003000 t cleanup
ffffffff81003500 t cleanup
ffffffff81004000 T vfs_hidden
ffffffff81005000 d vfs_data
"""
FACTS = {
    "kallsyms": KALLSYMS,
    "functions": "vfs_read\nvfs_write\ncleanup\n",
    "blacklist": "",
    "tracepoints": "",
}


def types(generation: str) -> bytes:
    """The types by which kernels are told apart: struct fprobe as in Linux 6.12 and in 6.14."""
    w = BtfWriter()
    pointer = w.refer(Kind.PTR, 0)
    if generation != "without fprobe":
        w.refer(Kind.FUNC, w.prototype(0, []), "register_fprobe_ips")
        member = "rethook" if generation == "6.12" else "hlist_array"
        w.record("fprobe", 16, [("nmissed", pointer, 0), (member, pointer, 64)])
    return w.blob()


class Kernel(StoredFacts):
    def __init__(self, generation: str, **changed: str) -> None:
        told = {name: text.encode() for name, text in {**FACTS, **changed}.items()}
        super().__init__({**told, "btf": types(generation)})


def facts(cpus: int = 32, *, generation: str = "6.12", **changed: str) -> KernelFacts:
    return KernelFacts(Kernel(generation, **changed), release="6.12.0", machine="x86_64", cpus=cpus)


def program(*probes: str, text: str = "int f(struct pt_regs *ctx) { return 0; }") -> Program:
    requests = []
    for probe in probes:
        kind, _, target = probe.partition(":")
        source = Source(probe)
        requests.append(ProbeRequest("f", kind, target, source, Span(0, len(probe))))
    source = Source(text)
    return Program(source, Edited(source, []), tuple(requests), ())


def gathered(cell: Program, of: KernelFacts) -> Plan:
    return gather(resolve(cell, of), cell, of)


def test_a_glob_becomes_one_point_with_the_addresses_of_its_functions() -> None:
    plan = gathered(program("kprobe:vfs_*"), facts())
    (point,) = plan.points
    assert (point.kind, point.target, point.optional) == ("kprobe_multi", "vfs_*", 0)
    assert struct.unpack("<2Q", point.places) == (0xFFFFFFFF81001000, 0xFFFFFFFF81002000)
    assert point.names == b"vfs_read\nvfs_write"
    assert plan.kinds["f"] == ProgramKind(b.KPROBE, b.TRACE_KPROBE_MULTI)
    assert len(plan.requests) == 1


@pytest.mark.parametrize("generation", ["without fprobe", "6.14"])
def test_a_kernel_that_cannot_or_gives_other_registers_gets_single_kprobes(generation: str) -> None:
    of = facts(generation=generation)
    assert of.has_kprobe_multi == (generation == "6.14")
    assert [p.kind for p in gathered(program("kprobe:vfs_*"), of).points] == ["kprobe", "kprobe"]


def test_each_function_remembers_who_asked_for_it() -> None:
    plan = gathered(program("kprobe:vfs_write", "kprobe:vfs_read"), facts())
    assert plan.points[0].target == "vfs_write, vfs_read"
    assert [plan.request(0, place).target for place in (0, 1)] == ["vfs_write", "vfs_read"]


def test_of_functions_of_one_name_every_one_is_meant_and_may_be_refused() -> None:
    plan = gathered(program("kprobe:*"), facts())
    (point,) = plan.points
    assert point.names.decode().split() == ["cleanup", "cleanup", "vfs_read", "vfs_write"]
    assert struct.unpack("<4Q", point.places)[:2] == (0xFFFFFFFF81003000, 0xFFFFFFFF81003500)
    assert point.optional == 1
    (problem,) = refusals(plan, [[0, 1, 22]])
    assert problem.message == "1 of 2 functions named 'cleanup' cannot be traced"


def test_names_stand_in_for_addresses_that_are_hidden() -> None:
    hidden = "".join(f"0000000000000000 {line[17:]}\n" for line in KALLSYMS.splitlines())
    (point,) = gathered(program("kprobe:vfs_*"), facts(kallsyms=hidden)).points
    assert (point.kind, point.places, point.names) == ("kprobe_multi", b"", b"vfs_read\nvfs_write")


@pytest.mark.parametrize(
    "text",
    [
        "int f(struct pt_regs *ctx) { u64 ip = PT_REGS_IP(ctx); return 0; }",
        "int f(struct pt_regs *ctx) { u64 here = ctx->ip; return 0; }",
        "int f(struct pt_regs *ctx) { bpf_override_return(ctx, 0); return 0; }",
    ],
)
def test_a_program_that_needs_a_kprobe_s_registers_keeps_its_kprobes(text: str) -> None:
    plan = gathered(program("kprobe:vfs_*", text=text), facts())
    assert {p.kind for p in plan.points} == {"kprobe"}
    assert plan.kinds["f"].attach_type == 0


@pytest.mark.parametrize(
    "probes",
    [
        ("kprobe:vfs_read",),
        ("kprobe:vfs_read", "kprobe:vfs_write+0x10"),
        ("kprobe:vfs_read", "kprobe:vfs_read"),
        ("kprobe:vfs_read", "kprobe:vfs_hidden"),
        ("kprobe:vfs_read", "kretprobe:vfs_write"),
    ],
    ids=["one function", "an offset", "asked for twice", "not known to ftrace", "entry and return"],
)
def test_what_kprobe_multi_cannot_do_stays_as_it_is(probes: tuple[str, ...]) -> None:
    cell = program(*probes)
    assert gathered(cell, facts()) == resolve(cell, facts())


def test_few_returns_keep_kretprobes_which_can_miss_fewer_calls() -> None:
    # 2 functions, two calls each and CPU: 4 on one CPU, 128 on 32.
    cell = program("kretprobe:vfs_*")
    assert {p.kind for p in gathered(cell, facts(cpus=1)).points} == {"kretprobe"}
    assert {p.kind for p in gathered(cell, facts(cpus=32)).points} == {"kretprobe_multi"}


def test_a_walk_is_left_as_it_was_planned() -> None:
    cell = program("kprobe:vfs_*")
    walk = replace(cell, walk=Walk(functions=(Traced("vfs_read"),)))
    assert gather(resolve(cell, facts()), walk, facts()).points == resolve(cell, facts()).points
