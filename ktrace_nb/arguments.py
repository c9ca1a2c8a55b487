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

WALK_ARGUMENTS: tuple[Argument, ...] = (
    (
        ("--calls",),
        {
            "action": "append",
            "default": [],
            "metavar": "PATTERN[,PATTERN...]",
            "help": "record every call of these functions: 'ext4_*', '!ext4_es_*', 'vfs_*@fs/open.c', "
            "':mod:nfs', 'module(\"ext3\").function(\"*\")'; may be repeated",
        },
    ),
    (
        ("--from",),
        {
            "action": "append",
            "default": [],
            "dest": "roots",
            "metavar": "FUNCTION",
            "help": "only calls made below calls of this function, itself included; may be repeated",
        },
    ),
    (("--depth",), {"type": int, "metavar": "N", "help": "only so many levels; 1 is the outermost"}),
    (("--errors",), {"action": "store_true", "help": "only calls that returned an error"}),
    (("--longer",), {"metavar": "DURATION", "help": "only calls that took at least so long: 1ms, 50us"}),
    (
        ("--follow",),
        {
            "metavar": "OBJECT",
            "help": "only calls with one object among their arguments: the name of a parameter (inode, the "
            "first there is), FUNCTION:PARAMETER, or an address",
        },
    ),
    (("--everyone",), {"action": "store_true", "help": "with -x or -c: calls of all other processes too"}),
    (
        ("--means",),
        {
            "choices": ("kprobe_multi", "fentry", "function_graph", "kprobe"),
            "help": "how functions are seen (default: the best this kernel has)",
        },
    ),
    (("--yes",), {"action": "store_true", "dest": "insist", "help": "record however many functions it is"}),
    (
        ("--text",),
        {
            "choices": ("indent", "tree", "none"),
            "help": "calls as text: as SystemTap's thread_indent does, as a tree, or not (default: indent)",
        },
    ),
)
"""Which calls are recorded, and how; see :mod:`ktrace_nb.lang.calls`."""

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
        args: With what the tables above declare, that of running left aside or not.
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
        "longer_s": ("longer", parse_duration),
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
        calls=tuple(args.calls),
        roots=tuple(args.roots),
        depth=_depth(args.depth),
        errors=args.errors,
        follow=args.follow or "",
        everyone=args.everyone,
        means=args.means or "",
        insist=args.insist,
        text=args.text or "",
        **given,
    )


def _depth(depth: int | None) -> int:
    if depth is not None and depth < 1:
        raise OptionError(f"--depth {depth}: expected a number of levels, 1 or more")
    return depth or 0


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
