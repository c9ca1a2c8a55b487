"""Where the programs of a walk go, by its means."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ktrace_nb.errors import CellError
from ktrace_nb.ir.calls import (
    ENTRY_PROGRAM,
    FENTRY,
    GRAPH,
    KPROBE,
    KPROBE_MULTI,
    RETURN_PROGRAM,
    THREAD_PROGRAMS,
    Walk,
    own_program,
)
from ktrace_nb.ir.probes import ProgramKind
from ktrace_nb.ir.program import ProbeRequest
from ktrace_nb.wire import bundle as b

if TYPE_CHECKING:
    from ktrace_nb.kernel.facts import KernelFacts

Placed = tuple[ProgramKind, b.AttachPoint, ProbeRequest]


def plan_walk(walk: Walk, facts: KernelFacts) -> Iterator[Placed]:
    """Kind, place and wish of every program of a walk, in the order of attaching.

    Threads come first, so that none begins unseen, and returns before entries, so that
    every recorded entry can have its return.

    Raises:
        CellError: A trampoline at a function that the kernel has no type of.
    """
    for program, event in THREAD_PROGRAMS.items():
        kind = ProgramKind(b.RAW_TRACEPOINT)
        yield _placed(kind, b.AttachPoint(program, "raw_tracepoint", event))
    if walk.means == FENTRY:
        yield from _trampolines(walk, facts)
    elif walk.means == KPROBE_MULTI:
        # A kernel that hides its addresses is told names alone.
        is_known = all(f.address for f in walk.functions)
        places = b"".join(struct.pack("<Q", f.address) for f in walk.functions if is_known)
        names = "\n".join(f.name for f in walk.functions).encode()
        cookies = b"".join(struct.pack("<Q", f.cookie(n)) for n, f in enumerate(walk.functions))
        target = f"{len(walk.functions)} functions"
        for program, kind_name in ((RETURN_PROGRAM, "kretprobe_multi"), (ENTRY_PROGRAM, "kprobe_multi")):
            point = b.AttachPoint(
                program, kind_name, target, places=places, names=names, cookies=cookies, optional=1
            )
            yield _placed(ProgramKind(b.KPROBE, b.TRACE_KPROBE_MULTI), point)
    elif walk.means == KPROBE:
        yield from _kprobes(walk)
    else:
        assert walk.means == GRAPH, walk.means  # attaches no programs, see walk_graph()


def _kprobes(walk: Walk) -> Iterator[Placed]:
    """A name that several functions have does not tell which; then the address does."""
    count = Counter(function.name for function in walk.functions)
    for program, kind_name in ((RETURN_PROGRAM, "kretprobe"), (ENTRY_PROGRAM, "kprobe")):
        for number, function in enumerate(walk.functions):
            by_address = count[function.name] > 1
            point = b.AttachPoint(
                program,
                kind_name,
                target="" if by_address else function.name,
                offset=function.address if by_address else 0,
                cookie=function.cookie(number),
                optional=1,
            )
            yield ProgramKind(b.KPROBE), point, ProbeRequest(program, kind_name, function.name)


def _trampolines(walk: Walk, facts: KernelFacts) -> Iterator[Placed]:
    kinds = ((RETURN_PROGRAM, "fexit", b.TRACE_FEXIT), (ENTRY_PROGRAM, "fentry", b.TRACE_FENTRY))
    for program, kind_name, attach_type in kinds:
        for number, function in enumerate(walk.functions):
            type_id = facts.function_type_id(function.name, function.module)
            if type_id is None:
                raise CellError(f"the kernel has no type of {function.name!r}", hint="--means kprobe")
            kind = ProgramKind(b.TRACING, attach_type, type_id, function.module)
            point = b.AttachPoint(
                own_program(program, number),
                kind_name,
                function.name,
                cookie=function.cookie(number),
                optional=1,
            )
            yield _placed(kind, point)


def walk_graph(walk: Walk) -> b.GraphDef | None:
    """What ftrace's tracer is told; None if another means is used."""
    if walk.means != GRAPH:
        return None
    listed = (f"{f.name} [{f.module}]" if f.module else f.name for f in walk.functions)
    return b.GraphDef(
        functions="\n".join(listed),
        roots="\n".join(walk.focus.roots),
        depth=walk.focus.depth,
        tracked=int(walk.focus.tracked),
    )


def _placed(kind: ProgramKind, point: b.AttachPoint) -> Placed:
    return kind, point, ProbeRequest(point.program, point.kind, point.target)
