"""Points of the session itself and of clocks: ``begin``, ``end``, ``error``, ``never``, ``timer``."""

from __future__ import annotations

from dataclasses import replace

from ktrace_nb.ir import script as ir
from ktrace_nb.lang.stap.context import ProbeContext
from ktrace_nb.lang.stap.point_types import (
    Components,
    Request,
    Resolved,
    bare,
    finished,
    number_of,
    unknown,
)

_UNITS_NS = {
    "s": 1_000_000_000, "sec": 1_000_000_000, "ms": 1_000_000, "msec": 1_000_000,
    "us": 1000, "usec": 1000, "ns": 1, "nsec": 1,
}  # fmt: skip
TIMERS = (*_UNITS_NS, "hz", "jiffies", "profile")
"""What may stand behind ``timer.``."""

_PROMPT_NS = 1_000_000
"""What a clock beside the notebook can keep to."""

_NO_VARIABLES = "this point belongs to no function"


def session(request: Request) -> list[Resolved]:
    """``begin``, ``end``, ``error``, each with an order; ``never``; ``oneshot``."""
    first, *rest = request.components
    finished(request, rest)
    event = {"oneshot": "begin"}.get(first.name, first.name)
    order = 0
    if event in ("begin", "end", "error") and first.name != "oneshot":
        order = number_of(request, first) if first.argument is not None else 0
    else:
        bare(request, first)
    made = _user_side(request, ir.Event(event))
    return [replace(made, order=order, exits=first.name == "oneshot")]


def timer(request: Request) -> list[Resolved]:
    """``timer.ms(100).randomize(10)`` and the like."""
    first, *rest = request.components
    bare(request, first)
    if not rest:
        raise request.fault("expected a unit behind 'timer'", hint=f"known are {', '.join(TIMERS)}")
    unit, *tail = rest
    if unit.name == "profile":
        bare(request, unit)
        return [_profile(request, tail)]
    if unit.name == "hz":
        finished(request, tail)
        period = 1_000_000_000 // number_of(request, unit, least=1)
        spread = 0
    else:
        if unit.name == "jiffies":
            unit_ns = 1_000_000_000 // ticks_per_second(request)
        elif unit.name in _UNITS_NS:
            unit_ns = _UNITS_NS[unit.name]
        else:
            unknown(request, unit, TIMERS)
        count = number_of(request, unit, least=1)
        period, spread = count * unit_ns, 0
        if tail:
            if tail[0].name != "randomize":
                unknown(request, tail[0], ("randomize",))
            spread = number_of(request, tail[0], least=0)
            if spread >= count:
                raise request.fault(
                    f"randomize({spread}) must be less than the {count} it is added to", tail[0]
                )
            spread *= unit_ns
            finished(request, tail[1:])
    if period < _PROMPT_NS:
        request.note(
            f"{request.point} runs beside the notebook, where {period / 1000:g} µs cannot be kept",
            "perf.sw.cpu_clock.sample(N) samples every N nanoseconds in the kernel",
        )
    return [replace(_user_side(request, ir.Event.TIMER), period_ns=period, randomize_ns=spread)]


def _profile(request: Request, rest: Components) -> Resolved:
    """Every CPU, at the rate of the system's tick or of ``.freq.hz(N)``; also ``.freq(N)``."""
    target = f"us:{1_000_000 // ticks_per_second(request)}"
    if rest and rest[0].name == "tick":
        bare(request, rest[0])
        finished(request, rest[1:])
    elif rest and rest[0].name == "freq":
        rate = rest[0]
        if rate.argument is None:
            if len(rest) < 2 or rest[1].name != "hz":
                raise request.fault("expected hz(N) behind 'freq'", rate)
            rate = rest[1]
            finished(request, rest[2:])
        else:
            finished(request, rest[1:])
        target = f"hz:{number_of(request, rate, least=1)}"
    elif rest:
        unknown(request, rest[0], ("tick", "freq"))
    context = ProbeContext(kind="perf", function="a clock of the CPU", hidden=_NO_VARIABLES)
    return Resolved(
        event=ir.Event.KERNEL,
        name=str(request.point),
        context="perf",
        requests=(request.probe("profile", target),),
        probe_context=context,
    )


def ticks_per_second(request: Request) -> int:
    """``CONFIG_HZ`` of the kernel; 250, most distributions' choice, where it does not tell."""
    value = request.facts.config.get("CONFIG_HZ", "")
    if not value.isdigit():
        request.note("the kernel does not tell its CONFIG_HZ: 250 is taken")
        return 250
    return int(value)


def _user_side(request: Request, event: ir.Event) -> Resolved:
    context = ProbeContext(kind="", function=str(request.point), hidden=_NO_VARIABLES)
    return Resolved(event=event, name=str(request.point), probe_context=context)
