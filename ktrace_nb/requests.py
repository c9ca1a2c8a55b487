"""What a session is asked for by other threads, in order."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ktrace_nb.errors import OptionError


@dataclass(frozen=True, slots=True)
class Request:
    """Something that the thread of a session is to do."""

    action: str
    argument: str = ""
    done: Future[Any] = field(default_factory=Future, compare=False)
    """Gets what comes of it."""


class Requests:
    """A queue that may be closed; from then on everything in it and every new request is refused."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Request] = deque()
        self._refusal = ""

    def put(self, request: Request) -> None:
        """Append a request.

        Raises:
            OptionError: The queue is closed.
        """
        with self._lock:
            if self._refusal:
                raise _refused(self._refusal)
            self._waiting.append(request)

    def next(self) -> Request | None:
        """Take the oldest; None if there is none."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def close(self, why: str) -> None:
        """Refuse what waits and what comes yet."""
        with self._lock:
            self._refusal = why
            waiting, self._waiting = list(self._waiting), deque()
        for request in waiting:
            request.done.set_exception(_refused(why))


def _refused(why: str) -> OptionError:
    return OptionError(why, hint="run the cell again for a new session; frames and snapshot() stay")
