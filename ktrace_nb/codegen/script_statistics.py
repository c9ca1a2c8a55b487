"""Statistics as C: counted on each CPU apart, put together by the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ktrace_nb.codegen import script_globals
from ktrace_nb.codegen.script_tables import value_type
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import script_layout as layout

if TYPE_CHECKING:
    from ktrace_nb.codegen.script_body import Body


def accumulate(body: Body, statement: ir.Accumulate) -> None:
    """Write ``<<<``."""
    target = statement.target
    name = target.array if isinstance(target, ir.Element) else target.name
    kernel_global = body.unit.globals[name]
    variable = kernel_global.variable
    if isinstance(target, ir.Element):
        made = script_globals.key(body, name, target.keys, buckets=bool(variable.histograms))
        value = body.steady(body.number(statement.value))
        pointer = script_globals.entry(body, name, made, statement)
        _count(body, kernel_global, pointer, value)
        for i, histogram in enumerate(variable.histograms):
            buckets, found = layout.buckets_map_name(variable, i), body.name("found")
            body.put(f"{made.bucket_member} = {bucket(histogram, value)};")
            initial = f"&{body.use('nothing_u64')}"
            body.put(f"u64 *{found} = {buckets}.lookup_or_try_init({made.bucket}, {initial});")
            with body.lines.block(f"if (!{found})"):
                body.fail(layout.ARRAY_FULL, statement.at, name=name)
            body.put(f"__sync_fetch_and_add({found}, 1);")
        return
    value = body.steady(body.number(statement.value))
    pointer = body.name("found")
    body.put(f"{value_type(kernel_global)} *{pointer} = {script_globals.scalar(body, name)};")
    with body.lines.block(f"if ({pointer})"):
        _count(body, kernel_global, pointer, value)
        for i, histogram in enumerate(variable.histograms):
            count = layout.bucket_count(histogram)
            body.put(f"ktrace_count_bucket_({pointer}->h{i}, {bucket(histogram, value)}, {count});")


def _count(body: Body, kernel_global: ir.KernelGlobal, pointer: str, value: str) -> None:
    whole = value_type(kernel_global) != "struct ktrace_statistics_"
    body.put(f"ktrace_accumulate_({f'&{pointer}->all' if whole else pointer}, {value});")
    if kernel_global.variable.variance:
        body.put(f"ktrace_add_square_({pointer}->squares, {value});")


def bucket(histogram: ir.HistogramShape, value: str) -> str:
    """C of a value's bucket."""
    if histogram.is_log:
        return f"ktrace_log_bucket_({value})"
    count = layout.bucket_count(histogram)
    return f"ktrace_linear_bucket_({value}, {histogram.low}, {histogram.step}, {count})"
