"""The sessions of this notebook: names, what is shown of them, and their end."""

from __future__ import annotations

import atexit
import contextlib
from dataclasses import dataclass, field
from typing import Protocol

import pandas as pd

from ktrace_nb.errors import KTraceError, OptionError, TargetError
from ktrace_nb.session import Session
from ktrace_nb.targets.base import close_targets


class Closable(Protocol):
    """What shows a session."""

    def close(self) -> None:
        """Stop showing and let go of what the browser holds."""
        ...


@dataclass
class Entry:
    """A session and what shows it."""

    session: Session
    variable: str
    """What the notebook calls it."""
    panels: list[Closable] = field(default_factory=list)


_entries: dict[str, Entry] = {}


def add(session: Session, variable: str) -> None:
    """Keep a session; it replaces an older one of its name, see :func:`retire`.

    Args:
        session: Which.
        variable: What the notebook calls it.
    """
    _entries[session.name] = Entry(session, variable)


def retire(name: str) -> None:
    """Stop the session of a name and close its panel, if there is one."""
    entry = _entries.pop(name, None)
    if entry is None:
        return
    try:
        if entry.session.running:
            entry.session.stop()
    except TargetError:
        pass  # its target is gone, and so is everything that was attached
    for panel in entry.panels:
        panel.close()


def entry_of(session: Session) -> Entry | None:
    """What is kept of a session, None if it was replaced."""
    entry = _entries.get(session.name)
    return entry if entry is not None and entry.session is session else None


def stop(names: list[str]) -> list[Session]:
    """Stop sessions, all that run if no name is given; gives those that were stopped.

    Raises:
        OptionError: No session of that name.
        KTraceError: One did not stop.
    """
    unknown = [name for name in names if name not in _entries]
    if unknown:
        known = ", ".join(_entries) or "none"
        raise OptionError(f"no session {unknown[0]!r}", hint=f"there is {known}")
    chosen = [_entries[name].session for name in names] if names else [e.session for e in _entries.values()]
    running = [session for session in chosen if session.running]
    for session in running:
        session.request_stop()
    for session in running:
        session.stop()
    return running


def table() -> pd.DataFrame:
    """The sessions at a glance.

    Returns:
        Indexed by ``name``: ``state``, ``target`` (str), ``elapsed_s``
        (float64), ``hits``, ``lost`` (int64), ``frames``, ``message`` (str).
    """
    rows = []
    for name, entry in _entries.items():
        session = entry.session
        rows.append(
            {
                "name": name,
                "state": session.state,
                "target": session.target.name,
                "elapsed_s": round(session.elapsed, 1),
                "hits": sum(p.hits for p in session.outputs.programs.values()),
                "lost": sum(session.losses.values()),
                "frames": ", ".join(session.outputs.names),
                "message": session.message,
            }
        )
    columns = ["name", "state", "target", "elapsed_s", "hits", "lost", "frames", "message"]
    return pd.DataFrame(rows, columns=columns).set_index("name")


@atexit.register
def _end() -> None:
    for entry in _entries.values():
        entry.session.request_stop()
    with contextlib.suppress(KTraceError):  # the process ends, and with it whatever it held
        close_targets()
