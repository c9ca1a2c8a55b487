"""Which views suit what a session puts out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ktrace_nb.stream.outputs import Outputs
from ktrace_nb.stream.text import number_columns
from ktrace_nb.stream.window import TIME_NAMES
from ktrace_nb.widgets.source import Kind

_STATE_PAIRS = (("from", "to"), ("oldstate", "newstate"), ("old_state", "new_state"), ("old", "new"))
_OF_SOCKETS = {"skaddr", "sk", "sport", "dport", "lport", "saddr", "daddr"}
SWITCH = frozenset(("cpu", "prev_pid", "next_pid"))
"""What events of the scheduler tell, besides their time."""


def suiting(outputs: Outputs, name: str) -> tuple[Kind, ...]:
    """The kinds of view that can show one output, the best first.

    Args:
        outputs: What a session puts out.
        name: One of its frames.
    """
    kind = outputs.kind(name)
    if kind == "histogram":
        return ("histogram", "heatmap", "table")
    if kind == "stacks":
        return ("table",)
    frame = outputs.frame(name)
    names = [*(str(level) for level in frame.index.names if level is not None), *map(str, frame.columns)]
    if kind == "events":
        return _of_events(names)
    series: tuple[Kind, ...] = ("series",) if number_columns(frame) else ()
    if state_pair(names):
        return ("states", "table", *series)
    return (*series, "table") if outputs.is_counters(name) else ("table", *series)


def _of_events(names: Sequence[str]) -> tuple[Kind, ...]:
    timed: tuple[Kind, ...] = ("series",) if set(names) & set(TIME_NAMES) else ()
    if set(names) >= SWITCH and timed:
        return ("timeline", "table", *timed)
    if {"start_ns", "duration_ns"} <= set(names):
        return ("timeline", "table", *timed)
    if state_pair(names):
        return ("states", "table", *timed)
    return ("table", *timed)


def state_pair(names: Collection[str]) -> tuple[str, str] | None:
    """The two columns that name a transition's states, None if there are none."""
    return next((pair for pair in _STATE_PAIRS if set(pair) <= set(names)), None)


def at_first(kinds: Sequence[Kind]) -> tuple[Kind, ...]:
    """What ``auto`` shows of an output: the best, and the numbers of what is drawn."""
    return (kinds[0], "table") if kinds[0] in ("series", "timeline", "states") else (kinds[0],)


def machine_of(names: Collection[str]) -> str:
    """The state machine whose states some columns name; empty if it is none that is known by name."""
    if state_pair(names) == ("oldstate", "newstate") and set(names) & _OF_SOCKETS:
        return "tcp"
    return "task" if "prev_state" in names else ""
