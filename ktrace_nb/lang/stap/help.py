"""What the words of the language mean: functions and aliases by their comments, the rest by a table."""

from __future__ import annotations

import re
import textwrap

from ktrace_nb.diagnostics import near_hint
from ktrace_nb.errors import OptionError
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.language_words import WORDS
from ktrace_nb.lang.stap.library import Library

_WIDTH = 100
# Doc comments of the tapset are sentences; some begin with one of these words.
_HEADS = re.compile(r"(?:(?<=\. )|(?<=^))(?=(?:Context|Sets|Returns|Source): |Sets what )")
_PARAMETER = re.compile(r"(?<=\. )(?=\w+: (?:long|string)\b)")


def signature(function: tree.Function) -> str:
    """How a function is called: ``thread_indent(delta: long): string``."""
    parameters = ", ".join(f"{p.name}: {p.type}" if p.type else p.name for p in function.parameters)
    return f"{function.name}({parameters})" + (f": {function.type}" if function.type else "")


def explain(name: str, library: Library) -> str:
    """The documentation of a function, a probe point, an operator or a word.

    Args:
        name: As in a script; parentheses behind it do no harm.
        library: The tapset.

    Raises:
        OptionError: There is nothing of that name.
    """
    wanted = name.removesuffix("()").removesuffix("?")
    parts = [_function_text(function) for function in library.functions(wanted)]
    parts += [f"probe {found}\n{paragraphs(alias.doc)}" for found, alias in _aliases(wanted, library)]
    word = wanted if wanted in WORDS else f"@{wanted}"
    if word in WORDS:
        form, meaning = WORDS[word]
        parts.append(f"{form}\n{paragraphs(meaning)}")
    if not parts:
        known = [*library.function_names, *library.alias_names, *WORDS]
        hint = near_hint(wanted, known) or "%ktrace probes 'PATTERN' lists probe points"
        raise OptionError(f"nothing is known of {name!r}", hint=hint)
    return "\n\n".join(part.rstrip("\n") for part in dict.fromkeys(parts))


def _aliases(name: str, library: Library) -> list[tuple[str, tree.Alias]]:
    return list(library.aliases(tuple(name.split("."))))


def _function_text(function: tree.Function) -> str:
    return f"function {signature(function)}\n{paragraphs(function.doc)}"


def paragraphs(doc: str) -> str:
    """A comment's sentences, one thing a line: what it is, each parameter, what it gives."""
    whole = re.sub(r"\s*\n\s*", " ", doc.strip())
    lines = [part.strip() for head in _HEADS.split(whole) for part in _PARAMETER.split(head)]
    fill = textwrap.TextWrapper(_WIDTH, initial_indent="  ", subsequent_indent="    ").fill
    return "\n".join(fill(line) for line in lines if line)
