"""The words that ``%ktrace`` takes on one line: what each does."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from ktrace_nb import doctor, engine
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.stap.catalog import plain_library
from ktrace_nb.lang.stap.help import explain
from ktrace_nb.lang.stap.script import library_for
from ktrace_nb.magics import pieces, sessions
from ktrace_nb.magics.probes import probes_table
from ktrace_nb.progress import bars
from ktrace_nb.targets.base import get_target, open_targets, target_names

if TYPE_CHECKING:
    from ktrace_nb.magics.cell import KTraceMagics


def _list(_: KTraceMagics, __: str) -> Any:
    return sessions.table()


def _stop(_: KTraceMagics, line: str) -> None:
    for session in sessions.stop(line.split()):
        print(repr(session))


def _targets(_: KTraceMagics, __: str) -> None:
    used = {target.name: target.hello.kernel for target in open_targets()}
    for name in dict.fromkeys([*target_names(), *used]):
        print(f"{name:12} {'Linux ' + used[name] if name in used else 'not in use'}")


def _doctor(_: KTraceMagics, __: str) -> None:
    with bars() as progress:
        for finding in doctor.examine(progress):
            print(finding.line())


def _run(magics: KTraceMagics, line: str) -> None:
    if not line or line.startswith("-"):
        raise UsageError("%ktrace run: expected the name of a script made of pieces, then options")
    magics.run_pieces(line)


def _pieces(_: KTraceMagics, line: str) -> Any:
    return pieces.table(line.strip() or None)


def _drop(_: KTraceMagics, line: str) -> None:
    name, *number = line.split() or [""]
    if not name or len(number) > 1 or not all(word.isdigit() for word in number):
        raise UsageError(f"%ktrace drop: expected NAME or NAME N, found {line!r}")
    pieces.drop(name, int(number[0]) if number else None)


def _facts(magics: KTraceMagics) -> KernelFacts:
    with bars() as progress:
        return engine.facts_of(get_target(magics.target, progress))


def _probes(magics: KTraceMagics, line: str) -> Any:
    # Only one word, so quotes of the shell are taken off it, and none within.
    pattern = line.strip()
    if pattern[:1] == pattern[-1:] == "'" and len(pattern) > 1:
        pattern = pattern[1:-1]
    if not pattern:
        raise UsageError("%ktrace probes: expected a probe point or a pattern of such, e.g. 'vfs.*'")
    return probes_table(pattern, _facts(magics))


def _help(_: KTraceMagics, line: str) -> None:
    words = shlex.split(line, posix=False)
    if len(words) != 1:
        raise UsageError("%ktrace help: expected a function, a probe point or a word of the language")
    known = engine.known_facts()
    print(explain(words[0].strip("'\""), library_for(known[-1]) if known else plain_library()))


COMMANDS: dict[str, Callable[[KTraceMagics, str], Any]] = {
    "list": _list,
    "stop": _stop,
    "targets": _targets,
    "doctor": _doctor,
    "run": _run,
    "pieces": _pieces,
    "drop": _drop,
    "probes": _probes,
    "help": _help,
}
"""What ``%ktrace`` does by its first word."""
