"""``%health``: the health of a kernel on a board."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import MagicArgumentParser

from ktrace_nb.errors import KTraceError
from ktrace_nb.governor import EXPIRE_S
from ktrace_nb.magics import sessions
from ktrace_nb.magics.brief import brief_errors
from ktrace_nb.magics.lines import settings_of, split
from ktrace_nb.progress import bars
from ktrace_nb.quantities import parse_duration
from ktrace_nb.targets.base import get_target
from ktrace_nb.widgets import show
from ktrace_nb.widgets.board_past import Past
from ktrace_nb.widgets.source import Action, PanelStatus, ViewData

if TYPE_CHECKING:
    from ktrace_nb.health import Watch

VARIABLE = "health_watch"
"""What the notebook calls the watch, unless ``-o`` says otherwise."""

NAME = "health"
"""Of the session, in ``%ktrace list`` and for ``%ktrace stop``."""

EVERY_S = 1.0
"""Both accounts are read so often at most."""


@magics_class
class HealthMagics(Magics):
    """``%health``; its settings are those of ``%ktrace`` (``%config KTraceMagics``)."""

    @no_var_expand
    @line_magic
    def health(self, line: str) -> None:
        """Show a kernel's health: ``%health [NAME ...] [--for 60s] [--target T] [--big] [-o VAR]``.

        A row for each piece: whether all is well, its level in its band, rate, last minutes, and drift
        between the kernel's own number and what its events add up to. Names of pieces may be globs; all
        are shown if none is given. ``health_watch``, or ``VAR``, is the watch, see
        :func:`ktrace_nb.health.watch`: ``health_watch.frame()``, ``health_watch.stop()``. The numbers
        are read once a second while somebody looks.
        """
        from ktrace_nb.health import choose, watch

        settings = settings_of(self)
        with brief_errors(enabled=settings.brief_errors):
            args = parse_line(line)
            seconds = None if args.duration is None else parse_duration(args.duration)
            names = args.names or ["*"]
            choose(names)  # what there is not is told before another watch ends for it
            sessions.retire(NAME)
            with bars() as progress:
                target = get_target(args.target or settings.target, progress)
                watched = watch(target, names, expire_s=seconds or EXPIRE_S)
            session = watched.session
            if seconds is not None:
                session.limits = replace(session.limits, seconds=seconds)
            sessions.add(session, f"{args.variable}.session")
            assert self.shell is not None
            self.shell.user_ns[args.variable] = watched
            for name, reason in watched.left_out.items():
                print(f"{name} left out: {reason}")
            panel = show(HealthSource(watched), big=args.big)
            entry = sessions.entry_of(session)
            assert entry is not None
            entry.panels.append(panel)
            session.when_over(panel.finish)


def parse_line(line: str) -> argparse.Namespace:
    """Read the magic's line as a shell would, quotes and all.

    Raises:
        UsageError: Unknown options, quotes that do not close, no name of a variable.
    """
    words = split(line, "health")
    parser = MagicArgumentParser("health")
    parser.add_argument("names", nargs="*", metavar="NAME", help="pieces to watch, globs too (default: all)")
    parser.add_argument("--for", dest="duration", metavar="DURATION", help="end after this long: 10s, 2m")
    parser.add_argument("--target", metavar="T", help="where: lab (default), lab:IMAGE, or local")
    parser.add_argument("--big", action="store_true", help="to be read from the last row of a lecture hall")
    parser.add_argument("-o", dest="variable", metavar="VAR", default=VARIABLE, help="bind the watch to it")
    args = parser.parse_args(words)
    if not args.variable.isidentifier():
        raise UsageError(f"%health: {args.variable!r} cannot be the name of a variable")
    return args


class HealthSource:
    """The :class:`~ktrace_nb.widgets.source.PanelSource` of a watch.

    A panel asks only while somebody looks; of what it asks within a second the answer is the last.

    Args:
        watched: What is shown.
        clock: Seconds, monotonic.
    """

    name = NAME

    def __init__(self, watched: Watch, clock: Callable[[], float] = time.monotonic) -> None:
        self._watch = watched
        self._clock = clock
        self._past = Past()
        self._reading = threading.Lock()
        self._frame: pd.DataFrame | None = None
        self._problem: KTraceError | None = None
        """Why the last look gave no frame."""
        self._looked: tuple[float, bool] | None = None
        """When it was, and whether the watch was running then."""
        self._generation = 0
        self._anew = False
        self._notice = ""

    def status(self) -> PanelStatus:
        """How the watch stands."""
        session = self._watch.session
        hits = sum(counts.hits for counts in session.outputs.programs.values())
        actions: frozenset[Action] = frozenset({"reset"} if session.running else ())
        return PanelStatus(
            state=session.state,
            elapsed_s=max(0.0, session.elapsed),
            message=session.message or session.remark,
            losses=tuple(session.losses.items()),
            hits=hits,
            cost_ns=session.outputs.ran_ns / hits if hits else None,
            cpu_share=session.cpu_share if hits else None,
            actions=actions,
            notice=self._notice,
        )

    def view_data(self) -> Sequence[ViewData]:
        """The board."""
        with self._reading:
            if self._is_due():
                self._look()
            if self._problem is not None:
                raise self._problem
            frame = self._frame
            assert frame is not None
            return [ViewData(name="", kind="health", frame=frame, generation=self._generation)]

    def request_stop(self) -> None:
        """Set the session's flag."""
        self._watch.session.request_stop()

    def request(self, action: Action, argument: str = "") -> None:
        """Compare anew at the next look."""
        if action == "reset":
            self._anew = True

    def _is_due(self) -> bool:
        if self._looked is None or self._anew:
            return True
        at_s, was_running = self._looked
        running = self._watch.session.running
        return running != was_running or (running and self._clock() - at_s >= EVERY_S)

    def _look(self) -> None:
        running = self._watch.session.running
        anew, self._anew = self._anew, False
        try:
            if anew and running:
                self._watch.begin_anew()
                self._notice = "compared from now on"
            told = self._watch.frame()
        except KTraceError as problem:
            self._problem = problem  # and no sooner again than after a look that went well
        else:
            self._problem = None
            self._frame = self._past.with_past(told, self._clock())
            self._generation += 1
        self._looked = self._clock(), running
