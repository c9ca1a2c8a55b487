"""Tab completion of ``%%ktrace`` lines: options, their values, targets, probe points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ktrace_nb.engine import LANGUAGES, known_facts
from ktrace_nb.ir.probes import KINDS
from ktrace_nb.magics import sessions
from ktrace_nb.magics.options import option_choices, option_words
from ktrace_nb.targets.base import target_names

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_COMMANDS = ("list", "stop", "targets", "doctor")
_MOST = 200


def register(shell: InteractiveShell) -> None:
    """Complete the lines of both magics."""
    for name in ("%%ktrace", "%ktrace"):
        shell.set_hook("complete_command", _complete, str_key=name)


def _complete(_shell: Any, event: Any) -> list[str]:
    before = str(event.text_until_cursor)
    words = before.split() or [""]
    current = "" if before[-1:].isspace() else words[-1]
    previous = words[-1] if before[-1:].isspace() else words[-2] if len(words) > 1 else ""
    first = len(words) - bool(current) == 1
    found = complete(current, previous, first=first, line=before.startswith("%ktrace"))
    # IPython ends words at colons and replaces what it takes for the last of them.
    cut = len(current) - len(event.symbol) if current.endswith(event.symbol) else 0
    return [word[cut:] for word in found]


def complete(current: str, previous: str, *, first: bool, line: bool) -> list[str]:
    """What may stand at the cursor.

    Args:
        current: The word under the cursor, up to it.
        previous: The word before that.
        first: Whether it is the first word of the line behind the magic.
        line: Whether the magic is ``%ktrace``, not ``%%ktrace``.
    """
    if previous == "--target":
        found = target_names()
    elif previous == "--lang":
        found = list(LANGUAGES)
    elif previous == "--attach":
        found = _attach(current)
    elif option_choices(previous):
        found = option_choices(previous)
    elif previous == "stop" and line:
        found = list(sessions.table().index)
    else:
        found = [*(_COMMANDS if first and line else ()), *option_words()]
    return [word for word in found if word.startswith(current)][:_MOST]


def _attach(current: str) -> list[str]:
    """``KIND:TARGET``, from the facts of kernels that are known already; nothing is booted for it."""
    kind, colon, beginning = current.partition(":")
    if not colon:
        return [f"{name}:" for name in sorted(KINDS)]
    names: set[str] = set()
    for facts in known_facts():
        if kind in ("kprobe", "kretprobe", "fentry", "fexit"):
            names.update(facts.functions_matching(f"{beginning}*"))
        elif kind == "tracepoint":
            names.update(name.replace("/", ":", 1) for name in facts.tracepoints)
        elif kind == "syscall":
            names.update(facts.syscalls)
    return [f"{kind}:{name}:" for name in sorted(names)]
