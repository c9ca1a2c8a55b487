"""The head of a panel as words: what the live header, the static picture and the text say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets.source import Action, PanelStatus, ProbeStatus, State
from ktrace_nb.widgets.ticks import time_label

Effect: TypeAlias = Literal["", "low", "noticeable", "high"]

LOW = 0.01
"""A trace that costs less than this share of one CPU disturbs little."""

HIGH = 0.05
"""One that costs more disturbs what it measures."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What tracing costs the traced machine, by the kernel's own run statistics."""

    per_hit: str
    """E.g. ``85.3 ns per hit``; empty if not known."""

    share: str
    """Of one CPU, e.g. ``0.87 %``; empty if not known."""

    cpu_share: float | None
    """The same as a number, 1.0 is one CPU, to three digits."""

    @property
    def effect(self) -> Effect:
        """The share in a word; empty if not known."""
        if self.cpu_share is None:
            return ""
        return "low" if self.cpu_share < LOW else "noticeable" if self.cpu_share < HIGH else "high"

    @property
    def text(self) -> str:
        """E.g. ``85.3 ns per hit, 0.87 % of a CPU``; empty if nothing is known."""
        return ", ".join(filter(None, (self.per_hit, f"{self.share} of a CPU" if self.share else "")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """Everything the head of a panel says, printable."""

    name: str
    state: State
    message: str
    elapsed_s: float
    losses: tuple[tuple[str, str], ...]
    """Count and reason of each, e.g. ``("412", "ring full")``."""

    hits: int | None
    costs: Cost
    stoppable: bool
    paused: bool = False
    off: tuple[str, ...] = ()
    """Names of the probes that are switched off."""

    probes: int = 0
    """How many there are."""

    actions: tuple[Action, ...] = ()
    notice: str = ""

    @property
    def word(self) -> str:
        """The state as it is shown: ``paused`` is a way of running."""
        return "paused" if self.paused else self.state

    @property
    def loss(self) -> str:
        """``complete``, or what is missing."""
        return ", ".join(f"{count} lost: {reason}" for count, reason in self.losses) or "complete"

    @property
    def cost(self) -> str:
        """What tracing cost in words; empty if not known."""
        return self.costs.text

    @property
    def switched(self) -> str:
        """Which probes are off, e.g. ``off: vfs_read``; empty if none is."""
        return f"off: {', '.join(self.off)}" if self.off else ""

    @property
    def text(self) -> str:
        """The headline as one line of text."""
        parts = [self.name, self.word, f"{self.elapsed_s:,.1f} s", self.loss]
        if self.message:
            parts[1] = f"{self.word}: {self.message}"
        if self.hits is not None:
            parts.append(f"{self.hits:,} hits")
        return " | ".join([*parts, *filter(None, (self.cost, self.switched))])

    def standing(self) -> dict[str, Any]:
        """What seldom changes, as plain data for the live header."""
        return {
            "name": self.name,
            "state": self.state,
            "paused": self.paused,
            "message": self.message,
            "losses": [list(loss) for loss in self.losses],
            "loss": self.loss,
            "stoppable": self.stoppable,
            "actions": list(self.actions),
            "probes": self.probes,
            "off": len(self.off),
            "notice": self.notice,
        }

    def counts(self) -> dict[str, Any]:
        """What always changes; hits as text, for JavaScript rounds above 2**53."""
        return {
            "elapsed_s": round(self.elapsed_s, 3),
            "hits_text": "" if self.hits is None else f"{self.hits:,}",
            "per_hit": self.costs.per_hit,
            "share": self.costs.share,
            "cpu_share": self.costs.cpu_share,
            "effect": self.costs.effect,
        }

    def as_dict(self) -> dict[str, Any]:
        """Both together."""
        return {**self.standing(), **self.counts()}


def headline(name: str, status: PanelStatus, *, notice: str | None = None) -> Headline:
    """Put a status into words.

    Args:
        name: What the trace is called.
        status: How it stands.
        notice: What to say came of the last action, if not what the status says.
    """
    running = status.state == "running"
    return Headline(
        name=printable(name),
        state=status.state,
        message=printable(status.message),
        elapsed_s=status.elapsed_s,
        losses=tuple((f"{count:,}", printable(reason)) for reason, count in status.losses if count),
        hits=status.hits,
        costs=cost(status.cost_ns, status.cpu_share),
        stoppable=status.stoppable and running,
        paused=status.paused and running,
        off=tuple(printable(probe.name) for probe in status.probes if not probe.on),
        probes=len(status.probes),
        actions=tuple(sorted(status.actions)),
        notice=printable(status.notice if notice is None else notice),
    )


def cost(ns_per_hit: float | None, cpu_share: float | None) -> Cost:
    """Put costs into words.

    Args:
        ns_per_hit: Nanoseconds, None if not known.
        cpu_share: Of one CPU, 1.0 is all of it; None if not known.
    """
    return Cost(
        per_hit="" if ns_per_hit is None else f"{time_label(ns_per_hit * 1e-9)} per hit",
        share="" if cpu_share is None else f"{100 * cpu_share:.2g} %",
        cpu_share=None if cpu_share is None else float(f"{cpu_share:.3g}"),
    )


def probe_row(probe: ProbeStatus) -> list[Any]:
    """A probe as a line of the header's list: texts, and whether it is on and can be switched."""
    known = cost(probe.ns_per_hit, probe.cpu_share)
    return [
        printable(probe.name),
        f"{probe.hits:,}",
        known.per_hit.removesuffix(" per hit"),
        known.share,
        f"{probe.missed:,}" if probe.missed else "",
        probe.on,
        probe.switchable,
    ]
