"""From the probe points of a script to the points of this kernel.

A point names something built in (``timer.s(5)``, ``kernel.function("vfs_read")``), or
aliases of the script or of the tapset, which stand for other points and bring
statements with them that run before the probe's own (``=``) or behind it (``+=``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from ktrace_nb.diagnostics import Problem, near_hint
from ktrace_nb.errors import CellError, ProbeNotFoundError, UnsupportedError
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kernel.syscall_table import call_name
from ktrace_nb.lang.stap import alike_syscalls, points, syscall_points, tree, walk
from ktrace_nb.lang.stap.absent_syscalls import in_place_of, is_absent
from ktrace_nb.lang.stap.library import Library

_MOST_NESTED = 20


@dataclass(frozen=True, slots=True)
class Derived:
    """One probe of a script at one point of the kernel."""

    resolved: points.Resolved
    prologues: tuple[tree.Block, ...] = ()
    """What aliases want to run first, in this order."""
    epilogues: tuple[tree.Block, ...] = ()
    conditions: tuple[tree.Expression, ...] = ()
    point: tree.Point | None = None
    """The built-in point that was resolved."""
    alias: str = ""
    """The outermost alias it was reached by, ``syscall.open``; empty if it was named directly."""


@dataclass(frozen=True, slots=True)
class Uses:
    """What a handler needs of its points."""

    variables: bool = False
    """Target variables, whose layout differs from function to function."""
    registers: bool = False
    """Registers, or arguments by their number."""
    entry: bool = False
    """Values of the moment the function was entered."""
    names: frozenset[str] = frozenset()
    """Variables that its aliases may set."""
    functions: frozenset[str] = frozenset()
    """Functions it calls."""

    def __or__(self, other: Uses) -> Uses:
        return Uses(
            self.variables or other.variables,
            self.registers or other.registers,
            self.entry or other.entry,
            self.names | other.names,
            self.functions | other.functions,
        )

    @property
    def is_plain(self) -> bool:
        """Whether it looks at nothing that differs from function to function."""
        return not (self.variables or self.registers or self.entry)


def uses_of(body: object) -> Uses:
    """What some statements need of the points they run at."""
    found = list(walk.nodes(body))
    return Uses(
        any(isinstance(n, tree.Target) for n in found),
        any(isinstance(n, tree.Call) and n.name in _OF_REGISTERS for n in found),
        any(isinstance(n, tree.Entry) for n in found),
        frozenset(n.name for n in found if isinstance(n, tree.Name)),
        frozenset(n.name for n in found if isinstance(n, tree.Call)),
    )


_KINDS = ("int", "uint", "long", "ulong", "longlong", "ulonglong", "s32", "s64", "u32", "u64", "pointer")
_OF_REGISTERS = frozenset(("register", "u_register", "print_regs", *(f"{kind}_arg" for kind in _KINDS)))


class Deriver:
    """Resolves points.

    Args:
        script: The script, for its aliases.
        library: The tapset.
        facts: The kernel.
        settings: What the points are told of the script.
        problems: Remarks are added here.
    """

    def __init__(
        self,
        script: tree.Script,
        library: Library,
        facts: KernelFacts,
        settings: points.Settings,
        problems: list[Problem],
    ) -> None:
        self._own = [
            (tuple(c.name for c in name.components), alias)
            for alias in script.aliases
            for name in alias.names
        ]
        self._library = library
        self._facts = facts
        self._settings = settings
        self._problems = problems
        self._functions = script.functions
        self._named: frozenset[str] = frozenset()
        """System calls of the probe at hand: what succeeds another of them is not added twice."""
        self._by_pattern = False

    def derive(self, wanted: Sequence[tree.Point], uses: Uses, depth: int = 0) -> list[Derived]:
        """The points of a list, ``?`` and ``!`` heeded.

        Args:
            wanted: The list.
            uses: What the handler needs of the points.
            depth: How many aliases led here.

        Raises:
            ProbeNotFoundError: A point that is not optional does not exist.
        """
        if depth == 0:
            self._named = frozenset(call for point in wanted for call in self._calls(point))
        found: list[Derived] = []
        for point in wanted:
            if depth == 0:
                self._by_pattern = _is_pattern(point)
            known = len(self._problems)
            try:
                here = self._point(point, uses | uses_of(point.condition), depth)
            except (ProbeNotFoundError, UnsupportedError):
                if not (point.optional or point.sufficient):
                    raise
                continue
            if depth == 0:
                self._problems[known:] = _at_point(self._problems[known:], point)
            if point.condition is not None:
                here = [replace(d, conditions=(*d.conditions, point.condition)) for d in here]
            found += here
            if point.sufficient and here:
                break
        return found

    def _point(self, point: tree.Point, uses: Uses, depth: int) -> list[Derived]:
        aliases = list(self._aliases(point))
        if not aliases:
            if points.is_built_in(point):
                return [Derived(r, point=point) for r in self._built_in(point, uses)]
            if self._is_absent_call(point):
                return [self._never(point)]
            raise self._unknown(point)
        if depth > _MOST_NESTED:
            raise _leads_back(point)
        found: list[Derived] = []
        is_pattern = _is_pattern(point)
        missing: ProbeNotFoundError | None = None
        if is_pattern and uses.is_plain and not self._asks(uses.functions):
            groups, aliases = alike_syscalls.gather(aliases, point, uses.names, self._facts)
            found += [self._alike(group, point) for group in groups]
        if is_pattern and any(alike_syscalls.is_call(p) for _, alias, _ in aliases for p in alias.points):
            syscall_points.fetch_formats(self._facts)
        for name, alias, suffix in aliases:
            inner = (
                [replace(p, components=(*p.components, *suffix)) for p in alias.points]
                if suffix
                else alias.points
            )
            said = len(self._problems)
            try:
                derived = self.derive(inner, uses | uses_of(alias.body), depth + 1)
            except ProbeNotFoundError as error:
                # Of a pattern those count that this kernel has.
                if not is_pattern:
                    raise _at_call(error, point) from None
                missing = error
                continue
            # What is said of a point below an alias concerns whoever named the alias.
            self._problems[said:] = [
                replace(p, source=point.at.source, span=point.at.span) for p in self._problems[said:]
            ]
            found += [_with_alias(d, name, alias) for d in derived]
        if not found and missing is not None:
            raise _at_call(missing, point)
        return found

    def _is_absent_call(self, point: tree.Point) -> bool:
        first, *rest = (c.name for c in point.components)
        return first in alike_syscalls.KINDS and bool(rest) and is_absent(rest[0])

    def _never(self, point: tree.Point) -> Derived:
        """A point that no program here can hit."""
        call = point.components[1].name
        instead = in_place_of(call)
        self._problems.append(
            Problem(
                f"there is no system call {call!r} for 64-bit programs on x86-64: this probe is never hit",
                point.at.source,
                point.at.span,
                f"syscall.{instead} is what they call" if instead else None,
                "note",
            )
        )
        never = tree.Point(point.at, (tree.Component(point.at, "never"),))
        [resolved] = self._built_in(never, Uses())
        return Derived(resolved, point=never, alias=str(point))

    def _alike(self, group: alike_syscalls.Alike, point: tree.Point) -> Derived:
        [resolved] = self._built_in(group.point, Uses())
        resolved = replace(resolved, syscalls=group.numbers)
        return Derived(resolved, (group.prologue,), point=group.point, alias=str(point))

    def _asks(self, functions: frozenset[str]) -> bool:
        """Whether some functions, or what they call, tell a probe from others of the same handler."""
        seen: set[str] = set()
        waiting = set(functions)
        while waiting:
            name = waiting.pop()
            seen.add(name)
            declared = [f for f in self._functions if f.name == name] or self._library.functions(name)
            waiting |= {
                n.name for f in declared for n in walk.nodes(f.body) if isinstance(n, tree.Call)
            } - seen
        return alike_syscalls.asks_for_its_point(seen)

    def _calls(self, point: tree.Point, depth: int = 0) -> Iterator[str]:
        """System calls that a point stands for."""
        first, *rest = point.components
        if first.name == alike_syscalls.BUILT_IN and rest:
            yield call_name(rest[0].name)
        elif depth < _MOST_NESTED:
            for _, alias, _ in self._aliases(point):
                for inner in alias.points:
                    yield from self._calls(inner, depth + 1)

    def _built_in(self, point: tree.Point, uses: Uses) -> list[points.Resolved]:
        settings = replace(
            self._settings,
            named_syscalls=self._settings.named_syscalls | self._named,
            by_pattern=self._by_pattern,
            variables_used=uses.variables,
            registers_used=uses.registers or uses.entry,
        )
        return points.resolve(point, self._facts, self._problems, settings)

    def with_entry(self, derived: Derived) -> Derived:
        """The same probe where values of the entry can be put aside for it."""
        assert derived.point is not None
        uses = Uses(variables=True, entry=True)
        names = {r.probe_context.function: r for r in self._built_in(derived.point, uses)}
        return replace(derived, resolved=names[derived.resolved.probe_context.function])

    def _aliases(self, point: tree.Point) -> Iterator[tuple[str, tree.Alias, tuple[tree.Component, ...]]]:
        """Aliases that a point names, and what of the point stands behind their names."""
        if point.components[0].name in alike_syscalls.KINDS:
            first = replace(point.components[0], name="syscall")
            point = replace(point, components=(first, *point.components[1:]))
        plain = 0
        while plain < len(point.components) and point.components[plain].argument is None:
            plain += 1
        for length in range(plain, 0, -1):
            names = tuple(c.name for c in point.components[:length])
            own = [
                (".".join(name), alias)
                for name, alias in self._own
                if len(name) == length and all(map(fnmatchcase, name, names)) and alias.at.source is not None
            ]
            found = [*own, *self._library.aliases(names)]
            # An alias that stands for a point of its own name means that point.
            found = [(name, alias) for name, alias in found if not _contains(alias, point)]
            if found:
                suffix = point.components[length:]
                yield from ((name, alias, suffix) for name, alias in found)
                return

    def _unknown(self, point: tree.Point) -> CellError:
        known = [*(".".join(name) for name, _ in self._own), *self._library.alias_names, *points.BUILT_IN]
        if str(point) in known:
            return _leads_back(point)
        first = point.components[0].name
        hint = near_hint(str(point), known) or near_hint(first, {name.partition(".")[0] for name in known})
        return ProbeNotFoundError(
            "probe point",
            str(point),
            point.at.source,
            point.at.span,
            known,
            hint=hint or "%ktrace probes lists them",
        )


def _leads_back(point: tree.Point) -> CellError:
    return CellError(
        f"alias {point} leads back to itself",
        point.at.source,
        point.at.span,
        hint="an alias stands for points of other names",
    )


def _is_pattern(point: tree.Point) -> bool:
    return any("*" in c.name or "?" in c.name for c in point.components)


def _contains(alias: tree.Alias, point: tree.Point) -> bool:
    return any(inner.at == point.at for inner in alias.points)


def _with_alias(derived: Derived, name: str, alias: tree.Alias) -> Derived:
    if alias.epilogue:
        return replace(derived, epilogues=(*derived.epilogues, alias.body), alias=name)
    return replace(derived, prologues=(*derived.prologues, alias.body), alias=name)


def _at_call(error: ProbeNotFoundError, point: tree.Point) -> ProbeNotFoundError:
    """What is missing below an alias, told where the script names the alias."""
    if error.source is point.at.source:
        return error
    moved = ProbeNotFoundError(
        "probe point", str(point), point.at.source, point.at.span, (), hint=error.hint or error.message
    )
    moved.hint = f"{error.message}" + (f"; {error.hint}" if error.hint else "")
    return moved


def _at_point(problems: Sequence[Problem], point: tree.Point) -> list[Problem]:
    """What there is to say of a point below an alias, said where the script names the alias."""
    at = point.at
    placed = [p if p.source is at.source else replace(p, source=at.source, span=at.span) for p in problems]
    return list(dict.fromkeys(placed))
