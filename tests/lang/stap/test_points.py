"""Points of the session, clocks, counters, functions, tracepoints and processes."""

from __future__ import annotations

import pytest

from ktrace_nb.ir import probes
from ktrace_nb.ir import script as ir
from ktrace_nb.ir.program import Program
from ktrace_nb.lang.stap import points
from ktrace_nb.source import Edited, Source
from tests.lang.stap.point_kernel import FACTS, kernel, names, one, point, resolve, targets


@pytest.mark.parametrize(
    ("text", "event", "order"),
    [
        ("begin", ir.Event.BEGIN, 0),
        ("begin(-100)", ir.Event.BEGIN, -100),
        ("end(7)", ir.Event.END, 7),
        ("error", ir.Event.ERROR, 0),
        ("never", ir.Event.NEVER, 0),
        ("oneshot", ir.Event.BEGIN, 0),
    ],
)
def test_points_of_the_session_have_an_order(text: str, event: ir.Event, order: int) -> None:
    made = one(text)
    assert (made.event, made.order, made.name, made.exits) == (event, order, text, text == "oneshot")


@pytest.mark.parametrize(
    ("text", "period_ns", "randomize_ns"),
    [
        ("timer.s(5)", 5_000_000_000, 0),
        ("timer.sec(1)", 1_000_000_000, 0),
        ("timer.ms(200).randomize(50)", 200_000_000, 50_000_000),
        ("timer.msec(1)", 1_000_000, 0),
        ("timer.us(5000)", 5_000_000, 0),
        ("timer.usec(1000)", 1_000_000, 0),
        ("timer.ns(1000000)", 1_000_000, 0),
        ("timer.nsec(2000000)", 2_000_000, 0),
        ("timer.hz(10)", 100_000_000, 0),
        ("timer.jiffies(25)", 100_000_000, 0),  # 25 ticks of 1/250 s
        ("timer.jiffies(25).randomize(5)", 100_000_000, 20_000_000),
    ],
)
def test_timers_run_beside_the_notebook(text: str, period_ns: int, randomize_ns: int) -> None:
    made, notes = resolve(text)
    assert [(m.event, m.period_ns, m.randomize_ns) for m in made] == [
        (ir.Event.TIMER, period_ns, randomize_ns)
    ]
    assert notes == []


def test_a_timer_too_fast_for_the_notebook_says_what_to_take() -> None:
    _, notes = resolve("timer.us(10)")
    assert notes == ["timer.us(10) runs beside the notebook, where 10 µs cannot be kept"]


def test_a_kernel_that_does_not_tell_its_tick_is_taken_to_have_250() -> None:
    (made,), notes = resolve("timer.jiffies(1)", facts=kernel(config=""))
    assert made.period_ns == 4_000_000
    assert notes == ["the kernel does not tell its CONFIG_HZ: 250 is taken"]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("timer.profile", ("profile", "us:4000")),
        ("timer.profile.tick", ("profile", "us:4000")),
        ("timer.profile.freq.hz(97)", ("profile", "hz:97")),
        ("timer.profile.freq(97)", ("profile", "hz:97")),
        ("perf.sw.cpu_clock", ("perf", "1:0:period:1000000")),
        ("perf.sw.page_faults.sample(1)", ("perf", "1:2:period:1")),
        ("perf.hw.instructions.hz(99)", ("perf", "0:1:hz:99")),
        ("perf.type(3).config(65536).sample(10)", ("perf", "3:65536:period:10")),
    ],
)
def test_clocks_and_counters_of_the_kernel(text: str, target: tuple[str, str]) -> None:
    made = one(text)
    assert (made.context, targets(made)) == ("perf", [target])
    source = Source(text)
    plan = probes.resolve(Program(source, Edited(source, []), made.requests, ()), FACTS)
    assert plan.points[0].perf_type == int(target[1][0] if target[0] == "perf" else 1)


def test_a_counter_may_be_for_one_program() -> None:
    made = one('perf.hw.cpu_cycles.process("/usr/bin/a-program-of-long-name")')
    assert isinstance(made.condition, ir.Compare)
    assert made.condition.right == ir.Text("a-program-of-lo", type=ir.Type.STRING)
    assert one("perf.hw.cpu_cycles.process").target_only


# --- functions -----------------------------------------------------------------------------


def test_the_entry_of_a_function_is_a_kprobe_with_its_parameters() -> None:
    made = one('kernel.function("vfs_read").call')
    assert (made.context, made.name) == ("kprobe", 'kernel.function("vfs_read").call')
    assert targets(made) == [("kprobe", "vfs_read")]
    assert names(made) == ["file", "buf", "count", "pos"]
    assert [v.expr for v in made.probe_context.variables] == [ir.Argument(n) for n in range(4)]


