"""Calls as text: the way SystemTap's ``thread_indent`` prints them, and as a tree.

:class:`IndentText` writes one line per entry and return, byte for byte what this script prints::

    probe module("ext3").function("*").call { printf("%s -> %s\\n", thread_indent(1), probefunc()) }
    probe module("ext3").function("*").return { printf("%s <- %s\\n", thread_indent(-1), probefunc()) }

:class:`TreeText` has results and durations; calls that made no others take one line::

    ls (1234)
    → ext4_lookup
        ↔ ext4_fname_prepare_lookup      0    5.54 µs
    ← ext4_lookup                  -ENOENT    12.3 µs
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from ktrace_nb.stream.calls.durations import told
from ktrace_nb.stream.calls.feed import ENTERED, UNSEEN, Feed, FrameFeed
from ktrace_nb.stream.calls.store import CallStore
from ktrace_nb.stream.text import printable

_AT_ONCE = 1 << 14
_WIDEST = 120


class IndentText:
    """Lines of a feed, as its steps come.

    Args:
        feed: What happens.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._done = 0
        self._begun: dict[str, int] = {}
        self._open: Counter[str] = Counter()
        self._names: list[tuple[str, str]] = []

    def lines(self) -> Iterator[str]:
        """The lines that have come since the last time.

        The first number is microseconds since the thread's outermost call began; the blanks behind the
        thread's name are as many as the call is deep. Source: SystemTap ``tapset/indent.stp``. What ended
        unseen has no line. Of calls that come when they are over, those around them not yet, each is the
        outermost of its time.
        """
        while (end := min(self._feed.count(), self._done + _AT_ONCE)) > self._done:
            steps = self._feed.steps(self._done, end)
            self._done = end
            columns = (steps.at, steps.function, steps.thread, steps.depth, steps.kind)
            self._learn_names()
            functions = self._feed.functions
            for at, function, thread, depth, kind in zip(*(c.tolist() for c in columns), strict=True):
                name, key = self._names[thread]
                now = at // 1000
                if kind == ENTERED:
                    if not depth or self._open[key] <= 0:
                        self._begun[key] = now
                        self._open[key] = 0
                    self._open[key] += 1
                else:
                    self._open[key] -= 1
                if kind == UNSEEN:
                    continue
                since = now - self._begun.get(key, now)
                arrow = "->" if kind == ENTERED else "<-"
                yield f"{since:6d} {name}:{'':{depth}} {arrow} {functions[function]}"

    def rest(self) -> Iterator[str]:
        """None: an entry had its line."""
        return iter(())

    def _learn_names(self) -> None:
        for text in self._feed.threads[len(self._names) :]:
            comm, _, tid = printable(text).rpartition(" (")
            name = f"{comm}({tid}"
            # A thread that is renamed goes on; of the idle threads each CPU has one, all with the number 0.
            self._names.append((name, tid if tid != "0)" else name))


class Details(Protocol):
    """What the tree shows of a call besides its steps."""

    def arguments_of(self, call: int) -> str:
        """``dir=0xffff888003a1c000, flags=0``."""
        ...

    def result_of(self, call: int) -> str:
        """What it returned, or why that is not known."""
        ...

    def duration_of(self, call: int) -> int:
        """Nanoseconds, -1 if not known."""
        ...


@dataclass(slots=True)
class _Line:
    call: int
    depth: int
    text: str
    is_entry: bool


class TreeText:
    """Lines of a feed as a tree: an outermost call is written when it is over.

    Args:
        feed: What happens.
        details: Of its calls.
        arguments: Whether to show what functions were called with.
    """

    def __init__(self, feed: Feed, details: Details, *, arguments: bool = True) -> None:
        self._feed = feed
        self._details = details
        self._arguments = arguments
        self._done = 0
        self._blocks: dict[int, list[_Line]] = {}
        self._last = -1

    def lines(self) -> Iterator[str]:
        """The outermost calls that have ended since the last time."""
        while (end := min(self._feed.count(), self._done + _AT_ONCE)) > self._done:
            steps = self._feed.steps(self._done, end)
            self._done = end
            columns = (steps.function, steps.thread, steps.depth, steps.kind, steps.call)
            for function, thread, depth, kind, call in zip(*(c.tolist() for c in columns), strict=True):
                block = self._blocks.setdefault(thread, [])
                self._add(block, call, depth, kind, self._feed.functions[function])
                if kind != ENTERED and depth <= block[0].depth:
                    yield from self._written(thread)

    def rest(self) -> Iterator[str]:
        """Calls that have not ended, and those made from them."""
        for thread in list(self._blocks):
            yield from self._written(thread)

    def _add(self, block: list[_Line], call: int, depth: int, kind: int, name: str) -> None:
        if kind == ENTERED:
            called = f"({self._details.arguments_of(call)})" if self._arguments else ""
            block.append(_Line(call, depth, f"→ {name}{called}", True))
        elif block and block[-1].call == call:
            arrow = "⇥" if kind == UNSEEN else "↔"
            block[-1] = _Line(call, depth, f"{arrow}{block[-1].text[1:]}", False)
        else:
            block.append(_Line(call, depth, f"{'⇥' if kind == UNSEEN else '←'} {name}", False))

    def _written(self, thread: int) -> Iterator[str]:
        block = self._blocks.pop(thread)
        if thread != self._last:
            yield printable(self._feed.threads[thread])
            self._last = thread
        least = min(line.depth for line in block)
        ended = {line.call for line in block if not line.is_entry}
        rows = []
        for line in block:
            shown = "    " * (line.depth - least) + line.text
            shows = not line.is_entry or line.call not in ended
            ns = self._details.duration_of(line.call) if shows else -1
            result = self._details.result_of(line.call) if shows else ""
            rows.append((shown, result, told(ns) if ns >= 0 else ""))
        width = min(_WIDEST, max(len(row[0]) for row in rows))
        results = max(len(row[1]) for row in rows)
        for text, result, took in rows:
            yield f"{text:{width}}  {result:>{results}}  {took:>8}".rstrip()


class Writer(Protocol):
    """Makes lines of a feed as its steps come."""

    def lines(self) -> Iterator[str]:
        """Those that have come since the last time."""
        ...

    def rest(self) -> Iterator[str]:
        """Those of what will not end."""
        ...


class NoText:
    """Writes nothing."""

    def lines(self) -> Iterator[str]:
        """None."""
        return iter(())

    def rest(self) -> Iterator[str]:
        """None."""
        return iter(())


def writer(form: str, feed: CallStore | FrameFeed) -> Writer:
    """What writes a feed.

    Args:
        form: ``indent`` (also if empty), ``tree`` or ``none``.
        feed: What happens.
    """
    if form == "none":
        return NoText()
    return TreeText(feed, feed) if form == "tree" else IndentText(feed)


def tree_lines(calls: pd.DataFrame, *, arguments: bool = True) -> Iterator[str]:
    """A frame of calls, or some rows of it, as a tree.

    Args:
        calls: As the frame ``calls``.
        arguments: Whether to show what functions were called with.
    """
    feed = FrameFeed(calls)
    text = TreeText(feed, feed, arguments=arguments)
    yield from text.lines()
    yield from text.rest()
