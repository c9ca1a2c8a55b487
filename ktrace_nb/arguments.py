"""The options that ``%%ktrace`` and ``ktrace-nb`` have in common, declared once."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ktrace_nb.errors import OptionError
from ktrace_nb.quantities import parse_duration, parse_rate, parse_share

if TYPE_CHECKING:
    from ktrace_nb.engine import Options

Argument = tuple[tuple[str, ...], dict[str, Any]]

CELL_ARGUMENTS: tuple[Argument, ...] = (
    (("--target",), {"metavar": "T", "help": "where: lab (default), lab:IMAGE, or local"}),
    (("--lang",), {"metavar": "L", "help": "the cell's language: c or stap (default: as it looks)"}),
    (("-x",), {"dest": "pid", "type": int, "metavar": "PID", "help": "only events of this process"}),
    (
        ("--attach",),
        {
            "action": "append",
            "default": [],
            "metavar": "KIND:TARGET:FUNCTION",
            "help": "attach a function of the cell, e.g. kprobe:vfs_*:on_vfs; may be repeated",
        },
    ),
    (
        ("--cflag",),
        {"action": "append", "default": [], "metavar": "FLAG", "help": "pass to clang: --cflag=-DN=3"},
    ),
    (
        ("-D",),
        {
            "action": "append",
            "default": [],
            "dest": "limits",
            "metavar": "NAME=N",
            "help": "a limit of a script: MAXSTRINGLEN, MAXMAPENTRIES, MAXACTION, MAXERRORS, MAXSKIPPED",
        },
    ),
    (
        ("-G",),
        {
            "action": "append",
            "default": [],
            "dest": "values",
            "metavar": "GLOBAL=VALUE",
            "help": "the first value of a global of a script",
        },
    ),
)
"""What a cell is compiled with, and where it goes."""

RUN_ARGUMENTS: tuple[Argument, ...] = (
    (("--for",), {"dest": "duration", "metavar": "DURATION", "help": "end after this long: 10s, 500ms, 2m"}),
    (
        ("-c",),
        {"dest": "workload", "metavar": "CMD", "help": "run this once everything is attached; end with it"},
    ),
    (
        ("--expire",),
        {"metavar": "DURATION", "help": "end after this long if nothing else did (default: 30m)"},
    ),
    (("--every",), {"metavar": "DURATION", "help": "keep a snapshot of every map so often (default: 1s)"}),
    (("--max-rate",), {"metavar": "N", "help": "events a second to admit at most: 500, 10k"}),
    (("--max-cpu",), {"metavar": "SHARE", "help": "share of a CPU that programs may take: 5%%"}),
    (
        ("--over",),
        {
            "choices": ("sample", "stop"),
            "default": "sample",
            "help": "over --max-rate or --max-cpu: leave some out, or stop (default: sample)",
        },
    ),
)
"""How long it runs, with what, and what it may cost."""

SHOW_ARGUMENT: Argument = (
    ("--show",),
    {
        "choices": ("ast", "ir", "c", "bytecode", "facts"),
        "help": "print what a stage made of the cell and do not run it",
    },
)


def options_of(args: argparse.Namespace, *, name: str, target: str, language: str) -> Options:
    """What the engine is told.

    Args:
        args: With what the two tables above declare, or only the first.
        name: Of the session.
        target: Where to unless ``--target`` says so.
        language: The cell's unless ``--lang`` says so.

    Raises:
        OptionError: A quantity that is none.
    """
    from ktrace_nb.engine import Options  # loads pandas, which --help can do without

    quantities = {
        "seconds": ("duration", parse_duration),
        "expire_s": ("expire", parse_duration),
        "every_s": ("every", parse_duration),
        "max_rate": ("max_rate", parse_rate),
        "max_cpu": ("max_cpu", parse_share),
    }
    given: dict[str, Any] = {
        field: parse(text)
        for field, (word, parse) in quantities.items()
        if (text := getattr(args, word, None))
    }
    return Options(
        name=name,
        target=args.target or target,
        language=args.lang or language,
        command=getattr(args, "workload", None),
        pid=args.pid,
        attach=tuple(args.attach),
        cflags=tuple(args.cflag),
        arguments=tuple(getattr(args, "arguments", ())),
        script_limits=tuple(map(_limit, args.limits)),
        script_globals=tuple(map(_value, args.values)),
        over=getattr(args, "over", "sample"),
        **given,
    )


def _limit(text: str) -> tuple[str, int]:
    name, equals, value = text.partition("=")
    if not equals or not value.isdigit():
        raise OptionError(f"-D {text!r}: expected NAME=NUMBER", hint="e.g. -D MAXSTRINGLEN=256")
    return name, int(value)


def _value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise OptionError(f"-G {text!r}: expected GLOBAL=VALUE", hint="e.g. -G threshold=10")
    return name, value