def test_a_return_is_fexit_where_the_kernel_has_trampolines() -> None:
    made = one('kernel.function("vfs_read").return')
    assert (made.context, made.arguments, targets(made)) == ("fexit", 4, [("fexit", "vfs_read")])
    assert not made.probe_context.parameters_saved
    assert made.probe_context.returns is not None
    assert FACTS.btf.name(made.probe_context.returns.type_id) == "long int"
    assert [(r.kind, r.target) for r in made.entry_requests] == [("kprobe", "vfs_read")]


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ('kernel.function("vfs_read").return', {"facts": kernel(trampolines=False)}),
        ('kernel.function("vfs_read").return', {"registers_used": True}),
        ('kernel.function("seven_words").return', {}),
        ('kernel.function("by_value").return', {}),
        ('kernel.function("no_types").return', {}),
    ],
)
def test_a_return_is_a_kretprobe_where_a_trampoline_cannot_be(text: str, settings: dict[str, object]) -> None:
    made = one(text, **settings)  # type: ignore[arg-type]
    assert (made.context, made.probe_context.parameters_saved) == ("kretprobe", True)
    assert [(r.kind) for r in made.entry_requests] == ["kprobe"]


def test_a_function_that_returns_nothing_has_no_return() -> None:
    assert one('kernel.function("nothing").return').probe_context.returns is None


def test_the_seventh_argument_is_on_the_stack_and_structures_shift_what_follows() -> None:
    seven = one('kernel.function("seven_words")').probe_context
    assert seven.variables[6].expr == ir.Argument(6)
    by_value = one('kernel.function("by_value")').probe_context
    assert [(v.name, v.expr) for v in by_value.variables] == [
        ("before", ir.Argument(0)),
        ("behind", ir.Argument(3)),
    ]
    assert by_value.hidden == "a structure passed by value cannot be read"


def test_a_pattern_is_one_point_per_function_or_one_for_all() -> None:
    made, notes = resolve('kernel.function("vfs_*").return')
    assert [m.name for m in made] == [
        'kernel.function("vfs_read").return',
        'kernel.function("vfs_write").return',
    ]
    assert [m.context for m in made] == ["fexit", "fexit"]
    assert notes == ["1 of 3 functions that match 'vfs_*' are left out: vfs_part.part.0"]
    merged = one('kernel.function("vfs_*").return', variables_used=False)
    assert (merged.context, merged.name) == ("kretprobe", 'kernel.function("vfs_*").return')
    assert targets(merged) == [("kretprobe", n) for n in ("vfs_part.part.0", "vfs_read", "vfs_write")]


def test_what_cannot_be_probed_is_left_out_of_a_pattern_and_said() -> None:
    made, notes = resolve('kernel.function("s*")', variables_used=False)
    assert ("kprobe", "secret") not in targets(made[0])
    assert notes == ["1 of 8 functions that match 's*' are left out: secret"]


def test_a_pattern_of_the_kernel_leaves_modules_alone() -> None:
    assert not any(
        "nfs" in target for _, target in targets(one('kernel.function("*")', variables_used=False))
    )


def test_exported_functions_are_those_with_a_symbol_for_modules() -> None:
    assert targets(one('kernel.function("vfs_*").exported')) == [("kprobe", "vfs_write")]


def test_a_clone_stands_in_for_its_function() -> None:
    (made,), notes = resolve('kernel.function("do_work")')
    assert targets(made) == [("kprobe", "do_work.isra.0")]
    assert notes == ["'do_work' exists only as do_work.isra.0; probing 'do_work.isra.0'"]
    assert made.probe_context.hidden == "the kernel has no type of this function"


def test_an_offset_has_no_variables() -> None:
    made = one('kernel.statement("vfs_read+16")')
    assert (targets(made), names(made)) == ([("kprobe", "vfs_read+0x10")], [])


def test_an_address_is_a_place_in_a_function() -> None:
    assert targets(one("kernel.statement(0xffffffff81001010).absolute")) == [("kprobe", "vfs_read+0x10")]


def test_functions_of_a_source_file_stand_between_its_known_ones() -> None:
    made, notes = resolve('kernel.function("*@net/socket.c").call')
    assert [target for m in made for _, target in targets(m)] == ["sock_alloc", "sock_create", "sock_inner"]
    assert "3 functions are taken for 'net/socket.c'" in notes[0]


def test_a_module_that_is_loaded_has_its_own_functions() -> None:
    made, notes = resolve('module("nfs").function("*")', variables_used=False)
    assert targets(made[0]) == [("kprobe", "nfs_close"), ("kprobe", "nfs_open")]
    assert notes == []


