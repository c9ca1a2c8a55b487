"""Progress of anything that may take over two seconds.

Work reports to a :class:`Progress`; only the command line and the magics decide
how it is drawn. ``silent`` draws nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Called as often as the work likes; drawing is throttled by the receiver."""

    def __call__(self, stage: str, done: float = 0, total: float = 0, unit: str = "") -> None:
        """Say where the work is.

        Args:
            stage: What is being done, e.g. ``"downloading packages"``. A new
                stage ends the one before.
            done: How much of it is done, in ``unit``.
            total: How much there is, 0 if not known.
            unit: ``"B"`` for bytes, ``"s"`` for seconds, else a plain noun.
        """


def silent(stage: str, done: float = 0, total: float = 0, unit: str = "") -> None:
    """A :class:`Progress` that draws nothing."""


@contextmanager
def bars() -> Iterator[Progress]:
    """Draw one bar per stage on stderr, or as a widget in a notebook."""
    from tqdm.auto import tqdm

    current: list[tuple[str, tqdm]] = []

    def close() -> None:
        for _, bar in current:
            if bar.total:
                bar.update(bar.total - bar.n)
            bar.close()
        current.clear()

    def report(stage: str, done: float = 0, total: float = 0, unit: str = "") -> None:
        if not current or current[0][0] != stage:
            close()
            bar = tqdm(
                desc=stage,
                total=total or None,
                unit=unit or "it",
                unit_scale=unit == "B",
                unit_divisor=1024,
                file=sys.stderr,
                leave=True,
            )
            current.append((stage, bar))
        bar = current[0][1]
        bar.total = total or None
        bar.update(done - bar.n)

    try:
        yield report
    finally:
        close()
