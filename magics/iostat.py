"""``%iostat``: what disks do, from an exact account of their requests."""

from __future__ import annotations

import sys

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from ktrace_nb.kstat.iostat import HELP, parse, run
from ktrace_nb.magics.brief import brief_errors
from ktrace_nb.magics.lines import settings_of, split
from ktrace_nb.progress import bars
from ktrace_nb.targets.base import get_target


@magics_class
class IostatMagics(Magics):
    """``%iostat``; its settings are those of ``%ktrace`` (``%config KTraceMagics``)."""

    @no_var_expand
    @line_magic
    def iostat(self, line: str) -> None:
        """Print what disks do: ``%iostat -xn [options] [disk ...] [interval [count]]``.

        The words are those of ``ktrace-nb iostat``; ``%iostat -h`` lists them. Reports without a
        count go on until the cell is interrupted. :func:`ktrace_nb.kstat.io_account` and
        :func:`ktrace_nb.kstat.disk_rates.table` give the same as a frame.
        """
        settings = settings_of(self)
        with brief_errors(enabled=settings.brief_errors):
            request = parse(split(line, "iostat"))
            if request.help:
                print(HELP, end="")
                return
            target = request.target or settings.target
            with bars() as progress:
                get_target(target, progress)
            run(request, target, out=sys.stdout, err=sys.stderr)
