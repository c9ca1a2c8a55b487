"""A measured state machine of a size that can be read: states, and transitions by how often they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.machines import Machine, machine_of
from ktrace_nb.stream.steps import Codes, Steps, read_steps
from ktrace_nb.stream.text import printable
from ktrace_nb.stream.transitions import Sums, sums_of

MOST_STATES = 40
MOST_LINKS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A state, or all those that have no place of their own."""

    name: str
    """Printable."""

    entered: int
    left: int
    timed: int
    """How often the time in it is known."""

    total_ns: int
    """Time in it, of those that left it."""

    seen: bool
    """Else it is only known of."""

    merged: int = 0
    """How many states it stands for, 0 is one."""

    @property
    def visits(self) -> int:
        """How often something was in it, as far as that was seen."""
        return max(self.entered, self.left)

    @property
    def mean_ns(self) -> float | None:
        """How long something stays in it, on average; None if that is not known."""
        return self.total_ns / self.timed if self.timed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A transition between two of the states."""

    start: int
    end: int
    count: int
    timed: int
    total_ns: int
    unusual: bool
    """Seen, but not in the machine's diagram."""

    @property
    def mean_ns(self) -> float | None:
        """How long the first state lasted before it, on average; None if that is not known."""
        return self.total_ns / self.timed if self.timed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateGraph:
    """What is drawn of a frame."""

    machine: Machine
    states: tuple[State, ...]
    links: tuple[Link, ...]
    hidden: int
    """Pairs of states whose transitions are not drawn."""

    total: int
    """Transitions in all."""

    nameless: int
    """Rows that do not say from which state or to which."""

    out_of_order: int
    """Rows whose time was negative."""

    start: Codes
    """Of each row of the frame which of ``states`` was left, -1 if none."""

    end: Codes
    """And which was entered."""

    def rows(self, states: Sequence[int], links: Sequence[int]) -> NDArray[np.bool_]:
        """Which rows of the frame touch one of the states, or are one of the transitions."""
        found = np.zeros(len(self.start), dtype=bool)
        for state in states:
            found |= (self.start == state) | (self.end == state)
        for number in links:
            link = self.links[number]
            found |= (self.start == link.start) & (self.end == link.end)
        return found

    def marked(self, marks: NDArray[np.bool_]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """States all of whose rows are marked, and transitions of which any row is."""
        states, links = [], []
        for number in range(len(self.states)):
            own = marks[(self.start == number) | (self.end == number)]
            if len(own) and own.all():
                states.append(number)
        for number, link in enumerate(self.links):
            if marks[(self.start == link.start) & (self.end == link.end)].any():
                links.append(number)
        return tuple(states), tuple(links)


def state_graph(
    frame: pd.DataFrame, *, machine: str = "", before: Sequence[str] = (), most: int = MOST_STATES
) -> StateGraph:
    """Add a frame up to states and transitions.

    States beyond the ``most`` visited are one, ``… 12 more states``. Of more than ``MOST_LINKS``
    transitions the most frequent are kept.

    Args:
        frame: See :func:`ktrace_nb.widgets.states`.
        machine: ``tcp``, ``task`` or nothing.
        before: Names of states in the order in which they are to come, others behind them: as
            long as the order stays, so do the places.
        most: How many states get a place of their own.

    Raises:
        ValueError: A column is missing, there is no such machine, or a count is negative.
    """
    known = machine_of(machine)
    steps = read_steps(frame, known)
    names, start, end = _named(steps)
    rows = np.flatnonzero((start >= 0) & (end >= 0))
    width = max(len(names), 1)
    codes, pairs = pd.factorize(start[rows] * width + end[rows])
    sums = sums_of(steps, rows, codes, len(pairs))
    kept, place, rest = _kept(names, known, pairs, sums, before, most)
    first, second = place[pairs // width], place[pairs % width]
    links, hidden = _links(kept, known, first, second, sums)
    outside = np.array([*place.tolist(), -1], dtype=np.int64)  # the last for rows without a state
    return StateGraph(
        machine=known,
        states=_states(kept, rest, first, second, sums),
        links=links,
        hidden=hidden,
        total=sum(sums.count),
        nameless=len(start) - len(rows),
        out_of_order=steps.out_of_order,
        start=outside[start],
        end=outside[end],
    )


def _named(steps: Steps) -> tuple[list[str], Codes, Codes]:
    """The states numbered by what is printed of them."""
    numbers: dict[str, int] = {}
    own = [numbers.setdefault(printable(name) or "(no name)", len(numbers)) for name in steps.names]
    place = np.array([*own, -1], dtype=np.int64)
    return list(numbers), place[steps.start], place[steps.end]


def _kept(
    names: Sequence[str],
    machine: Machine,
    pairs: NDArray[np.int64],
    sums: Sums,
    before: Sequence[str],
    most: int,
) -> tuple[list[str], Codes, int]:
    """The states that are drawn, in order, of each state its place among them, and how many have none."""
    width = max(len(names), 1)
    # States of rows that do not say both are none that can be drawn.
    used = {names[number] for number in np.unique(np.r_[pairs // width, pairs % width]).tolist()}
    visits = {name: 0 for name in names if name in used}
    for pair, count in zip(pairs.tolist(), sums.count, strict=True):
        visits[names[pair // width]] += count
        visits[names[pair % width]] += count
    wanted = set(sorted(visits, key=lambda name: -visits[name])[:most])
    order = dict.fromkeys([*machine.states, *(name for name in before if name in wanted)])
    kept = [*order, *(name for name in names if name in wanted and name not in order)]
    numbers = {name: number for number, name in enumerate(kept)}
    place = np.array([numbers.get(name, len(kept)) for name in names], dtype=np.int64)
    return kept, place, len(visits.keys() - numbers.keys())


def _states(kept: Sequence[str], rest: int, first: Codes, second: Codes, sums: Sums) -> tuple[State, ...]:
    count = len(kept) + (rest > 0)
    entered, left, timed, total = ([0] * count for _ in range(4))
    ends = zip(first.tolist(), second.tolist(), sums.count, sums.timed, sums.total_ns, strict=True)
    seen = set()
    for start, end, number, known, ns in ends:
        if number:
            seen |= {start, end}
        left[start] += number
        entered[end] += number
        timed[start] += known
        total[start] += ns
    more = f"… {rest:,} more {'state' if rest == 1 else 'states'}"
    return tuple(
        State(
            name=name,
            entered=entered[number],
            left=left[number],
            timed=timed[number],
            total_ns=total[number],
            seen=number in seen,
            merged=rest if number == len(kept) else 0,
        )
        for number, name in enumerate([*kept, *([more] if rest else [])])
    )


def _links(
    kept: Sequence[str], machine: Machine, first: Codes, second: Codes, sums: Sums
) -> tuple[tuple[Link, ...], int]:
    """The transitions that are drawn, with those of the diagram not seen; and how many are not."""
    added: dict[tuple[int, int], list[int]] = {}
    ends = zip(first.tolist(), second.tolist(), sums.count, sums.timed, sums.total_ns, strict=True)
    for start, end, *numbers in ends:
        if start == len(kept) == end:
            continue  # among those that have no place of their own
        sum_of = added.setdefault((start, end), [0, 0, 0])
        for place, number in enumerate(numbers):
            sum_of[place] += number
    number_of = {name: number for number, name in enumerate(kept)}
    diagram = {(number_of[start], number_of[end]) for start, end in machine.links}
    most = sorted(added, key=lambda pair: -added[pair][0])[:MOST_LINKS]
    links = []
    for start, end in sorted({*most, *diagram}):
        count, timed, total_ns = added.get((start, end), (0, 0, 0))
        unusual = bool(diagram) and count > 0 and (start, end) not in diagram
        links.append(Link(start=start, end=end, count=count, timed=timed, total_ns=total_ns, unusual=unusual))
    return tuple(links), len(added) - len(most)
