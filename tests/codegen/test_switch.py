"""Every program looks at its switch before it counts or does anything, but for those that tell of threads."""

from __future__ import annotations

import struct

import pytest

from ktrace_nb.codegen.script import ScriptOptions, generate
from ktrace_nb.compiler.build import build
from ktrace_nb.compiler.client import CompilerWorker
from ktrace_nb.ir import script as ir
from ktrace_nb.ir.calls import FENTRY, KPROBE, KPROBE_MULTI, THREAD_PROGRAMS
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.lang.c.cell import parse
from ktrace_nb.lang.c.lower import lower
from ktrace_nb.source import Source
from ktrace_nb.wire import bundle as b
from tests.codegen import script_kit as k
from tests.codegen.kit import Compiler
from tests.codegen.test_calls import FACTS, built


def maps_of(program: b.ProgramDef) -> list[int]:
    """Maps that the instructions refer to, in their order."""
    # struct bpf_insn: code, registers, offset, immediate; BPF_LD | BPF_DW | BPF_IMM of a map is 0x18
    # with BPF_PSEUDO_MAP_FD as its source (Linux include/uapi/linux/bpf.h).
    insns = struct.iter_unpack("<BBhi", program.insns)
    return [imm for code, registers, _, imm in insns if code == 0x18 and registers >> 4 == 1]


def assert_guarded(program: b.ProgramDef) -> None:
    maps = maps_of(program)
    assert maps.index(b.SWITCH_FD) < maps.index(b.HITS_FD)


CELL = """
BPF_HASH(counts, u32);
int kprobe__vfs_read(void *ctx) { u32 key = 1; counts.increment(key); return 0; }
int kretprobe__vfs_read(void *ctx) { u32 key = 2; counts.increment(key); return 0; }
void kprobe__vfs_write(void *ctx) { u32 key = 3; counts.increment(key); }
"""


@pytest.mark.parametrize("options", [{}, {"pid": 42, "throttled": True, "capped": True}])
def test_programs_of_c_are_guarded(worker: CompilerWorker, options: dict[str, int]) -> None:
    program = lower(parse(Source(CELL)), **options)  # type: ignore[arg-type]
    made = build(program, FACTS, worker, None)
    assert len(made.bundle.programs) == 3  # one returns nothing, as some of bcc's own do
    for one in made.bundle.programs:
        assert_guarded(one)
        assert maps_of(one)[0] == b.SWITCH_FD


@pytest.mark.parametrize("means", [KPROBE_MULTI, FENTRY, KPROBE])
def test_programs_at_functions_are_guarded_and_those_of_threads_are_not(
    worker: CompilerWorker, means: str
) -> None:
    made = built(worker, means, tracked=True)
    for program in made.bundle.programs:
        if program.name in THREAD_PROGRAMS:
            assert b.SWITCH_FD not in maps_of(program)
        else:
            assert_guarded(program)


@pytest.mark.parametrize("options", [{}, {"pid": 42, "throttled": True}])
def test_programs_of_scripts_are_guarded(btf: Btf, options: dict[str, int]) -> None:
    entry = ((ir.Argument(0), k.LONG),)
    count = k.add(k.scalar("n"))
    script = k.placed(
        k.handler(k.do(ir.EntryValue(0)), count, context="kretprobe", entry=entry, entry_context="kprobe"),
        k.handler(count, context="sys_enter", target="sys_enter", syscalls=(3,), number=1),
        globals_=[k.kernel_global("n")],
    )
    compiler = Compiler(btf)
    _, result = k.compiled(compiler, script, **options)
    compiler.worker.close()
    assert result.bundle is not None, result.diagnostics
    assert [p.name for p in result.bundle.programs] == ["entry_0", "probe_0", "probe_1"]
    for program in result.bundle.programs:
        assert_guarded(program)


def test_a_return_that_is_left_out_leaves_nothing_behind_of_its_entry() -> None:
    entry = ((ir.Argument(0), k.LONG),)
    script = k.placed(
        k.handler(k.do(ir.EntryValue(0)), context="kretprobe", entry=entry, entry_context="kprobe")
    )
    text = generate(script, ScriptOptions(throttled=True)).text
    guard = text[text.index("int probe_0") :].partition("ktrace_off_(1) || ktrace_skip_()")[2]
    left, counted = guard.index("calls_0.delete(&call);"), guard.index("ktrace_hit_(1)")
    assert left < guard.index("return 0;") < counted
