"""Tab completion of ``%%ktrace`` lines: options, their values, targets, probe points."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from IPython.core.completer import SimpleCompletion, context_matcher

from ktrace_nb.engine import LANGUAGES, known_facts
from ktrace_nb.ir.probes import KINDS
from ktrace_nb.lang.guess import language_of
from ktrace_nb.lang.stap.catalog import plain_library
from ktrace_nb.lang.stap.language_words import WORDS
from ktrace_nb.magics import pieces, sessions
from ktrace_nb.magics.options import option_choices, option_words
from ktrace_nb.magics.script_completion import complete_script
from ktrace_nb.targets.base import target_names

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_COMMANDS = ("list", "stop", "targets", "doctor", "run", "pieces", "drop", "probes", "help")
_MOST = 200
_SCRIPT = "ktrace_nb.script"


def register(shell: InteractiveShell) -> None:
    """Complete the lines of both magics, and the text of scripts."""
    for name in ("%%ktrace", "%ktrace"):
        shell.set_hook("complete_command", _complete, str_key=name)
    matchers = shell.Completer.custom_matchers
    if not any(getattr(m, "matcher_identifier", "") == _SCRIPT for m in matchers):
        matchers.insert(0, _script_matcher())


def _complete(_shell: Any, event: Any) -> list[str]:
    before = str(event.text_until_cursor)
    words = before.split() or [""]
    current = "" if before[-1:].isspace() else words[-1]
    previous = words[-1] if before[-1:].isspace() else words[-2] if len(words) > 1 else ""
    first = len(words) - bool(current) == 1
    found = complete(current, previous, first=first, line=before.startswith("%ktrace"))
    # IPython ends words at colons and replaces what it takes for the last of them.
    cut = len(current) - len(event.symbol) if current.endswith(event.symbol) else 0
    return [word[cut:] for word in found]


def complete(current: str, previous: str, *, first: bool, line: bool) -> list[str]:
    """What may stand at the cursor.

    Args:
        current: The word under the cursor, up to it.
        previous: The word before that.
        first: Whether it is the first word of the line behind the magic.
        line: Whether the magic is ``%ktrace``, not ``%%ktrace``.
    """
    if previous == "--target":
        found = target_names()
    elif previous == "--lang":
        found = list(LANGUAGES)
    elif previous == "--attach":
        found = _attach(current)
    elif previous in ("--calls", "--from"):
        found = _functions(current)
    elif option_choices(previous):
        found = option_choices(previous)
    elif previous == "stop" and line:
        found = list(sessions.table().index)
    elif previous in ("run", "pieces", "drop") and line:
        found = pieces.names()
    elif previous == "help" and line:
        library = plain_library()
        found = [*library.function_names, *library.alias_names, *WORDS]
    elif previous == "probes" and line:
        found = plain_library().alias_names
    else:
        found = [*(_COMMANDS if first and line else ()), *option_words()]
    return [word for word in found if word.startswith(current)][:_MOST]


def _functions(current: str) -> list[str]:
    """Functions for the last pattern of several, from the kernels that are known already."""
    match = re.fullmatch(r"(?P<before>(?:.*,)?[\"'!]*)(?P<beginning>[\w.]*)", current)
    if match is None:
        return []
    names: set[str] = set()
    for facts in known_facts():
        names.update(facts.functions_matching(f"{match['beginning']}*"))
    return [match["before"] + name for name in sorted(names)]


def _attach(current: str) -> list[str]:
    """``KIND:TARGET``, from the facts of kernels that are known already; nothing is booted for it."""
    kind, colon, beginning = current.partition(":")
    if not colon:
        return [f"{name}:" for name in sorted(KINDS)]
    names: set[str] = set()
    for facts in known_facts():
        if kind in ("kprobe", "kretprobe", "fentry", "fexit"):
            names.update(facts.functions_matching(f"{beginning}*"))
        elif kind == "tracepoint":
            names.update(name.replace("/", ":", 1) for name in facts.tracepoints)
        elif kind == "syscall":
            names.update(facts.syscalls)
    return [f"{kind}:{name}:" for name in sorted(names)]


# --- inside cells ------------------------------------------------------------------------


def _script_matcher() -> Any:
    """Complete the text of ``%%ktrace`` cells that are scripts."""

    @context_matcher(identifier=_SCRIPT, priority=200)
    def match(context: Any) -> dict[str, Any]:
        line, _, text = context.full_text.partition("\n")
        if context.cursor_line == 0 or not _is_script(line, text):
            return {"completions": []}
        before = "\n".join(context.full_text.split("\n")[1 : context.cursor_line])
        cursor = len(before) + bool(context.cursor_line > 1) + context.cursor_position
        known = known_facts()
        found = complete_script(text, cursor, known[-1] if known else None, _kept_pieces(line))
        return {
            # JupyterLab breaks a type at its blanks, into the row below.
            "completions": [
                SimpleCompletion(text=offer.text, type=offer.type.replace(" ", "\N{NO-BREAK SPACE}"))
                for offer in found.offers
            ],
            "matched_fragment": found.typed,
            # Nothing of Python makes sense in a script.
            "suppress": True,
            "ordered": True,
        }

    return match


def _is_script(line: str, text: str) -> bool:
    words = line.split()
    if not words or words[0] != "%%ktrace":
        return False
    if "--lang" in words[:-1]:
        return words[words.index("--lang") + 1] == "stap"
    return "--lang=stap" in words or "--piece" in words or language_of(text) == "stap"


def _kept_pieces(line: str) -> str:
    words = line.split()
    return pieces.text(words[1]) if "--piece" in words and len(words) > 1 else ""
