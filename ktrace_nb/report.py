"""A session as text: what ``ktrace-nb run`` prints, and notebooks without widgets show."""

from __future__ import annotations

from ktrace_nb.ir.unread import unread_globals
from ktrace_nb.session import Session
from ktrace_nb.stream.text import histogram_text, number_columns, table_text

EVENT_ROWS = 10


def frame_text(session: Session, name: str, *, max_rows: int = 20) -> str:
    """One output as text: bars for a histogram, else a table headed by the name."""
    frame = session.frame(name)
    kind = session.outputs.kind(name)
    if kind == "histogram":
        return histogram_text(frame, title=name)
    if kind == "events":
        return f"{name}: {len(frame):,} events\n" + table_text(frame.tail(EVENT_ROWS), max_rows)
    if kind == "stacks":
        stacks = [
            f"stack {i}\n" + "".join(f"    {f}\n" for f in frames) for i, frames in frame["frames"].items()
        ]
        return f"{name}: {len(frame):,} stacks\n" + "".join(stacks[:max_rows])
    numeric = number_columns(frame)
    if numeric and len(frame) > 1:
        frame = frame.sort_values(numeric[0], ascending=False, kind="stable")
    return f"{name}: {len(frame):,} entries\n" + table_text(frame, max_rows)


def session_text(session: Session) -> str:
    """Every output of a session as text, those without rows left out.

    A script prints what it wants seen; of it only the globals that it never reads are left to be shown.
    Calls are printed as they come; of them the functions are.
    """
    names = session.outputs.names
    if session.built.program.walk is not None:
        return functions_text(session)
    if session.built.program.script is not None:
        names = unread_globals(session.built.program.script.script)
    parts = [frame_text(session, name) for name in names if len(session.frame(name))]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def functions_text(session: Session, *, max_rows: int = 20) -> str:
    """Of a walk the functions that were called, those first in which most time went by."""
    frame = session.frame("functions")
    called = frame[frame["count"] > 0].sort_values("self_ns", ascending=False, kind="stable")
    shown = called[["count", "errors", "self_ns", "total_ns", "p50_ns", "max_ns"]]
    walk = session.built.program.walk
    known = len(walk.functions) if walk else len(frame)
    title = f"functions: {len(called):,} of {known:,} have recorded calls\n"
    return title + (table_text(shown, max_rows) + "\n" if len(called) else "")


def loss_text(session: Session) -> str:
    """What was lost, one line; empty if everything is there."""
    lost = session.losses
    return "lost: " + ", ".join(f"{count:,} {reason}" for reason, count in lost.items()) if lost else ""
