"""``iostat -xn``: what disks do, as Solaris shows it.

What the columns mean is in :mod:`ktrace_nb.kstat.disk_rates`.

The first report. On illumos it is of all the time since boot, as the numbers of a disk are. Here
the numbers begin with the account (:mod:`ktrace_nb.kstat.disk_account`), which costs something and
is kept only while it is wanted. So the first report is of the time since the account began: where
none is kept one begins with the command, and the first report comes after the first interval.
Without an interval, and where no account is kept, the report is of what Linux tells of all the time
since boot. It knows of no queue of what waits: ``wait``, ``wsvc_t`` and ``%w`` are ``-``, and
``actv`` and ``asvc_t`` have the waiting in them.
"""

from __future__ import annotations

import contextlib
import getopt
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from ktrace_nb.errors import OptionError, TargetError
from ktrace_nb.kstat.disk_rates import DiskRates, Reading, rates_between, reading

HELP = """\
usage: ktrace-nb iostat -x[nzMrIs] [-l NUMBER] [-T u|d] [--target NAME] [DISK ...] [INTERVAL [COUNT]]

Print what disks do, from an exact account of their requests that is kept meanwhile.

  -x              extended statistics, the only ones there are here
  -n              the disk's name last, and the two service times apart
  -z              leave out disks that did nothing
  -M              MiB in place of KiB
  -I              counts in place of rates
  -r              separated by commas
  -s              accepted: disks that come and go are not told of anyway
  -l NUMBER       so many disks at most
  -T u|d          a time stamp before each report: seconds since 1970, or a date
  --target NAME   where the disks are (default: lab)
  DISK            only these, as vda
  INTERVAL        seconds between reports, until interrupted; without, what was since boot
  COUNT           how many reports
"""

_TITLE = "extended device statistics"


# --- the text -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for."""

    descriptive: bool = False
    """``-n``."""
    skip_idle: bool = False
    megabytes: bool = False
    counts: bool = False
    raw: bool = False
    most: int | None = None
    stamp: str = ""
    target: str | None = None
    disks: tuple[str, ...] = ()
    interval_s: int = 0
    count: int | None = 1
    help: bool = False


def parse(words: Sequence[str]) -> Request:
    """Read what stands behind ``iostat``.

    Raises:
        OptionError: The words make no sense.
    """
    try:
        options, operands = getopt.gnu_getopt(list(words), "hxnzMIrsl:T:", ["help", "target="])
    except getopt.GetoptError as error:
        raise OptionError(f"iostat: {error.msg}", hint="ktrace-nb iostat -h lists what there is") from None
    given = dict(options)
    if given.keys() & {"-h", "--help"}:
        return Request(help=True)
    if "-x" not in given:
        raise OptionError("only the extended statistics are there", hint="ktrace-nb iostat -xn 10")
    if given.get("-T", "u") not in ("u", "d"):
        raise OptionError(f"-T is u or d, not {given['-T']!r}")
    numbers = [place for place, word in enumerate(operands) if word[:1].isdigit()]
    disks = operands[: numbers[0]] if numbers else operands
    times = operands[len(disks) :]
    if len(times) > 2:
        raise OptionError(f"{' '.join(times[2:])!r} stands behind the count")
    interval_s = _positive("interval", times[0]) if times else 0
    return Request(
        descriptive="-n" in given,
        skip_idle="-z" in given,
        megabytes="-M" in given,
        counts="-I" in given,
        raw="-r" in given,
        most=_positive("limit", given["-l"]) if "-l" in given else None,
        stamp=given.get("-T", ""),
        target=given.get("--target"),
        disks=tuple(disks),
        interval_s=interval_s,
        count=_positive("count", times[1]) if times[1:] else None if interval_s else 1,
    )


def _positive(what: str, word: str) -> int:
    if not word.isascii() or not word.isdigit() or not 0 < int(word) < 2**31:
        raise OptionError(f"invalid {what} {word}")
    return int(word)


def report(rates: Mapping[str, DiskRates], request: Request) -> str:
    """The text of one report, its headers included."""
    chosen = {name: one for name, one in rates.items() if not request.disks or name in request.disks}
    # Disks that are asked for by name are not subject to the limit.
    shown = list(chosen.items())[: None if request.disks else request.most]
    width = min(24, max([6, *map(len, chosen)]))
    lines = [
        _line(name, one, request, width) for name, one in shown if not (request.skip_idle and one.is_idle)
    ]
    return "".join(f"{line}\n" for line in [*_headers(request, width), *lines])


