"""What may stand at the cursor of a script: probe points, variables, functions, words.

Everything comes from the tapset and from facts of kernels that are known already;
nothing is booted for it, and nothing that takes long is looked up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from ktrace_nb.errors import KTraceError
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.catalog import (
    Listed,
    call_form,
    members,
    members_of_type,
    plain_library,
    probe_points,
    signatures,
)
from ktrace_nb.lang.stap.language_words import WORDS
from ktrace_nb.lang.stap.library import Library
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.lang.stap.points_trace import events
from ktrace_nb.lang.stap.script import library_for
from ktrace_nb.magics.script_cursor import Cursor, aliases_in, cursor_in, points_of
from ktrace_nb.source import Source

MOST = 200
"""Offers at most: beyond that nobody reads them."""
_MANY = 60
"""Beyond so many probe points their next parts are offered, not the whole."""

_STARTS = {
    "begin": "", "end": "", "error": "", "never": "", "oneshot": "",
    "timer.s(": "seconds", "timer.ms(": "milliseconds", "timer.us(": "microseconds",
    "timer.hz(": "times a second", "timer.profile": "each CPU",
    'kernel.function("': "function", 'kernel.trace("': "tracepoint", 'kernel.statement("': "function+offset",
    'module("': "module", 'process("': "program",
    "perf.sw.cpu_clock.sample(": "counter", "perf.hw.cpu_cycles.sample(": "counter",
}  # fmt: skip
_OF_FUNCTION = ("call", "return", "maxactive(", "exported")
_OF_MODULE = ('function("', 'statement("')
_OF_PROCESS = ('function("', 'mark("', "begin", "end", "syscall", "thread.begin", "thread.end")
_TOP = ("probe", "global", "function", "private", "@define")
_IN_BODY = tuple(w for w in WORDS if w.isidentifier() or w[0] in "@$")

_FUNCTION = re.compile(
    r'(?:kernel|kprobe|module\(\s*"(?P<module>[^"]*)"\s*\))'
    r'\.(?:function|statement)\(\s*"(?P<name>[^"@+]*)$'
)
_TRACE = re.compile(r'kernel\.trace\(\s*"(?P<name>[^"]*)$')
_MODULE = re.compile(r'module\(\s*"(?P<name>[^"]*)$')
_SUFFIX = re.compile(
    r"(?P<of>function|statement|module|process|maxactive)\([^()]*\)(?:\.\w+)*\.(?P<name>\w*)$"
)
_DOTTED = re.compile(r"(?P<name>[\w.]*)$")
_MEMBER = re.compile(
    r'(?:(?P<variable>\$\w+)|@cast\([^"]*"(?P<type>[\w ]+)"[^()]*\))'
    r"(?P<steps>(?:->\w+|\[[^\]]*\])*)->(?P<name>\w*)$"
)
_WORD = re.compile(r"(?P<name>(?:@|\$\$?)?\w*)$")
_STEP = re.compile(r"->(\w+)|(\[)")
_ASSIGNED = re.compile(
    r"\b([A-Za-z_]\w*)\s*(?:\+\+|--|<<<|[-+*/%|&^.]?=(?![=~]))"  # an assignment
    r"|\bforeach\s*\(([^)]*?)\bin\b"
)
_GLOBAL = r"\w+\s*%?(?:\[\d+\])?%?(?:\s*=\s*[^\s,;]+)?"
_GLOBALS = re.compile(rf"\b(?:global|private)\s+({_GLOBAL}(?:\s*,\s*{_GLOBAL})*)")
_FUNCTIONS = re.compile(r"\bfunction\s+(\w+)\s*(?::\s*(\w+))?\s*\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that may stand at the cursor."""

    text: str
    type: str = ""


@dataclass(frozen=True, slots=True)
class Offers:
    """All that may."""

    typed: str
    """What of it is there already: it is replaced."""
    offers: tuple[Offer, ...] = ()


def complete_script(text: str, cursor: int, facts: KernelFacts | None, others: str = "") -> Offers:
    """What may stand at a place of a script.

    Args:
        text: The script.
        cursor: Offset in it.
        facts: A kernel that is known, for its functions, tracepoints and types.
        others: Text of further pieces of the script.
    """
    at = cursor_in(text[:cursor])
    known = f"{others}\n{text}"
    try:
        if at.where == "point":
            return _limited(*_points(at.before, facts, known))
        if at.where == "body":
            return _limited(*_body(at, facts, known, text))
        if at.where == "top":
            typed = _WORD.search(at.before)
            return _limited(typed["name"] if typed else "", [Offer(word, "keyword") for word in _TOP])
    except KTraceError:
        pass  # a kernel that does not answer, a point that is not finished
    return Offers("")


def _limited(typed: str, offers: Iterable[Offer]) -> Offers:
    found: dict[str, Offer] = {}
    for offer in offers:
        if offer.text.startswith(typed) and len(found) < MOST:
            found.setdefault(offer.text, offer)
    return Offers(typed, tuple(found.values()))


# --- probe points ------------------------------------------------------------------------


