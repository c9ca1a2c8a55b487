"""Which kstats, and which statistics of them: globs, regular expressions, operands.

A pattern between two slashes is a regular expression of Python's ``re``, found anywhere in the
word; every other pattern is a glob that must cover the whole word. Globs are those of gmatch():
``*``, ``?``, ``[a-z]``, ``[!a-z]``, and a backslash takes the next character for itself, also
between brackets; a glob whose bracket does not close matches nothing.

An operand ``module:instance:name:statistic`` may end early. An empty part is any, in an operand and
elsewhere (so the manual page, and kstat as a Perl script; in illumos' C an empty ``-m`` matches
nothing). Several operands are alternatives, in the order given; a class is asked for besides.

A regular expression can be written that takes ages for a long name. That is not bounded: who
waits is who wrote it, and ``re`` looks for signals while it works, so Ctrl-C ends it. Globs are
matched without going back over what was matched, in any case in time of at most the product of
the lengths.

Source: illumos kstat(8), gmatch(3GEN), and the behaviour of ``usr/src/cmd/stat/kstat/kstat.c``
(patterns ``/.../``, operands) and ``usr/src/lib/libgen/common/gmatch.c``.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from ktrace_nb.diagnostics import Problem
from ktrace_nb.errors import OptionError
from ktrace_nb.kstat.model import BUILT_IN, Id, Kstat
from ktrace_nb.source import Source, Span

FIELDS = ("module", "instance", "name", "statistic")
"""The parts of an operand, in order."""

_NOTHING = "(?!)"
_POSIX_CLASS = re.compile(r"\[:\^?[a-z]+:\]")


class PatternError(OptionError):
    """A pattern is no regular expression; carries the place in the word it was written in."""

    def __init__(self, message: str, source: Source, span: Span, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.source = source
        self.span = span

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The error with its place."""
        return (Problem(self.message, self.source, self.span, hint=self.hint),)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A glob or a ``/regular expression/``."""

    text: str
    """As it was written."""

    _match: Callable[[str], object] = field(repr=False, compare=False)

    @classmethod
    def of(cls, text: str, source: Source | None = None, start: int = 0) -> Pattern:
        """Read a pattern.

        Args:
            text: The pattern.
            source: The word it is part of, for messages.
            start: Where in that word it begins.

        Raises:
            PatternError: It stands between slashes and is no regular expression.
        """
        if len(text) >= 2 and text[0] == text[-1] == "/":
            return cls(text, _regex(text[1:-1], source or Source(text, "pattern"), start + 1).search)
        return cls(text, re.compile(_glob(text), re.DOTALL).fullmatch)

    def matches(self, word: str) -> bool:
        """Whether it matches."""
        return self.text == "*" or self._match(word) is not None


def _regex(body: str, source: Source, start: int) -> re.Pattern[str]:
    posix = _POSIX_CLASS.search(body)
    if posix is not None:
        raise PatternError(
            f"regular expressions are those of Python, which has no {posix[0]}",
            source,
            Span(start + posix.start(), start + posix.end()),
            hint=r"e.g. 0-9 or \d for [:digit:], a-z for [:lower:], \s for [:space:]",
        )
    try:
        with warnings.catch_warnings():
            # Of "[[": here it is the character it will always have been.
            warnings.simplefilter("ignore", FutureWarning)
            return re.compile(body)
    except re.error as error:
        reason, at = error.msg, start + (error.pos or 0)
    except (OverflowError, RecursionError) as error:
        reason, at = str(error), start
    raise PatternError(f"bad regular expression: {reason}", source, Span(at, at + 1))


def _glob(text: str) -> str:
    """The regular expression that matches what a glob does."""
    between: list[list[str]] = [[]]  # what stands between the stars, one entry per character
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*":
            between.append([])
            continue
        if char == "[":
            found = _bracket(text, at)
            if found is None:
                return _NOTHING
            one, at = found
        elif char == "\\":
            if at == len(text):
                return _NOTHING
            one = re.escape(text[at])
            at += 1
        else:
            one = "." if char == "?" else re.escape(char)
        between[-1].append(one)
    first, *rest = ["".join(part) for part in between]
    if not rest:
        return first
    *middle, last = rest
    # The first place that fits is as good as any later one, so none needs to be tried again.
    return first + "".join(f"(?>.*?{part})" for part in middle if part) + ".*" + last


def _bracket(text: str, at: int) -> tuple[str, int] | None:
    """The set whose inside begins at ``at``, and where it ends; None if it does not close."""
    negated = text.startswith("!", at)
    at += negated
    parts: list[str] = []
    before = ""

    def character() -> str:
        nonlocal at
        at += text.startswith("\\", at)
        at += 1
        return text[at - 1 : at]

    while at < len(text):
        if text[at] == "]" and before:
            return f"[{'^' if negated else ''}{''.join(parts)}]", at + 1
        if text[at] == "-" and before and not text.startswith("]", at + 1):
            at += 1
            last = character()
            if before <= last:
                parts.append(f"{re.escape(before)}-{re.escape(last)}")
        else:
            last = character()
        parts.append(re.escape(last))
        before = last
    return None


ANY = Pattern.of("*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """One operand: all four must match."""

    module: Pattern = ANY
    instance: Pattern = ANY
    name: Pattern = ANY
    statistic: Pattern = ANY

    @classmethod
    def of(cls, text: str) -> Selector:
        """Read ``module[:instance[:name[:statistic]]]``.

        Raises:
            OptionError: More than four parts.
            PatternError: A part is no regular expression.
        """
        source, parts, at = Source(text, "operand"), {}, 0
        words = text.split(":")
        if len(words) > len(FIELDS):
            hint = "a colon within a pattern needs -m, -i, -n or -s" if "/" in text else None
            raise OptionError(f"expected module:instance:name:statistic, found {text!r}", hint=hint)
        for name, word in zip(FIELDS, words, strict=False):
            if word:
                parts[name] = Pattern.of(word, source, at)
            at += len(word) + 1
        return cls(**parts)

    def kstat(self, id: Id) -> bool:
        """Whether it matches a kstat by its name."""
        return (
            self.module.matches(id.module)
            and self.instance.matches(str(id.instance))
            and self.name.matches(id.name)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What was asked for: any of the selectors, of a class."""

    selectors: tuple[Selector, ...] = (Selector(),)
    class_: Pattern = ANY

    @classmethod
    def of(
        cls,
        *operands: str,
        module: str | None = None,
        instance: str | int | None = None,
        name: str | None = None,
        statistic: str | None = None,
        class_: str | None = None,
    ) -> Selection:
        """Read operands, or patterns for the parts; nothing selects everything, and so does an empty text.

        Args:
            operands: ``module:instance:name:statistic``, alternatives.
            module: Pattern for the module; this and the next three are ANDed.
            instance: Pattern for the instance, or the instance.
            name: Pattern for the name.
            statistic: Pattern for the name of a statistic.
            class_: Pattern for the class; also beside operands.

        Raises:
            OptionError: Operands and patterns for parts, or an operand of more than four parts.
            PatternError: A pattern is no regular expression.
        """
        given = dict(zip(FIELDS, (module, instance, name, statistic), strict=True))
        asked = {part: str(text) for part, text in given.items() if text is not None}
        if operands and asked:
            raise OptionError(
                f"operands and a pattern for the {next(iter(asked))}: one of them at a time",
                hint="module:instance:name:statistic holds all four",
            )
        parts = {part: Pattern.of(text, Source(text, part)) for part, text in asked.items() if text}
        return cls(
            selectors=tuple(Selector.of(text) for text in operands) or (Selector(**parts),),
            class_=Pattern.of(class_, Source(class_, "class")) if class_ else ANY,
        )

    def kstat(self, id: Id, class_: str) -> bool:
        """Whether a kstat is of interest, whatever its statistics."""
        return self.class_.matches(class_) and any(one.kstat(id) for one in self.selectors)

    def concerns(self, kstat: Kstat) -> bool:
        """Whether a kstat is of interest, or the error of something built in that may have been."""
        return self.kstat(kstat.id, kstat.class_) or (kstat.id.module == BUILT_IN and bool(kstat.error))

    def statistic(self, name: str) -> bool:
        """Whether a statistic of that name may be of interest, whatever the kstat."""
        return any(one.statistic.matches(name) for one in self.selectors)

    def narrow(self, kstats: Iterable[Kstat]) -> list[Kstat]:
        """The kstats of interest, each with only the data that are."""
        narrowed = []
        for kstat in kstats:
            if not self.concerns(kstat):
                continue
            patterns = [one.statistic for one in self.selectors if one.kstat(kstat.id)]
            data = {k: v for k, v in kstat.data.items() if any(p.matches(k) for p in patterns)}
            narrowed.append(replace(kstat, data=data))
        return narrowed


everything = Selection()
"""Selects all."""
