"""The one thread that writes a panel's widgets.

It lives while somebody looks and the trace runs, and then ends by itself; a
page that comes back starts it again. It prints nothing: output of a thread
lands in whichever cell runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ktrace_nb.widgets.pace import MOST_HZ, Pace, Tick

LOOK_S = 0.5
"""How often it looks whether the trace has ended while a page is being waited for."""


class Publisher:
    """Calls ``publish`` at the pace of the page.

    Args:
        running: Says whether the trace still runs; called often.
        publish: Writes what changed to the widgets and says whether that was
            anything; called by one thread at a time.
        tick: Sends the end of an update after it.
    """

    def __init__(
        self, running: Callable[[], bool], publish: Callable[[], bool], tick: Callable[[Tick], None]
    ) -> None:
        self._running = running
        self._publish = publish
        self._tick = tick
        self._pace = Pace()
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._poked = False
        self._final = False
        self._closed = False

    @property
    def active(self) -> bool:
        """Whether the thread is there."""
        return self._thread is not None

    def hear(self, view: str, tick: int | None, *, direct: bool) -> None:
        """Take an acknowledgement, or with ``None`` a new view; any thread."""
        with self._changed:
            self._pace.hear(view, tick, direct=direct)
            # The last state was acknowledged: there is nothing to follow it.
            if tick is None or not self._final:
                self._wake()

    def leave(self, view: str) -> None:
        """Forget a view that was closed or cannot be seen; any thread."""
        with self._changed:
            self._pace.leave(view)
            self._changed.notify_all()

    def poke(self) -> None:
        """Publish once more, even if the trace is over; any thread."""
        with self._changed:
            self._wake()

    def flush(self) -> bool:
        """Publish now, in the calling thread; say whether anything had changed."""
        with self._writing:
            if self._closed or not self._publish():
                return False
            with self._changed:
                tick = self._pace.sent()
            self._tick(tick)
            return True

    def close(self) -> None:
        """Publish nothing any more and wait until nothing is being written."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        with self._writing:
            pass

    def _wake(self) -> None:
        self._poked = True
        self._changed.notify_all()
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="ktrace panel", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            # Also if it was an exception that ended it: the next message starts another.
            with self._changed:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _serve(self) -> None:
        while True:
            over = not self._running()
            with self._changed:
                due = 0.0 if over else self._pace.due_s()
                # What came in since the last look may have changed the answer.
                settled = (due is None or (over and self._final)) and not self._poked
                if self._closed or settled:
                    self._thread = None
                    return
                self._poked = False
                if due is None:
                    continue
                if due:
                    self._changed.wait(min(due, LOOK_S))
                    continue
            # The last state goes out whatever the page does: once cannot pile up.
            self._final = over
            if not self.flush() and not over:
                with self._changed:
                    self._changed.wait(1 / MOST_HZ)
