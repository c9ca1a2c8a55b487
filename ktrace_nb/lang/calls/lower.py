"""From patterns and what is wanted of their calls to a walk."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ktrace_nb.diagnostics import Problem, near_hint
from ktrace_nb.errors import OptionError
from ktrace_nb.ir.calls import Focus, LeftOut, Traced, Walk
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.calls.means import choose
from ktrace_nb.lang.calls.patterns import parse
from ktrace_nb.lang.calls.prototypes import Prototypes
from ktrace_nb.lang.calls.select import LIMIT, Selection, select
from ktrace_nb.source import Source

_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{1,16}")
_FOLLOW = re.compile(r"(?:(?P<function>[\w.]+):)?(?P<parameter>[A-Za-z_]\w*)")
MOST_DEPTH = 255
"""Levels that ``--depth`` may name: a record has a byte for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is said beside the patterns."""

    calls: tuple[str, ...] = ()
    """Patterns besides those of the cell, as ``--calls`` has them."""
    roots: tuple[str, ...] = ()
    """Functions below which calls are wanted, ``--from``; patterns all the same."""
    depth: int = 0
    errors: bool = False
    longer_ns: int = 0
    follow: str = ""
    tracked: bool = False
    """Whether only some processes are recorded."""
    means: str = ""
    """``--means``; empty for the best there is."""
    insist: bool = False
    """``--yes``: however many functions it is."""


def lower(source: Source, wish: Wish, facts: KernelFacts) -> tuple[Walk, tuple[Problem, ...]]:
    """The walk that a cell asks for, and remarks about it.

    Raises:
        CellError: A pattern that cannot be read, or means too many functions.
        ProbeNotFoundError: One that matches nothing.
        OptionError: What is wanted of the calls cannot be.
    """
    if not 0 <= wish.depth <= MOST_DEPTH:
        raise OptionError(f"--depth {wish.depth}: expected 1 to {MOST_DEPTH}")
    patterns = parse(source, wish.calls)
    selection = select(patterns, facts, insist=wish.insist)
    roots: tuple[str, ...] = ()
    if wish.roots:
        selection, roots = _with_roots(selection, wish, facts)
    prototypes = Prototypes(facts)
    functions = tuple(replace(prototypes.described(f), is_root=f.name in roots) for f in selection.functions)
    followed = 0
    if wish.follow:
        functions, followed = _following(functions, wish.follow, prototypes)
    focus = Focus(
        roots=roots,
        depth=wish.depth,
        errors=wish.errors,
        longer_ns=wish.longer_ns,
        follow=wish.follow,
        followed=followed,
        tracked=wish.tracked,
    )
    means, why = choose(facts, functions, focus, wish.means, insist=wish.insist)
    walk = Walk(functions=functions, left_out=selection.left_out, means=means, why=why, focus=focus)
    return walk, selection.problems


def _with_roots(selection: Selection, wish: Wish, facts: KernelFacts) -> tuple[Selection, tuple[str, ...]]:
    """The functions, those below which calls are wanted among them.

    What is left out stays left out, but a root must be seen, and by the name it was given.

    Raises:
        OptionError: Together they are too many.
    """
    wanted = parse(Source("", "--from"), wish.roots, name="--from")
    below = select(wanted, facts, insist=wish.insist)
    merged = {f.address or f.name: f for f in below.functions}
    left = {one.name: one for one in (*below.left_out, *selection.left_out)}
    for function in selection.functions:
        there = merged.setdefault(function.address or function.name, function)
        if there.name != function.name:
            left[function.name] = LeftOut(function.name, f"another name of {there.name}")
    functions = tuple(sorted(merged.values(), key=lambda f: f.name))
    if len(functions) > LIMIT:
        raise OptionError(
            f"--from: with its functions there are {len(functions):,}, more than {LIMIT:,}",
            hint="narrow its patterns or those of the calls",
        )
    for function in functions:
        left.pop(function.name, None)
    together = Selection(
        functions, tuple(left[name] for name in sorted(left)), selection.problems + below.problems
    )
    return together, tuple(f.name for f in below.functions)


def _following(
    functions: Sequence[Traced], follow: str, prototypes: Prototypes
) -> tuple[tuple[Traced, ...], int]:
    """The functions, with which argument of each is the followed one, and the address if it is one.

    Raises:
        OptionError: No function has such a parameter in a register.
    """
    if _ADDRESS.fullmatch(follow):
        if not any(f.pointers for f in functions):
            raise OptionError(f"--follow {follow}: no function takes a pointer, as far as is known")
        return tuple(functions), int(follow, 16)
    match = _FOLLOW.fullmatch(follow)
    if match is None:
        raise OptionError(
            f"--follow {follow}: expected PARAMETER, FUNCTION:PARAMETER or an address",
            hint="e.g. --follow inode, --follow ext4_lookup:dir",
        )
    names = [f.name for f in functions]
    if match["function"] and match["function"] not in names:
        raise OptionError(
            f"--follow {follow}: {match['function']!r} is not among the recorded functions",
            hint=near_hint(match["function"], names),
        )
    found: list[Traced] = []
    known: set[str] = set()
    for function in functions:
        place = 0
        if match["function"] in (None, function.name):
            for parameter in prototypes.of(function).parameters:
                if parameter.registers and parameter.name:
                    known.add(parameter.name)
                if parameter.registers and parameter.name == match["parameter"]:
                    place = parameter.registers[0] + 1
        found.append(replace(function, followed=place))
    if not any(f.followed for f in found):
        where = match["function"] or "no function"
        lacks = "has no parameter" if match["function"] else "has a parameter"
        raise OptionError(
            f"--follow {follow}: {where} {lacks} {match['parameter']!r}",
            hint=near_hint(match["parameter"], known) or f"there is {', '.join(sorted(known)[:12])}",
        )
    return tuple(found), 0
