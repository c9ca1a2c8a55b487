"""What a page asks of a trace: each click once, and only what is on offer."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets.source import PanelSource, PanelStatus

FORMS = ("csv", "parquet", "json", "html")
"""What ``export`` can be asked to write: every frame in a form, or the picture as a page."""

REMEMBERED = 1000
"""So many clicks are told from their repetitions: a message that takes both ways arrives twice."""

ATTENTION_S = 5.0
"""So long after a click the panel looks for what came of it, even if the trace is over."""


class Asked:
    """The requests of every page of one panel; any thread.

    Args:
        source: Of whom it is asked.
    """

    def __init__(self, source: PanelSource) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._seen: dict[str, None] = {}
        self._last = float("-inf")
        self._refusal: tuple[str, str] | None = None
        self.view = ""
        """Which view asked last; empty if none has."""

    @property
    def recent(self) -> bool:
        """Whether what came of the last request may still be to be seen."""
        return time.monotonic() - self._last < ATTENTION_S

    def take(self, message: Mapping[str, Any]) -> bool:
        """Pass a request on, if it is one and for the first time; say whether it was.

        What is not on offer is refused, and :meth:`notice` says so.

        Args:
            message: ``do`` is an action, ``argument`` what it needs, ``id`` the click's own,
                ``view`` where it was.
        """
        click = message.get("id")
        if "do" not in message or not isinstance(click, str) or not self._is_new(click):
            return False
        self._last = time.monotonic()
        self.view = str(message.get("view", ""))
        said = ""
        try:
            status = self._source.status()
            said = status.notice
            self._pass_on(status, str(message["do"]), str(message.get("argument", "")))
        except Exception as problem:
            # In the kernel's control thread: an exception would go to its log, where nobody looks.
            self._refusal = said, str(problem)
        else:
            self._refusal = None
        return True

    def notice(self, status: PanelStatus) -> str:
        """What came of the last request, here or in the trace, whichever is news."""
        refusal = self._refusal
        return refusal[1] if refusal is not None and refusal[0] == status.notice else status.notice

    def _pass_on(self, status: PanelStatus, action: str, argument: str) -> None:
        offered = next((known for known in status.actions if known == action), None)
        if offered is None:
            raise ValueError(f"{action!r} cannot be asked of this trace now")
        if offered in ("on", "off"):
            # What the page knows of a name is how it is shown.
            names = [p.name for p in status.probes if p.switchable and printable(p.name) == argument]
            if not names:
                raise ValueError(f"there is no probe {argument!r} to switch {offered}")
            argument = names[0]
        elif offered == "export":
            if argument not in FORMS:
                raise ValueError(f"cannot export as {argument!r}; there are {', '.join(FORMS)}")
        else:
            argument = ""
        self._source.request(offered, argument)

    def _is_new(self, click: str) -> bool:
        with self._lock:
            if click in self._seen:
                return False
            self._seen[click] = None
            if len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]
            return True
