"""Placed scripts built by hand, and their C compiled as a session would."""

from __future__ import annotations

from collections.abc import Sequence

from ktrace_nb.codegen import script_intrinsics
from ktrace_nb.codegen.script import Generated, ScriptOptions, generate
from ktrace_nb.compiler import build
from ktrace_nb.compiler.client import WorkerResult
from ktrace_nb.ir import script as ir
from ktrace_nb.ir.intrinsics import INTRINSICS
from ktrace_nb.ir.program import ProbeRequest
from ktrace_nb.ir.script import Type
from tests.codegen.kit import Compiler

LONG, TEXT16, TEXT = ir.LONG, ir.Shape(16, text=True), ir.Shape(128, text=True)
SYMBOL = ir.Shape(8, text=True, symbol="symname")
STATS = Type.STATISTICS


def n(value: int) -> ir.Number:
    return ir.Number(value)


def s(value: str) -> ir.Text:
    return ir.Text(value, type=Type.STRING)


def local(name: str, type_: Type = Type.LONG) -> ir.Local:
    return ir.Local(name, type=type_)


def scalar(name: str, type_: Type = Type.LONG) -> ir.Global:
    return ir.Global(name, type=type_)


def element(array: str, *keys: ir.Expr, type_: Type = Type.LONG) -> ir.Element:
    return ir.Element(array, keys, type=type_)


def intrinsic(name: str, *arguments: ir.Expr, type_: Type = Type.LONG) -> ir.Intrinsic:
    return ir.Intrinsic(name, arguments, type=type_)


EXECNAME = intrinsic("execname", type_=Type.STRING)
PROBEFUNC = intrinsic("probefunc", type_=Type.STRING)


def do(expr: ir.Expr) -> ir.Evaluate:
    return ir.Evaluate(expr)


def assign(target: ir.Local | ir.Global | ir.Element, value: ir.Expr, op: str = "") -> ir.Evaluate:
    return ir.Evaluate(ir.Assign(target, op, value, type=target.type))


def add(target: ir.Local | ir.Global | ir.Element, by: int = 1) -> ir.Evaluate:
    return ir.Evaluate(ir.Step(target, by, False))


def kernel_global(
    name: str,
    value: ir.Shape = LONG,
    keys: Sequence[ir.Shape] = (),
    *,
    statistics: bool = False,
    size: int = 0,
    wraps: bool = False,
    histograms: Sequence[ir.HistogramShape] = (),
    variance: bool = False,
) -> ir.KernelGlobal:
    kind = STATS if statistics else Type.STRING if value.text else Type.LONG
    variable = ir.GlobalVariable(
        name=name,
        type=kind,
        keys=tuple(Type.STRING if k.text else Type.LONG for k in keys),
        size=size,
        wraps=wraps,
        histograms=tuple(histograms),
        variance=variance,
    )
    return ir.KernelGlobal(variable, tuple(keys), value)


def kernel_local(name: str, shape: ir.Shape = LONG) -> ir.KernelLocal:
    return ir.KernelLocal(name, shape)


def handler(
    *body: ir.Stmt,
    context: str = "kprobe",
    number: int = 0,
    kind: str = "",
    target: str = "vfs_write",
    locals_: Sequence[ir.KernelLocal] = (),
    syscalls: Sequence[int] = (),
    arguments: int = 0,
    entry: Sequence[tuple[ir.Expr, ir.Shape]] = (),
    entry_context: str = "",
    entry_target: str = "",
) -> ir.KernelHandler:
    entries = (
        (ProbeRequest(f"entry_{number}", _kind(entry_context), entry_target or target),) if entry else ()
    )
    made = ir.Handler(
        number=number,
        event=ir.Event.KERNEL,
        name=f"{context}:{target}",
        body=(),
        context=context,
        syscalls=tuple(syscalls),
        arguments=arguments,
        requests=(ProbeRequest(f"probe_{number}", kind or _kind(context), target),),
        entry_requests=entries,
        entry_context=entry_context,
    )
    return ir.KernelHandler(made, tuple(body), tuple(locals_), tuple(entry))


def _kind(context: str) -> str:
    return "raw_tracepoint" if context.startswith("sys_") else context


