"""From a placed script to C for bcc.

The C needs nothing of the kernel's headers: memory is read at addresses that were
computed when the script was lowered. ``script.h``, put in front, has what all programs
share.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

from ktrace_nb.codegen import script_contexts as contexts
from ktrace_nb.codegen import script_globals
from ktrace_nb.codegen.script_body import Body
from ktrace_nb.codegen.script_lines import Line, Lines
from ktrace_nb.codegen.script_statements import declare, set_first
from ktrace_nb.codegen.script_tables import declarations
from ktrace_nb.codegen.script_unit import ScriptOptions, Unit
from ktrace_nb.codegen.script_values import Variable
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import script_layout as layout
from ktrace_nb.ir.program import Output, Program
from ktrace_nb.source import Edited, Place, Source, Span

__all__ = ["Generated", "ScriptOptions", "generate", "program_of"]


@dataclass(frozen=True, slots=True)
class Generated:
    """The C of a script."""

    text: str
    outputs: tuple[Output, ...]
    """Its maps, in the order of their declaration."""
    functions: tuple[tuple[str, Span], ...]
    """Functions that become programs, in their order, with their places in the text."""
    bodies: tuple[int, ...]
    """Offsets in the text right behind the opening braces of these functions."""
    places: tuple[Place | None, ...]
    """For each line of the text, the first at 0, what of the script it comes from."""
    sites: tuple[layout.Site, ...]
    """Places where something can go wrong, by the number that error records carry."""


def generate(placed: ir.Placed, options: ScriptOptions) -> Generated:
    """Generate the C for what of a script runs in the kernel.

    Raises:
        ValueError: Something was placed in the kernel that cannot be there.
    """
    unit = Unit(placed, options)
    programs: list[tuple[str, list[Line]]] = []
    for handler in placed.kernel_handlers:
        if handler.entry:
            name = handler.handler.entry_function
            programs.append((name, _entry_program(unit, handler, len(programs))))
        programs.append((handler.handler.function, _program(unit, handler, len(programs))))
    tables, outputs = declarations(unit)
    return _assemble(unit, [*_helpers().splitlines(), "", *tables], outputs, programs)


def program_of(placed: ir.Placed, options: ScriptOptions) -> Program:
    """The generated C as something to compile, with its probes.

    Raises:
        ValueError: Something was placed in the kernel that cannot be there.
    """
    generated = generate(placed, options)
    source = Source(generated.text, "script.c")
    handlers = [h.handler for h in placed.kernel_handlers]
    entries = [r for h in placed.kernel_handlers if h.entry for r in h.handler.entry_requests]
    places = [(number, at) for number, at in enumerate(generated.places, 1) if at is not None]
    return Program(
        source=source,
        code=Edited(source, []),
        probes=(*entries, *(request for handler in handlers for request in handler.requests)),
        outputs=generated.outputs,
        functions=generated.functions,
        bodies=generated.bodies,
        pid=options.pid,
        capped=options.capped,
        throttled=options.throttled,
        script=placed,
        places=tuple(places),
        sites=generated.sites,
    )


@cache
def _helpers() -> str:
    return (resources.files("ktrace_nb.codegen") / "script.h").read_text(encoding="utf-8")


def _assemble(
    unit: Unit, head: list[str], outputs: list[Output], programs: list[tuple[str, list[Line]]]
) -> Generated:
    lines = [Line(text, None) for text in head]
    starts = []
    for _, program in programs:
        lines.append(Line("", None))
        starts.append(len(lines))
        lines += program
    text = "".join(line.text + "\n" for line in lines)
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line.text) + 1)
    functions, bodies = [], []
    for (name, _), start in zip(programs, starts, strict=True):
        at = offsets[start] + len("int ")
        functions.append((name, Span(at, at + len(name))))
        bodies.append(offsets[start + 1] + 1)
    return Generated(
        text,
        tuple(outputs),
        tuple(functions),
        tuple(bodies),
        tuple(line.at for line in lines),
        tuple(unit.sites),
    )


# --- programs ------------------------------------------------------------------------------


def _program(unit: Unit, handler: ir.KernelHandler, row: int) -> list[Line]:
    """The program of a handler."""
    body = Body(unit, handler, handler.handler.context, row)
    body.lines.at = handler.handler.at
    for local in handler.locals:
        if layout.is_text(local.shape) and set_first(handler.body, local.name):
            buffer = body.buffer(local.shape.size)
            body.variables[local.name] = Variable(buffer.at, local.shape)
        else:
            body.variables[local.name] = declare(body, local, None)
    body.run(handler.body)
    return _whole(body, handler.handler.function, handler.handler.at)


def _entry_program(unit: Unit, handler: ir.KernelHandler, row: int) -> list[Line]:
    """The program that puts values aside where the function is entered."""
    number = handler.handler.number
    body = Body(unit, ir.KernelHandler(handler.handler, (), ()), handler.handler.entry_context, row)
    body.lines.at = handler.handler.at
    shapes = [shape for _, shape in handler.entry]
    pointer, member = body.structure(f"struct entry_{number}_", layout.offsets(shapes, 8)[-1], "entry")
    body.put(f"{body.use('faults')} = 0;")
    for i, (expr, shape) in enumerate(handler.entry):
        slot = f"{member}v{i}"
        noted = body.noting(i, slot, is_text=layout.is_text(shape))
        with body.placed(expr.at), noted, body.lines.block(""), body.scope():
            script_globals.put(body, expr, shape, slot)
    body.put(f"{member}faults = faults;")
    body.put(f"struct ktrace_call_ call = {_call(body)};")
    body.put(f"calls_{number}.update(&call, {pointer});")
    return _whole(body, handler.handler.entry_function, handler.handler.at)


def _call(body: Body) -> str:
    """C of what tells this call from others."""
    return f"{{bpf_get_current_pid_tgid(), {body.given(contexts.call_key(body.context))}}}"


def _whole(body: Body, name: str, at: Place | None) -> list[Line]:
    """A program: what its body needs, the body, the ways out of it."""
    unit, number = body.unit, body.handler.handler.number
    unit.scratch_bytes = max(unit.scratch_bytes, body.scratch_bytes)
    guards = _guards(body)
    lines = Lines()
    lines.at = at
    lines.put(f"int {name}(u64 *ctx)")
    lines.put("{")
    with lines.deeper():
        for line in _declarations(body):
            lines.put(line)
        for line in guards:
            lines.put(line)
        if body.scratch_bytes:
            lines.put(f"struct ktrace_scratch_ *slot = {layout.SCRATCH}.lookup(&own);")
            lines.put("if (!slot)")
            lines.put("\treturn 0;")
            lines.put("u64 *scratch = slot->words;")
        if body.handler.entry:
            lines.put(f"struct entry_{number}_ *entry = calls_{number}.lookup(&call);")
            lines.put("if (!entry)")
            lines.put("\tktrace_count_(0, KTRACE_UNMATCHED);")
    lines.add(body.lines.written)
    _ends(body, lines)
    lines.put("}")
    return lines.written


def _declarations(body: Body) -> list[str]:
    """What a body uses."""
    lines = ["u32 zero = 0;", f"struct ktrace_state_ *state = {layout.STATE}.lookup(&zero);"]
    known = {
        "word": "union ktrace_word_ word;",
        "nothing": "s64 nothing = 0;",
        "nothing_u64": "u64 nothing_u64 = 0;",
        "actions": "u64 actions = 0;",
        "faults": "u64 faults = 0;",
        "failed": "u64 site, detail;",
    }
    lines += [declaration for name, declaration in known.items() if name in body.used]
    lines += [f"u32 own = {body.slot};"] if body.scratch_bytes else []
    return [*lines, *(f"u64 {name} = {c};" for name, c in body.words.items())]


def _guards(body: Body) -> list[str]:
    """What leaves before anything is done or counted."""
    options = body.unit.options
    lines = ["if (!state || state->stopping)", "\treturn 0;"]
    if options.pid is not None:
        lines += [f"if (bpf_get_current_pid_tgid() >> 32 != {options.pid})", "\treturn 0;"]
    chosen = contexts.syscall_filter(body.context, body.handler.handler.syscalls)
    lines += [body.given(line) for line in chosen]
    skipped = " || ktrace_skip_()" if options.throttled else ""
    left_out = f"ktrace_off_({body.slot}){skipped}"
    if body.handler.entry:
        # What was put aside for this call must not be taken for that of a later one.
        number = body.handler.handler.number
        lines += [f"struct ktrace_call_ call = {_call(body)};", f"if ({left_out}) {{"]
        lines += [f"\tcalls_{number}.delete(&call);", "\treturn 0;", "}"]
    else:
        lines += [f"if ({left_out})", "\treturn 0;"]
    return [*lines, f"ktrace_hit_({body.slot});"]


def _ends(body: Body, lines: Lines) -> None:
    number = body.handler.handler.number
    if "out" in body.used:
        lines.label("out")
    with lines.deeper():
        if body.handler.entry:
            lines.put("if (entry)")
            lines.put(f"\tcalls_{number}.delete(&call);")
        lines.put("return 0;")
    if "failed" not in body.used:
        return
    lines.label("failed")
    with lines.deeper():
        with lines.block(""):
            lines.put(f"struct ktrace_error_ *error = {layout.RECORDS}.ringbuf_reserve(sizeof(*error));")
            with lines.block("if (error)"):
                lines.put(f"error->head.number = {layout.ERROR:#x};")
                lines.put(f"error->head.handler = {number};")
                lines.put("error->head.ktime = bpf_ktime_get_ns();")
                lines.put("error->head.faults = 0;")
                lines.put("error->site = site;")
                lines.put("error->zero = 0;")
                lines.put("error->detail = detail;")
                lines.put(f"{layout.RECORDS}.ringbuf_submit(error, 0);")
        for line in body.unit.after_error:
            lines.put(line)
        if body.handler.entry:
            lines.put("if (entry)")
            lines.put(f"\tcalls_{number}.delete(&call);")
        lines.put("return 0;")
