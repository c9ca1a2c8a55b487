"""The C of placed scripts: it compiles without a warning, and reads as a person would write it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from ktrace_nb.codegen import script_contexts, script_intrinsics
from ktrace_nb.codegen.script import ScriptOptions, generate, program_of
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import script_layout as layout
from ktrace_nb.ir.intrinsics import INTRINSICS
from ktrace_nb.ir.script import Type
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.source import Place, Source, Span
from tests.codegen import script_kit as k
from tests.codegen.kit import Compiler


@pytest.fixture(scope="module")
def compiler(btf: Btf) -> Iterator[Compiler]:
    compiler = Compiler(btf)
    yield compiler
    compiler.worker.close()


def program_text(script: ir.Placed, name: str = "probe_0", **options: object) -> str:
    """The text of one program."""
    text = generate(script, ScriptOptions(**options)).text  # type: ignore[arg-type]
    return text[text.index(f"int {name}(") :].split("\n}\n")[0]


def check(compiler: Compiler, script: ir.Placed, **options: object) -> list[str]:
    """Compile a script; gives the names of its programs."""
    made, result = k.compiled(compiler, script, **options)
    assert result.ok and result.bundle, f"{result.diagnostics}\n{made.text}"
    assert "warning" not in result.diagnostics, f"{result.diagnostics}\n{made.text}"
    assert list(result.tables) == [output.name for output in made.outputs]
    return [program.name for program in result.bundle.programs]


def test_every_intrinsic_of_the_kernel_has_c_and_no_other() -> None:
    tables = (script_intrinsics.NUMBERS, script_intrinsics.TEXTS, script_intrinsics.EFFECTS)
    names = [name for table in tables for name in table]
    assert sorted(names) == sorted(name for name, place in INTRINSICS.items() if place.kernel)


def test_counting_by_name_is_what_one_would_write_by_hand() -> None:
    script = k.placed(
        k.handler(k.add(k.element("calls", k.EXECNAME))), globals_=[k.kernel_global("calls", keys=[k.TEXT16])]
    )
    text = program_text(script)
    assert re.findall(r"\b(?:bpf|g)_[\w.]+(?=\()", text) == [
        "bpf_get_current_comm",
        "g_calls.lookup_or_try_init",
        "bpf_ktime_get_ns",  # of the error that the array is full
    ]
    assert "bpf_get_current_comm((void *)key1.k0, 16);" in text
    assert "__sync_fetch_and_add(found1, 1);" in text


def test_a_script_that_sends_no_records_has_a_small_ring() -> None:
    silent = k.placed(k.handler(k.add(k.scalar("n"))), globals_=[k.kernel_global("n")])
    telling = k.placed(k.handler(ir.Ship(1, (k.n(1),))), records=[[k.LONG]])
    assert "BPF_RINGBUF_OUTPUT(ktrace_records, 64);" in generate(silent, ScriptOptions()).text
    assert "BPF_RINGBUF_OUTPUT(ktrace_records, 4096);" in generate(telling, ScriptOptions()).text


@pytest.mark.parametrize("context", k.CONTEXTS)
def test_every_intrinsic_compiles_in_every_context(compiler: Compiler, context: str) -> None:
    assert check(compiler, k.every_intrinsic(context)) == ["probe_0"]


@pytest.mark.parametrize("context", ["kprobe", "uprobe", "fentry", "raw_tracepoint", "sys_enter"])
def test_arguments_compile(compiler: Compiler, context: str) -> None:
    count = 6 if context == "sys_enter" else 8
    body = [k.assign(k.scalar("x"), ir.Argument(i), "+") for i in range(count)]
    handler = k.handler(*body, context=context, target=k.CONTEXTS[context][0])
    check(compiler, k.placed(handler, globals_=[k.kernel_global("x")]))


def test_what_has_no_arguments_or_result_says_so() -> None:
    with pytest.raises(ValueError, match="no arguments in context 'perf'"):
        script_contexts.argument("perf", 0)
    with pytest.raises(ValueError, match="no result in context 'kprobe'"):
        script_contexts.result("kprobe")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("rdi", ("di", 8)), ("edi", ("di", 4)), ("di", ("di", 8)), ("%rax", ("ax", 8)), ("r10", ("r10", 8)),
        ("r10d", ("r10", 4)), ("rip", ("ip", 8)), ("orig_ax", ("orig_ax", 8)), ("eflags", ("flags", 4)),
        ("rflags", ("flags", 8)),
        ("bp", ("bp", 8)), ("rbp", ("bp", 8)), ("xmm0", None), ("", None),
    ],
)  # fmt: skip
def test_registers_are_known_by_all_their_names(name: str, found: tuple[str, int] | None) -> None:
    assert script_contexts.register_name(name) == found


def test_registers_stand_where_the_kernel_has_them(btf: Btf) -> None:
    """Against the BTF of a kernel: r15 first, ss last."""
    (type_id,) = btf.find("pt_regs", Kind.STRUCT)[:1]
    members = {m.name: m.bit_offset // 64 for m in btf.members(type_id) if m.name}
    known = {name: i for i, name in enumerate(script_contexts.REGISTERS) if name in members}
    assert len(known) > 17
    assert known == {name: members[name] for name in known}


def test_few_strings_are_on_the_stack_and_many_are_not(compiler: Compiler) -> None:
    def script(count: int) -> ir.Placed:
        locals_ = [k.kernel_local(f"s{i}", k.TEXT) for i in range(count)]
        read = k.intrinsic("kernel_string", ir.Argument(1), type_=Type.STRING)
        body = [k.assign(k.local(f"s{i}", Type.STRING), read) for i in range(count)]
        sent = ir.Ship(1, tuple(k.local(f"s{i}", Type.STRING) for i in range(count)))
        return k.placed(k.handler(*body, sent, locals_=locals_), records=[[k.TEXT] * count])

    few = k.placed(
        k.handler(k.assign(k.local("s", Type.STRING), k.EXECNAME), locals_=[k.kernel_local("s", k.TEXT16)])
    )
    assert "ktrace_scratch" not in [o.name for o in generate(few, ScriptOptions()).outputs]
    many = script(12)
    assert "ktrace_scratch" in [o.name for o in generate(many, ScriptOptions()).outputs]
    check(compiler, many)


def test_long_strings_compile(compiler: Compiler) -> None:
    text = ir.Shape(4096, text=True)
    local = k.local("s", Type.STRING)
    joined = ir.Concat(local, local, type=Type.STRING)
    body = [
        k.assign(local, k.intrinsic("kernel_string", ir.Argument(0), type_=Type.STRING)),
        k.assign(local, joined),
        ir.If(ir.Compare("<", local, joined), (ir.Ship(1, (local,)),)),
    ]
    limits = ir.Limits(max_string=4096)
    check(
        compiler,
        k.placed(k.handler(*body, locals_=[k.kernel_local("s", text)]), records=[[text]], limits=limits),
    )


def test_lines_know_the_place_of_the_script_that_they_come_from() -> None:
    source = Source("probe x { n++ }\n")
    at = Place(source, Span(10, 13))
    statement = ir.Evaluate(ir.Step(k.scalar("n"), 1, False), at=at)
    made = generate(k.placed(k.handler(statement), globals_=[k.kernel_global("n")]), ScriptOptions())
    lines = made.text.splitlines()
    assert len(lines) == len(made.places)
    (line,) = [i for i, text in enumerate(lines) if "ktrace_add_(g_n" in text]
    assert made.places[line] == at


def test_programs_are_where_they_are_said_to_be() -> None:
    entry = ((ir.Argument(0), k.LONG),)
    script = k.placed(
        k.handler(k.do(ir.EntryValue(0)), context="kretprobe", entry=entry, entry_context="kprobe"),
        k.handler(ir.Next(), number=1),
    )
    made = generate(script, ScriptOptions())
    assert [made.text[span.start : span.end] for _, span in made.functions] == [n for n, _ in made.functions]
    assert [name for name, _ in made.functions] == ["entry_0", "probe_0", "probe_1"]
    assert all(made.text[at - 1] == "{" for at in made.bodies)
    program = program_of(script, ScriptOptions())
    assert [(p.function, p.kind) for p in program.probes] == [
        ("entry_0", "kprobe"), ("probe_0", "kretprobe"), ("probe_1", "kprobe"),
    ]  # fmt: skip
    assert "\n#line 2000" in program.marked_text()


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_filter_of_system_calls_compiles(compiler: Compiler, count: int) -> None:
    for context in ("sys_enter", "sys_exit"):
        handler = k.handler(
            k.add(k.scalar("n")), context=context, target=context, syscalls=range(0, 3 * count, 3)
        )
        check(compiler, k.placed(handler, globals_=[k.kernel_global("n")]))


def test_all_options_compile(compiler: Compiler) -> None:
    script = k.placed(
        k.handler(ir.Ship(1, (ir.Argument(0),))), k.handler(ir.Next(), number=1), records=[[k.LONG]]
    )
    check(compiler, script, pid=1234, throttled=True, capped=True)
    assert "bpf_get_current_pid_tgid() >> 32 != 1234" in program_text(script, pid=1234)


def test_what_cannot_be_in_the_kernel_is_refused() -> None:
    script = k.placed(k.handler(ir.Print(1, (), ())))
    with pytest.raises(ValueError, match="Print cannot be in the kernel"):
        generate(script, ScriptOptions())


# --- layouts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "bucket"),
    [
        (0, 64), (1, 65), (2, 66), (3, 66), (4, 67), (-1, 63), (-2, 62), (-3, 62),
        ((1 << 63) - 1, 127), (-(1 << 63), 0),
    ],
)  # fmt: skip
def test_log_buckets_are_bit_lengths_around_64(value: int, bucket: int) -> None:
    assert layout.bucket_of(ir.HistogramShape(), value) == bucket


def test_linear_buckets_have_one_below_and_one_above() -> None:
    shape = ir.HistogramShape(0, 100, 10)
    assert layout.bucket_count(shape) == 13
    assert [layout.bucket_of(shape, v) for v in (-1, 0, 9, 10, 99, 100, 109, 110, 5000)] == [
        0, 1, 1, 2, 10, 11, 11, 12, 12,
    ]  # fmt: skip


def test_the_layout_of_statistics_is_that_of_the_c(compiler: Compiler) -> None:
    histograms = (ir.HistogramShape(), ir.HistogramShape(0, 40, 10))
    shape = k.kernel_global("s", statistics=True, histograms=histograms, variance=True)
    script = k.placed(k.handler(ir.Accumulate(k.scalar("s", k.STATS), ir.Argument(0))), globals_=[shape])
    _, result = k.compiled(compiler, script)
    assert result.bundle
    (definition,) = [m for m in result.bundle.maps if m.name == "g_s"]
    expected = layout.statistics_layout(shape.variable)
    assert definition.value_size == expected.size
    assert [b - a for a, b in pairwise([*expected.histograms, expected.size])] == [8 * 128, 8 * 7]
