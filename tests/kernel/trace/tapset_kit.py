"""Aliases of the tapset fired in a lab: a script of many probes, a workload that says what it did."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.library import Library, tapset_files
from ktrace_nb.lang.stap.macros import Settings
from ktrace_nb.lang.stap.walk import nodes
from ktrace_nb.session import Session
from ktrace_nb.source import Source

Value: TypeAlias = int | str
Row: TypeAlias = Mapping[str, Value]

OURS = "pid() == target()"
"""Condition of probes that run in the workload's own name."""

_SEPARATOR = "\t"


@cache
def library() -> Library:
    """The tapset."""
    return Library(tapset_files(), Settings())


def variables(name: str) -> list[str]:
    """What an alias sets for its probes, in order; one that only joins others sets what its first does."""
    _, alias = next(library().aliases(tuple(name.split("."))))
    targets = (node.target for node in nodes(alias.body) if isinstance(node, tree.Assign))
    own = [target.name for target in targets if isinstance(target, tree.Name)]
    if str(alias.points[0]) in library().alias_names:
        own = [*variables(str(alias.points[0])), *own]
    return list(dict.fromkeys(own))


def aliases_of(*files: str) -> list[str]:
    """Names of all aliases that files of the tapset declare."""
    found = []
    for name in library().alias_names:
        _, alias = next(library().aliases(tuple(name.split("."))))
        if alias.at.source.name.removeprefix("tapset/") in files:
            found.append(name)
    return found


def show(name: str, condition: str = OURS, *, more: Sequence[str] = ()) -> str:
    """A probe that prints its moment, all variables of an alias, and more expressions, in a line."""
    values = [f'"{name}"', "ktime_get_ns()", "tid()", *variables(name), *more]
    line = f'printdln("\\t", {", ".join(values)})'
    return f"probe {name} {{ {f'if ({condition}) ' if condition else ''}{line} }}\n"


@dataclass
class Fired:
    """What a session of such probes printed, and what its workload said."""

    session: Session
    rows: dict[str, list[Row]] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)

    def of(self, name: str, **values: Value) -> list[Row]:
        """The events of an alias in which variables have these values."""
        return [row for row in self.rows.get(name, ()) if all(row[key] == values[key] for key in values)]

    def one(self, name: str, **values: Value) -> Row:
        """The only event of an alias in which variables have these values."""
        found = self.of(name, **values)
        assert len(found) == 1, f"{name}: {len(found)} of {len(self.rows.get(name, ()))} events with {values}"
        return found[0]

    def silent(self, names: Sequence[str]) -> list[str]:
        """Those of the aliases that did not fire."""
        return [name for name in names if not self.rows.get(name)]


def program(code: str, *, before: str = "", after: str = "") -> str:
    """A command that runs a Python program, with commands of the shell before and after it.

    The program becomes the target process itself if there are none after it. What
    it shall say of itself it puts into ``said``.
    """
    text = f"import json, os, sys\nsaid = {{'pid': os.getpid()}}\n{code}\nprint(json.dumps(said))\n"
    run = f"python3 -I -S -c {shlex.quote(text)}"
    if not (before or after):
        return run
    return f"{before}\n{run if after else 'exec ' + run}\n{after}"


def fire(
    script: str, command: str, *, unread: bool = False, interrupts: Sequence[str] = (), **options: Any
) -> Fired:
    """Run a script and its workload in the lab to the end; nothing may be lost on the way.

    Args:
        script: What to run.
        command: Its workload.
        unread: Whether memory of a process may be absent when it is read, or strings may be cut.
        interrupts: Probes of what may interrupt another probe, where a function's probe is passed over.
        options: More for the session.
    """
    session = run(script, command, **options)
    assert session.workload_status == 0, session.stderr
    lost = session.ledger[session.ledger["lost"] > 0].dropna(axis=1)
    lost = lost[~lost.index.isin(interrupts)]
    if unread:
        lost = lost[lost["lost"] > lost["faulted"] + lost["truncated"]]
    assert not len(lost), lost.to_string()
    fired = Fired(session)
    for line in session.text.splitlines():
        name, *values = line.split(_SEPARATOR)
        names = (
            ["at", "tid", *variables(name)]
            if name in library().alias_names
            else [str(n) for n in range(len(values))]
        )
        names += [f"more{n}" for n in range(len(values) - len(names))]
        row = dict(zip(names, map(_value, values), strict=True))
        fired.rows.setdefault(name, []).append(row)
    if session.stdout.strip():
        fired.said = json.loads(session.stdout.splitlines()[-1])
    return fired


def run(script: str, command: str, *, kernel: str = "lab", **options: Any) -> Session:
    """Run a script and its workload to the end."""
    session = engine.start(
        Source(script), Options(language="stap", target=kernel, command=command, **options)
    )
    try:
        assert session.wait(60), "the session did not end"
        assert session.state == "done", session.message
    finally:
        if session.running:
            session.stop()
    return session


def _value(text: str) -> Value:
    return int(text) if text.removeprefix("-").isdigit() else text
