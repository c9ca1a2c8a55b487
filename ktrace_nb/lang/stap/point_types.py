"""What a probe point becomes, and how its parts are read.

:mod:`ktrace_nb.lang.stap.points` resolves points; the modules beside it do so for
one family each and share what is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from ktrace_nb.diagnostics import Problem, near_hint
from ktrace_nb.errors import CellError, ProbeNotFoundError, UnsupportedError
from ktrace_nb.ir import script as ir
from ktrace_nb.ir.program import ProbeRequest
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.context import ProbeContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What points are told of the script they stand in."""

    named_syscalls: frozenset[str] = frozenset()
    """System calls that the script names itself: what succeeds another call is not added twice."""
    variables_used: bool = True
    """Whether the handler uses ``$variables``; if not, all functions of a wildcard become one."""
    registers_used: bool = False
    """Whether the handler asks for registers or arguments by number, which only kprobes have."""
    by_pattern: bool = False
    """Whether the script named the point by a pattern: what is said of single calls would be too much."""
    command: str = ""
    """The program that ``-c`` runs, for ``process`` without a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A point of this kernel: what a handler there is made of.

    :attr:`requests` and :attr:`entry_requests` have no function's name yet.
    """

    event: ir.Event
    name: str
    """The point as ``pp()`` gives it, one function in place of a wildcard."""
    probe_context: ProbeContext
    file: str = ""
    """What a text that can be asked for is called."""
    context: str = ""
    """:attr:`ktrace_nb.ir.script.Handler.context`."""
    requests: tuple[ProbeRequest, ...] = ()
    entry_requests: tuple[ProbeRequest, ...] = ()
    """Where the function is entered; wanted only if the handler needs values from there."""
    entry_context: str = ""
    arguments: int = 0
    """Of ``fexit``: 64-bit words of arguments; what was returned stands behind them."""
    period_ns: int = 0
    randomize_ns: int = 0
    order: int = 0
    syscalls: tuple[int, ...] = ()
    condition: ir.Expr | None = None
    """What must hold besides, e.g. that it is the process asked for; the handler is skipped if not."""
    target_only: bool = False
    """Under ``-c`` or ``-x`` it is for the target and what the target starts."""
    exits: bool = False
    """``oneshot``: the session ends behind the handler."""
    maxactive: int = 0
    """Calls that may be under way at once (``.maxactive``); 0 for the kernel's own choice."""
    alternatives: tuple[str, ...] = ()
    """Functions that may run in place of this one: the compiler's clones of it."""


Components = Sequence[tree.Component]


@dataclass(frozen=True)
class Request:
    """A point to resolve and everything needed to do so."""

    point: tree.Point
    facts: KernelFacts
    problems: list[Problem]
    settings: Settings

    @property
    def components(self) -> tuple[tree.Component, ...]:
        """The point's parts."""
        return self.point.components

    def probe(self, kind: str, target: str) -> ProbeRequest:
        """Where something is to be attached; whoever makes the handler names the function."""
        return ProbeRequest("", kind, target, self.point.at.source, self.point.at.span, every=True)

    def note(self, message: str, hint: str | None = None) -> None:
        """Say something that is no error."""
        made = Problem(message, self.point.at.source, self.point.at.span, hint, "note")
        if made not in self.problems:
            self.problems.append(made)

    def fault(
        self, message: str, component: tree.Component | None = None, hint: str | None = None
    ) -> CellError:
        """Something written wrongly."""
        at = (component or self.point).at
        return CellError(message, at.source, at.span, hint=hint)

    def unsupported(self, message: str, hint: str | None = None) -> UnsupportedError:
        """Something that cannot be done."""
        return UnsupportedError(message, self.point.at.source, self.point.at.span, hint=hint)

    def missing(
        self, what: str, name: str, known: Iterable[str] = (), *, hint: str | None = None
    ) -> ProbeNotFoundError:
        """Something this kernel does not have; near matches, or ``hint`` where there are none."""
        hint = near_hint(name, known) or hint
        return ProbeNotFoundError(what, name, self.point.at.source, self.point.at.span, (), hint=hint)

    def named(self, index: int, argument: str) -> str:
        """The point as text with another argument in one of its components."""
        parts = list(self.components)
        parts[index] = tree.Component(parts[index].at, parts[index].name, argument)
        return str(tree.Point(self.point.at, tuple(parts)))


def number_of(request: Request, component: tree.Component, *, least: int | None = None) -> int:
    """The number in parentheses.

    Raises:
        CellError: There is none, or it is too small.
    """
    value = component.argument
    if not isinstance(value, int):
        found = "nothing" if value is None else repr(value)
        raise request.fault(f"expected a number in {component.name}(...), found {found}", component)
    if least is not None and value < least:
        raise request.fault(f"{component.name}({value}) is too small", component, f"at least {least}")
    return value


def text_of(request: Request, component: tree.Component) -> str:
    """The string in parentheses.

    Raises:
        CellError: There is none.
    """
    value = component.argument
    if not isinstance(value, str) or not value:
        found = "nothing" if value is None else repr(value)
        raise request.fault(f"expected a string in {component.name}(...), found {found}", component)
    return value


def bare(request: Request, component: tree.Component) -> None:
    """Make sure that nothing stands in parentheses.

    Raises:
        CellError: Something does.
    """
    if component.argument is not None:
        raise request.fault(f"{component.name!r} takes nothing in parentheses", component)


def finished(request: Request, rest: Components) -> None:
    """Make sure that nothing follows.

    Raises:
        ProbeNotFoundError: Something does.
    """
    if rest:
        unknown(request, rest[0], ())


def unknown(request: Request, component: tree.Component, known: Iterable[str]) -> NoReturn:
    """Say that a component cannot stand where it does.

    Raises:
        ProbeNotFoundError: Always.
    """
    names = list(known)
    hint = near_hint(component.name, names) or (f"known are {', '.join(names)}" if names else None)
    at = component.at
    raise ProbeNotFoundError("probe point", str(request.point), at.source, at.span, (), hint=hint)


def is_glob(text: str) -> bool:
    """Whether a name is a pattern."""
    return any(char in text for char in "*?[")
