"""Scheduler events as columns of numbers, ready to be made into spells."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.window import time_column

STATES = (
    "running",
    "runnable",
    "sleeping",
    "disk sleep",
    "stopped",
    "tracing stop",
    "parked",
    "idle",
)
"""What a task may be about, by number."""

RUNNING, RUNNABLE, SLEEPING = range(3)
GONE = -1
"""The state of a task that runs no more."""

_BY_BIT = (SLEEPING, 3, 4, 5, GONE, GONE, 6, 7)
"""By the bits of ``prev_state``: S, D, T, t, X, Z, P, I."""

_RAW_IDLE = 0x402
"""``TASK_IDLE`` as it stands in ``task->__state``: uninterruptible, and no load."""


def state_numbers(prev_state: NDArray[np.int64]) -> NDArray[np.int8]:
    """The number of the state, or :data:`GONE`, for values of ``prev_state``.

    The highest bit decides, as in ``__task_state_index()``; none is a task that could have gone on.
    """
    table = np.full(256, RUNNABLE, np.int8)
    for value in range(1, 256):
        table[value] = _BY_BIT[value.bit_length() - 1]
    states: NDArray[np.int8] = table[prev_state & 0xFF]
    states[prev_state == _RAW_IDLE] = STATES.index("idle")
    return states


class Names:
    """Names by number; the same name has the same number always."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def numbers(self, values: pd.Series[Any]) -> NDArray[np.int32]:
        """The number of each, -1 of what is missing."""
        column = values.array if isinstance(values.dtype, pd.CategoricalDtype) else pd.Categorical(values)
        assert isinstance(column, pd.Categorical)
        table = np.array([*map(self._number, column.categories), -1], np.int32)
        return table[np.asarray(column.codes)]  # -1 is the last of the table

    def _number(self, value: object) -> int:
        name = str(value)
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Columns of the same length, the first of which is the time."""

    at: NDArray[np.int64]

    def part(self, which: Any) -> Self:
        """Some of the rows, by mask, slice or numbers."""
        return type(self)(*(getattr(self, field.name)[which] for field in fields(self)))

    def followed_by(self, other: Self) -> Self:
        """These rows and others."""
        columns = (field.name for field in fields(self))
        return type(self)(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in columns))

    def by_time(self) -> Self:
        """The same by time, stable."""
        if (self.at[1:] >= self.at[:-1]).all():
            return self
        return self.part(np.argsort(self.at, kind="stable"))


@dataclass(frozen=True, slots=True)
class Switches(_Columns):
    """Events ``sched_switch``."""

    cpu: NDArray[np.int16]
    prev: NDArray[np.int32]
    next: NDArray[np.int32]
    prev_comm: NDArray[np.int32]
    next_comm: NDArray[np.int32]
    state: NDArray[np.int8]
    label: NDArray[Any]

    @classmethod
    def of(cls, frame: pd.DataFrame, names: Names, *, by: str | None, states: bool) -> Switches:
        """The rows of a frame that tell a time, a CPU and both tasks.

        Raises:
            ValueError: A column is missing.
        """
        wanted = ["cpu", "prev_pid", "next_pid", *(["prev_state"] if states else [])]
        at, good = _times(frame, by, wanted, "sched_switch")
        values = {name: _whole(frame[name], good) for name in wanted}
        state = state_numbers(values["prev_state"]) if states else np.zeros(len(good), np.int8)
        columns = cls(
            at,
            values["cpu"].astype(np.int16),
            values["prev_pid"].astype(np.int32),
            values["next_pid"].astype(np.int32),
            _comms(frame, "prev_comm", names),
            _comms(frame, "next_comm", names),
            state,
            np.asarray(frame.index if frame.index.nlevels == 1 else frame.index.to_flat_index()),
        )
        return columns if good.all() else columns.part(good)


@dataclass(frozen=True, slots=True)
class Wakeups(_Columns):
    """Events ``sched_wakeup``."""

    tid: NDArray[np.int32]
    comm: NDArray[np.int32]

    @classmethod
    def of(cls, frame: pd.DataFrame | None, names: Names, *, by: str | None) -> Wakeups:
        """The rows of a frame that tell a time and a task; none for None.

        Raises:
            ValueError: A column is missing.
        """
        if frame is None:
            return cls(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))
        at, good = _times(frame, by, ["pid"], "sched_wakeup")
        tid = _whole(frame["pid"], good).astype(np.int32)
        columns = cls(at, tid, _comms(frame, "comm", names))
        return columns if good.all() else columns.part(good)


class Held:
    """Events that wait for those of other CPUs that come late.

    Args:
        settle_ns: Until events so much younger have come, nanoseconds.
    """

    def __init__(self, settle_ns: int) -> None:
        self._settle_ns = settle_ns
        self._switches: Switches | None = None
        self._wakeups: Wakeups | None = None
        self._horizon: int | None = None
        self._newest: int | None = None

    def put(self, switches: Switches, wakeups: Wakeups) -> int:
        """Take in events; say how many came too late and are left out."""
        late = 0
        if self._horizon is not None:
            kept = switches.at >= self._horizon, wakeups.at >= self._horizon
            late = int((~kept[0]).sum() + (~kept[1]).sum())
            switches, wakeups = switches.part(kept[0]), wakeups.part(kept[1])
        self._switches = self._switches.followed_by(switches) if self._switches else switches
        self._wakeups = self._wakeups.followed_by(wakeups) if self._wakeups else wakeups
        for at in (switches.at, wakeups.at):
            if len(at):
                self._newest = max(int(at.max()), self._newest if self._newest is not None else int(at[0]))
        return late

    def settled(self, *, all_of_them: bool = False) -> tuple[Switches, Wakeups] | None:
        """Those that wait no more, by time; None if there are none."""
        if self._newest is None or self._switches is None or self._wakeups is None:
            return None
        horizon = self._newest + 1 if all_of_them else self._newest - self._settle_ns
        ready = self._switches.at < horizon, self._wakeups.at < horizon
        if not ready[0].any() and not ready[1].any():
            return None
        out = self._switches.part(ready[0]).by_time(), self._wakeups.part(ready[1]).by_time()
        self._switches, self._wakeups = self._switches.part(~ready[0]), self._wakeups.part(~ready[1])
        self._horizon = max(horizon, self._horizon if self._horizon is not None else horizon)
        return out


def _times(
    frame: pd.DataFrame, by: str | None, wanted: list[str], event: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The time of each event, and which events can be used at all."""
    name = by or time_column(frame)
    missing = [column for column in [*([name] if name else []), *wanted] if column not in frame.columns]
    if name is None or missing:
        what = f"no column {missing[0]!r}" if missing else "no column tells the time; say by=..."
        raise ValueError(f"{what}; events {event} have a time and {', '.join(wanted)}")
    good = np.ones(len(frame), bool)
    for column in (name, *wanted):
        values = frame[column]
        if len(values) and not pd.api.types.is_numeric_dtype(values.dtype):
            raise ValueError(f"column {column!r} holds {values.dtype}, not numbers")
        good &= ~np.asarray(values.isna())
        if values.dtype == np.uint64:
            good &= np.asarray(values <= np.uint64(2**63 - 1))
        elif values.dtype.kind == "f":
            good &= np.asarray(np.abs(values) < 2.0**63)
    return _whole(frame[name], good), good


def _whole(values: pd.Series[Any], good: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Numbers as int64; those that cannot be used become 0."""
    if not good.all():
        values = values.where(good, 0)
    return values.to_numpy().astype(np.int64)


def _comms(frame: pd.DataFrame, column: str, names: Names) -> NDArray[np.int32]:
    return names.numbers(frame[column]) if column in frame else np.full(len(frame), -1, np.int32)
