"""Hardware and software counters: ``perf.type(N).config(M)`` and its names ``perf.sw.*``, ``perf.hw.*``.

The names and their numbers are those of ``enum perf_sw_ids`` and ``enum perf_hw_id``,
Linux ``include/uapi/linux/perf_event.h``. A handler runs on every millionth event
if nothing else is said, as SystemTap's do: see ``man stapprobes``, "PERF EVENTS".
"""

from __future__ import annotations

from ktrace_nb.ir import script as ir
from ktrace_nb.lang.stap.context import ProbeContext
from ktrace_nb.lang.stap.point_types import Request, Resolved, bare, number_of, text_of, unknown
from ktrace_nb.lang.stap.points_process import of_program

_HARDWARE, _SOFTWARE = 0, 1
NAMES = {
    "hw": {
        "cpu_cycles": 0, "instructions": 1, "cache_references": 2, "cache_misses": 3,
        "branch_instructions": 4, "branch_misses": 5, "bus_cycles": 6,
        "stalled_cycles_frontend": 7, "stalled_cycles_backend": 8,
        "ref_cpu_cycles": 9,
    },
    "sw": {
        "cpu_clock": 0, "task_clock": 1, "page_faults": 2, "context_switches": 3, "cpu_migrations": 4,
        "page_faults_min": 5, "page_faults_maj": 6, "alignment_faults": 7, "emulation_faults": 8,
    },
}  # fmt: skip
"""Events by family and name."""

_DEFAULT_SAMPLE = 1_000_000
_MODIFIERS = ("sample", "hz", "process", "counter")


def perf(request: Request) -> list[Resolved]:
    """A counter, how often it is to fire, and for whom.

    Raises:
        CellError: A part that is missing, or cannot be done.
    """
    first, *rest = request.components
    bare(request, first)
    if not rest:
        raise request.fault("expected an event behind 'perf'", hint="perf.sw.cpu_clock, perf.hw.cpu_cycles")
    family, *tail = rest
    if family.name in NAMES:
        bare(request, family)
        names = NAMES[family.name]
        if not tail or tail[0].name not in names:
            unknown(request, tail[0] if tail else family, names)
        bare(request, tail[0])
        kind, config = _SOFTWARE if family.name == "sw" else _HARDWARE, names[tail[0].name]
    elif family.name == "type":
        kind = number_of(request, family, least=0)
        if not tail or tail[0].name != "config":
            raise request.fault("expected config(N) behind 'type'", family)
        config = number_of(request, tail[0], least=0)
    else:
        unknown(request, family, (*NAMES, "type"))
    often = f"period:{_DEFAULT_SAMPLE}"
    condition: ir.Expr | None = None
    target_only = False
    for component in tail[1:]:
        if component.name == "sample":
            often = f"period:{number_of(request, component, least=1)}"
        elif component.name == "hz":
            often = f"hz:{number_of(request, component, least=1)}"
        elif component.name == "process":
            target_only = component.argument is None
            if not target_only:
                condition = of_program(request, text_of(request, component))
        elif component.name == "counter":
            raise request.unsupported(
                "a counter that is read by name (.counter) is not supported",
                "count with the handler: perf.hw.instructions.sample(1000) { n += 1000 }",
            )
        else:
            unknown(request, component, _MODIFIERS)
    return [
        Resolved(
            event=ir.Event.KERNEL,
            name=str(request.point),
            context="perf",
            requests=(request.probe("perf", f"{kind}:{config}:{often}"),),
            probe_context=ProbeContext(
                kind="perf", function=f"event {config} of type {kind}", hidden="a counter has no variables"
            ),
            condition=condition,
            target_only=target_only,
        )
    ]
