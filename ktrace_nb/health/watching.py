"""Watching pieces of a kernel's health."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from ktrace_nb import engine
from ktrace_nb.engine import DEFAULT_TARGET, Options
from ktrace_nb.errors import (
    KTraceError,
    OptionError,
    ProbeNotFoundError,
    RemoteError,
    StreamError,
    TargetError,
)
from ktrace_nb.governor import EXPIRE_S
from ktrace_nb.health.counting import Counting, read_words
from ktrace_nb.health.frame import Row, health_frame
from ktrace_nb.health.model import TOTAL, Piece
from ktrace_nb.health.pieces import choose
from ktrace_nb.health.program import MOVES, Placed, place, points, program
from ktrace_nb.health.reading import Look, Reading, compare, together, total
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kstat.files import Files, Snapshot
from ktrace_nb.source import Source
from ktrace_nb.targets.base import Target, get_target

if TYPE_CHECKING:
    import pandas as pd

ROUNDS = 4
"""How often both accounts are read for a look, by default."""

_START_ROUNDS = 12  # what every later look is compared with
_SETTLE_MODE = 0o600

Looks = Sequence[Mapping[str, Look]]
"""Of every piece its parts by label."""


class Watch:
    """Pieces that are watched; made by :func:`watch`.

    Args:
        target: Where.
        pieces: What.
        needed: Names of those that must be there; others that the kernel lacks are left out.
        expire_s: Seconds after which it ends if nobody ended it.
    """

    def __init__(
        self, target: Target, pieces: Sequence[Piece], *, needed: Container[str], expire_s: float
    ) -> None:
        self._files = Files(target.connection.call)
        self._call = target.connection.call
        self._lock = threading.Lock()
        self.left_out: dict[str, str] = {}
        """Pieces that the kernel lacks, and why."""
        facts = engine.facts_of(target)
        self._placed = self._place(target, facts, pieces, needed)
        source = Source(program(self._placed, facts), "health")
        options = Options(name="health", target=target.name, expire_s=expire_s)
        built = engine.compile_for(target, engine.lower(source, options), options)
        self.session = Counting(options.name, target, facts, built, options)
        """What counts: its ledger, what its probes cost, its text in ``built.program.source``."""
        self.session.start()
        try:
            self._start = self._last = self._now = self._look(_START_ROUNDS)
        except BaseException:
            self.session.stop()
            raise

    def _place(
        self, target: Target, facts: KernelFacts, pieces: Sequence[Piece], needed: Container[str]
    ) -> Sequence[Placed]:
        ceilings = [path for piece in pieces if piece.ceiling for path in piece.ceiling.files]
        told = self._files.read([*paths_of(pieces), *ceilings])
        placed: list[Placed] = []
        for piece in (_bounded(piece, told) for piece in pieces):
            try:
                rows = piece.rows(piece.account.parse(told))
                constants = piece.constants(facts, lambda addresses: read_words(target, addresses))
                one = place(piece, rows, constants, after=placed)
                points([one], facts)
            except (OptionError, ProbeNotFoundError, StreamError) as error:
                if piece.name in needed:
                    raise
                self.left_out[piece.name] = error.message
            else:
                placed.append(one)
        if not placed:
            raise OptionError("this kernel has none of these pieces")
        return placed

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """What is watched."""
        return tuple(one.piece for one in self._placed)

    def frame(self, *, rounds: int = ROUNDS) -> pd.DataFrame:
        """Both accounts, compared; the last comparison once the session is over.

        Args:
            rounds: How often both are read: the more, the less ``slack``.

        Returns:
            As :func:`ktrace_nb.health.frame.health_frame`, a row for each part of a piece and
            one for the piece as a whole. ``attrs["ktrace"]`` as of every frame, of all
            probes together, and ``over_s``, seconds since the start.

        Raises:
            TargetError: The target is out of reach.
            StreamError: The kernel does not tell its numbers.
        """
        with self._lock:
            try:
                looks = self._look(rounds) if self.session.running else self._now
            except TargetError:
                if self.session.running:
                    raise
                looks = self._now  # it ended meanwhile
            if looks is not self._now:
                self._last, self._now = self._now, looks
            return self._frame()

    def begin_anew(self) -> None:
        """Compare from now on: level, drift and moves forget what was before.

        Raises:
            TargetError: The target is out of reach.
        """
        with self._lock:
            self._start = self._last = self._now = self._look(_START_ROUNDS)

    def stop(self) -> None:
        """Compare a last time and end the session; safe to call twice.

        Raises:
            TargetError: The target did not confirm in time.
        """
        if self.session.running:
            with contextlib.suppress(KTraceError):  # it ends whatever the kernel tells
                self.frame()
        self.session.stop()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        names = ", ".join(piece.name for piece in self.pieces)
        return f"<Watch of {names}: {self.session.state}>"

    def _look(self, rounds: int) -> Looks:
        found = [self._read() for _ in range(max(1, rounds))]
        return [
            {
                label: together([one[n][label] for one in found], only_above=placed.piece.account.only_above)
                for label in found[0][n]
                if all(label in one[n] for one in found)
            }
            for n, placed in enumerate(self._placed)
        ]

    def _read(self) -> list[dict[str, Reading]]:
        for path in dict.fromkeys(path for piece in self.pieces for path in piece.account.settle):
            with contextlib.suppress(RemoteError):  # a kernel without the file has not the number either
                self._call("put", b"1", path=path, mode=_SETTLE_MODE)
        before = self.session.moves()
        told = self._files.read(paths_of(self.pieces))
        after = self.session.moves()
        found = []
        for one in self._placed:
            numbers = one.piece.account.parse(told)
            found.append(
                {
                    label: Reading(
                        before=before[one.first + row],
                        after=after[one.first + row],
                        told=numbers[label],
                        at_ns=told.monotonic_ns,
                    )
                    for label, row in one.rows.items()
                    if label in numbers
                }
            )
        return found

    def _frame(self) -> pd.DataFrame:
        rows: list[Row] = []
        for one, start, last, now in zip(self._placed, self._start, self._last, self._now, strict=True):
            # What came or went meanwhile, as an interrupt of a disk, has nothing to be compared with.
            labels = [label for label in now if label in start and label in last]
            whole = [total([looks[label] for label in labels]) for looks in (start, last, now) if labels]
            if labels and labels != [TOTAL]:
                rows.append(_row(one.piece, TOTAL, *whole))
            rows += [_row(one.piece, label, start[label], last[label], now[label]) for label in labels]
        frame = health_frame(rows)
        lost = self.session.losses
        frame.attrs["ktrace"] = {
            **self.session.frame(MOVES).attrs["ktrace"],
            "lost": lost,
            "complete": not lost,
            "over_s": max((row.since_start.seconds for row in rows), default=0.0),
        }
        return frame


def paths_of(pieces: Iterable[Piece]) -> list[str]:
    """Files to be read, first those that have the kernel add up others."""
    accounts = [piece.account for piece in pieces]
    first = [path for account in accounts for path in account.refresh]
    return [*dict.fromkeys([*first, *(path for account in accounts for path in account.files)])]


def _bounded(piece: Piece, told: Snapshot) -> Piece:
    """A piece with the upper end of its band that this kernel tells, if it does."""
    if piece.most is None and piece.ceiling is not None:
        with contextlib.suppress(StreamError):
            return replace(piece, most=float(piece.ceiling.parse(told)[TOTAL]))
    return piece


def _row(piece: Piece, part: str, start: Look, last: Look, now: Look) -> Row:
    return Row(piece=piece, part=part, since_start=compare(start, now), since_last=compare(last, now))


def watch(
    target: str | Target = DEFAULT_TARGET,
    pieces: Iterable[str | Piece] = ("*",),
    *,
    expire_s: float = EXPIRE_S,
) -> Watch:
    """Watch pieces of a kernel's health: attach exactly their probes, and read both accounts.

    Args:
        target: Where, by name or as it is.
        pieces: Names of built-in pieces and pieces of one's own. Names may be globs: what they stand
            for and the kernel lacks is left out, see :attr:`Watch.left_out`.
        expire_s: Seconds after which it ends if nobody ended it.

    Raises:
        OptionError: There is no such piece or target.
        ProbeNotFoundError: The kernel lacks where a piece changes.
        StreamError: The kernel does not tell a piece's number.
        LoadError: The kernel refused a program.
        TargetError: The target is out of reach.
    """
    wanted = [pieces] if isinstance(pieces, str) else list(pieces)
    chosen = choose(wanted)
    needed = {one.name if isinstance(one, Piece) else one for one in wanted}
    found = get_target(target) if isinstance(target, str) else target
    return Watch(found, chosen, needed=needed, expire_s=expire_s)
