"""A trace without a kernel: the frames a session would have, made of numbers."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ktrace_nb.stream.histogram import linear_hist, log2_hist
from ktrace_nb.widgets import PanelStatus, ViewData
from ktrace_nb.widgets.source import Action

BEYOND_INT32 = 5_000_000_000
"""A count that wraps when it is sent as int32."""


class Synthetic:
    """A source whose frames are functions of its age.

    Args:
        views: Which of its views it has, by name.
        hertz: How often its frames change; 0 keeps them as they are at ``age``.
        age: The generation of its frames at first.
        losses: What it says to have lost.
        seconds: When it ends by itself.
    """

    name = "vfs_read"

    def __init__(
        self,
        views: Sequence[str] = ("latency", "by device", "by process", "printed"),
        *,
        hertz: float = 20,
        age: int = 1,
        losses: tuple[tuple[str, int], ...] = (),
        seconds: float = float("inf"),
    ) -> None:
        self.views = views
        self.hertz = hertz
        self.age = age
        self.losses = losses
        self.seconds = seconds
        self.started = time.monotonic()
        self.stopped_at: float | None = None
        self.requests: list[tuple[Action, str]] = []
        self.asked = 0
        """How often its frames were asked for."""

    def elapsed_s(self) -> float:
        """Seconds it has run."""
        end = self.stopped_at or time.monotonic()
        return min(end - self.started, self.seconds)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.stopped_at is not None or self.elapsed_s() >= self.seconds

    def status(self) -> PanelStatus:
        age = self.generation()
        return PanelStatus(
            state="done" if self.over else "running",
            elapsed_s=self.elapsed_s(),
            message="stopped" if self.stopped_at else "",
            losses=self.losses,
            hits=age * 1000,
            cost_ns=85.3,
        )

    def request_stop(self) -> None:
        self.stopped_at = self.stopped_at or time.monotonic()

    def request(self, action: Action, argument: str = "") -> None:
        """Note what was asked for."""
        self.requests.append((action, argument))

    def generation(self) -> int:
        """The number of the frames it shows now."""
        return self.age + int(self.elapsed_s() * self.hertz)

    def view_data(self) -> Sequence[ViewData]:
        self.asked += 1
        age = self.generation()
        return [self.view(name, age) for name in self.views]

    def view(self, name: str, age: int) -> ViewData:
        """One of its views at an age."""
        buckets = np.arange(1, 25)
        bell = np.exp(-((buckets - 12) ** 2) / 8) + 0.2 * np.exp(-((buckets - 20) ** 2) / 4)
        counts = np.floor(age * 1000 * bell).astype(np.uint64)
        match name:
            case "latency":
                return ViewData(
                    name=name, kind="histogram", frame=log2_hist(buckets, counts, unit="ns"), generation=age
                )
            case "large":
                frame = log2_hist([10, 12], np.array([BEYOND_INT32, 2**31], dtype=np.uint64), unit="bytes")
                return ViewData(name=name, kind="histogram", frame=frame, generation=age)
            case "by cpu":
                frame = linear_hist([0, 1, 2, 3], [age, 2 * age, 0, age])
                options = {"scale": "linear", "label": "CPU"}
                return ViewData(name=name, kind="histogram", frame=frame, generation=age, options=options)
            case "by depth":
                # Far more buckets than bars can be told apart.
                depths = np.arange(0, 7_000, 3)
                waiting = np.floor(age * 100 * np.exp(-depths / 900)).astype(np.uint64)
                frame = linear_hist(depths, waiting)
                options = {"scale": "linear", "label": "depth"}
                return ViewData(name=name, kind="histogram", frame=frame, generation=age, options=options)
            case "by device":
                devices = ["sda", "nvme0n1", "<b>vda"]
                frame = log2_hist(
                    np.tile(buckets, 3),
                    np.concatenate([counts, counts // 3, counts // 7]),
                    unit="bytes",
                    keys={"device": np.repeat(devices, len(buckets))},
                )
                return ViewData(name=name, kind="histogram", frame=frame, generation=age)
            case "by process":
                return ViewData(
                    name=name,
                    kind="table",
                    frame=process_table(age),
                    generation=age,
                    options={"sort": "bytes"},
                )
            case "printed":
                lines = [f'{n}: openat("/etc/passwd")\t<b>\x1b[31m = {n}' for n in range(age)]
                frame = pd.DataFrame({"text": pd.Series(lines, dtype=object)})
                return ViewData(name=name, kind="text", frame=frame, generation=age)
        raise LookupError(name)


def process_table(age: int) -> pd.DataFrame:
    """Forty processes; the last one holds the largest unsigned integer."""
    number = np.arange(40)
    sizes = (number * age * 1_000_003).astype(np.uint64)
    sizes[39] = 2**64 - 1
    return pd.DataFrame(
        {
            "comm": pd.Categorical([f"proc-{n:02}" for n in range(39)] + ["<img src=x onerror=alert(1)>"]),
            "pid": number + 1000,
            "bytes": sizes,
            "mean_us": number * 1.5,
        }
    )
