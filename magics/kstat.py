"""``%kstat``: the statistics of a kernel, as a frame or in the layouts of kstat(8)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from ktrace_nb.errors import OptionError
from ktrace_nb.kstat.request import HELP, Request, parse
from ktrace_nb.magics.brief import brief_errors
from ktrace_nb.magics.lines import settings_of, split
from ktrace_nb.progress import bars
from ktrace_nb.targets.base import get_target

if TYPE_CHECKING:
    from ktrace_nb.magics.kstat_browser import KstatBrowser

LIVE = "--live"
"""The option that only the magic has."""


@magics_class
class KstatMagics(Magics):
    """``%kstat``; its settings are those of ``%ktrace`` (``%config KTraceMagics``)."""

    @no_var_expand
    @line_magic
    def kstat(self, line: str) -> Any:
        """Read statistics of a kernel: ``%kstat [options] [module:instance:name:statistic ...]``.

        The words are those of ``ktrace-nb kstat``, quoted as in a shell; ``%kstat -h`` lists them.
        With no word for the layout it gives a DataFrame, one row for each statistic. With ``-p``,
        ``-C``, ``-l``, ``-j``, ``-T``, ``--prometheus`` or an interval it prints what the command
        would; reports without a count go on until the cell is interrupted. ``-q`` gives True or
        False. ``--live`` gives a :class:`~ktrace_nb.magics.kstat_browser.KstatBrowser`: a table that
        is read anew every second, or every interval, while a page shows it.
        """
        settings = settings_of(self)
        with brief_errors(enabled=settings.brief_errors):
            words = split(line, "kstat")
            live = LIVE in words
            request = parse([word for word in words if word != LIVE])
            if request.help:
                print(HELP, end="")
                return None
            name = request.target or settings.target
            return _browser(request, name) if live else _show(request, name)


def _browser(request: Request, name: str) -> KstatBrowser:
    from ktrace_nb.kstat.chain import chain
    from ktrace_nb.magics.kstat_browser import KstatBrowser

    if request.chosen or request.stamp or request.quiet or request.count not in (None, 1):
        raise OptionError(f"{LIVE} is a table that goes on: it takes only which, --target and an interval")
    with bars() as progress:
        get_target(name, progress)
    return KstatBrowser(name, chain(name).read, request.selection, interval_s=request.interval_s or 1)


def _show(request: Request, name: str) -> Any:
    from ktrace_nb.kstat.chain import chain
    from ktrace_nb.kstat.command import MATCHED, run, tell_errors
    from ktrace_nb.kstat.frames import frame

    with bars() as progress:
        get_target(name, progress)
    read = chain(name).read
    if request.chosen or request.stamp or request.interval_s or request.quiet:
        status = run(request, read, out=sys.stdout, err=sys.stderr)
        return status == MATCHED if request.quiet else None
    kstats = read(request.selection)
    tell_errors(kstats, request.selection, sys.stderr)
    return frame(request.selection.narrow(kstats))
