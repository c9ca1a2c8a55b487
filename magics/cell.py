"""``%%ktrace`` and ``%ktrace``."""

from __future__ import annotations

import argparse
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from traitlets import Bool, Unicode

from ktrace_nb import doctor, engine
from ktrace_nb.arguments import options_of
from ktrace_nb.engine import Options
from ktrace_nb.magics import sessions
from ktrace_nb.magics.brief import brief_errors
from ktrace_nb.magics.options import ktrace_arguments, parse_line
from ktrace_nb.magics.source import SessionSource
from ktrace_nb.progress import bars
from ktrace_nb.show import show
from ktrace_nb.source import Source
from ktrace_nb.targets.base import get_target, open_targets, target_names
from ktrace_nb.widgets import show as show_panel


@magics_class
class KTraceMagics(Magics):
    """``%%ktrace`` and its settings (``%config KTraceMagics``)."""

    brief_errors = Bool(True, help="hide Python tracebacks of ktrace errors").tag(config=True)
    target = Unicode(engine.DEFAULT_TARGET, help="where cells run unless they say --target").tag(config=True)

    @no_var_expand
    @line_cell_magic
    @ktrace_arguments
    def ktrace(self, line: str, cell: str | None = None) -> Any:
        """Compile a cell, load it into a kernel and show what it counts while it runs.

        ``%%ktrace NAME [options]`` runs the cell below it; NAME becomes a
        variable with the session: ``NAME.stop()``, ``NAME.frames``,
        ``NAME.ledger``. On one line, ``%ktrace [options] -e CODE`` does the same;
        ``%ktrace list``, ``stop [NAME ...]``, ``targets`` and ``doctor`` tell and
        act.
        """
        with brief_errors(enabled=self.brief_errors):
            if cell is None:
                word, *rest = line.split() or ["list"]
                if word in _COMMANDS:
                    return _COMMANDS[word](rest)
            args = parse_line(line)
            if cell is None and args.code is None:
                raise UsageError(f"%ktrace: expected {', '.join(_COMMANDS)} or -e CODE, found {line!r}")
            if cell is not None and args.code is not None:
                raise UsageError("%%ktrace: the cell is the program; -e is for %ktrace on one line")
            source = Source(args.code if cell is None else cell)
            if args.show:
                return self._show(source, args)
            return self._run(source, args)

    def _run(self, source: Source, args: argparse.Namespace) -> None:
        # What a cell ran before ends with its re-run, whether the new text is right or not.
        sessions.retire(args.name)
        with bars() as progress:
            session = engine.start(source, self._options(args), progress=progress)
        entry = sessions.add(session)
        assert self.shell is not None
        self.shell.user_ns[args.variable or args.name] = session
        for note in session.notes:
            print(note)
        if args.view != "none":
            entry.panel = panel = show_panel(SessionSource(session, args.view))
            session.when_over(panel.finish)

    def _options(self, args: argparse.Namespace) -> Options:
        return options_of(args, name=args.name, target=self.target, language="c")

    def _show(self, source: Source, args: argparse.Namespace) -> None:
        options = self._options(args)
        program = engine.lower(source, options)
        with bars() as progress:
            target = get_target(options.target, progress)
            built = engine.compile_for(target, program, options)
        print(show(args.show, built, engine.facts_of(target).btf), end="")


def _list(_: list[str]) -> Any:
    return sessions.table()


def _stop(names: list[str]) -> None:
    for session in sessions.stop(names):
        print(repr(session))


def _targets(_: list[str]) -> None:
    used = {target.name: target.hello.kernel for target in open_targets()}
    for name in dict.fromkeys([*target_names(), *used]):
        print(f"{name:12} {'Linux ' + used[name] if name in used else 'not in use'}")


def _doctor(_: list[str]) -> None:
    with bars() as progress:
        for finding in doctor.examine(progress):
            print(finding.line())


_COMMANDS = {"list": _list, "stop": _stop, "targets": _targets, "doctor": _doctor}
