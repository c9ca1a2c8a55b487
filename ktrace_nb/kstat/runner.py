"""Calls what may never come back, and goes on without it.

A provider's function is called in a thread of its own, one provider after the other. If
one does not come back in time, its thread is left to it and the next provider gets a new
one. Such a thread costs nothing but its stack; it ends when the function does. So that
they cannot become many, only :data:`MOST_HUNG` of a process are left behind: from then on
nothing is called until one comes back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

MOST_HUNG = 16
"""Threads of a process that may be left to functions that do not come back."""

T = TypeVar("T")
_Call: TypeAlias = Callable[[], None] | None


class HungError(Exception):
    """A function has not come back in time, or nothing more may be called."""


class FailedError(Exception):
    """A function raised; kept apart from what interrupts whoever waits for it."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(cause)
        self.cause = cause


class Runner:
    """Calls functions one after the other in a thread; to be closed by ``with``."""

    _hung = 0
    _lock = threading.Lock()

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call] | None = None

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go()

    def run(self, function: Callable[[], T], timeout_s: float) -> T:
        """Call a function and wait for it.

        Raises:
            HungError: It does not come back in time, or too many others have not.
            FailedError: It raised something.
        """
        future: Future[T] = Future()
        self._queue().put(lambda: _call(function, future))
        try:
            return future.result(timeout_s)
        except FailedError:
            raise
        except TimeoutError:
            self._leave(future)
            raise HungError(f"it did not answer within {timeout_s:g} s") from None
        except BaseException:  # whoever waits was interrupted
            self._leave(future)
            raise

    def _queue(self) -> SimpleQueue[_Call]:
        if self._calls is None:
            if Runner._hung >= MOST_HUNG:
                raise HungError(
                    f"{Runner._hung} providers hang; no other is called until one of them answers"
                )
            self._calls = SimpleQueue()
            threading.Thread(target=_serve, args=(self._calls,), name="ktrace_nb kstat", daemon=True).start()
        return self._calls

    def _leave(self, future: Future[Any]) -> None:
        """Let the thread be as long as it takes, and end."""
        with Runner._lock:
            Runner._hung += 1
        future.add_done_callback(_came_back)
        self._let_go()

    def _let_go(self) -> None:
        if self._calls is not None:
            self._calls.put(None)
            self._calls = None


def _came_back(_: object) -> None:
    with Runner._lock:
        Runner._hung -= 1


def _call(function: Callable[[], T], future: Future[T]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:  # also SystemExit: it is the provider's, not the reader's
        future.set_exception(FailedError(error))


def _serve(calls: SimpleQueue[_Call]) -> None:
    while call := calls.get():
        call()
