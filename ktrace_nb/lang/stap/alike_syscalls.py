"""Aliases of system calls that are alike, taken as one probe at many calls.

``syscall.*`` stands for some 370 aliases. A handler that asks no more of them than the
call's name and its result would be the same 370 times: it becomes one handler at all
of these calls, which finds the name by the number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kernel.syscall_table import NUMBERS, call_name
from ktrace_nb.lang.stap import tree, unparse, walk
from ktrace_nb.lang.stap.successors import SUCCESSORS, Successor

KINDS = ("syscall", "nd_syscall", "dw_syscall", "tp_syscall")
"""SystemTap's ways to get at system calls; here there is but one."""
BUILT_IN = "__syscall"
"""What the aliases stand for."""
_ASKING = frozenset(("pp", "pn", "ppfunc", "probefunc"))
"""Functions that tell one call's probe from another's, besides ``name``."""

Named = tuple[str, tree.Alias, tuple[tree.Component, ...]]
"""An alias: the name it was found by, itself, and what stands behind the name."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Aliases that do the same for a handler."""

    numbers: tuple[int, ...]
    """Of their calls."""
    point: tree.Point
    """A point at every system call, on their side."""
    prologue: tree.Block


def asks_for_its_point(functions: Iterable[str]) -> bool:
    """Whether a handler that calls some functions tells one call's probe from another's."""
    return not _ASKING.isdisjoint(functions)


def gather(
    aliases: Sequence[Named], point: tree.Point, needed: Iterable[str], facts: KernelFacts
) -> tuple[list[Alike], list[Named]]:
    """Find the aliases that are alike for a handler, and give the others apart.

    Args:
        aliases: What a pattern named.
        point: The pattern.
        needed: Names that the handler uses.
        facts: The kernel; calls that it lacks are left out.
    """
    needed = set(needed)
    groups: dict[str, list[tuple[Named, tree.Block]]] = {}
    others: list[Named] = []
    calls = {p.components[1].name for _, alias, _ in aliases for p in alias.points if is_call(p)}
    for named in aliases:
        part = _plain_part(named, needed)
        if part is None or any(s.call not in calls for s in _successors(named[1])):
            others.append(named)
        else:
            groups.setdefault(unparse.block(part), []).append((named, part))
    found: list[Alike] = []
    for members in groups.values():
        numbers = {
            NUMBERS[call]
            for (_, alias, _), _ in members
            for call in (p.components[1].name for p in alias.points)
            if facts.syscall(call) is not None
        }
        if len(numbers) > 1:
            (_, alias, _), part = members[0]
            found.append(Alike(tuple(sorted(numbers)), _at_every_call(alias, point), _with_name(part, point)))
        else:
            others += [named for named, _ in members]
    return found, others


def is_call(point: tree.Point) -> bool:
    """Whether a point is what the tapset's aliases of system calls stand for."""
    return point.components[0].name == BUILT_IN


def _successors(alias: tree.Alias) -> list[Successor]:
    return [s for p in alias.points for s in SUCCESSORS.get(call_name(p.components[1].name), ())]


def _plain_part(named: Named, needed: set[str]) -> tree.Block | None:
    """What an alias does for the handler but for setting ``name``; None if it looks at arguments."""
    _, alias, suffix = named
    if suffix or alias.epilogue or not all(is_call(p) and p.condition is None for p in alias.points):
        return None
    part = walk.needed_part(alias.body, set(needed))
    statements = tuple(s for s in part.body if not _sets_name(s))
    targets = [node for node in walk.nodes(statements) if isinstance(node, tree.Target)]
    if any(target.name != "return" for target in targets) or "name" in walk.names(statements):
        return None
    return tree.Block(part.at, statements)


def _sets_name(statement: tree.Statement) -> bool:
    match statement:
        case tree.Evaluate(expression=tree.Assign(target=tree.Name(name="name"), value=tree.String())):
            return True
    return False


def _at_every_call(alias: tree.Alias, point: tree.Point) -> tree.Point:
    first, _, *side = alias.points[0].components
    return tree.Point(point.at, (first, tree.Component(first.at, "*"), *side))


def _with_name(part: tree.Block, point: tree.Point) -> tree.Block:
    at = part.at
    number = tree.Call(at, "__syscall_nr", ())
    name = tree.Assign(at, "=", tree.Name(at, "name"), tree.Call(at, "__syscall_probe_name", (number,)))
    return tree.Block(point.at, (tree.Evaluate(at, name), *part.body))