def _headers(request: Request, width: int) -> list[str]:
    each, unit = "i" if request.counts else "s", "M" if request.megabytes else "k"
    columns = [f"r/{each}", f"w/{each}", f"{unit}r/{each}", f"{unit}w/{each}", "wait", "actv"]
    columns += ["wsvc_t", "asvc_t"] if request.descriptive else ["svc_t"]
    columns += ["%w", "%b"]
    if request.raw:
        words = [*columns, "device"] if request.descriptive else ["device", *columns]
        return [_TITLE, ",".join(words)]
    widths = [7, 7, 7, 7, 5, 5, *([7, 7] if request.descriptive else [7]), 4, 4]
    text = "".join(column.rjust(wide) for column, wide in zip(columns, widths, strict=True))
    text = f"{text} device" if request.descriptive else f"{'device':{width}}{text} "
    left = (len(text) - len(_TITLE)) // 2
    right = len(text) - left - len(_TITLE) - (len(" device") if request.descriptive else 0)
    return [" " * left + _TITLE + " " * right, text]


def _line(name: str, rates: DiskRates, request: Request, width: int) -> str:
    times = rates.seconds if request.counts else 1.0
    unit = 1 << 20 if request.megabytes else 1 << 10
    service: list[tuple[float | None, int, int]] = [(rates.wsvc_ms, 6, 1), (rates.asvc_ms, 6, 1)]
    if not request.descriptive:
        service = [(rates.asvc_ms + (rates.wsvc_ms or 0.0), 6, 1)]
    numbers: list[tuple[float | None, int, int]] = [
        (rates.reads_per_s * times, 6, 1),
        (rates.writes_per_s * times, 6, 1),
        (rates.read_bytes_per_s / unit * times, 6, 1),
        (rates.written_bytes_per_s / unit * times, 6, 1),
        (rates.wait, 4, 1),
        (rates.actv, 4, 1),
        *service,
        (rates.wait_percent, 3, 0),
        (rates.busy_percent, 3, 0),
    ]
    if request.raw:
        words = ["-" if number is None else f"{number:.{digits}f}" for number, _, digits in numbers]
        return ",".join([*words, name] if request.descriptive else [name, *words])
    text = "".join(
        f" {'-' if number is None else f'{number:.{digits}f}':>{wide}}" for number, wide, digits in numbers
    )
    return f"{text} {name}" if request.descriptive else f"{name:{width}}{text} "


# --- the command ------------------------------------------------------------------------------


def run(request: Request, target: str, *, out: TextIO, err: TextIO) -> None:
    """Print the reports.

    Args:
        request: What is asked for.
        target: Name of the target.
        out: Where reports go.
        err: Where it is told what the account lost.

    Raises:
        OptionError: There is no such disk.
        KTraceError: As :func:`ktrace_nb.kstat.disk_account.io_account`.
        KeyboardInterrupt: In the only report; where more are to come it ends them.
    """
    from ktrace_nb.kstat.chain import chain
    from ktrace_nb.kstat.disk_account import ACCOUNT, io_account, kept
    from ktrace_nb.kstat.select import Pattern, Selection

    disks = Selection(class_=Pattern.of("disk"))
    account = kept(target)
    due_s = time.monotonic()

    def take() -> Reading:
        kstats = chain(target).read(disks)
        for kstat in kstats:
            if kstat.id == ACCOUNT:
                raise TargetError(kstat.error)
        found = reading(kstats)
        for name in request.disks:
            if name not in {id.name for id in found}:
                known = ", ".join(sorted(id.name for id in found))
                raise OptionError(f"no disk {name!r}", hint=f"one of {known}")
        return found

    def pause() -> None:
        nonlocal due_s
        due_s = max(due_s + request.interval_s, time.monotonic())
        time.sleep(max(0.0, due_s - time.monotonic()))

    with contextlib.ExitStack() as stack:
        before, shown, told = None, 0, ""
        if request.interval_s and account is None:
            account = stack.enter_context(io_account(target))
            before = take()
            due_s = time.monotonic()
        try:
            if before is not None:
                pause()
            while True:
                after = take()
                out.write(_stamp(request.stamp) + report(rates_between(after, before), request))
                out.flush()
                told = _tell(account.losses if account else {}, told, err)
                shown += 1
                if not request.interval_s or shown == request.count:
                    return
                before = after
                pause()
        except KeyboardInterrupt:
            if not request.interval_s:
                raise  # else it is the ordinary way to end it


def _tell(losses: Mapping[str, int], told: str, err: TextIO) -> str:
    """Say what was lost, if that is not what was said last; gives what has been said."""
    what = ", ".join(f"{count} {reason}" for reason, count in losses.items())
    if what != told:
        print(f"iostat: not all was seen: {what}", file=err, flush=True)
    return what


def _stamp(form: str) -> str:
    if form == "u":
        return f"{int(time.time())}\n"
    return f"{time.asctime()}\n" if form else ""


def main(words: Sequence[str]) -> int:
    """``ktrace-nb iostat``; gives the exit status.

    Raises:
        KTraceError: What goes wrong; an OptionError if it is the words.
    """
    from ktrace_nb.kstat.chain import DEFAULT_TARGET

    request = parse(words)
    if request.help:
        sys.stdout.write(HELP)
    else:
        run(request, request.target or DEFAULT_TARGET, out=sys.stdout, err=sys.stderr)
    return 0
