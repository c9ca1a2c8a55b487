"""``%%ktrace`` and ``%ktrace``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from traitlets import Bool, Unicode

from ktrace_nb import engine
from ktrace_nb.arguments import options_of
from ktrace_nb.diagnostics import Problem
from ktrace_nb.engine import Options
from ktrace_nb.lang.guess import language_of
from ktrace_nb.magics import pieces, sessions
from ktrace_nb.magics.brief import brief_errors
from ktrace_nb.magics.commands import COMMANDS
from ktrace_nb.magics.options import ktrace_arguments, parse_line
from ktrace_nb.magics.showing import show_session
from ktrace_nb.magics.source import check_view
from ktrace_nb.progress import bars
from ktrace_nb.show import check_stage, show, show_program
from ktrace_nb.source import Source
from ktrace_nb.targets.base import get_target


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
        ``NAME.ledger``. What stands behind ``--`` are a script's arguments.
        On one line, ``%ktrace [options] -e CODE`` does the same.

        ``%%ktrace NAME --calls 'ext4_*' [options]``, with more patterns below it or
        nothing, and ``%ktrace NAME --calls 'ext4_*' [options]`` on one line, record
        every call of these functions: ``NAME.calls``, ``NAME.functions``.

        ``%%ktrace NAME --piece`` keeps the cell as a piece of the script NAME;
        ``%ktrace run NAME [options]`` runs its pieces together, ``pieces [NAME]``
        lists and ``drop NAME [N]`` forgets them.

        ``%ktrace list``, ``stop [NAME ...]``, ``targets`` and ``doctor`` tell and
        act; ``probes PATTERN`` lists probe points of scripts, ``help WORD`` explains
        a function, a probe point or a word of their language.
        """
        with brief_errors(enabled=self.brief_errors):
            if cell is None:
                word, _, rest = (line.strip() or "list").partition(" ")
                if word in COMMANDS:
                    return COMMANDS[word](self, rest)
            args = parse_line(line)
            if cell is None and args.code is None and args.calls:
                cell = ""  # the patterns are the cell
            if cell is None and args.code is None:
                words = ", ".join(COMMANDS)
                raise UsageError(f"%ktrace: expected {words}, --calls or -e CODE, found {line!r}")
            if cell is not None and args.code is not None:
                raise UsageError("%%ktrace: the cell is the program; -e is for %ktrace on one line")
            source = Source(args.code if cell is None else cell)
            if args.piece is not None:
                return self._keep(source, args)
            if args.show:
                return self._show(source, args)
            return self._run(source, args)

    def run_pieces(self, line: str) -> None:
        """``%ktrace run NAME [options]``."""
        args = parse_line(line)
        _refuse_calls(args)
        source = pieces.script(args.name)
        if args.show:
            self._show(source, args)
        else:
            self._run(source, args)

    def _keep(self, source: Source, args: argparse.Namespace) -> None:
        _refuse_calls(args)
        options = replace(self._options(source, args), language="stap")
        if args.lang not in (None, "stap"):
            raise UsageError("%%ktrace: only scripts can be made of pieces")
        remarks: list[Problem] = []

        def check(whole: Source) -> None:
            with bars() as progress:
                program = engine.lower(whole, options, progress=progress)
            remarks.extend(p for p in program.problems if pieces.is_in_cell(p))

        piece = pieces.Piece(source.text, args.piece or self._cell_id())
        number, replaced = pieces.add(args.name, piece, check)
        done = "replaced" if replaced else "added"
        print(f"{args.name}: piece {number} {done}; %ktrace run {args.name} runs it")
        for problem in remarks:
            print("\n".join(problem.lines(problem.severity)))

    def _cell_id(self) -> str:
        """What the front end calls the cell that runs; empty if it does not say."""
        parent: dict[str, Any] = getattr(self.shell, "get_parent", dict)() or {}
        return str(parent.get("metadata", {}).get("cellId", ""))

    def _run(self, source: Source, args: argparse.Namespace) -> None:
        # What a cell ran before ends with its re-run, whether the new text is right or not.
        sessions.retire(args.name)
        options = self._options(source, args)
        check_view(args.view, calls=bool(options.calls))
        with bars() as progress:
            session = engine.start(source, options, progress=progress)
        variable = args.variable or args.name
        sessions.add(session, variable)
        assert self.shell is not None
        self.shell.user_ns[variable] = session
        for note in session.notes:
            print(note)
        if args.view != "none":
            show_session(session, args.view, big=args.big)

    def _options(self, source: Source, args: argparse.Namespace) -> Options:
        return options_of(args, name=args.name, target=self.target, language=language_of(source.text))

    def _show(self, source: Source, args: argparse.Namespace) -> None:
        options = self._options(source, args)
        check_stage(args.show, options.spoken)
        with bars() as progress:
            program = engine.lower(source, options, progress=progress)
            shown = show_program(args.show, program)
            if shown is None:
                target = get_target(options.target, progress)
                built = engine.compile_for(target, program, options)
                shown = show(args.show, built, engine.facts_of(target).btf)
        print(shown, end="")


def _refuse_calls(args: argparse.Namespace) -> None:
    if args.calls:
        raise UsageError("%ktrace: pieces make a script; --calls needs none, so leave out one of them")
