"""Many kprobes of one program as one attachment: kprobe_multi.

The kernel takes milliseconds for a kprobe, but attaches a program to hundreds of functions
at once where it has kprobe_multi, and takes it away as fast. What a program finds in its registers is
the same, the instruction pointer excepted.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ktrace_nb.diagnostics import Problem
from ktrace_nb.wire import bundle as b

if TYPE_CHECKING:
    from ktrace_nb.ir.probes import Plan
    from ktrace_nb.ir.program import ProbeRequest, Program
    from ktrace_nb.kernel.facts import KernelFacts

RETURNS = 64
"""Calls that may be under way at once, at least, where returns are seen by kprobe_multi.

The kernel sets aside two per function and CPU, for all functions together; a kretprobe has ten
of its own or more. Few functions stay with those, or calls that sleep would use up everything.
Source: ``fprobe_init_rethook`` in Linux ``kernel/trace/fprobe.c``, ``register_kretprobe`` in
``kernel/kprobes.c``.
"""

_KINDS = {"kprobe": "kprobe_multi", "kretprobe": "kretprobe_multi"}

# A program of a script fetches the registers it names first (ctx_ip_), and gives the instruction pointer
# as what to take where there is no function: that is no use of it here.
_READS_IP = re.compile(
    r"\bPT_REGS_IP(_CORE)?\b|(->|\.)\s*ip\b|\bbpf_override_return\b"
    r"|(?<!ktrace_function_\(ctx, )(?<!u64 )\bctx_ip_\b"
)
"""What only a kprobe has as it should be; only with a kprobe can a function's result be replaced."""

_TOLD = 3


@dataclass(frozen=True)
class _Places:
    """Where a program goes."""

    names: list[str]
    addresses: list[int]
    """Of each name the address; empty where the kernel hides them."""
    requests: list[ProbeRequest]
    have_twins: bool
    """Whether a name stands for several functions, of which ftrace may not know all."""


def gather(plan: Plan, program: Program, facts: KernelFacts) -> Plan:
    """Have programs that go to several functions attached to all of them at once, where that can be."""
    if program.walk is not None or not facts.kprobe_multi_has_registers:
        return plan
    texts = _texts(program)
    by_program: dict[str, list[int]] = {}
    for index, point in enumerate(plan.points):
        by_program.setdefault(point.program, []).append(index)
    found: dict[str, _Places] = {}
    for name, indices in by_program.items():
        if len(indices) > 1 and not _READS_IP.search(texts.get(name, program.code.text)):
            places = _places(plan, indices, facts)
            if places is not None:
                found[name] = places
    return _with_gathered(plan, found) if found else plan


def _texts(program: Program) -> Mapping[str, str]:
    """The C of each program of a script; a cell's programs may call functions of the cell."""
    if program.script is None:
        return {}
    text = program.source.text
    starts = [span.start for _, span in program.functions]
    ends = [*starts[1:], len(text)][: len(starts)]
    return {n: text[s:e] for (n, _), s, e in zip(program.functions, starts, ends, strict=True)}


def _places(plan: Plan, indices: list[int], facts: KernelFacts) -> _Places | None:
    """Where the points of a program are; None if they are not functions that ftrace knows."""
    kinds = {plan.points[i].kind for i in indices}
    if len(kinds) > 1 or not kinds <= _KINDS.keys():
        return None
    places = _Places([], [], [], have_twins=False)
    have_twins = is_hidden = False
    for index in indices:
        point = plan.points[index]
        name, addresses = _function(point, facts)
        if name not in facts.traceable:
            return None
        have_twins |= len(facts.symbols.addresses(name)) > 1
        is_hidden |= not addresses
        count = max(1, len(addresses))
        places.names.extend([name] * count)
        places.addresses.extend(addresses)
        places.requests.extend([plan.requests[index]] * count)
    if is_hidden:
        places.addresses.clear()
    if len(set(places.addresses or places.names)) < len(places.names):
        return None  # what is asked for twice is to happen twice
    if kinds == {"kretprobe"} and len(places.names) * 2 * facts.cpus < RETURNS:
        return None
    return replace(places, have_twins=have_twins)


def _function(point: b.AttachPoint, facts: KernelFacts) -> tuple[str, list[int]]:
    """The function that a point is at the beginning of, and where functions of that name are."""
    if point.target:
        return ("", []) if point.offset else (point.target, facts.symbols.addresses(point.target))
    symbol = facts.symbols.resolve(point.offset)
    return (symbol.name, [point.offset]) if symbol and not symbol.offset else ("", [])


def _with_gathered(plan: Plan, found: Mapping[str, _Places]) -> Plan:
    kinds = dict(plan.kinds)
    points: list[b.AttachPoint] = []
    requests: list[ProbeRequest] = []
    members: dict[int, tuple[ProbeRequest, ...]] = {}
    done: set[str] = set()
    for point, request in zip(plan.points, plan.requests, strict=True):
        places = found.get(point.program)
        if places is None:
            points.append(point)
            requests.append(request)
        elif point.program not in done:
            done.add(point.program)
            kinds[point.program] = replace(kinds[point.program], attach_type=b.TRACE_KPROBE_MULTI)
            members[len(points)] = tuple(places.requests)
            points.append(_point(point, places))
            requests.append(request)
    return replace(plan, kinds=kinds, points=tuple(points), requests=tuple(requests), members=members)


def _point(first: b.AttachPoint, places: _Places) -> b.AttachPoint:
    return b.AttachPoint(
        first.program,
        _KINDS[first.kind],
        _title(dict.fromkeys(r.target for r in places.requests)),
        places=struct.pack(f"<{len(places.addresses)}Q", *places.addresses),
        names="\n".join(places.names).encode(),
        optional=int(places.have_twins),
    )


def _title(targets: Mapping[str, None]) -> str:
    """What people see: ``ext4_*``, or the first functions and how many more."""
    names = list(targets)
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(names[:_TOLD]) + more


def refusals(plan: Plan, refused: Iterable[Sequence[int]]) -> list[Problem]:
    """What is to be said of functions that the kernel left out of gathered points.

    Args:
        plan: The plan.
        refused: As the agent tells it: index of the point, of the function in it, ``errno``.
    """
    places: dict[tuple[int, str], list[int]] = {}
    for point, place, _ in refused:
        if point in plan.members:
            name = plan.points[point].names.decode().splitlines()[place]
            places.setdefault((point, name), []).append(place)
    problems = []
    for (point, name), left_out in places.items():
        total = plan.points[point].names.decode().splitlines().count(name)
        text = f"{len(left_out)} of {total} functions named {name!r} cannot be traced"
        request = plan.request(point, left_out[0])
        problems.append(Problem(text, request.source, request.span, severity="note"))
    return problems
