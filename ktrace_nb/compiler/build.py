"""From a program and a kernel's facts to a bundle.

The order: headers from the kernel's types, the cache, the worker, then what the
recorder cannot know: which kind each program is, and where it goes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib import resources

from ktrace_nb.codegen.directives import LIBRARY
from ktrace_nb.codegen.header_types import Provided
from ktrace_nb.codegen.headers import HeaderTree, bcc_names, header_tree, tracepoints_named
from ktrace_nb.compiler.cache import CompileCache
from ktrace_nb.compiler.clang import beyond_cell, compile_error, problems_of
from ktrace_nb.compiler.client import CompilerWorker, WorkerResult
from ktrace_nb.diagnostics import Problem
from ktrace_nb.errors import CellError, CompileError
from ktrace_nb.ir.calls_plan import walk_graph
from ktrace_nb.ir.gather import gather
from ktrace_nb.ir.probes import Plan, ProgramKind, by_name, resolve
from ktrace_nb.ir.program import ProbeRequest, Program
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.source import Edited
from ktrace_nb.wire import bundle as b

CFLAGS = (
    # What a macro of the headers or an inline function would have done must not be guessed.
    "-Werror=implicit-function-declaration",
    "-Werror=return-type",
    f"-DKTRACE_LEDGER_FD={b.LEDGER_FD}",
    f"-DKTRACE_CONTROL_FD={b.CONTROL_FD}",
    f"-DKTRACE_HITS_FD={b.HITS_FD}",
    f"-DKTRACE_SWITCH_FD={b.SWITCH_FD}",
    f"-DKTRACE_FIELDS={','.join('KTRACE_' + field.upper() for field in b.LEDGER_FIELDS)}",
    f"-DKTRACE_WINDOW_NS={round(b.WINDOW_S * 1e9)}ULL",
    f"-DKTRACE_PERIOD_NS={b.PERIOD_NS}ULL",
)
TYPE_SECTION = "ktrace_types"
"""Section of variables that exist only so that their types are in the BTF."""


_OWN_HEADERS = ("tables.h", "ledger.h")
"""What every cell gets besides the kernel's types, in this order."""


@dataclass(frozen=True)
class Built:
    """A cell ready to be loaded."""

    program: Program
    plan: Plan
    bundle: b.Bundle
    events: Mapping[str, Sequence[tuple[str, str]]]
    """Fields and C types of what each output table carries, as clang saw them."""
    provided: Provided
    """What of the kernel the cell uses."""
    text: str
    """The C text given to bcc, headers not included."""
    files: Mapping[str, str]
    """The headers made for it."""
    problems: tuple[Problem, ...]
    """Warnings and remarks."""
    cached: bool
    """Whether the compiler was not needed."""


@cache
def _own_headers() -> dict[str, str]:
    return _headers_of(f"ktrace_nb/{name}" for name in _OWN_HEADERS)


def _library(program: Program) -> dict[str, str]:
    """Those of our headers that the cell asks for."""
    return _headers_of(name for name in sorted(LIBRARY) if name in program.source.text)


def _headers_of(names: Iterable[str]) -> dict[str, str]:
    folder = resources.files("ktrace_nb.codegen")
    return {f"include/{n}": (folder / n.partition("/")[2]).read_text(encoding="utf-8") for n in names}


@cache
def _generator_digest() -> str:
    """Changes with the code that writes headers."""
    digest = hashlib.sha256()
    for part in ("codegen", "kernel", "compiler"):
        for file in sorted((resources.files("ktrace_nb") / part).iterdir(), key=lambda f: f.name):
            if file.name.endswith((".py", ".h")):
                digest.update(file.read_bytes())
    return digest.hexdigest()


