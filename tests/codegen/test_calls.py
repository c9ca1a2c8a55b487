"""The C of walks: that it compiles, which programs there are, and where each goes."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import product

import pytest

from ktrace_nb.codegen.calls import WalkOptions, program_of
from ktrace_nb.compiler.build import Built, build
from ktrace_nb.compiler.client import CompilerWorker
from ktrace_nb.errors import UnsupportedError
from ktrace_nb.ir.calls import FENTRY, GRAPH, KPROBE, KPROBE_MULTI, RING, THREAD_PROGRAMS, TRACKED
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.calls.lower import Wish, lower
from ktrace_nb.source import Edited, Source
from ktrace_nb.stream.calls.records import RECORD
from ktrace_nb.wire import bundle as b
from tests.facts_kit import StoredFacts
from tests.kernel_facts.prove_layout import HOST_BTF

NAMES = ("vfs_read", "vfs_write", "vfs_open")


_HOST = StoredFacts(
    {
        # Types of this machine's kernel; where functions are does not matter here.
        "btf": HOST_BTF.read_bytes(),
        "kallsyms": "".join(f"{0xFFFFFFFF81000000 + 64 * n:x} T {f}\n" for n, f in enumerate(NAMES)).encode(),
        "functions": "\n".join(NAMES).encode(),
        "config": b"CONFIG_FUNCTION_GRAPH_TRACER=y\n",
        "trampolines": b"1",
        "tracepoints": b"",
    }
)


class _Facts(KernelFacts):
    has_kprobe_multi = True
    kprobe_multi_has_registers = True


FACTS = _Facts(_HOST, release="6.12.0", machine="x86_64", cpus=64)


def built(worker: CompilerWorker, means: str, **wish: object) -> Built:
    made, _ = lower(Source(""), Wish(calls=NAMES, means=means, **wish), FACTS)  # type: ignore[arg-type]
    program = program_of(made, FACTS, WalkOptions(capped=True, throttled=True))
    return build(program, FACTS, worker, None)


FOCUS: tuple[dict[str, object], ...] = (
    {},
    {"tracked": True},
    {"roots": ("vfs_open",)},
    {"depth": 2, "tracked": True},
    {"errors": True},
    {"longer_ns": 1000},
    {"follow": "file"},
    {"follow": "0xffff888003a1c000", "depth": 3},
    {"roots": ("vfs_open",), "depth": 1, "errors": True, "longer_ns": 5, "follow": "file", "tracked": True},
)


@pytest.mark.parametrize(("means", "focus"), list(product((KPROBE_MULTI, FENTRY, KPROBE), FOCUS)))
def test_every_focus_compiles_by_every_means(
    worker: CompilerWorker, means: str, focus: dict[str, object]
) -> None:
    made = built(worker, means, **focus)
    assert [p.message for p in made.problems] == []
    names = {m.name for m in made.bundle.maps}
    assert RING in names
    assert (TRACKED in names) == bool(focus.get("tracked"))
    assert all(p.hits_row >= 0 for p in made.bundle.programs)


def test_a_record_in_c_is_laid_out_as_its_reader_has_it(worker: CompilerWorker) -> None:
    made, _ = lower(Source(""), Wish(calls=NAMES, means=KPROBE), FACTS)
    program = program_of(made, FACTS, WalkOptions())
    sizes = {f"sizeof(struct calls_record_) == {RECORD.itemsize}"}
    for name, field in (RECORD.fields or {}).items():
        sizes.add(f"__builtin_offsetof(struct calls_record_, {name}) == {field[1]}")
    checks = "".join(f'_Static_assert({size}, "");\n' for size in sizes)
    source = Source(program.source.text + checks)
    # A check that does not hold is a CompileError.
    build(replace(program, source=source, code=Edited(source, [])), FACTS, worker, None)


def test_of_kprobe_multi_both_programs_are_at_all_functions(worker: CompilerWorker) -> None:
    made = built(worker, KPROBE_MULTI, follow="file")
    points = {p.kind: p for p in made.bundle.attach}
    assert points.keys() == {"raw_tracepoint", "kprobe_multi", "kretprobe_multi"}
    walk = made.program.walk
    assert walk is not None
    entry = points["kprobe_multi"]
    assert entry.optional
    assert struct.unpack("<3Q", entry.places) == tuple(f.address for f in walk.functions)
    assert struct.unpack("<3Q", entry.cookies) == tuple(f.cookie(n) for n, f in enumerate(walk.functions))
    assert points["kretprobe_multi"].cookies == entry.cookies
    kinds = {p.name: (p.type, p.attach_type) for p in made.bundle.programs}
    assert kinds["calls_entry"] == kinds["calls_return"] == (b.KPROBE, b.TRACE_KPROBE_MULTI)


def test_of_trampolines_every_function_has_programs_of_its_own(worker: CompilerWorker) -> None:
    made = built(worker, FENTRY)
    kinds = {p.name: (p.type, p.attach_type, p.attach_btf_id) for p in made.bundle.programs}
    for number, name in enumerate(sorted(NAMES)):
        type_id = FACTS.function_type_id(name)
        assert kinds[f"calls_entry_{number}"] == (b.TRACING, b.TRACE_FENTRY, type_id)
        assert kinds[f"calls_return_{number}"] == (b.TRACING, b.TRACE_FEXIT, type_id)
    rows = [p.hits_row for p in made.bundle.programs]
    assert len(set(rows)) == len(rows)


def test_of_single_kprobes_each_has_its_cookie(worker: CompilerWorker) -> None:
    made = built(worker, KPROBE)
    walk = made.program.walk
    assert walk is not None
    wanted = {
        (kind, f.name, f.cookie(n)) for n, f in enumerate(walk.functions) for kind in ("kprobe", "kretprobe")
    }
    assert {
        (p.kind, p.target, p.cookie) for p in made.bundle.attach if p.kind in ("kprobe", "kretprobe")
    } == wanted


def test_of_the_tracer_only_the_programs_of_threads_are_left(worker: CompilerWorker) -> None:
    made = built(worker, GRAPH, roots=("vfs_open",), depth=2, tracked=True)
    assert {p.name for p in made.bundle.programs} == set(THREAD_PROGRAMS)
    graph = made.bundle.graph
    assert graph is not None
    assert graph.functions.splitlines() == sorted(NAMES)
    assert (graph.roots, graph.depth, graph.tracked) == ("vfs_open", 2, 1)


def test_threads_are_seen_first_and_returns_before_entries(worker: CompilerWorker) -> None:
    kinds = [p.kind for p in built(worker, KPROBE).bundle.attach]
    assert kinds == ["raw_tracepoint"] * len(THREAD_PROGRAMS) + ["kretprobe"] * 3 + ["kprobe"] * 3


def test_another_machine_is_refused() -> None:
    facts = _Facts(_HOST, release="6.12.0", machine="aarch64", cpus=4)
    made, _ = lower(Source(""), Wish(calls=NAMES), facts)
    with pytest.raises(UnsupportedError, match="x86_64 only, this is aarch64"):
        program_of(made, facts, WalkOptions())
