"""From what the user asked for to where the kernel attaches it.

Names are checked against :class:`~ktrace_nb.kernel.facts.KernelFacts` before
anything is compiled, so that a mistyped one is answered with its near matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ktrace_nb.diagnostics import Problem
from ktrace_nb.errors import CellError, ProbeNotFoundError
from ktrace_nb.ir.program import ProbeRequest, Program
from ktrace_nb.wire import bundle as b

if TYPE_CHECKING:
    from ktrace_nb.kernel.facts import KernelFacts
    from ktrace_nb.source import Source, Span

HZ_LIMIT = 10_000
"""Samples per second and CPU beyond which the sampling itself is all one sees."""

_SOFTWARE = {
    "cpu-clock": 0, "cpu": 0, "task-clock": 1, "page-faults": 2, "faults": 2, "context-switches": 3, "cs": 3,
    "cpu-migrations": 4, "minor-faults": 5, "major-faults": 6, "alignment-faults": 7, "emulation-faults": 8,
    "dummy": 9, "bpf-output": 10,
}  # fmt: skip
"""``enum perf_sw_ids``."""

_HARDWARE = {
    "cpu-cycles": 0, "cycles": 0, "instructions": 1, "cache-references": 2, "cache-misses": 3,
    "branch-instructions": 4, "branches": 4, "branch-misses": 5, "bus-cycles": 6,
    "frontend-stalls": 7, "backend-stalls": 8, "ref-cycles": 9,
}  # fmt: skip
"""``enum perf_hw_id``."""

_DEFAULT_PERIOD = {"software": 1, "hardware": 1_000_000}
_UNITS_NS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000}


@dataclass(frozen=True, slots=True)
class ProgramKind:
    """How the kernel must load a program so that it can be attached as asked."""

    type: int
    attach_type: int = 0
    attach_btf_id: int = 0
    attach_module: str = ""


@dataclass(frozen=True)
class Plan:
    """Every program's kind and every place it goes."""

    kinds: dict[str, ProgramKind]
    points: tuple[b.AttachPoint, ...]
    requests: tuple[ProbeRequest, ...]
    """For each point, what asked for it."""
    problems: tuple[Problem, ...]
    """Remarks: a sibling probed in place of an inlined function, functions a glob left out."""
    deferred: dict[str, CellError] = field(default_factory=dict)
    """What is wrong with probes of functions that may turn out not to be compiled."""
    members: dict[int, tuple[ProbeRequest, ...]] = field(default_factory=dict)
    """Of points at many functions, by their index: for each function, what asked for it."""

    def request(self, point: int, place: int = 0) -> ProbeRequest:
        """What asked for a point, or for one function of it."""
        members = self.members.get(point, ())
        return members[place] if place < len(members) else self.requests[point]

    def restricted_to(self, programs: Collection[str]) -> Plan:
        """The plan for the programs that were compiled.

        Raises:
            CellError: One of them has a probe that cannot be.
        """
        for function, problem in self.deferred.items():
            if function in programs:
                raise problem
        kept = [i for i, point in enumerate(self.points) if point.program in programs]
        return Plan(
            {name: kind for name, kind in self.kinds.items() if name in programs},
            tuple(self.points[i] for i in kept),
            tuple(self.requests[i] for i in kept),
            self.problems,
        )


Resolved = tuple[ProgramKind, b.AttachPoint]
_PLAIN = ProgramKind(b.KPROBE)


