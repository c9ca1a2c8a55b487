"""What the words behind ``kstat`` mean.

Options stand in front of operands. An operand that is a whole number is the interval, the next
such the count; every other is a ``module:instance:name:statistic``. An option that is given twice
counts as it was given last.

Source: illumos kstat(8), and the behaviour of ``usr/src/cmd/stat/kstat/kstat.c``. Where the two
differ, the manual page is followed: an unknown option is an error, and ``-T`` takes ``d`` or ``u``
and not every word that begins so. ``-V`` is in the page only; that it needs ``-p`` is read from
its synopsis.
"""

from __future__ import annotations

import getopt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ktrace_nb.errors import OptionError
from ktrace_nb.kstat import layout
from ktrace_nb.kstat.layout import Layout
from ktrace_nb.kstat.model import Kstat
from ktrace_nb.kstat.select import Selection, everything

HELP = """\
usage: ktrace-nb kstat [-Cjlq] [-p [-V]] [-T u|d] [-c CLASS]
                       [-m MODULE] [-i INSTANCE] [-n NAME] [-s STATISTIC]
                       [--target NAME] [--prometheus] [INTERVAL [COUNT]]
       ktrace-nb kstat [-Cjlq] [-p [-V]] [-T u|d] [-c CLASS]
                       [--target NAME] [--prometheus]
                       [MODULE[:INSTANCE[:NAME[:STATISTIC]]] ...] [INTERVAL [COUNT]]

Print the statistics of a kernel, all or those that match. A pattern is a glob, or a
regular expression of Python's between slashes; an empty part of an operand is '*'.

  -c CLASS        only kstats of this class
  -m MODULE       only those of this module; this and the next three are ANDed,
  -i INSTANCE     of this instance,
  -n NAME         of this name,
  -s STATISTIC    and only statistics of this name
  -p              a line for each statistic, the value behind a tab
  -V              with -p: only the values
  -C              as -p, the value behind a colon
  -l              only names, without values
  -j              JSON
  -q              print nothing, only tell by the exit status whether anything matches
  -T u|d          a time stamp before each report: seconds since 1970, or a date
  --target NAME   where the kernel runs (default: lab)
  --prometheus    the text form of Prometheus
  INTERVAL        seconds between reports, until interrupted
  COUNT           how many reports

exit status: 0 something matched, 1 nothing did, 2 usage, 3 the target is out of reach
"""

_SHORT = "h?CVqjlpT:m:i:n:s:c:"
_LONG = ["help", "target=", "prometheus"]
_FIELDS = {"-m": "module", "-i": "instance", "-n": "name", "-s": "statistic"}
_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)|")  # as strtoul(3) reads one; an empty word is 0
_MOST = 2**31 - 1  # they are kept in an int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for."""

    selection: Selection = everything
    layout: Layout = layout.blocks
    chosen: bool = False
    """Whether the layout was asked for, or is just the usual one."""

    quiet: bool = False
    stamp: str = ""
    """``u`` seconds since 1970, ``d`` a date, or none."""

    interval_s: int = 0
    """Seconds between reports; 0 for a single one."""

    count: int | None = 1
    """How many reports; None for any number."""

    target: str | None = None
    help: bool = False


def parse(words: Sequence[str]) -> Request:
    """Read the words behind ``kstat``.

    Raises:
        OptionError: They make no sense together, or one of them makes none.
        PatternError: A pattern is no regular expression.
    """
    try:
        options, operands = getopt.getopt(list(words), _SHORT, _LONG)
    except getopt.GetoptError as error:
        raise OptionError(error.msg, hint="-h lists the options") from None
    given = dict(options)
    if given.keys() & {"-h", "-?", "--help"}:
        return Request(help=True)
    stamp = given.get("-T", "")
    if "-T" in given and stamp not in ("u", "d"):
        raise OptionError(f"-T {stamp!r}: expected u or d")
    selectors, interval_s, count = _operands(operands)
    named = {option: given[option] for option in _FIELDS if option in given}
    if selectors and named:
        raise OptionError(f"module:instance:name:statistic and {' '.join(named)} are mutually exclusive")
    request = Request(
        selection=_selection(selectors, named, given.get("-c")),
        layout=_layout(set(given)),
        chosen=bool(given.keys() & {"-p", "-C", "-l", "-j", "--prometheus"}),
        quiet="-q" in given,
        stamp=stamp,
        interval_s=interval_s,
        count=count,
        target=given.get("--target"),
    )
    if "--prometheus" in given and (stamp or interval_s):
        raise OptionError("--prometheus is one report without a time stamp", hint="Prometheus has both")
    return request


def _operands(words: Iterable[str]) -> tuple[list[str], int, int | None]:
    """Selectors, interval and count."""
    selectors: list[str] = []
    numbers: list[int] = []
    for word in words:
        number = _NUMBER.fullmatch(word)
        if number is None:
            selectors.append(word)
            continue
        if len(numbers) == 2:
            raise OptionError(f"an interval, a count, and then {word!r}", hint="-h lists the operands")
        what = ("interval", "count")[len(numbers)]
        digits = number[1] or "0"
        value = int(digits) if len(digits) < 20 else _MOST + 1  # no digits by the thousand
        if value > _MOST:
            raise OptionError(f"{what} is too large: {word!r}")
        if value < 1:
            raise OptionError(f"{what} must be an integer >= 1, not {word!r}")
        numbers.append(value)
    if not numbers:
        return selectors, 0, 1
    return selectors, numbers[0], numbers[1] if len(numbers) == 2 else None


def _selection(selectors: Sequence[str], named: dict[str, str], class_: str | None) -> Selection:
    return Selection.of(
        *selectors,
        module=named.get("-m"),
        instance=named.get("-i"),
        name=named.get("-n"),
        statistic=named.get("-s"),
        class_=class_,
    )


def _layout(given: set[str]) -> Layout:
    layouts = sorted(given & {"-p", "-C", "-l", "-j", "--prometheus"})
    if "-q" in given and layouts:
        raise OptionError(f"-q and {' '.join(layouts)} are mutually exclusive")
    if "--prometheus" in given and len(layouts) > 1:
        raise OptionError(f"{' and '.join(layouts)} are layouts: one of them at a time")
    if "-V" in given and (not given & {"-p", "-C"} or given & {"-l", "-j"}):
        raise OptionError("-V goes with -p alone", hint="-p -V prints only values")
    if "--prometheus" in given:
        return _prometheus
    if "-j" in given:
        return layout.json_with_class if given & {"-p", "-C", "-l"} else layout.json_text
    if "-l" in given:
        return layout.names
    if "-V" in given:
        return layout.values
    if "-C" in given:
        return layout.colons
    return layout.parsable if "-p" in given else layout.blocks


def _prometheus(kstats: Iterable[Kstat], selection: Selection) -> str:
    from ktrace_nb.kstat.prometheus import exposition

    chosen = [kstat for kstat in selection.narrow(kstats) if kstat.data or kstat.error]
    return exposition(chosen) if chosen else ""
