"""The health of a kernel, row by row: what the live board, its picture and its text say."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets.ticks import count_label
from ktrace_nb.widgets.units import MISSING, format_quantity

STATES = ("ok", "low", "high", "drift")
"""What a lamp can say; anything else is shown as a word beside a lamp that is off."""

PARTS = 200
"""So many parts of a piece are shown."""

Label: TypeAlias = tuple[str, str]
"""Name of a piece, and of the part of it; the latter is empty for the piece as a whole."""

_LEVELS = ("name", "part")
_COLUMNS = (
    *("title", "unit", "kind", "level", "source", "drift", "relative", "slack", "moves"),
    *("rate", "least", "most", "state"),
)


@dataclass(frozen=True, slots=True)
class Band:
    """Where a number is within its band, on a scale from 0 to 1 that is somewhat wider than the band."""

    start: float
    end: float
    at: float
    """Beyond the scale it stands at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRow:
    """A piece as a whole, or a part of it; everything printable."""

    label: Label
    name: str
    title: str
    under: bool
    """Whether it is folded under the piece above it."""

    state: str
    parts: int = 0
    troubled: str = ""
    """What is not well among the parts, e.g. ``1 drift``; empty if all is."""

    level: str
    rate: str
    drift: str
    band: Band | None
    band_text: str
    tell: str
    """All of it in a line, with every digit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A frame as it is shown."""

    rows: tuple[BoardRow, ...]
    foot: str
    at_s: tuple[float, ...]
    """When the rates of the last minutes were told, seconds."""

    past: Mapping[Label, Sequence[float | None]]
    """The rates of a row at these moments: each is the mean since the moment before."""


def board_of(frame: pd.DataFrame) -> Board:
    """Lay a frame of health out.

    Args:
        frame: As :func:`ktrace_nb.widgets.health_board` says; with ``attrs["past"]`` of
            :class:`ktrace_nb.widgets.board_past.Past` it has a past.

    Raises:
        ValueError: A column or a level of the index is missing.
    """
    for name in _LEVELS:
        if name not in frame.index.names:
            raise ValueError(f"a health board needs the index level {name!r}")
    for name in _COLUMNS:
        if name not in frame.columns:
            raise ValueError(f"a health board needs the column {name!r}")
    columns = {name: frame[name].tolist() for name in _COLUMNS}
    labels = labels_of(frame)
    by_name: dict[str, list[int]] = {}
    for place, (name, _) in enumerate(labels):
        by_name.setdefault(name, []).append(place)
    rows: list[BoardRow] = []
    hidden = 0
    for places in by_name.values():
        # The whole before its parts, in whatever order they come; sorting keeps that of equals.
        ordered = sorted(places, key=lambda place: labels[place][1] != "")
        whole = labels[ordered[0]][1] == ""
        parts = ordered[1:] if whole else ordered
        hidden += max(0, len(parts) - PARTS)
        states = [_word(columns["state"][place]) for place in parts]
        for place in [*(ordered[:1] if whole else ()), *parts[:PARTS]]:
            values = {name: column[place] for name, column in columns.items()}
            is_head = whole and place == ordered[0]
            rows.append(
                _row(labels[place], values, states=states if is_head else (), under=whole and not is_head)
            )
    past = frame.attrs.get("past") or {"at_s": [], "rates": {}}
    return Board(
        rows=tuple(rows),
        foot=_foot(rows, hidden, frame.attrs.get("ktrace", {}).get("over_s")),
        at_s=tuple(past["at_s"]),
        past={label: past["rates"].get(label[0], {}).get(label[1], ()) for label in labels},
    )


def labels_of(frame: pd.DataFrame) -> list[Label]:
    """Of each row of a frame which piece and which part it is."""
    names, parts = (frame.index.get_level_values(level) for level in _LEVELS)
    return [(str(name), str(part)) for name, part in zip(names, parts, strict=True)]