def resolve(program: Program, facts: KernelFacts) -> Plan:
    """Resolve every probe of a program.

    Raises:
        ProbeNotFoundError: No such probe on this kernel; near matches as hint.
        CellError: A target that cannot be read, or one program asked to be two kinds.
    """
    kinds: dict[str, ProgramKind] = {}
    points: list[b.AttachPoint] = []
    requests: list[ProbeRequest] = []
    problems: list[Problem] = []
    deferred: dict[str, CellError] = {}
    for request in program.probes:
        try:
            resolved = list(KINDS[request.kind](request, facts, problems))
        except CellError as error:
            if not request.conditional:
                raise
            deferred[request.function] = error
            continue
        for kind, point in resolved:
            if kinds.setdefault(request.function, kind) != kind:
                raise CellError(
                    f"program {request.function!r} cannot be attached both as {request.kind} and otherwise",
                    request.source,
                    request.span,
                    hint="define one function per kind of probe",
                )
            points.append(point)
            requests.append(request)
    if program.walk is not None:
        from ktrace_nb.ir.calls_plan import plan_walk  # which makes what is defined here

        for kind, point, request in plan_walk(program.walk, facts):
            kinds[point.program] = kind
            points.append(point)
            requests.append(request)
    return Plan(kinds, tuple(points), tuple(requests), tuple(problems), deferred)


_PREFIXES = {
    "kprobe": "kprobe",
    "kretprobe": "kretprobe",
    "tracepoint": "tracepoint",
    "raw_tracepoint": "raw_tracepoint",
    "kfunc": "fentry",
    "kretfunc": "fexit",
    "lsm": "lsm",
    "syscall": "syscall",
}
"""What a program's name begins with in bcc, and the kind of probe it means."""


def by_name(function: str, source: Source | None, span: Span | None) -> ProbeRequest | None:
    """The probe that a program is named after, None if it is named after none."""
    prefix, _, target = function.partition("__")
    if prefix not in _PREFIXES or not target:
        return None
    if prefix == "tracepoint":
        # A category may itself contain "__"; no event of the kernel begins with "_".
        category, _, event = target.rpartition("__")
        target = f"{category}/{event}"
    return ProbeRequest(function, _PREFIXES[prefix], target, source, span)


def _fault(request: ProbeRequest, message: str, hint: str | None = None) -> CellError:
    return CellError(message, request.source, request.span, hint=hint)


def _is_glob(name: str) -> bool:
    return any(char in name for char in "*?[")


# --- functions of the kernel -----------------------------------------------------------


def _kprobe(request: ProbeRequest, facts: KernelFacts, problems: list[Problem]) -> Iterator[Resolved]:
    if _is_glob(request.target):
        names = _expand(request, facts, problems)
        offset = 0
    else:
        name, _, tail = request.target.partition("+")
        try:
            offset = int(tail, 0) if tail else 0
        except ValueError:
            raise _fault(request, f"offset {tail!r} is no number") from None
        names = [_function(request, name, facts, problems)]
    if offset and request.kind == "kretprobe":
        raise _fault(request, "a kretprobe has no offset", "use kprobe:FUNCTION+OFFSET")
    for name in names:
        places = facts.symbols.addresses(name) if request.every else []
        if len(places) < 2:
            yield _PLAIN, b.AttachPoint(request.function, request.kind, name, offset)
        for place in places if len(places) > 1 else ():
            # The kernel takes a name only if it has one function of it.
            yield _PLAIN, b.AttachPoint(request.function, request.kind, "", place + offset)


def _expand(request: ProbeRequest, facts: KernelFacts, problems: list[Problem]) -> list[str]:
    matches = facts.functions_matching(request.target)
    names = [name for name in matches if name not in facts.blacklist]
    if not names:
        raise ProbeNotFoundError("kernel function", request.target, request.source, request.span, ())
    if len(names) < len(matches):
        left = sorted(set(matches) - set(names))
        text = f"{len(left)} of {len(matches)} functions cannot be probed: {', '.join(left[:5])}"
        problems.append(Problem(text, request.source, request.span, severity="note"))
    return names


def _function(request: ProbeRequest, name: str, facts: KernelFacts, problems: list[Problem]) -> str:
    if name in facts.blacklist:
        raise _fault(request, f"the kernel does not let {name!r} be probed", "it is on the kprobes blacklist")
    if facts.has_function(name):
        return name
    siblings = [s for s in facts.siblings(name) if not s.endswith(".cold")]
    if siblings:
        # The compiler cloned the function (.isra, .constprop, .part); its arguments may differ.
        text = f"{name!r} exists only as {', '.join(siblings)}; probing {siblings[0]}"
        hint = "the compiler may have changed its arguments"
        problems.append(Problem(text, request.source, request.span, hint, "note"))
        return siblings[0]
    raise ProbeNotFoundError("kernel function", name, request.source, request.span, facts.function_names)