def build(
    program: Program,
    facts: KernelFacts,
    worker: CompilerWorker,
    cache: CompileCache | None,
    *,
    cflags: Sequence[str] = (),
) -> Built:
    """Compile a program for one kernel.

    Args:
        program: The lowered cell.
        facts: The kernel it is for.
        worker: The compiler.
        cache: Where results are kept; None compiles always.
        cflags: The user's own flags for clang.

    Raises:
        CellError: A probe that does not exist, C that does not compile.
        MissingError: No compiler.
    """
    plan = resolve(program, facts)
    tree = _headers(program, facts, worker, cflags)
    errors = [p for p in tree.problems if p.severity == "error"]
    if errors:
        first, *rest = errors
        raise CompileError(first.message, first.source, first.span, hint=first.hint, others=rest)
    own = [part for path in _own_headers() for part in ("-include", path)]
    unit = _Unit(
        program,
        facts,
        {**tree.files, **_own_headers(), **_library(program)},
        (*CFLAGS, *_ledger_flags(program), *tree.cflags, *own, *cflags),
    )
    result, cached = _cached(unit, worker, cache)
    assert result.bundle is not None
    plan = plan.restricted_to({_own_name(p.name) for p in result.bundle.programs})
    plan = _with_hidden_programs(plan, result.bundle, program, facts)
    plan = gather(plan, program, facts)
    return Built(
        program=program,
        plan=plan,
        bundle=_complete(result, plan, program),
        events=result.events or {},
        provided=tree.provided,
        text=unit.text,
        files=unit.files,
        problems=(
            *program.problems,
            *plan.problems,
            *tree.problems,
            *problems_of(result.diagnostics, program, facts.btf),
        ),
        cached=cached,
    )


def _ledger_flags(program: Program) -> list[str]:
    """What ledger.h has to know of the program."""
    lru = sum(1 << slot for slot, output in enumerate(program.outputs) if output.lru and slot < 64)
    return [f"-DKTRACE_LRU={lru:#x}ULL", *(["-DKTRACE_MAX_RATE"] if program.capped else [])]


@dataclass(frozen=True)
class _Unit:
    """One text with all it is compiled with."""

    program: Program
    facts: KernelFacts
    files: Mapping[str, str]
    flags: tuple[str, ...]

    @cached_property
    def text(self) -> str:
        """What the compiler gets: the cell, marked, and the anchors of its types."""
        return self.program.marked_text() + _anchors(self.program.structs)


# --- headers -------------------------------------------------------------------------


def _headers(
    program: Program, facts: KernelFacts, worker: CompilerWorker, cflags: Sequence[str]
) -> HeaderTree:
    # What is generated from a script names no record of a tracepoint.
    records = () if program.script else tracepoints_named(program.source, facts.tracepoints)
    return header_tree(
        program.source,
        facts.btf,
        formats=facts.formats(records),
        config=facts.config,
        release=facts.release,
        cpus=facts.cpus,
        bcc_names=_bcc_names(worker.builtin_headers),
        cflags=cflags,
    )


@cache
def _bcc_names(headers: tuple[str, ...]) -> frozenset[str]:
    return bcc_names(*headers)


def _anchors(structs: Sequence[str]) -> str:
    """Variables whose only purpose is to bring their types into the BTF."""
    lines = [
        f'{type_} ktrace_type_{i}_ __attribute__((section("{TYPE_SECTION}"), used)) = {{}};'
        for i, type_ in enumerate(structs)
    ]
    return "\n" + "\n".join(lines) + "\n" if lines else ""


# --- compile -------------------------------------------------------------------------


def _cached(unit: _Unit, worker: CompilerWorker, cache: CompileCache | None) -> tuple[WorkerResult, bool]:
    """The result, and whether it was there already."""
    if cache is None:
        return _compile(unit, worker), False
    files = [part for item in sorted(unit.files.items()) for part in item]
    made_by = (_generator_digest(), worker.version, unit.facts.btf_digest)
    key = cache.key([*made_by, unit.text, *unit.flags, "", *files])
    found = cache.load(key)
    if found is not None:
        return found, True
    result = _compile(unit, worker)
    cache.store(key, result)
    return result, False


