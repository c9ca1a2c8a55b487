"""How fast the transitions of a state machine happen."""

from __future__ import annotations

import time
from collections import deque

from ktrace_nb.widgets.machine import StateGraph

RATE_S = 2.0
"""A rate is over so long a time."""


class LinkRates:
    """How fast transitions happen, over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[tuple[str, str], int]]] = deque()

    def of(self, graph: StateGraph) -> list[float]:
        """Of each transition, per second."""
        now = time.monotonic()
        names = [state.name for state in graph.states]
        counts = {(names[link.start], names[link.end]): link.count for link in graph.links}
        while len(self._seen) > 1 and self._seen[1][0] <= now - RATE_S:
            self._seen.popleft()
        self._seen.append((now, counts))
        at, before = self._seen[0]
        apart = now - at
        return [
            max(0.0, (count - before.get(pair, 0)) / apart) if apart > 0 else 0.0
            for pair, count in counts.items()
        ]
