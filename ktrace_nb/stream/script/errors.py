"""What can go wrong while a handler runs beside the notebook."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ktrace_nb.source import Place

_TOKEN = re.compile(r"[A-Za-z_$@][\w$]*|\"(?:\\.|[^\"\\])*\"|\d\w*|<<<|<<=|>>=|[-+*/%&|^=!<>.]=?|\S")


class ScriptError(Exception):
    """An error of the script: the handler that made it stops, unless it catches it.

    Args:
        message: In SystemTap's words: ``division by 0``.
        at: Where in the script; None for what ``error()`` says, which names no place.
    """

    catchable = True
    """Whether ``try`` of the script catches it."""

    def __init__(self, message: str, at: Place | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.own = False
        """Whether the script itself raised it, with ``error()``."""

    def __str__(self) -> str:
        """The message with the token it is near, as SystemTap prints errors."""
        return self.message + (near(self.at) if self.at and not self.own else "")


class LimitError(ScriptError):
    """A limit that no ``try`` gets around."""

    catchable = False


@dataclass(frozen=True, slots=True)
class Fault:
    """Stands for a value that could not be read; an error of the script once it is used."""

    address: int
    """Where the kernel could not read."""

    def error(self) -> ScriptError:
        """What using it raises."""
        return ScriptError(f"read fault [man error::fault] at {self.address & (1 << 64) - 1:#x}")


def near(at: Place) -> str:
    """Where an error is, as SystemTap words it: `` near operator '/' at cell:3:9``."""
    line, column = at.source.position(at.span.start)
    match = _TOKEN.match(at.source.text, at.span.start)
    token = match[0] if match else ""
    if not token:
        kind = "end of file"
    elif token[0].isalpha() or token[0] in "_$@":
        kind = f"identifier '{token}'"
    elif token[0] == '"':
        kind = f"string '{token[1:-1]}'"
    elif token[0].isdigit():
        kind = f"number '{token}'"
    else:
        kind = f"operator '{token}'"
    return f" near {kind} at {at.source.name}:{line}:{column}"
