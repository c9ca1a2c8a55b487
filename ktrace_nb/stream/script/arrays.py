"""Globals of a script: numbers, strings, statistics, and arrays of them.

What generated code asks of a global is in the protocols; the classes here keep
their values beside the notebook, others keep them in the kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeAlias

from ktrace_nb.ir.script import GlobalVariable, HistogramShape, Type
from ktrace_nb.stream.script.errors import ScriptError
from ktrace_nb.stream.script.statistics import Statistics
from ktrace_nb.stream.script.values import Key, Value


class ScalarStore(Protocol):
    """A number or a string."""

    def get(self) -> Value:
        """What it is."""

    def set(self, value: Value) -> None:
        """Make it another."""

    def reset(self) -> None:
        """Make it what it was at first."""


class StatisticsStore(Protocol):
    """Statistics that are no array."""

    def accumulate(self, value: int) -> None:
        """Take a number in."""

    def stat(self) -> Statistics:
        """All that was taken in; not to be changed."""

    def reset(self) -> None:
        """Forget all."""


class ArrayStore(Protocol):
    """Values by key. A key is a tuple, also where it has one part."""

    def get(self, key: Key) -> Value:
        """The entry's number or string; 0 or an empty string if there is none, which makes none."""

    def set(self, key: Key, value: Value) -> None:
        """Make or change an entry.

        Raises:
            ScriptError: The array is full.
        """

    def accumulate(self, key: Key, value: int) -> None:
        """Take a number into the entry's statistics.

        Raises:
            ScriptError: The array is full.
        """

    def stat(self, key: Key) -> Statistics:
        """The entry's statistics, not to be changed; those of nothing if there is none."""

    def contains(self, key: Key) -> bool:
        """Whether there is an entry."""

    def delete(self, key: Key) -> None:
        """Remove an entry if there is one."""

    def clear(self) -> None:
        """Remove all."""

    def items(self) -> Iterable[tuple[Key, Value | Statistics]]:
        """All entries, the oldest first."""

    def __len__(self) -> int: ...


Store: TypeAlias = ScalarStore | StatisticsStore | ArrayStore
Entries: TypeAlias = dict[Key, Value | Statistics]
"""All of a global's values: of a scalar one, whose key is empty."""


class Scalar:
    """A number or a string beside the notebook.

    Args:
        initial: Its first value.
    """

    def __init__(self, initial: Value) -> None:
        self._value = initial
        self._initial = initial

    def get(self) -> Value:
        """What it is."""
        return self._value

    def set(self, value: Value) -> None:
        """Make it another."""
        self._value = value

    def reset(self) -> None:
        """Make it what it was at first."""
        self._value = self._initial

    @property
    def entries(self) -> Entries:
        """Its value; may be set, to nothing for the first value."""
        return {(): self._value}

    @entries.setter
    def entries(self, entries: Entries) -> None:
        value = entries.get((), self._initial)
        assert not isinstance(value, Statistics)
        self._value = value


class ScalarStatistics:
    """Statistics beside the notebook.

    Args:
        shapes: The histograms to keep.
    """

    def __init__(self, shapes: Sequence[HistogramShape] = ()) -> None:
        self._shapes = shapes
        self._statistics = Statistics(shapes)

    def accumulate(self, value: int) -> None:
        """Take a number in."""
        self._statistics.add(value)

    def stat(self) -> Statistics:
        """All that was taken in."""
        return self._statistics

    def reset(self) -> None:
        """Forget all."""
        self._statistics = Statistics(self._shapes)

    @property
    def entries(self) -> Entries:
        """The statistics, if anything was taken in; may be set."""
        return {(): self._statistics} if self._statistics.count else {}

    @entries.setter
    def entries(self, entries: Entries) -> None:
        value = entries.get(()) or Statistics(self._shapes)
        assert isinstance(value, Statistics)
        self._statistics = value


class Array:
    """Values by key beside the notebook, in the order in which the entries were made.

    Args:
        absent: What is read where there is no entry: 0 or an empty string.
        size: Entries it may have.
        size_given: Whether the script says so, and not the limit of the language.
        wraps: Whether a new entry takes the place of the oldest when it is full.
        shapes: Of statistics, the histograms to keep.
    """

    def __init__(
        self,
        absent: Value = 0,
        *,
        size: int,
        size_given: bool = False,
        wraps: bool = False,
        shapes: Sequence[HistogramShape] = (),
    ) -> None:
        self.entries: Entries = {}
        """All there are; may be replaced."""
        self._absent = absent
        self._size = size
        self._size_given = size_given
        self._wraps = wraps
        self._shapes = shapes

    def get(self, key: Key) -> Value:
        """The entry's value; without an entry the absent one, which makes none."""
        return self.entries.get(key, self._absent)  # type: ignore[return-value]

    def set(self, key: Key, value: Value) -> None:
        """Make or change an entry.

        Raises:
            ScriptError: The array is full.
        """
        if key not in self.entries and len(self.entries) >= self._size:
            self._make_room()
        self.entries[key] = value

    def accumulate(self, key: Key, value: int) -> None:
        """Take a number into the entry's statistics.

        Raises:
            ScriptError: The array is full.
        """
        statistics = self.entries.get(key)
        if statistics is None:
            if len(self.entries) >= self._size:
                self._make_room()
            statistics = self.entries[key] = Statistics(self._shapes)
        statistics.add(value)  # type: ignore[union-attr]

    def _make_room(self) -> None:
        if not self._wraps:
            raise overflow(self._size if self._size_given else 0)
        del self.entries[next(iter(self.entries))]

    def stat(self, key: Key) -> Statistics:
        """The entry's statistics; those of nothing if there is none."""
        return self.entries.get(key) or Statistics(self._shapes)  # type: ignore[return-value]

    def contains(self, key: Key) -> bool:
        """Whether there is an entry."""
        return key in self.entries

    def delete(self, key: Key) -> None:
        """Remove an entry if there is one."""
        self.entries.pop(key, None)

    def clear(self) -> None:
        """Remove all."""
        self.entries.clear()

    def items(self) -> Iterable[tuple[Key, Value | Statistics]]:
        """All entries, the oldest first."""
        return self.entries.items()

    def __len__(self) -> int:
        return len(self.entries)


def overflow(size: int = 0) -> ScriptError:
    """What is raised where an array is full, in SystemTap's words.

    Args:
        size: As the script declares it; 0 for the language's limit.
    """
    return ScriptError(f"Array overflow, check {f'size limit ({size})' if size else 'MAXMAPENTRIES'}")


def store_of(variable: GlobalVariable, most: int) -> Scalar | ScalarStatistics | Array:
    """A place beside the notebook for a global.

    Args:
        variable: The global.
        most: Entries of an array that has no size of its own (``MAXMAPENTRIES``).
    """
    absent: Value = "" if variable.type is Type.STRING else 0
    if variable.keys:
        return Array(
            absent,
            size=variable.size or most,
            size_given=variable.size > 0,
            wraps=variable.wraps,
            shapes=variable.histograms,
        )
    if variable.type is Type.STATISTICS:
        return ScalarStatistics(variable.histograms)
    return Scalar(absent if variable.initial is None else variable.initial)
