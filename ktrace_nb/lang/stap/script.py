"""From the text of a script to what runs where on one kernel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from ktrace_nb.diagnostics import Problem, near_hint
from ktrace_nb.errors import OptionError
from ktrace_nb.ir import script as ir
from ktrace_nb.ir.placement import place
from ktrace_nb.ir.share import share_programs
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.stap import tree, unparse
from ktrace_nb.lang.stap.command_line import with_arguments
from ktrace_nb.lang.stap.library import Library, tapset_files
from ktrace_nb.lang.stap.lint import lint
from ktrace_nb.lang.stap.lower import lower
from ktrace_nb.lang.stap.macros import Settings
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.source import Source

LIMITS = {
    "MAXSTRINGLEN": "max_string",
    "MAXACTION": "max_action",
    "MAXERRORS": "max_errors",
    "MAXSKIPPED": "max_skipped",
    "MAXMAPENTRIES": "max_map_entries",
    "MAXNESTING": "max_nesting",
}
"""What ``-D`` sets, and the field of :class:`~ktrace_nb.ir.script.Limits` it is."""


@dataclass(frozen=True)
class Compiled:
    """A script as far as its language takes it."""

    tree: tree.Script
    placed: ir.Placed
    problems: tuple[Problem, ...]

    @cached_property
    def text(self) -> str:
        """The tree as text."""
        return unparse.script(self.tree)


def compile_script(
    source: Source,
    facts: KernelFacts,
    *,
    arguments: Sequence[str] = (),
    limits: Iterable[tuple[str, int]] = (),
    values: Iterable[tuple[str, str]] = (),
) -> Compiled:
    """Parse, type and place a script.

    Args:
        source: Its text.
        facts: The kernel it is for.
        arguments: What it calls ``$1``, ``@1``.
        limits: What ``-D`` sets.
        values: What ``-G`` sets: first values of globals.

    Raises:
        CellError: What the language says of the text, or a probe point that this kernel lacks.
        OptionError: No such limit or global.
    """
    settings = settings_for(facts, arguments)
    parsed = with_arguments(_with_values(parse(source, settings), values), arguments)
    lowered = lower(parsed, facts, _library(settings.release, settings.machine), limits_of(limits))
    placed = share_programs(place(lowered.script))
    return Compiled(parsed, placed, (*lowered.problems, *_late_reads(placed), *lint(parsed)))


def _late_reads(placed: ir.Placed) -> list[Problem]:
    found = []
    for name, at in placed.late_reads:
        source, span = (at.source, at.span) if at else (None, None)
        text = f"probe {name} reads the kernel's memory after the event: what is there may have changed"
        found.append(Problem(text, source, span, severity="note"))
    return found


def _with_values(script: tree.Script, values: Iterable[tuple[str, str]]) -> tree.Script:
    declared = {g.name: g for g in script.globals}
    for name, text in values:
        if name not in declared:
            hint = near_hint(name, declared) or f"it has {', '.join(declared) or 'none'}"
            raise OptionError(f"the script has no global {name!r}", hint=hint)
        at = declared[name].at
        try:
            initial: tree.Number | tree.String = tree.Number(at, int(text, 0))
        except ValueError:
            initial = tree.String(at, tree.bytes_of_text(text))
        declared[name] = replace(declared[name], initial=initial)
    return replace(script, globals=tuple(declared.values()))


def settings_for(facts: KernelFacts, arguments: Sequence[str] = ()) -> Settings:
    """What the preprocessor is told of a kernel."""
    return Settings(
        arguments=tuple(arguments),
        release=facts.release.partition(" ")[0],
        machine=facts.machine,
        config=facts.config,
    )


@lru_cache(maxsize=4)
def _library(release: str, machine: str) -> Library:
    return Library(tapset_files(), Settings(release=release, machine=machine))


def library_for(facts: KernelFacts) -> Library:
    """The tapset as a kernel sees it."""
    settings = settings_for(facts)
    return _library(settings.release, settings.machine)


def limits_of(given: Iterable[tuple[str, int]]) -> ir.Limits:
    """The limits of a script.

    Raises:
        OptionError: There is none of that name, or it makes no sense.
    """
    limits = ir.Limits()
    for name, value in given:
        if name not in LIMITS:
            hint = near_hint(name, LIMITS) or f"one of {', '.join(LIMITS)}"
            raise OptionError(f"no limit {name!r}", hint=hint)
        if name == "MAXSTRINGLEN" and not 16 <= value <= 4096:
            raise OptionError(f"MAXSTRINGLEN {value}", hint="16 to 4096 bytes")
        if value < 0:
            raise OptionError(f"{name} {value}", hint="a limit is no negative number")
        limits = replace(limits, **{LIMITS[name]: value})
    return limits
