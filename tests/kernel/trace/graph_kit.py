"""ftrace's function_graph by the agent's own operations."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.ir.calls import ENTRY, Traced
from ktrace_nb.stream.calls.graph import GraphDecoder
from ktrace_nb.stream.calls.records import RECORD
from ktrace_nb.targets.connection import Connection
from ktrace_nb.wire.bundle import AttachPoint, Bundle, GraphDef, encode_bundle

SETTINGS = (
    *("current_tracer", "set_ftrace_filter", "set_ftrace_notrace", "set_graph_function", "set_graph_notrace"),
    *("max_graph_depth", "set_ftrace_pid", "set_ftrace_notrace_pid", "trace_clock", "tracing_on"),
    *("buffer_percent", "tracing_thresh", "options/function-fork", "options/funcgraph-irqs"),
    *("options/overwrite", "tracing_cpumask"),
)
"""What a session may change; the size of the buffer is rounded by the kernel, and looked at apart."""

_numbers = itertools.count(1)
_FLAGS = r"[ +!#*@$>&]*"
_LINE = re.compile(
    r"\s*(?P<s>\d+)\.(?P<us>\d{6}) \|\s+(?P<cpu>\d+)\)\s+(?P<comm>.*)-(?P<tid>\d+)\s+\|[^|]*\|"
    r"  (?P<indent> *)(?:(?P<leaf>\w+)\(\);|(?P<call>\w+)\(\) \{|\} /\* (?P<end>\w+) \*/)$"
)


def functions(fact: Callable[[str], bytes], pattern: str) -> list[Traced]:
    """Functions of the kernel itself that ftrace offers and the pattern matches."""
    offered = [n for n in fact("functions").decode().splitlines() if re.fullmatch(pattern, n)]
    addresses: dict[str, int] = {}
    for line in fact("kallsyms").decode().splitlines():
        address, kind, name, *module = line.split()
        if kind in "tT" and not module:
            addresses.setdefault(name, int(address, 16))
    return [Traced(name, "", addresses[name]) for name in offered]


class Graph:
    """One session with function_graph and nothing else."""

    def __init__(self, connection: Connection, traced: Sequence[Traced], **fields: Any) -> None:
        self.connection = connection
        self.traced = traced
        self.decoder = GraphDecoder(traced)
        self.parts: list[NDArray[np.void]] = []
        self.name = f"graph-{next(_numbers)}"
        self.heads: list[dict[str, Any]] = []
        attach: Sequence[AttachPoint] = fields.pop("attach", ())
        names = fields.pop("functions", None) or "\n".join(f.name for f in traced)
        bundle = Bundle((), (), tuple(attach), graph=GraphDef(names, **fields))
        self.call("open")
        self.call("load", encode_bundle(bundle))

    def call(self, op: str, blob: bytes = b"", **fields: Any) -> dict[str, Any]:
        """One operation of the session; the head of the answer."""
        return self.connection.call(op, blob, session=self.name, **fields).head

    def run(self, command: str) -> tuple[str, int]:
        """Trace a command and its children from start to end: what it wrote, and its number."""
        pid = int(self.call("run", command=command, held=True)["pid"])
        self.call("graph_track", pid=pid)
        self.call("go")
        return self.follow(), pid

    def follow(self) -> str:
        """Collect until the workload has ended; what it wrote."""
        output = b""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            output += self.collect(wait_ms=100)
            if self.heads[-1]["workload"]["status"] is not None and not self.heads[-1]["more"]:
                return output.decode()
        raise AssertionError("the workload did not end")

    def collect(self, *, size: int = 1 << 23, wait_ms: int = 0) -> bytes:
        """Take what is there; the workload's output."""
        reply = self.connection.call("collect", session=self.name, maps=[], bytes=size, wait_ms=wait_ms)
        graph = reply.head["graph"]
        self.heads.append(reply.head)
        self.parts.append(self.decoder.add(graph, memoryview(reply.blob)[: graph["bytes"]]))
        return bytes(reply.blob[graph["bytes"] :][: (reply.head.get("workload") or {"stdout": 0})["stdout"]])

    def records(self) -> NDArray[np.void]:
        """Take the tracer away, and give all that was recorded."""
        self.call("detach")
        self.collect(size=1 << 28)
        self.parts.append(self.decoder.flush())
        return np.concatenate(self.parts) if self.parts else np.empty(0, RECORD)

    def steps(self, records: NDArray[np.void]) -> list[tuple[int, str, int, bool]]:
        """Thread, function, depth, whether an entry."""
        return [
            (int(r["tid"]), self.traced[r["function"]].name, 0xFFFFFFFF - int(r["frame"]), r["kind"] == ENTRY)
            for r in records
        ]


def parse_trace(text: str) -> list[tuple[int, str, int, bool, int]]:
    """What the kernel prints: thread, function, depth, whether an entry, time in µs.

    With the options funcgraph-abstime, funcgraph-proc and funcgraph-tail. A call
    from which no other is made is one line, with the time of its begin.
    """
    steps = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if not match:
            continue
        at_us = int(match["s"]) * 1_000_000 + int(match["us"])
        tid, depth = int(match["tid"]), len(match["indent"]) // 2
        name = match["leaf"] or match["call"] or match["end"]
        if not match["end"]:
            steps.append((tid, name, depth, True, at_us))
        if not match["call"]:
            steps.append((tid, name, depth, False, at_us))
    return steps
