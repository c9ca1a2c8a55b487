"""Two accounts of one number, and how far they are apart.

Both cannot be read at once. So the counters are read, then the kernel's files, then the counters
again. What was added and what was taken away only grow; therefore, at the moment of the files,

    up before - down after  <=  counted  <=  up after - down before

The kernel's number less what was counted is the *offset*. It is a constant, what the number was
when counting began, for as long as nothing is missed. Every reading bounds it, and readings made
in a row bound it together: where events fall differently, what is common to all is narrow.

Over an interval the accounts agree if the bounds at both ends have a value in common. The *drift* is
by how much they have not, the *slack* how wide they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moves:
    """The counters of a row."""

    up: int = 0
    down: int = 0

    @property
    def net(self) -> int:
        """What they come to."""
        return self.up - self.down

    def __add__(self, other: Moves) -> Moves:
        return Moves(self.up + other.up, self.down + other.down)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Both accounts, read once."""

    before: Moves
    after: Moves
    told: int
    """The kernel's number."""

    at_ns: int
    """``CLOCK_MONOTONIC`` when that was read."""

    @property
    def least(self) -> int:
        """The least that the offset can be."""
        return self.told - self.after.up + self.before.down

    @property
    def most(self) -> int:
        """The most."""
        return self.told - self.before.up + self.after.down


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Both accounts, read several times in a row."""

    moves: Moves
    told: int
    at_ns: int
    least: int
    most: int

    def __add__(self, other: Look) -> Look:
        return Look(
            moves=self.moves + other.moves,
            told=self.told + other.told,
            at_ns=self.at_ns,
            least=self.least + other.least,
            most=self.most + other.most,
        )


def together(readings: Sequence[Reading], *, only_above: bool = False) -> Look:
    """What readings in a row tell.

    Args:
        readings: Oldest first, at least one.
        only_above: Whether the kernel may tell too much: then the reading that tells least
            over the counters counts alone.
    """
    last = readings[-1]
    if only_above:
        bound = min(readings, key=lambda r: r.least + r.most)
        least, most = bound.least, bound.most
    else:
        least, most = max(r.least for r in readings), min(r.most for r in readings)
        if least > most:  # something was missed meanwhile
            least, most = last.least, last.most
    return Look(moves=last.after, told=last.told, at_ns=last.at_ns, least=least, most=most)


def total(looks: Iterable[Look]) -> Look:
    """The sum of parts."""
    first, *rest = looks
    for look in rest:
        first += look
    return first


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two accounts did in an interval."""

    added: int
    moves: int
    """Everything that was added and everything that was taken away."""

    told: int
    """The kernel's number at the end."""

    drift: int
    """What was counted less what the kernel tells, as little as it can be."""

    slack: int
    """What the drift is uncertain by."""

    seconds: float

    @property
    def level(self) -> int:
        """The kernel's number at the start and what was counted until ``told``, nearest to that."""
        return self.told + self.drift

    @property
    def relative(self) -> float:
        """The drift as a share of all moves; without moves that of one."""
        return self.drift / max(1, self.moves)


def compare(start: Look, now: Look) -> Comparison:
    """Compare both accounts over the interval between two looks."""
    low, high = now.least - start.most, now.most - start.least
    began, ended = start.moves, now.moves
    return Comparison(
        added=ended.up - began.up,
        moves=ended.up + ended.down - began.up - began.down,
        told=now.told,
        drift=-low if low > 0 else -high if high < 0 else 0,
        slack=high - low,
        seconds=(now.at_ns - start.at_ns) / 1e9,
    )