def _row(label: Label, values: Mapping[str, Any], *, states: Sequence[str], under: bool) -> BoardRow:
    unit = printable(str(values["unit"]))
    is_counter = values["kind"] == "counter"
    least, most = (_bound(values[name]) for name in ("least", "most"))
    per = "/s" if is_counter else ""
    name = printable(label[1] if under else " ".join(filter(None, label)))
    return BoardRow(
        label=label,
        name=name,
        title=printable(str(values["title"])),
        under=under,
        state=_word(values["state"]),
        parts=len(states),
        troubled=_counted(state for state in states if state != "ok"),
        level=count_label(int(values["level"])),
        rate=format_quantity(values["rate"], "per_s"),
        drift=_drift(int(values["drift"]), float(values["relative"])),
        band=_band(least, most, float(values["rate" if is_counter else "level"])),
        band_text=_band_text(least, most, per),
        tell=_tell(label, values, unit=unit, band=_band_text(least, most, per, exact=True)),
    )


def _word(state: object) -> str:
    return printable(str(state)) if isinstance(state, str) and state else "unknown"


def _bound(value: object) -> float | None:
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) else None


def _counted(states: Iterable[str]) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in sorted(Counter(states).items()))


def _drift(drift: int, relative: float) -> str:
    if not drift:
        return "0"
    sign = "+" if drift > 0 else "\N{MINUS SIGN}"
    return f"{sign}{count_label(abs(drift))} · {format_quantity(abs(relative), 'share')}"


def _band(least: float | None, most: float | None, value: float) -> Band | None:
    """Bands of two ends take the middle; one that is open ends where the scale does."""
    if (least is None and most is None) or not math.isfinite(value):
        return None
    if least is not None and most is not None:
        width = most - least or abs(most) or 1.0
        low, high = least - width / 4, most + width / 4
    elif most is not None:
        low, high = min(0.0, most), max(0.0, most) + abs(most or 1.0) / 4
    else:
        assert least is not None
        low, high = min(0.0, least), max(0.0, least) + abs(least or 1.0)

    def place(number: float) -> float:
        return round(min(1.0, max(0.0, (number - low) / (high - low))), 3)

    return Band(
        0.0 if least is None else place(least),
        1.0 if most is None else place(most),
        place(value),
    )


def _band_text(least: float | None, most: float | None, per: str, *, exact: bool = False) -> str:
    def written(bound: float) -> str:
        return f"{bound:,.12g}" if exact else count_label(bound)

    if least is not None and most is not None:
        return f"{written(least)} to {written(most)}{per}"
    if most is not None:
        return f"≤ {written(most)}{per}"
    return "" if least is None else f"≥ {written(least)}{per}"


def _tell(label: Label, values: Mapping[str, Any], *, unit: str, band: str) -> str:
    drift, slack, moves = (int(values[name]) for name in ("drift", "slack", "moves"))
    rate = float(values["rate"])
    facts = [
        f"{printable(' '.join(filter(None, label)))}: {_word(values['state'])}",
        printable(str(values["title"])),
        f"{int(values['level']):,} {unit}".rstrip(),
        f"the kernel tells {int(values['source']):,}",
        f"drift {drift:,} of {moves:,} moved, uncertain by {slack:,}",
        f"{rate:,.1f}/s" if math.isfinite(rate) else f"rate {MISSING}",
    ]
    return " · ".join([*filter(None, facts), *([f"band {band}"] if band else [])])


def _foot(rows: Sequence[BoardRow], hidden: int, over_s: object) -> str:
    heads = [row for row in rows if not row.under]
    if not heads:
        return "no pieces"
    what = "piece" if len(heads) == 1 else "pieces"
    bad = [f"{row.name} {row.state}" for row in heads if row.state != "ok"]
    within = [f"parts of {row.name} {row.troubled}" for row in heads if row.state == "ok" and row.troubled]
    told = [f"{len(heads):,} {what}: {', '.join([*bad, *within]) or 'all ok'}"]
    if hidden:
        told.append(f"{hidden:,} parts not shown")
    if isinstance(over_s, (int, float)) and over_s > 0:
        told.append(f"compared over {over_s:,.0f} s")
    return "; ".join(told)
