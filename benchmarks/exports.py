"""Writing calls for other programs, and comparing two runs.

``python -m benchmarks.exports``. Prints CPU seconds per million calls, and which share that
is of what a dict and ``json.dumps`` for each call take, arguments formatted alike.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.pairing import FUNCTIONS, cpu_s, made
from ktrace_nb.comparison import compare
from ktrace_nb.kernel import signatures as k
from ktrace_nb.kernel.signatures import Parameter, Reading, Signature
from ktrace_nb.stream.calls.chrome import chrome
from ktrace_nb.stream.calls.dot import dot
from ktrace_nb.stream.calls.folded import folded
from ktrace_nb.stream.calls.frames import calls_frame
from ktrace_nb.stream.calls.store import CallStore
from ktrace_nb.stream.calls.text import tree_lines
from ktrace_nb.stream.calls.values import Values

INT, POINTER = Reading(k.SIGNED, 32), Reading(k.POINTER)
SIGNATURE = Signature((Parameter("inode", POINTER, (0,)), Parameter("flags", INT, (1,))), INT, is_known=True)


def recorded(calls: int, *, arguments: bool) -> pd.DataFrame:
    """The frame of a walk of so many calls."""
    records = made(calls, threads=8)
    random = np.random.default_rng(3)
    records["values"][:, 0] = (
        np.uint64(0xFFFF888000000000) + random.integers(0, 1 << 20, len(records), np.uint64) * 64
    )
    store = CallStore(FUNCTIONS, Values([SIGNATURE] * len(FUNCTIONS)) if arguments else None)
    store.add(records)
    return calls_frame(store)


def plainly(calls: pd.DataFrame) -> None:
    """Write a Chrome trace the way it is done first."""
    file = io.StringIO()
    rows: Any = calls.itertuples(name=None)
    for call, tid, pid, _comm, cpu, function, _depth, _parent, start, took, _self, *rest in rows:
        arguments, result, _value, error, state = rest
        told = {"call": call, "cpu": cpu}
        for name, value in (("arguments", arguments), ("return", result), ("error", error), ("state", state)):
            if isinstance(value, str) and value:
                told[name] = value
        event = {"ph": "X", "name": function, "cat": "call", "pid": tid if pid is pd.NA else pid}
        event |= {"tid": tid, "ts": start / 1000, "dur": 0 if took is pd.NA else took / 1000, "args": told}
        file.write(json.dumps(event) + ",\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    for arguments in (False, True):
        calls = recorded(args.calls, arguments=arguments)
        print(f"{len(calls):,} calls {'with' if arguments else 'without'} arguments; CPU seconds per million")
        least = cpu_s(partial(plainly, calls), 1) / len(calls) * 1e6
        print(f"{'a dict and json.dumps per call':40}{least:8.2f}")
        for what, work in WORK.items():
            took = cpu_s(partial(work, calls), args.rounds) / len(calls) * 1e6
            print(f"{what:40}{took:8.2f}{took / least:8.2f}")


WORK: dict[str, Callable[[pd.DataFrame], object]] = {
    "Chrome trace": lambda calls: sum(map(len, chrome(calls))),
    "folded stacks": lambda calls: sum(map(len, folded(calls))),
    "text": lambda calls: sum(map(len, tree_lines(calls))),
    "DOT": lambda calls: sum(map(len, dot(calls))),
    "compare by functions": lambda calls: compare(calls, calls),
    "compare by paths": lambda calls: compare(calls, calls, by="paths"),
}

if __name__ == "__main__":
    main()
