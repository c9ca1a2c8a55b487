"""The options of ``%%ktrace``, declared once for parsing, help and completion."""

from __future__ import annotations

import argparse
import keyword
import shlex
from collections.abc import Callable
from typing import Any, TypeVar

from IPython.core.error import UsageError
from IPython.core.magic_arguments import MagicArgumentParser, argument, magic_arguments

from ktrace_nb.arguments import CELL_ARGUMENTS, RUN_ARGUMENTS, SHOW_ARGUMENT, WALK_ARGUMENTS, Argument
from ktrace_nb.magics.source import VIEWS

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_NAME = "trace"
_ARGUMENTS: tuple[Argument, ...] = (
    (("name",), {"nargs": "?", "default": DEFAULT_NAME, "help": "name of the session, and of its variable"}),
    *RUN_ARGUMENTS,
    *CELL_ARGUMENTS,
    *WALK_ARGUMENTS,
    (("--view",), {"choices": VIEWS, "default": "auto", "help": "what to show (default: auto)"}),
    (("--big",), {"action": "store_true", "help": "to be read from the last row of a lecture hall"}),
    SHOW_ARGUMENT,
    (("-o",), {"dest": "variable", "metavar": "VAR", "help": "bind the session to this variable instead"}),
    (("-e",), {"dest": "code", "metavar": "CODE", "help": "the program itself, for %%ktrace on one line"}),
    (
        ("--piece",),
        {
            "nargs": "?",
            "const": "",
            "metavar": "KEY",
            "help": "keep the cell as a piece of the script NAME; %%ktrace run NAME runs all of them",
        },
    ),
)


def ktrace_arguments(function: F) -> F:
    """Declare the options on a magic."""
    for flags, settings in _ARGUMENTS:
        function = argument(*flags, **settings)(function)
    decorated: F = magic_arguments()(function)
    return decorated


def option_words() -> list[str]:
    """Every option, for completion."""
    return [flag for flags, _ in _ARGUMENTS for flag in flags if flag.startswith("-")]


def option_choices(flag: str) -> list[str]:
    """What may follow an option, as far as that is a fixed list."""
    for flags, settings in _ARGUMENTS:
        if flag in flags:
            return list(settings.get("choices", ()))
    return []


def parse_line(line: str) -> argparse.Namespace:
    """Read a magic's line as a shell would, quotes and all.

    IPython's own reading keeps the quotes around quoted values. What stands behind
    ``--`` are the arguments of a script.

    Raises:
        UsageError: Unknown options, bad values, quotes that do not close.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"%ktrace: {str(error).lower()} in {line!r}") from None
    parser = MagicArgumentParser("ktrace")
    for flags, settings in _ARGUMENTS:
        parser.add_argument(*flags, **settings)
    end = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:end])
    args.arguments = words[end + 1 :]
    if args.piece and args.name == DEFAULT_NAME:
        # %%ktrace --piece walk: the word is the script's name.
        args.name, args.piece = args.piece, ""
    for name in (args.name, args.variable):
        if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
            raise UsageError(f"%ktrace: {name!r} cannot be the name of a variable")
    return args
