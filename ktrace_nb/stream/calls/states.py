"""What becomes of calls, and how many of each."""

from __future__ import annotations

from dataclasses import dataclass

OPEN, DONE, NO_RETURN, THREAD_ENDED = range(4)
STATES = ("open", "returned", "no return", "thread ended")
"""Of a call, by the numbers above."""


@dataclass(slots=True)
class Counts:
    """What has become of calls, those not kept included.

    ``calls == open + returned + no_return + thread_ended`` at any time.
    """

    calls: int = 0
    """Entries received."""
    returned: int = 0
    no_return: int = 0
    """The return was missed."""
    thread_ended: int = 0
    unmatched: int = 0
    """Returns whose entry was missed."""
    repaired: int = 0
    """Records of threads that were gone through one by one, because records were missing."""

    @property
    def open(self) -> int:
        """Calls under way."""
        return self.calls - self.returned - self.no_return - self.thread_ended