def _syscall(request: ProbeRequest, facts: KernelFacts, _problems: list[Problem]) -> Iterator[Resolved]:
    entry = facts.syscall(request.target)
    if entry is None:
        raise ProbeNotFoundError("system call", request.target, request.source, request.span, facts.syscalls)
    yield _PLAIN, b.AttachPoint(request.function, "kprobe", entry)


def _trampoline(request: ProbeRequest, facts: KernelFacts, _problems: list[Problem]) -> Iterator[Resolved]:
    """fentry and fexit: ``function``, ``vmlinux__function`` or ``module__function``."""
    module, name = "", request.target.removeprefix("vmlinux__")
    type_id = facts.function_type_id(name)
    if type_id is None and "__" in name:
        candidate, _, rest = name.partition("__")
        if candidate in facts.modules:
            module, name = candidate, rest
            type_id = facts.function_type_id(name, module)
    if type_id is None:
        raise ProbeNotFoundError(
            "kernel function with type information", name, request.source, request.span, facts.function_names
        )
    attach_type = b.TRACE_FENTRY if request.kind == "fentry" else b.TRACE_FEXIT
    kind = ProgramKind(b.TRACING, attach_type, type_id, module)
    yield kind, b.AttachPoint(request.function, request.kind, name)


def _lsm(request: ProbeRequest, facts: KernelFacts, _problems: list[Problem]) -> Iterator[Resolved]:
    type_id = facts.function_type_id(f"bpf_lsm_{request.target}")
    if type_id is None:
        hooks = [n.removeprefix("bpf_lsm_") for n in facts.functions_matching("bpf_lsm_*")]
        raise ProbeNotFoundError("LSM hook", request.target, request.source, request.span, hooks)
    yield ProgramKind(b.LSM, b.LSM_MAC, type_id), b.AttachPoint(request.function, "lsm", request.target)


# --- tracepoints -------------------------------------------------------------------------


def _tracepoint(request: ProbeRequest, facts: KernelFacts, _problems: list[Problem]) -> Iterator[Resolved]:
    if _is_glob(request.target):
        names = sorted(n for n in facts.tracepoints if fnmatchcase(n, request.target))
    else:
        names = [request.target] if request.target in facts.tracepoints else []
    if not names:
        raise ProbeNotFoundError(
            "tracepoint", request.target, request.source, request.span, facts.tracepoints
        )
    for name in names:
        yield ProgramKind(b.TRACEPOINT), b.AttachPoint(request.function, "tracepoint", name)


def _raw_tracepoint(
    request: ProbeRequest, facts: KernelFacts, _problems: list[Problem]
) -> Iterator[Resolved]:
    if not facts.has_raw_tracepoint(request.target):
        known = {name.partition("/")[2] for name in facts.tracepoints}
        raise ProbeNotFoundError("raw tracepoint", request.target, request.source, request.span, known)
    point = b.AttachPoint(request.function, "raw_tracepoint", request.target)
    yield ProgramKind(b.RAW_TRACEPOINT), point


# --- user space: the agent knows the files -----------------------------------------------


def _uprobe(request: ProbeRequest, _facts: KernelFacts, _problems: list[Problem]) -> Iterator[Resolved]:
    path, separator, place = request.target.rpartition(":")
    symbol, _, tail = place.partition("+")
    if not separator or not path or not place:
        raise _fault(request, f"expected PATH:SYMBOL, found {request.target!r}")
    try:
        address = int(symbol, 0) if symbol[:1].isdigit() else None
        offset = int(tail, 0) if tail else 0
    except ValueError:
        raise _fault(request, f"expected a symbol, SYMBOL+OFFSET or an offset, found {place!r}") from None
    point = b.AttachPoint(request.function, request.kind, symbol, offset, path)
    if address is not None:
        point = replace(point, target="", offset=address)
    yield _PLAIN, point


