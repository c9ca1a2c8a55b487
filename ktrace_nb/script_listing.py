"""A placed script as text: which handler runs where, what is sent, where each global lives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ktrace_nb.ir import script as ir
from ktrace_nb.ir.listing import body_text, expr_text
from ktrace_nb.ir.program import ProbeRequest

_MOST_POINTS = 5


def placed_text(placed: ir.Placed) -> str:
    """A script with everything where it belongs."""
    sections = [
        _globals(placed),
        *(_kernel_function(f) for f in placed.kernel_functions),
        *(_kernel_handler(h) for h in placed.kernel_handlers),
        *(_record(r, placed) for r in placed.records),
        *(_user_function(f) for f in placed.user_functions),
        *(_user_handler(h) for h in placed.user_handlers),
        [f"note: {message}" for message, _ in placed.notes],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _globals(placed: ir.Placed) -> list[str]:
    lines = []
    for kept in placed.kernel_globals:
        shapes = ", ".join(map(_shape, kept.keys))
        keys = f"[{shapes}]" if kept.keys else ""
        value = "statistics" if kept.variable.type is ir.Type.STATISTICS else _shape(kept.value)
        lines.append(f"global {kept.variable.name}{keys}: {value}, in the kernel")
    for variable in placed.user_globals:
        keys = f"[{', '.join(k.value for k in variable.keys)}]" if variable.keys else ""
        lines.append(f"global {variable.name}{keys}: {variable.type.value}, beside the notebook")
    return lines


def _shape(shape: ir.Shape) -> str:
    if shape.symbol:
        return f"number for {shape.symbol}()"
    return f"string of {shape.size - 1} bytes" if shape.text else "long"


def _kernel_function(function: ir.KernelFunction) -> list[str]:
    parameters = ", ".join(f"{p.name}: {_shape(p.shape)}" for p in function.parameters)
    return [f"function {function.function.name}({parameters}), in the kernel", *body_text(function.body)]


def _kernel_handler(part: ir.KernelHandler) -> list[str]:
    handler = part.handler
    lines = [f"probe {handler.name}, in the kernel ({handler.context})", *_points("at", handler.requests)]
    if handler.entry_requests and part.entry:
        lines += _points("entered at", handler.entry_requests)
        lines += [f"  entry({n}) = {expr_text(value)}" for n, (value, _) in enumerate(part.entry)]
    if handler.syscalls:
        lines.append(f"  for the system calls {', '.join(map(str, handler.syscalls))}")
    return lines + body_text(part.body)


def _points(lead: str, requests: Iterable[ProbeRequest]) -> Iterator[str]:
    places = [f"{request.kind}:{request.target}" for request in requests]
    more = f" and {len(places) - _MOST_POINTS:,} more" if len(places) > _MOST_POINTS else ""
    if places:
        yield f"  {lead} {', '.join(places[:_MOST_POINTS])}{more}"


def _record(record: ir.Record, placed: ir.Placed) -> list[str]:
    name = next(h.name for h in placed.script.handlers if h.number == record.handler)
    values = ", ".join(map(_shape, record.values)) or "no values"
    return [f"record {record.number} of {name} ({values}), beside the notebook", *body_text(record.body)]


def _user_function(function: ir.Function) -> list[str]:
    parameters = ", ".join(f"{p.name}: {p.type.value}" for p in function.parameters)
    return [f"function {function.name}({parameters}), beside the notebook", *body_text(function.body)]


def _user_handler(handler: ir.Handler) -> list[str]:
    every = f", every {handler.period_ns / 1e9:g} s" if handler.period_ns else ""
    return [f"probe {handler.name}, beside the notebook{every}", *body_text(handler.body)]
