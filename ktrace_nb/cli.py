"""``ktrace-nb``: the magics' work from a command line, for scripts, tests and servers.

Exit status: 0 done, 1 the cell, its workload or the target failed, 2 usage; of ``kstat`` those of
kstat(8).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ktrace_nb import __version__
from ktrace_nb.arguments import (
    CELL_ARGUMENTS,
    RUN_ARGUMENTS,
    SHOW_ARGUMENT,
    WALK_ARGUMENTS,
    Argument,
    options_of,
)
from ktrace_nb.errors import KTraceError, OptionError

DONE, FAILED, USAGE = 0, 1, 2

_USAGE = "%(prog)s [OPTION ...] [FILE | -e CODE | --calls PATTERN] [ARG ...]"
# argparse would put the names of thirty options in front of each mistake.


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; gives the exit status."""
    args = _parse(argv)
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        return FAILED
    except KTraceError as error:
        print("\n".join(error.lines()), file=sys.stderr)
        return USAGE if isinstance(error, OptionError) else FAILED
    finally:
        _let_go()


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the line; a script's arguments may also stand behind options."""
    line = sys.argv[1:] if argv is None else list(argv)
    if line[:1] == ["kstat"]:
        # It reads its words as kstat(8) does, which argparse cannot.
        return argparse.Namespace(run=_kstat, words=line[1:])
    if line[:1] == ["iostat"]:
        return argparse.Namespace(run=_iostat, words=line[1:])
    parser = _parser()
    args, rest = parser.parse_known_args(line)
    if rest and not (hasattr(args, "arguments") and not any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if "code" in args:
        words = [*([args.file] if args.file is not None else []), *args.arguments, *rest]
        if args.code is None and not words and args.calls:
            args.code = ""  # the patterns are the cell
        if args.code is None and not words:
            parser.error("expected a file, -e CODE or --calls PATTERN")
        args.file, args.arguments = (None, words) if args.code is not None else (words[0], words[1:])
    return args


def _let_go() -> None:
    """End what was started; without loading what was not."""
    for module, function in (("ktrace_nb.targets.base", "close_targets"), ("ktrace_nb.engine", "close")):
        if module in sys.modules:
            getattr(sys.modules[module], function)()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ktrace-nb", description="Trace a Linux kernel.")
    parser.add_argument("--version", action="version", version=f"ktrace-nb {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", usage=_USAGE, help="run a cell from a file and print what it puts out")
    _add_cell(run)
    _add(run, RUN_ARGUMENTS)
    run.add_argument("--frames", type=Path, metavar="DIR", help="write every frame as NAME.parquet there")
    run.add_argument(
        "--export",
        action="append",
        default=[],
        metavar="FILE",
        help="write the calls of --calls: FILE.json (Perfetto), .json.gz, .folded (flame graph), .dot, "
        ".svg, .txt; may be repeated",
    )
    run.add_argument("-q", "--quiet", action="store_true", help="do not pass on what the -c command prints")
    run.set_defaults(run=_run)

    check = commands.add_parser("check", usage=_USAGE, help="try a cell up to a stage, without running it")
    _add_cell(check)
    check.add_argument("--stage", choices=STAGES, default="compile", help="how far (default: %(default)s)")
    check.add_argument("--json", action="store_true", help="the findings as JSON on stdout")
    _add(check, [SHOW_ARGUMENT])
    check.set_defaults(run=_check)

    commands.add_parser("kstat", add_help=False, help="print statistics of a kernel, as kstat(8) does")

    commands.add_parser("iostat", add_help=False, help="print what disks do, as iostat(8) does")

    doctor = commands.add_parser("doctor", help="say what works here and what mends what does not")
    doctor.set_defaults(run=_doctor)

    notebook = commands.add_parser("notebook", help="run a notebook without a browser and print it")
    notebook.add_argument("file", type=Path)
    notebook.add_argument(
        "-o", dest="save", type=Path, metavar="FILE", help="write it with its outputs there"
    )
    notebook.set_defaults(run=_notebook)

    from ktrace_nb.lab.commands import add_commands

    add_commands(commands)
    return parser


def _add_cell(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", help="the cell; - reads standard input")
    parser.add_argument("-e", dest="code", metavar="CODE", help="the cell itself, in place of a file")
    parser.add_argument("arguments", nargs="*", metavar="ARG", help="arguments of a script: its $1, @1")
    _add(parser, CELL_ARGUMENTS)
    _add(parser, WALK_ARGUMENTS)


def _add(parser: argparse.ArgumentParser, arguments: Sequence[Argument]) -> None:
    for flags, settings in arguments:
        parser.add_argument(*flags, **settings)


def _cell(args: argparse.Namespace) -> tuple[Any, Any]:
    """The cell's source and options."""
    from ktrace_nb.engine import DEFAULT_TARGET, SUFFIXES
    from ktrace_nb.lang.guess import language_of
    from ktrace_nb.source import Source

    if args.code is not None:
        source, stem, suffix = Source(args.code, "-e"), "trace", ""
    elif args.file == "-":
        source, stem, suffix = Source(sys.stdin.read(), "stdin"), "trace", ""
    else:
        path = Path(args.file)
        if args.calls and path.suffix in SUFFIXES:
            raise OptionError(
                f"--calls and a program, {path.name}: one of them at a time",
                hint="beside --calls a file holds more patterns, e.g. ext3.txt",
            )
        source, stem, suffix = Source(_text(path), path.name), path.stem, path.suffix
    language = SUFFIXES.get(suffix) or language_of(source.text)
    return source, options_of(args, name=stem, target=DEFAULT_TARGET, language=language)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise OptionError(f"cannot read {path}: {reason}") from None


@contextlib.contextmanager
def _progress() -> Iterator[Any]:
    """Bars where somebody sees them."""
    from ktrace_nb.progress import bars, silent

    if sys.stderr.isatty():
        with bars() as report:
            yield report
    else:
        yield silent


# --- run ------------------------------------------------------------------------------


def _run(args: argparse.Namespace) -> int:
    from ktrace_nb.engine import start
    from ktrace_nb.export import write_frames
    from ktrace_nb.report import loss_text, session_text
    from ktrace_nb.stream.calls.export import check_file

    source, options = _cell(args)
    if args.export and not options.calls:
        raise OptionError(
            "--export is for calls", hint="--calls 'ext4_*' records them; --frames writes any frame"
        )
    for file in args.export:
        check_file(file)  # before there is anything to lose
    with _progress() as progress:
        session = start(source, options, progress=progress)
    seen = _Passed()
    try:
        while not session.wait(0.1):
            _pass_on(session, seen, quiet=args.quiet)
    except KeyboardInterrupt:
        # As with perf and bpftrace, Ctrl-C is the ordinary way to end a trace.
        session.stop()
    _pass_on(session, seen, quiet=args.quiet)
    sys.stdout.write(session_text(session))
    sys.stdout.flush()
    if args.frames:
        write_frames(session, args.frames)
    for file in args.export:
        session.export(file)
    for line in [*session.notes, loss_text(session)]:
        if line:
            print(line, file=sys.stderr)
    if session.state == "failed" and any(p.severity == "error" for p in session.outputs.problems):
        return FAILED  # what a script did wrong is among the remarks
    if session.state == "failed":
        raise KTraceError(session.message)
    return FAILED if session.workload_status else DONE


@dataclass
class _Passed:
    """How much of each stream was passed on."""

    stdout: int = 0
    stderr: int = 0
    lines: int = 0


def _pass_on(session: Any, seen: _Passed, *, quiet: bool) -> None:
    while True:
        before = seen.lines
        lines, seen.lines = session.outputs.lines_after(before)
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        if seen.lines == before:
            break
    if not quiet:
        out, err = session.stdout, session.stderr
        sys.stdout.write(out[seen.stdout :])
        sys.stderr.write(err[seen.stderr :])
        seen.stdout, seen.stderr = len(out), len(err)
    sys.stdout.flush()


# --- check ----------------------------------------------------------------------------

STAGES = ("parse", "type", "compile", "load", "attach")


def _check(args: argparse.Namespace) -> int:
    name = args.file or ("-e" if args.code else "--calls")
    findings: dict[str, Any] = {"file": name, "stage": args.stage, "ok": False, "problems": []}
    try:
        with _progress() as progress:
            _try_stages(args, findings, progress)
        findings["ok"] = True
    except OptionError:
        raise
    except KTraceError as error:
        findings["problems"] = [
            {"kind": type(error).__name__ if i == 0 else p.severity, **p.as_dict()}
            for i, p in enumerate(error.problems)
        ]
        if not args.json:
            raise
    if args.json:
        print(json.dumps(findings, indent=1))
    elif not args.show:
        print(f"{findings['file']}: {args.stage} ok")
    return DONE if findings["ok"] else FAILED


def _try_stages(args: argparse.Namespace, findings: dict[str, Any], progress: Any) -> None:
    from ktrace_nb import engine
    from ktrace_nb.ir.probes import resolve
    from ktrace_nb.lang.stap.macros import Settings as ScriptSettings
    from ktrace_nb.lang.stap.parser import parse as parse_script
    from ktrace_nb.show import check_stage, show, show_program
    from ktrace_nb.targets.base import get_target

    source, options = _cell(args)
    check_stage(args.show, options.spoken)
    if args.stage == "parse" and options.language == "stap":
        # Beyond that a script means something for a certain kernel only.
        parse_script(source, ScriptSettings(arguments=options.arguments))
        return
    program = engine.lower(source, options, progress=progress)
    shown = show_program(args.show, program) if args.show else None
    if shown is not None:
        sys.stdout.write(shown)
    if args.stage == "parse":
        return
    target = get_target(options.target, progress)
    facts = engine.facts_of(target)
    plan = resolve(program, facts)
    findings["probes"] = [[point.program, point.kind, point.target] for point in plan.points]
    if args.stage == "type":
        return
    built = engine.compile_for(target, program, options)
    findings["problems"] = [p.as_dict() for p in built.problems]
    findings["programs"] = {p.name: len(p.insns) // 8 for p in built.bundle.programs}
    findings["maps"] = [m.name for m in built.bundle.maps]
    if args.show and shown is None:
        sys.stdout.write(show(args.show, built, facts.btf))
    if args.stage != "compile":
        engine.trial(target, built, attach=args.stage == "attach")


def _kstat(args: argparse.Namespace) -> int:
    from ktrace_nb.kstat.command import main as kstat

    return kstat(args.words)


def _iostat(args: argparse.Namespace) -> int:
    from ktrace_nb.kstat.iostat import main as iostat

    return iostat(args.words)


def _doctor(_: argparse.Namespace) -> int:
    from ktrace_nb.doctor import examine

    all_well = True
    with _progress() as progress:
        for finding in examine(progress):
            print(finding.line())
            all_well = all_well and (finding.works or not finding.fix)
    return DONE if all_well else FAILED


def _notebook(args: argparse.Namespace) -> int:
    from ktrace_nb.notebook import run_notebook

    return DONE if run_notebook(args.file, save=args.save) else FAILED


if __name__ == "__main__":
    sys.exit(main())