def _compile(unit: _Unit, worker: CompilerWorker) -> WorkerResult:
    program = unit.program
    result = worker.compile(unit.text, unit.files, unit.flags)
    if not result.ok and program.structs and beyond_cell(result.diagnostics, program):
        # An anchor can name a structure that a macro took away; events are then
        # described by what clang says of their fields.
        result = worker.compile(program.marked_text(), unit.files, unit.flags)
    if result.ok:
        return result
    if program.code.text != program.source.text:
        # What our edits made of a mistake can be harder to understand than the
        # mistake, so the user's own text is compiled once more.
        plain = replace(program, code=Edited(program.source, []))
        again = worker.compile(plain.code.text, unit.files, unit.flags)
        if not again.ok:
            result, program = again, plain
    raise compile_error(result.diagnostics, program, unit.facts.btf)


# --- what the recorder cannot know -----------------------------------------------------


def _with_hidden_programs(plan: Plan, bundle: b.Bundle, program: Program, facts: KernelFacts) -> Plan:
    """Add programs that came out of a macro, which the cell's text does not show."""
    requests: list[ProbeRequest] = []
    for name in (_own_name(p.name) for p in bundle.programs):
        if name not in plan.kinds:
            if program.pid is not None:
                raise CellError(
                    f"program {name!r} is made by a macro, so -x cannot restrict it to a process",
                    program.source,
                    hint="write the function out",
                )
            request = by_name(name, program.source, None)
            if request is None:
                raise CellError(
                    f"program {name!r}, made by a macro, is attached to nothing",
                    program.source,
                    hint=f"say --attach KIND:TARGET:{name}",
                )
            requests.append(request)
    if not requests:
        return plan
    more = resolve(replace(program, probes=tuple(requests)), facts)
    return Plan(
        {**plan.kinds, **more.kinds},
        plan.points + more.points,
        plan.requests + more.requests,
        plan.problems + more.problems,
    )


def _own_name(name: str) -> str:
    """A program's name as the cell has it: newer bcc names the module of KFUNC_PROBE."""
    return name.replace("kfunc__vmlinux__", "kfunc__").replace("kretfunc__vmlinux__", "kretfunc__")


def _complete(result: WorkerResult, plan: Plan, program: Program) -> b.Bundle:
    assert result.bundle is not None
    # bcc numbers tables in the order of their declaration; the ledger's rows follow.
    declared = [o.name for o in program.outputs]
    order = declared if sorted(declared) == sorted(result.tables) else list(result.tables)
    slots = {name: i for i, name in enumerate(order)}
    events = {o.name for o in program.outputs if o.kind == "events"}
    maps = tuple(_with_role(m, slots.get(m.name, -1), events) for m in result.bundle.maps)
    programs = []
    for definition in result.bundle.programs:
        name = _own_name(definition.name)
        kind = plan.kinds.get(name, ProgramKind(b.KPROBE))
        programs.append(
            replace(
                definition,
                name=name,
                type=kind.type,
                attach_type=kind.attach_type,
                attach_btf_id=kind.attach_btf_id,
                attach_module=kind.attach_module,
                hits_row=program.hits_row(name),
            )
        )
    return replace(
        result.bundle,
        maps=maps,
        programs=tuple(programs),
        attach=plan.points,
        graph=walk_graph(program.walk) if program.walk else None,
    )


def _with_role(definition: b.MapDef, slot: int, events: set[str]) -> b.MapDef:
    role, entries = "map", definition.max_entries
    if definition.type == b.RINGBUF:
        role = "ring"
    elif definition.type == b.PERF_EVENT_ARRAY and definition.name in events:
        # bcc sizes it for this machine's CPUs; 0 stands for the target's.
        role, entries = "perf_output", 0
    return replace(definition, slot=slot, role=role, max_entries=entries)
