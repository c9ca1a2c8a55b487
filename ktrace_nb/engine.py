"""From a cell to a running session: the pipeline of the design, in one place.

The magics and the command line call :func:`start`; ``ktrace-nb check`` and
``--show`` call the stages. The compiler worker, its cache and what is known of
each kernel live as long as the process.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from ktrace_nb.codegen import calls as calls_codegen
from ktrace_nb.codegen.script import ScriptOptions, program_of
from ktrace_nb.compiler.build import Built, build
from ktrace_nb.compiler.cache import CompileCache
from ktrace_nb.compiler.client import CompilerWorker
from ktrace_nb.errors import OptionError, RemoteError
from ktrace_nb.governor import Limits
from ktrace_nb.ir.program import Program
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kernel.symbols import module_names
from ktrace_nb.lang.c.cell import parse as parse_c
from ktrace_nb.lang.c.lower import lower as lower_c
from ktrace_nb.lang.calls.lower import Wish
from ktrace_nb.lang.calls.lower import lower as lower_calls
from ktrace_nb.lang.stap.script import compile_script
from ktrace_nb.progress import Progress, silent
from ktrace_nb.session import Session
from ktrace_nb.source import Source
from ktrace_nb.stream.history import EVERY_S
from ktrace_nb.targets import lab, local
from ktrace_nb.targets.base import Target, get_target

DEFAULT_TARGET = "lab"

assert lab and local  # imported so that their kinds are registered


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(Limits):
    """What a user says beside the cell."""

    name: str = "trace"
    target: str = DEFAULT_TARGET
    language: str = "c"
    pid: int | None = None
    attach: tuple[str, ...] = ()
    cflags: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    """Of a script: what it calls ``$1``, ``@1``."""
    script_limits: tuple[tuple[str, int], ...] = ()
    """Of a script: ``MAXSTRINGLEN`` and the like, by name."""
    script_globals: tuple[tuple[str, str], ...] = ()
    """Of a script: first values of its globals, by name."""
    every_s: float = EVERY_S
    calls: tuple[str, ...] = ()
    """Functions whose calls are recorded, as patterns; the cell may have more."""
    roots: tuple[str, ...] = ()
    """Of calls: only below calls of these functions."""
    depth: int = 0
    """Of calls: only so many levels, 1 is the outermost; 0 is all."""
    errors: bool = False
    """Of calls: only those that returned an error."""
    longer_s: float = 0.0
    """Of calls: only those that took at least so long."""
    follow: str = ""
    """Of calls: only those with one object among their arguments."""
    everyone: bool = False
    """Of calls: those of all processes, also where ``pid`` or ``command`` names one."""
    means: str = ""
    """Of calls: how functions are seen; empty for the best there is."""
    insist: bool = False
    """Of calls: however many functions it is."""
    text: str = ""
    """Of calls: how they are printed, ``indent``, ``tree`` or ``none``."""

    @property
    def spoken(self) -> str:
        """The cell's language: patterns of calls are one of their own."""
        return CALLS if self.calls else self.language


CALLS = "calls"
"""The language of patterns of functions."""

_OF_CALLS = {
    "roots": "--from",
    "depth": "--depth",
    "errors": "--errors",
    "longer_s": "--longer",
    "follow": "--follow",
    "everyone": "--everyone",
    "means": "--means",
    "insist": "--yes",
    "text": "--text",
}

Facts = Callable[[], KernelFacts]
"""Gives what is known of the kernel a cell is for; asked only where that matters."""


def _lower_c(source: Source, options: Options, _: Facts) -> Program:
    if options.arguments:
        raise OptionError("a C cell takes no arguments", hint="--cflag=-DNAME=VALUE defines a macro")
    return lower_c(
        parse_c(source),
        attach=options.attach,
        pid=options.pid,
        capped=options.max_rate is not None,
        throttled=options.max_cpu is not None,
    )


def _lower_stap(source: Source, options: Options, facts: Facts) -> Program:
    if options.attach:
        raise OptionError("--attach is for C cells", hint="a script says itself where its probes are")
    compiled = compile_script(
        source,
        facts(),
        arguments=options.arguments,
        limits=options.script_limits,
        values=options.script_globals,
    )
    kinds = ScriptOptions(capped=options.max_rate is not None, throttled=options.max_cpu is not None)
    return replace(program_of(compiled.placed, kinds), problems=compiled.problems, tree=compiled.text)


