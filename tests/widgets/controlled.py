"""A trace without a kernel that obeys: what a session would do at a click."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ktrace_nb.widgets import Panel, PanelStatus
from ktrace_nb.widgets.source import Action, ProbeStatus
from tests.widgets.synthetic import Synthetic

PROBES = ("vfs_read", "vfs_write", "<b>read\x1b")


class Controlled(Synthetic):
    """A source that can be paused, reset, switched, exported and kept.

    Its frames and its clock stand still while it is paused. ``panel`` is told of snapshots.

    Args:
        views: As of :class:`Synthetic`.
        actions: What it can be asked for.
        obeys: Whether it does what it is asked for; it notes every request all the same.
    """

    def __init__(
        self,
        views: Sequence[str] = ("latency", "by process"),
        *,
        actions: Sequence[Action] = ("pause", "resume", "reset", "on", "off", "export", "snapshot"),
        obeys: bool = True,
        cpu_share: float | None = 0.0087,
        **options: Any,
    ) -> None:
        super().__init__(views, **options)
        self.actions = frozenset(actions)
        self.obeys = obeys
        self.cpu_share = cpu_share
        self.panel: Panel | None = None
        self.notice = ""
        self.off: set[str] = set()
        self.kept = 0
        self.at: dict[str, float] = {}
        """When each action was asked for last, seconds since the epoch."""

        self._paused_at: float | None = None
        self._base = self.age

    def elapsed_s(self) -> float:
        if self._paused_at is not None and self.stopped_at is None:
            return min(self._paused_at - self.started, self.seconds)
        return super().elapsed_s()

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._paused_at is not None

    def probes(self) -> tuple[ProbeStatus, ...]:
        """Three probes, the first of which has half of the hits; the last cannot be switched."""
        hits = self.generation() * 1000
        shares = (hits // 2, hits // 2, 0)
        return tuple(
            ProbeStatus(
                name=name,
                hits=count,
                ns_per_hit=(number + 1) * 85.3 if count else None,
                cpu_share=0.004 * number,
                missed=12_345 * number,
                on=name not in self.off,
                switchable=number < 2,
            )
            for number, (name, count) in enumerate(zip(PROBES, shares, strict=True))
        )

    def status(self) -> PanelStatus:
        age = self.generation()
        return PanelStatus(
            state="done" if self.over else "running",
            elapsed_s=self.elapsed_s(),
            message="stopped" if self.stopped_at else "",
            losses=self.losses,
            hits=age * 1000,
            cost_ns=85.3,
            cpu_share=self.cpu_share,
            paused=self.paused,
            probes=self.probes(),
            actions=self.actions,
            notice=self.notice,
        )

    def request(self, action: Action, argument: str = "") -> None:
        super().request(action, argument)
        self.at[action] = time.time()
        if not self.obeys:
            return
        match action:
            case "pause":
                self._paused_at = self._paused_at or time.monotonic()
            case "resume":
                if self._paused_at is not None:
                    self.started += time.monotonic() - self._paused_at
                self._paused_at = None
            case "reset":
                self.age -= self.generation() - self._base
                self.notice = f"reset at {self.elapsed_s():.3f} s"
            case "off":
                self.off.add(argument)
            case "on":
                self.off.discard(argument)
            case "export":
                self.notice = f"wrote {Path('trace-latency').with_suffix('.' + argument)}"
            case "snapshot":
                self.notice = f"kept as source.kept[{self.kept}]"
                if self.panel is not None:
                    self.panel.insert_snapshot(f"kept = {self.kept}  # source.kept[{self.kept}]")
                self.kept += 1
