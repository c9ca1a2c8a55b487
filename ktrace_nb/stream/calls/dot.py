"""The call graph in Graphviz' language: a node per function, an edge per caller and callee.

Source of the language: https://graphviz.org/doc/info/lang.html and, of what a backslash
means in a label, https://graphviz.org/docs/attr-types/escString/.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from ktrace_nb.stream.calls.durations import told
from ktrace_nb.stream.calls.sums import SUMS, by_edge, by_function


def dot(calls: pd.DataFrame, *, name: str = "calls") -> Iterator[str]:
    """Write the call graph of some calls.

    A node tells its calls, total and self time, and errors; the redder, the more self time.
    An edge tells its calls and their time; the wider, the more time.

    Args:
        calls: A frame of calls.
        name: Of the graph.

    Yields:
        Lines with their line end.
    """
    functions = by_function(calls)
    edges = by_edge(calls)
    number = {function: at for at, function in enumerate(functions.index)}
    most_self = max(1, int(functions["self_ns"].max())) if len(functions) else 1
    most_edge = max(1, int(edges["total_ns"].max())) if len(edges) else 1
    yield f"digraph {quoted(name)} {{\n"
    yield '  node [shape=box, style=filled, fillcolor=white, fontname="monospace"];\n'
    for at, (function, count, errors, own, total) in enumerate(_rows(functions)):
        failed = f", {errors} errors" if errors else ""
        times = f"total {told(total)}, self {told(own)}"
        label = label_text([str(function), f"{count} calls{failed}", times])
        # Hue 0 is red; saturation says how much of the greatest self time.
        colour = f"0.0 {0.7 * own / most_self:.3f} 1.0"
        yield f'  f{at} [label={label}, fillcolor="{colour}"];\n'
    for (caller, callee), count, _, _, total in _rows(edges):
        if not caller:
            continue
        width = 1 + 4 * math.sqrt(max(0, total) / most_edge)
        label = label_text([f"{count} × {told(total)}"])
        yield f"  f{number[caller]} -> f{number[callee]} [label={label}, penwidth={width:.2f}];\n"
    yield "}\n"


def _rows(sums: pd.DataFrame) -> Iterator[tuple[Any, int, int, int, int]]:
    columns = (sums[name].tolist() for name in SUMS)
    yield from zip(sums.index.tolist(), *columns, strict=True)


def quoted(text: str) -> str:
    """A string of the language; names come from a kernel and may hold anything."""
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    # A backslash before the closing quote would keep the string open, so none is left alone.
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'


def label_text(lines: list[str]) -> str:
    """Lines of a label, centred one below the other."""
    return '"' + "\\n".join(quoted(line)[1:-1] for line in lines) + '"'