def _usdt(request: ProbeRequest, _facts: KernelFacts, _problems: list[Problem]) -> Iterator[Resolved]:
    match = re.fullmatch(r"(.+?):((?:[^:]+:)?[^:/]+)", request.target)
    if not match:
        raise _fault(request, f"expected PATH:PROVIDER:NAME, found {request.target!r}")
    yield _PLAIN, b.AttachPoint(request.function, "usdt", match[2], path=match[1])


# --- clocks and counters -----------------------------------------------------------------


def _number(request: ProbeRequest, text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise _fault(request, f"expected a positive number, found {text!r}")
    return int(text)


def _profile(request: ProbeRequest, _facts: KernelFacts, _problems: list[Problem]) -> Iterator[Resolved]:
    """``profile:hz:99`` samples every CPU; ``interval:ms:100`` fires on one."""
    unit, separator, value = request.target.partition(":")
    point = b.AttachPoint(request.function, "perf", request.target, perf_type=1)
    if request.kind == "interval":
        point = replace(point, cpu=0)
    if not separator or unit not in ("hz", *_UNITS_NS):
        raise _fault(request, f"expected hz:N, s:N, ms:N or us:N, found {request.target!r}")
    number = _number(request, value)
    if unit == "hz" and number > HZ_LIMIT:
        raise _fault(request, f"{number} samples a second are too many", f"at most {HZ_LIMIT}")
    timed = (
        replace(point, frequency=number) if unit == "hz" else replace(point, period=number * _UNITS_NS[unit])
    )
    yield ProgramKind(b.PERF_EVENT), timed


def _counter(request: ProbeRequest, _facts: KernelFacts, _problems: list[Problem]) -> Iterator[Resolved]:
    """``software:page-faults:100``: every hundredth event."""
    name, _, value = request.target.partition(":")
    names = _SOFTWARE if request.kind == "software" else _HARDWARE
    if name not in names:
        raise ProbeNotFoundError(f"{request.kind} event", name, request.source, request.span, names)
    period = _number(request, value) if value else _DEFAULT_PERIOD[request.kind]
    perf_type = 1 if request.kind == "software" else 0
    yield (
        ProgramKind(b.PERF_EVENT),
        b.AttachPoint(
            request.function,
            "perf",
            request.target,
            perf_type=perf_type,
            perf_config=names[name],
            period=period,
        ),
    )


def _perf_event(request: ProbeRequest, _facts: KernelFacts, _problems: list[Problem]) -> Iterator[Resolved]:
    """``TYPE:CONFIG:period:N`` or ``TYPE:CONFIG:hz:N``, type and config as in ``struct perf_event_attr``."""
    match = re.fullmatch(r"(\d+):(\d+):(period|hz):(\d+)", request.target)
    if not match:
        raise _fault(request, f"expected TYPE:CONFIG:period:N or TYPE:CONFIG:hz:N, found {request.target!r}")
    number = _number(request, match[4])
    if match[3] == "hz" and number > HZ_LIMIT:
        raise _fault(request, f"{number} samples a second are too many", f"at most {HZ_LIMIT}")
    point = b.AttachPoint(
        request.function, "perf", request.target, perf_type=int(match[1]), perf_config=int(match[2])
    )
    timed = replace(point, frequency=number) if match[3] == "hz" else replace(point, period=number)
    yield ProgramKind(b.PERF_EVENT), timed


KINDS: dict[str, Callable[[ProbeRequest, KernelFacts, list[Problem]], Iterable[Resolved]]] = {
    "kprobe": _kprobe,
    "kretprobe": _kprobe,
    "syscall": _syscall,
    "fentry": _trampoline,
    "fexit": _trampoline,
    "lsm": _lsm,
    "tracepoint": _tracepoint,
    "raw_tracepoint": _raw_tracepoint,
    "uprobe": _uprobe,
    "uretprobe": _uprobe,
    "usdt": _usdt,
    "profile": _profile,
    "interval": _profile,
    "software": _counter,
    "hardware": _counter,
    "perf": _perf_event,
}
"""Kinds of probes and what resolves them."""
