"""The declarations of a script's maps and of what is in them."""

from __future__ import annotations

from collections.abc import Iterable

from ktrace_nb.codegen.script_unit import Unit
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import script_layout as layout
from ktrace_nb.ir.program import Output

MAP, STACKS, EVENTS = "map", "stacks", "events"
"""Kinds of :class:`~ktrace_nb.ir.program.Output`."""

STACK_ENTRIES = 16384
ENTRIES_OF_CALLS = 10240
"""Calls of one function that may be under way at once."""
PAGES_FOR_ENDS = 64
"""Pages of the ring of a script that sends nothing but errors and ``exit()``: pages take time to make."""


def member(shape: ir.Shape, name: str) -> str:
    """Declaration of a slot."""
    return f"char {name}[{layout.slot_size(shape)}];" if layout.is_text(shape) else f"s64 {name};"


def struct(name: str, shapes: Iterable[ir.Shape], prefix: str, first: str = "") -> list[str]:
    """A structure of slots; ``first`` is a member in front of them."""
    members = ([first] if first else []) + [member(s, f"{prefix}{i}") for i, s in enumerate(shapes)]
    return [f"struct {name} {{", *("\t" + m for m in members), "};"]


def declarations(unit: Unit) -> tuple[list[str], list[Output]]:
    """C of all structures and maps, and the maps in the order of their declaration."""
    outputs: list[Output] = []
    lines: list[str] = []

    def table(declaration: str, name: str, kind: str = MAP, *, lru: bool = False) -> None:
        lines.append(declaration)
        outputs.append(Output(name, kind, lru=lru))

    for record in unit.placed.records:
        lines += struct(f"record_{record.number}", record.values, "v", "struct ktrace_head_ head;")
    for handler in unit.placed.kernel_handlers:
        if handler.entry:
            number = handler.handler.number
            lines += struct(f"entry_{number}_", [shape for _, shape in handler.entry], "v", "u64 faults;")
    for kernel_global in unit.placed.kernel_globals:
        lines += _structs(kernel_global)
    for kernel_global in unit.placed.kernel_globals:
        for declaration, name in _maps(kernel_global, unit.limits.max_map_entries):
            table(declaration, name, lru=bool(kernel_global.variable.keys) and kernel_global.variable.wraps)
    for handler in unit.placed.kernel_handlers:
        if handler.entry:
            number = handler.handler.number
            name = f"calls_{number}"
            table(f"BPF_HASH({name}, struct ktrace_call_, struct entry_{number}_, {ENTRIES_OF_CALLS});", name)
    table(f"BPF_ARRAY({layout.STATE}, struct ktrace_state_, 1);", layout.STATE)
    if unit.uses_stacks:
        table(f"BPF_STACK_TRACE({layout.STACKS}, {STACK_ENTRIES});", layout.STACKS, STACKS)
    if unit.scratch_bytes:
        lines.append(f"struct ktrace_scratch_ {{ u64 words[{unit.scratch_bytes // 8}]; }};")
        count = len(unit.placed.kernel_handlers) * 2
        table(
            f"BPF_PERCPU_ARRAY({layout.SCRATCH}, struct ktrace_scratch_, {count});",
            layout.SCRATCH,
        )
    pages = unit.options.ring_pages if unit.placed.records else min(unit.options.ring_pages, PAGES_FOR_ENDS)
    table(f"BPF_RINGBUF_OUTPUT({layout.RECORDS}, {pages});", layout.RECORDS, EVENTS)
    return lines, outputs


def value_type(kernel_global: ir.KernelGlobal) -> str:
    """C type of a global's value."""
    variable = kernel_global.variable
    if variable.type is ir.Type.STATISTICS:
        plain = not variable.variance and (variable.keys or not variable.histograms)
        return "struct ktrace_statistics_" if plain else f"struct value_{layout.map_name(variable)}"
    return f"struct value_{layout.map_name(variable)}" if layout.is_text(kernel_global.value) else "s64"


def key_type(kernel_global: ir.KernelGlobal) -> str:
    """C type of an array's key."""
    return f"struct key_{layout.map_name(kernel_global.variable)}"


def buckets_key_type(kernel_global: ir.KernelGlobal) -> str:
    """C type of the key of an array's histogram."""
    return f"struct bucket_{layout.map_name(kernel_global.variable)}"


def _structs(kernel_global: ir.KernelGlobal) -> list[str]:
    variable = kernel_global.variable
    lines: list[str] = []
    if variable.keys:
        lines += struct(key_type(kernel_global).removeprefix("struct "), kernel_global.keys, "k")
        if variable.histograms:
            key = key_type(kernel_global)
            lines += [f"{buckets_key_type(kernel_global)} {{", f"\t{key} key;", "\ts64 bucket;", "};"]
    kind = value_type(kernel_global)
    if kind.startswith("struct value_"):
        if variable.type is ir.Type.STATISTICS:
            members = ["struct ktrace_statistics_ all;"]
            members += ["u64 squares[2];"] if variable.variance else []
            for i, shape in enumerate(variable.histograms if not variable.keys else ()):
                members.append(f"u64 h{i}[{layout.bucket_count(shape)}];")
        else:
            members = [member(kernel_global.value, "text")]
        lines += [f"{kind} {{", *("\t" + m for m in members), "};"]
    return lines


def _maps(kernel_global: ir.KernelGlobal, default: int) -> list[tuple[str, str]]:
    """Declarations and names of a global's maps."""
    variable = kernel_global.variable
    name, value = layout.map_name(variable), value_type(kernel_global)
    is_per_cpu = variable.type is ir.Type.STATISTICS
    if not variable.keys:
        return [(f"BPF_{'PERCPU_' if is_per_cpu else ''}ARRAY({name}, {value}, 1);", name)]
    per_cpu = "percpu_" if is_per_cpu else ""
    kind = f"lru_{per_cpu}hash" if variable.wraps else f"{per_cpu}hash"
    entries = layout.array_entries(kernel_global, default)
    found = [(f'BPF_TABLE("{kind}", {key_type(kernel_global)}, {value}, {name}, {entries});', name)]
    for i in range(len(variable.histograms)):
        buckets = layout.buckets_map_name(variable, i)
        key, entries = buckets_key_type(kernel_global), layout.buckets_entries(kernel_global, default)
        found.append((f'BPF_TABLE("{kind}", {key}, u64, {buckets}, {entries});', buckets))
    return found
