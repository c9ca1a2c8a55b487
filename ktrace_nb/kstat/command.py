"""The command kstat(8): the reports it prints.

Exit status: 0 something matched, 1 nothing did (and nothing is said about it), 2 the words make
no sense, 3 the target is out of reach or lost.

Source: illumos kstat(8), and the behaviour of ``usr/src/cmd/stat/kstat/kstat.c``. Where the two
differ, the manual page is followed: with ``-q`` no time stamp is printed either, and ``-T d`` is
the form its examples show whatever the locale.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TextIO, TypeAlias

from ktrace_nb.errors import KTraceError, OptionError
from ktrace_nb.kstat.chain import DEFAULT_TARGET
from ktrace_nb.kstat.layout import EMPTY_JSON
from ktrace_nb.kstat.model import Kstat
from ktrace_nb.kstat.request import HELP, Request, parse
from ktrace_nb.kstat.select import Selection

MATCHED, NOTHING, USAGE, FATAL = 0, 1, 2, 3

Reader: TypeAlias = Callable[[Selection], list[Kstat]]


class Clock(Protocol):
    """What time it is, and waiting; the module ``time`` is one."""

    def time(self) -> float:
        """Seconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Wait."""
        ...


def run(request: Request, read: Reader, *, out: TextIO, err: TextIO, clock: Clock = time) -> int:
    """Print the reports.

    Args:
        request: What is asked for.
        read: Gives the kstats that a selection wants, each with all its statistics.
        out: Where reports go.
        err: Where it is told which kstats cannot be read, when that begins.
        clock: For the stamps, and for waiting between reports.

    Returns:
        0 if anything matched in any of the reports, else 1.

    Raises:
        KeyboardInterrupt: In the only report; where more are to come it ends them.
    """
    status, errors, reports = NOTHING, frozenset[str](), 0
    due_s = clock.monotonic()
    try:
        while True:
            kstats = read(request.selection)
            errors = tell_errors(kstats, request.selection, err, errors)
            text = request.layout(kstats, request.selection)
            if text not in ("", EMPTY_JSON):
                status = MATCHED
            if not request.quiet:
                out.write(_stamp(request.stamp, clock.time()) + text)
                out.flush()
            reports += 1
            if not request.interval_s or reports == request.count:
                return status
            due_s = _wait(clock, due_s, request.interval_s)
            if not request.quiet:
                out.write("\n")
    except KeyboardInterrupt:
        if request.interval_s:
            return status  # the ordinary way to end it
        raise


def _wait(clock: Clock, last_s: float, interval_s: float) -> float:
    """Wait for the next report, so that they keep their rhythm; gives when it was due.

    One that comes late is followed by the next after half an interval, until the rhythm is found
    again; one that is late by more than an interval begins a new rhythm.
    """
    due_s, now_s = last_s + interval_s, clock.monotonic()
    pause_s = due_s - now_s
    if pause_s < -interval_s:
        due_s, pause_s = now_s + interval_s, interval_s
    elif pause_s < interval_s / 4:
        pause_s = interval_s / 2
    clock.sleep(pause_s)
    return due_s


def _stamp(form: str, at_s: float) -> str:
    if form == "u":
        return f"{int(at_s)}\n"
    return f"{time.asctime(time.localtime(at_s))}\n" if form == "d" else ""


def tell_errors(
    kstats: Iterable[Kstat], selection: Selection, err: TextIO, before: frozenset[str] = frozenset()
) -> frozenset[str]:
    """Say which of the selected kstats could not be read, and why.

    Args:
        kstats: What was read.
        selection: What is of interest.
        err: Where to say it.
        before: What held at the report before and is not said again.

    Returns:
        What holds now, one line for each.
    """
    lines = [
        f"kstat: {kstat.id.module}:{kstat.id.instance}:{kstat.id.name}: {kstat.error}\n"
        for kstat in kstats
        if kstat.error and selection.concerns(kstat)
    ]
    err.writelines(line for line in lines if line not in before)
    err.flush()
    return frozenset(lines)


def main(words: Sequence[str]) -> int:
    """``ktrace-nb kstat``; gives the exit status."""
    try:
        request = parse(words)
        if request.help:
            sys.stdout.write(HELP)
            return MATCHED
        return run(request, reader(request.target or DEFAULT_TARGET), out=sys.stdout, err=sys.stderr)
    except KTraceError as error:
        print("\n".join(error.lines()), file=sys.stderr)
        return USAGE if isinstance(error, OptionError) else FATAL


def reader(target: str) -> Reader:
    """What reads the kstats of a target, which is reached now.

    Raises:
        OptionError: There is no such target.
        KTraceError: It cannot be reached.
    """
    from ktrace_nb.kstat.chain import chain
    from ktrace_nb.progress import bars, silent
    from ktrace_nb.targets import lab, local
    from ktrace_nb.targets.base import get_target

    assert lab and local  # imported so that their kinds are registered
    if sys.stderr.isatty():
        with bars() as progress:
            get_target(target, progress)
    else:
        get_target(target, silent)
    return chain(target).read