def _lower_calls(source: Source, options: Options, facts: Facts) -> Program:
    if options.attach:
        raise OptionError("--attach is for C cells", hint="--calls says which functions are recorded")
    if options.arguments:
        raise OptionError("patterns of calls take no arguments")
    named = options.pid is not None or options.command is not None
    wish = Wish(
        calls=options.calls,
        roots=options.roots,
        depth=options.depth,
        errors=options.errors,
        longer_ns=round(1e9 * options.longer_s),
        follow=options.follow,
        tracked=named and not options.everyone,
        means=options.means,
        insist=options.insist,
    )
    walk, problems = lower_calls(source, wish, facts())
    kinds = calls_codegen.WalkOptions(
        capped=options.max_rate is not None, throttled=options.max_cpu is not None
    )
    return replace(calls_codegen.program_of(walk, facts(), kinds), problems=problems)


LANGUAGES: dict[str, Callable[[Source, Options, Facts], Program]] = {
    "c": _lower_c,
    "stap": _lower_stap,
    CALLS: _lower_calls,
}
"""Languages of cells by the name ``--lang`` takes."""

SUFFIXES = {".c": "c", ".stp": "stap"}
"""What a file's name tells of its language."""

_worker = CompilerWorker()
_cache = CompileCache()
_facts: dict[str, tuple[KernelFacts, Target]] = {}
_lock = threading.Lock()


def worker() -> CompilerWorker:
    """The process's compiler."""
    return _worker


def facts_of(target: Target) -> KernelFacts:
    """What is known of a target's kernel; kept when the same kernel with the same modules is reached anew."""
    hello = target.hello
    try:
        build_id = hashlib.sha256(target.fact("build_id")).hexdigest()
    except RemoteError:
        build_id = hello.boot_id
    try:
        modules = " ".join(sorted(module_names(target.fact("modules"))))
    except RemoteError:
        modules = ""  # a kernel without modules
    key = f"{target.name} {build_id} {hello.cpus_possible} {modules}"
    with _lock:
        known, _ = _facts.get(key, (None, None))
        if known is None:
            known = KernelFacts(
                target,
                release=f"{hello.kernel} {hello.version}",
                machine=hello.machine,
                cpus=hello.cpus_possible,
            )
        known.source = target
        _facts[key] = known, target
        return known


def known_facts() -> list[KernelFacts]:
    """The kernels met so far that can still be asked."""
    with _lock:
        return [facts for facts, target in _facts.values() if target.connection.alive]


def lower(source: Source, options: Options, *, progress: Progress = silent) -> Program:
    """Parse and lower a cell; for a script its target is reached, whose kernel decides what it means.

    Raises:
        OptionError: No such language.
        CellError: What the language says of the text.
        TargetError: The target is out of reach.
    """
    if options.language not in LANGUAGES:
        raise OptionError(f"no language {options.language!r}", hint=f"one of {', '.join(sorted(LANGUAGES))}")
    unfit = [flag for field, flag in _OF_CALLS.items() if getattr(options, field)]
    if unfit and options.spoken != CALLS:
        raise OptionError(f"{unfit[0]} is for calls", hint="--calls 'ext4_*' says of which functions")
    return LANGUAGES[options.spoken](source, options, lambda: facts_of(get_target(options.target, progress)))


def compile_for(target: Target, program: Program, options: Options, *, use_cache: bool = True) -> Built:
    """Compile a program for a target's kernel.

    Raises:
        CellError: A probe that does not exist, C that does not compile.
        MissingError: No compiler.
    """
    return build(program, facts_of(target), _worker, _cache if use_cache else None, cflags=options.cflags)


def trial(target: Target, built: Built, *, attach: bool) -> None:
    """Load a compiled cell, attach it if asked to, and let it go again.

    Raises:
        KTraceError: What :meth:`Session.start` raises.
    """
    Session("trial", target, facts_of(target), built, Limits()).try_out(attach=attach)


def close() -> None:
    """End the compiler worker; the next cell starts another."""
    _worker.close()


def start(source: Source, options: Options, *, progress: Progress = silent) -> Session:
    """Run a cell: compile, load, attach, start the workload.

    Args:
        source: The cell.
        options: How.
        progress: Told of what takes long.

    Returns:
        The running session.

    Raises:
        KTraceError: Of every kind in :mod:`ktrace_nb.errors`; nothing stays attached.
    """
    program = lower(source, options, progress=progress)
    target = get_target(options.target, progress)
    built = compile_for(target, program, options)
    session = Session(
        options.name,
        target,
        facts_of(target),
        built,
        options,
        every_s=options.every_s,
        target_pid=options.pid or 0,
        text=options.text,
    )
    session.start()
    return session
