"""What every target offers, and the targets by their names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from ktrace_nb.errors import OptionError
from ktrace_nb.progress import Progress, silent
from ktrace_nb.targets.connection import Connection, Hello


class Target(Protocol):
    """A machine whose kernel can be traced."""

    name: str
    connection: Connection
    hello: Hello

    def fact(self, name: str) -> bytes:
        """A fact about the kernel by the name :func:`ktrace_nb.agent.host.fact` knows.

        Raises:
            RemoteError: The kernel does not tell.
            TargetError: The target is out of reach.
        """
        ...

    def formats(self, names: list[str]) -> Mapping[str, str]:
        """Format files of tracepoints, ``category/event`` to text; absent ones are left out."""
        ...

    def workload_user(self) -> tuple[int, int] | None:
        """User and group that ``-c`` commands run as; None for the agent's own."""
        ...

    def diagnose(self) -> str:
        """Why the target does not answer, in one sentence."""
        ...

    def close(self) -> None:
        """Let the target go; a private lab ends. Safe to call twice."""
        ...


Opener = Callable[[str, Progress], Target]
Names = Callable[[], list[str]]
_openers: dict[str, tuple[Opener, Names]] = {}
_open: dict[str, Target] = {}
_lock = threading.Lock()


def register(kind: str, opener: Opener, names: Names) -> None:
    """Make targets of a kind available.

    Args:
        kind: ``kind`` or ``kind:argument`` names a target.
        opener: Is given the argument.
        names: Tells the names that are known to exist.
    """
    _openers[kind] = opener, names


def target_names() -> list[str]:
    """Targets this machine offers, in use or not."""
    return [name for _, names in _openers.values() for name in names()]


def get_target(name: str, progress: Progress = silent) -> Target:
    """The target of that name: the one in use, or a new one if that is gone.

    Raises:
        OptionError: No such kind of target.
        MissingError: This machine lacks what the target needs.
        TargetError: It cannot be reached.
    """
    kind, _, argument = name.partition(":")
    if kind not in _openers:
        raise OptionError(f"no target {name!r}", hint=f"one of {', '.join(target_names())}")
    with _lock:
        target = _open.get(name)
        if target is not None and target.connection.alive:
            return target
        if target is not None:
            target.close()
            del _open[name]
        _open[name] = target = _openers[kind][0](argument, progress)
        return target


def open_targets() -> list[Target]:
    """Targets in use."""
    with _lock:
        return list(_open.values())


def close_targets() -> None:
    """Let every target go."""
    with _lock:
        for target in _open.values():
            target.close()
        _open.clear()
