"""The head of a panel as words: what the live header, the static picture and the text say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets.source import PanelStatus, State
from ktrace_nb.widgets.ticks import time_label


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """Everything the head of a panel says, printable."""

    name: str
    state: State
    message: str
    elapsed_s: float
    losses: tuple[str, ...]
    """One phrase per reason, e.g. ``412 lost: ring full``."""

    hits: int | None
    cost: str
    """What tracing cost, e.g. ``85 ns per hit, 0.3 % of a CPU``; empty if not known."""

    stoppable: bool

    @property
    def loss(self) -> str:
        """``complete``, or what is missing."""
        return ", ".join(self.losses) or "complete"

    @property
    def text(self) -> str:
        """The headline as one line of text."""
        parts = [self.name, self.state, f"{self.elapsed_s:,.1f} s", self.loss]
        if self.message:
            parts[1] = f"{self.state}: {self.message}"
        if self.hits is not None:
            parts.append(f"{self.hits:,} hits")
        if self.cost:
            parts.append(self.cost)
        return " | ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the live header; ``hits`` as text too, for JavaScript rounds above 2**53."""
        return {
            "name": self.name,
            "state": self.state,
            "message": self.message,
            "elapsed_s": self.elapsed_s,
            "losses": list(self.losses),
            "hits": None if self.hits is None else float(self.hits),
            "hits_text": "" if self.hits is None else f"{self.hits:,}",
            "cost": self.cost,
            "stoppable": self.stoppable,
        }


def headline(name: str, status: PanelStatus) -> Headline:
    """Put a status into words."""
    return Headline(
        name=printable(name),
        state=status.state,
        message=printable(status.message),
        elapsed_s=status.elapsed_s,
        losses=tuple(f"{count:,} lost: {printable(reason)}" for reason, count in status.losses if count),
        hits=status.hits,
        cost=_cost(status),
        stoppable=status.stoppable and status.state == "running",
    )


def _cost(status: PanelStatus) -> str:
    parts = []
    if status.cost_ns is not None:
        parts.append(f"{time_label(status.cost_ns * 1e-9)} per hit")
    if status.cpu_share is not None:
        parts.append(f"{100 * status.cpu_share:.2g} % of a CPU")
    return ", ".join(parts)