def placed(
    *handlers: ir.KernelHandler,
    globals_: Sequence[ir.KernelGlobal] = (),
    functions: Sequence[ir.KernelFunction] = (),
    records: Sequence[Sequence[ir.Shape]] = (),
    limits: ir.Limits = ir.Limits(),  # noqa: B008
) -> ir.Placed:
    script = ir.Script(
        globals=tuple(g.variable for g in globals_),
        functions=(),
        handlers=tuple(h.handler for h in handlers),
        limits=limits,
    )
    return ir.Placed(
        script=script,
        kernel_globals=tuple(globals_),
        kernel_functions=tuple(functions),
        kernel_handlers=handlers,
        records=tuple(ir.Record(i, 0, tuple(shapes), ()) for i, shapes in enumerate(records, 1)),
        user_globals=(),
        user_handlers=(),
        user_functions=(),
    )


def function(
    name: str,
    body: Sequence[ir.Stmt],
    parameters: Sequence[ir.KernelLocal] = (),
    locals_: Sequence[ir.KernelLocal] = (),
    result: ir.Shape = LONG,
) -> ir.KernelFunction:
    kind = Type.STRING if result.text else Type.LONG
    made = ir.Function(name, (), (), kind, ())
    return ir.KernelFunction(made, tuple(parameters), tuple(locals_), result, tuple(body))


def compiled(compiler: Compiler, script: ir.Placed, **options: object) -> tuple[Generated, WorkerResult]:
    """The C of a script and what the compiler makes of it."""
    made = generate(script, ScriptOptions(**options))  # type: ignore[arg-type]
    tree = compiler.tree(made.text)
    assert [p for p in tree.problems if p.severity == "error"] == []
    own = build._own_headers()
    included = [part for path in own for part in ("-include", path)]
    flags = [*build.CFLAGS, "-DKTRACE_LRU=0ULL", *tree.cflags, *included]
    result = compiler.worker.compile(made.text, {**tree.files, **own}, flags)
    return made, result


CONTEXTS = {
    "kprobe": ("vfs_write", 0),
    "kretprobe": ("vfs_write", 0),
    "fentry": ("vfs_write", 4),
    "fexit": ("vfs_write", 4),
    "raw_tracepoint": ("sched_switch", 0),
    "sys_enter": ("sys_enter", 0),
    "sys_exit": ("sys_exit", 0),
    "perf": ("hz:99", 0),
    "uprobe": ("c:write", 0),
    "uretprobe": ("c:write", 0),
}


def every_intrinsic(context: str) -> ir.Placed:
    """A script that uses all that runs in the kernel; what it finds does not matter."""
    target, arguments = CONTEXTS[context]
    extra: dict[str, tuple[ir.Expr, ...]] = {
        "__register": (s("rdi"),),
        "__user_register": (s("esp"),),
        "__argument": (n(3),),
        **{name: (n(16), n(4)) for name in ("__kernel_read", "__user_read")},
        "__user_read2": (n(16), intrinsic("pid")),
        "__user_bytes2": (n(16), n(8), s("none")),
        "__user_count": (n(16),),
        "__user_readable": (n(16),),
        "error": (s("no"),),
        "kernel_string2": (n(1), s("none")),
        "user_string2": (n(1), s("none")),
        **{f"__{where}_bytes": (n(1), intrinsic("pid")) for where in ("kernel", "user")},
        **{f"{where}_string_n": (n(1), intrinsic("pid")) for where in ("kernel", "user")},
        **{f"{where}_string": (n(1),) for where in ("kernel", "user")},
    }
    body: list[ir.Stmt] = []
    for name, place in INTRINSICS.items():
        if place.kernel and name not in script_intrinsics.EFFECTS:
            is_text = name in script_intrinsics.TEXTS
            expr = intrinsic(name, *extra.get(name, ()), type_=Type.STRING if is_text else Type.LONG)
            target_variable = scalar("text", Type.STRING) if is_text else scalar("number")
            body.append(assign(target_variable, expr))
    body += [do(intrinsic("exit")), do(intrinsic("error", *extra["error"]))]
    made = handler(
        *body,
        context=context,
        kind="profile" if context == "perf" else "",
        target=target,
        arguments=arguments,
    )
    globals_ = [kernel_global("text", TEXT), kernel_global("number")]
    return placed(made, globals_=globals_, limits=ir.Limits(max_errors=1_000_000))