def test_a_module_that_is_built_in_has_the_functions_of_its_name() -> None:
    made, notes = resolve('module("ext3").function("*").call', variables_used=False)
    functions = ["ext4_file_write_iter", "ext4_lookup", "ext4_put.isra.0"]
    assert targets(made[0]) == [("kprobe", name) for name in functions]
    assert made[0].name == 'module("ext3").function("*").call'
    assert notes == [
        "'ext3' is no module of this kernel but built in: 3 functions named ext4_* are taken for it"
    ]


def test_kprobe_points_are_functions_too() -> None:
    assert targets(one('kprobe.function("vfs_read")')) == [("kprobe", "vfs_read")]
    assert targets(one('kprobe.module("nfs").function("nfs_open").return')) == [("kretprobe", "nfs_open")]


def test_maxactive_is_kept() -> None:
    assert one('kernel.function("vfs_read").return.maxactive(100)').maxactive == 100


# --- tracepoints ---------------------------------------------------------------------------


def test_a_tracepoint_has_the_arguments_of_the_kernels_source() -> None:
    made = one('kernel.trace("sched_switch")')
    assert (made.context, targets(made)) == ("raw_tracepoint", [("raw_tracepoint", "sched_switch")])
    assert [(v.name, v.expr) for v in made.probe_context.variables] == [
        ("prev", ir.Argument(0)),
        ("next", ir.Argument(1)),
    ]


def test_a_tracepoint_whose_names_are_unknown_numbers_its_arguments() -> None:
    assert names(one('kernel.trace("sched_wakeup")')) == ["arg1"]


def test_tracepoints_are_found_by_category_and_pattern() -> None:
    made, _ = resolve('kernel.trace("sched:sched_[sw]*")')
    assert [m.name for m in made] == ['kernel.trace("sched_switch")', 'kernel.trace("sched_wakeup")']
    merged = one('kernel.trace("sched:*")', variables_used=False)
    assert len(merged.requests) == 4


# --- processes -----------------------------------------------------------------------------


def test_a_process_begins_with_a_program_or_as_a_child() -> None:
    made, _ = resolve("process.begin")
    assert [targets(m) for m in made] == [
        [("raw_tracepoint", "sched_process_exec")],
        [("kprobe", "schedule_tail")],
    ]
    assert all(m.target_only for m in made)


def test_the_end_of_a_process_is_that_of_its_first_thread() -> None:
    leads = ir.Compare("==", ir.Intrinsic("pid"), ir.Intrinsic("tid"))
    # PF_KTHREAD is 0x200000; task_struct.flags stands at byte 44 of the small kernel's.
    place = ir.Binary("+", ir.Intrinsic("task_current"), ir.Number(44))
    no_kernel_thread = ir.Compare(
        "==", ir.Binary("&", ir.Load(place, 4, False), ir.Number(0x200000)), ir.Number(0)
    )
    assert one("process.end").condition == ir.Logical("&&", leads, no_kernel_thread)
    in_process = ir.Compare("==", ir.Intrinsic("pid"), ir.Number(42))
    assert one("process(42).end").condition == ir.Logical(
        "&&", ir.Logical("&&", leads, no_kernel_thread), in_process
    )


def test_system_calls_of_a_process_have_their_number_and_arguments() -> None:
    made = one("process(42).syscall.return")
    assert (made.context, made.syscalls) == ("sys_exit", ())
    assert names(made) == ["syscall", "arg1", "arg2", "arg3", "arg4", "arg5", "arg6"]
    assert made.probe_context.returns is not None


def test_functions_and_markers_of_programs() -> None:
    assert targets(one('process("/bin/cat").function("main")')) == [("uprobe", "/bin/cat:main")]
    assert targets(one('process("/bin/cat").function("main").return')) == [("uretprobe", "/bin/cat:main")]
    assert targets(one('process("python3").mark("gc__start")')) == [("usdt", "python3:gc__start")]
    marker = one('process("python3").provider("python").mark("gc__start")')
    assert targets(marker) == [("usdt", "python3:python:gc__start")]
    library = one('process("/bin/cat").library("libc.so.6").function("malloc")')
    assert targets(library) == [("uprobe", "libc.so.6:malloc")]
    assert library.condition is not None
    assert targets(one('process.function("main")', command="/bin/ls")) == [("uprobe", "/bin/ls:main")]


@pytest.mark.parametrize(
    "text", ["begin", "timer.s(1)", 'kernel.function("x")', "__syscall.open", "procfs.read"]
)
def test_built_in_points_are_known_by_their_first_name(text: str) -> None:
    assert points.is_built_in(point(text))


@pytest.mark.parametrize("text", ["syscall.open", "vfs.read", "beginning"])
def test_aliases_are_not_built_in(text: str) -> None:
    assert not points.is_built_in(point(text))