def _points(before: str, facts: KernelFacts | None, known: str) -> tuple[str, Iterable[Offer]]:
    if match := _FUNCTION.search(before):
        return match["name"], _functions(match["name"], match["module"], facts)
    if match := _TRACE.search(before):
        return match["name"], _tracepoints(match["name"], facts)
    if match := _MODULE.search(before):
        return match["name"], [Offer(m, "module") for m in sorted(facts.modules)] if facts else []
    if match := _SUFFIX.search(before):
        words = {"process": _OF_PROCESS, "module": _OF_MODULE}.get(match["of"], _OF_FUNCTION)
        return match["name"], [Offer(word, "suffix") for word in words]
    match = _DOTTED.search(before)
    typed = match["name"] if match else ""
    own = [str(name) for alias in _parsed(known).aliases for name in alias.names]
    aliases = [name for name in (*own, *_library(facts).alias_names) if name.startswith(typed)]
    starts = [Offer(start, meaning or "probe") for start, meaning in _STARTS.items()]
    if len(aliases) > _MANY:
        parts = (_next_part(name, typed) for name in aliases)
        return typed, [*starts, *(Offer(part, "probe") for part in dict.fromkeys(parts))]
    return typed, [*starts, *(Offer(name, "probe") for name in aliases)]


def _next_part(name: str, typed: str) -> str:
    """A name up to the next dot behind what is typed, the dot included."""
    dot = name.find(".", len(typed))
    return name if dot < 0 else name[: dot + 1]


def _functions(beginning: str, module: str | None, facts: KernelFacts | None) -> Iterator[Offer]:
    if facts is None:
        return
    for name in facts.functions_matching(f"{beginning}*"):
        of = facts.traceable.get(name, "")
        if module is None or fnmatchcase(of, module):
            yield Offer(name, of or "kernel")


def _tracepoints(beginning: str, facts: KernelFacts | None) -> Iterable[Offer]:
    if facts is None:
        return []
    if ":" in beginning:
        return [Offer(name.replace("/", ":", 1), "tracepoint") for name in sorted(facts.tracepoints)]
    return [Offer(name, "tracepoint") for name in _events(facts)]


@lru_cache(maxsize=4)
def _events(facts: KernelFacts) -> list[str]:
    return events(facts)


# --- bodies ------------------------------------------------------------------------------


def _body(at: Cursor, facts: KernelFacts | None, known: str, text: str) -> tuple[str, Iterable[Offer]]:
    if match := _MEMBER.search(at.before):
        steps = tuple(name or "[]" for name, _ in _STEP.findall(match["steps"]))
        return match["name"], [Offer(n, t) for n, t in _members(match, steps, at, facts, known)]
    match = _WORD.search(at.before)
    typed = match["name"] if match else ""
    listed = _context(at.points, facts, known)
    if typed.startswith("$"):
        targets = [Offer(name, type_) for name, type_ in listed.targets] if listed else []
        return typed, [*targets, *(Offer(word, "text") for word in _IN_BODY if word.startswith("$"))]
    if typed.startswith("@"):
        return typed, [Offer(word, "operator") for word in _IN_BODY if word.startswith("@")]
    offers = [Offer(name, type_) for name, type_ in listed.variables] if listed else []
    offers += [Offer(name, "global") for name in _globals(known)]
    offers += [Offer(name, call_form(of, type_)) for name, type_, of in _FUNCTIONS.findall(known)]
    offers += [Offer(name, "variable") for name in _assigned(text) if name != typed]
    offers += [Offer(name, form) for name, form in signatures().items()]
    offers += [Offer(word, "keyword") for word in _IN_BODY if word.isidentifier()]
    return typed, offers


def _members(
    match: re.Match[str], steps: tuple[str, ...], at: Cursor, facts: KernelFacts | None, known: str
) -> list[tuple[str, str]]:
    if match["type"]:
        return members_of_type(facts, match["type"], steps) if facts else []
    listed = _context(at.points, facts, known)
    if listed is None or listed.context is None:
        return []
    return members(listed.context, match["variable"], steps)


def _context(header: str, facts: KernelFacts | None, known: str) -> Listed | None:
    """What the first of some points offers."""
    points = points_of(header)
    if not points or facts is None:
        return None
    # The text counts for the aliases in it: mostly there are none, and it changes with every key.
    return _listed(points[0], facts, known if aliases_in(known) else "")


@lru_cache(maxsize=32)
def _listed(point: str, facts: KernelFacts, known: str) -> Listed | None:
    library, script = library_for(facts), _parsed(known)
    found = probe_points(_one_of(point, facts, library), facts, library, script)
    return found[0] if found else None


def _one_of(point: str, facts: KernelFacts, library: Library) -> str:
    """One point that a pattern means: resolving all would take too long."""
    if '"' not in point:
        return next((name for name in library.alias_names if fnmatchcase(name, point)), point)
    match = re.search(r'function\("(?P<name>[^"@]*[*?][^"@]*)', point)
    if match is None:
        return point
    names = facts.functions_matching(match["name"])
    return f"{point[: match.start('name')]}{names[0]}{point[match.end('name') :]}" if names else point


# --- what the cell itself declares -------------------------------------------------------


def _library(facts: KernelFacts | None) -> Library:
    return library_for(facts) if facts else plain_library()


@lru_cache(maxsize=8)
def _parsed(text: str) -> tree.Script:
    """The script; while it is unfinished, the aliases in it that are not."""
    try:
        return parse(Source(text))
    except KTraceError:
        return parse(Source("\n".join(filter(_parses, aliases_in(text)))))


def _parses(text: str) -> bool:
    try:
        parse(Source(text))
    except KTraceError:
        return False
    return True


def _globals(text: str) -> list[str]:
    found: list[str] = []
    for declaration in _GLOBALS.findall(text):
        found += re.findall(r"(?:^|,)\s*(\w+)", declaration)
    return [name for name in dict.fromkeys(found) if name not in ("global", "function", "probe")]


def _assigned(text: str) -> list[str]:
    found: list[str] = []
    for name, walked in _ASSIGNED.findall(text):
        found += [name] if name else re.findall(r"[A-Za-z_]\w*", walked)
    return list(dict.fromkeys(found))
