"""The controls of a session: pause, resume, reset, single probes on and off, snapshots.

Nothing is attached or taken away by them. A program looks at its word of a map that
the agent writes as memory (:data:`ktrace_nb.wire.bundle.SWITCH_FD`), and returns at
once if it is off; how often is in the ledger. What is asked for is carried out by the thread
that collects, between two collects, so that no record is half on either side.
"""

from __future__ import annotations

import abc
import datetime
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from ktrace_nb.compiler.build import Built
from ktrace_nb.diagnostics import near_hint
from ktrace_nb.errors import KTraceError, OptionError, RemoteError, TargetError
from ktrace_nb.ir.calls import GRAPH
from ktrace_nb.requests import Request, Requests
from ktrace_nb.results import Results
from ktrace_nb.snapshots import Snapshot
from ktrace_nb.stream.calls.run import WalkRun
from ktrace_nb.stream.outputs import Outputs
from ktrace_nb.stream.script.runtime import ScriptRun
from ktrace_nb.targets.base import Target
from ktrace_nb.wire import bundle as b

SNAPSHOTS = 50
"""Snapshots a session keeps; the oldest go."""

ACTIONS = ("pause", "resume", "reset", "on", "off", "snapshot")

_PATIENCE_S = 60.0
_PASSES = 64
"""Collects until what was sent before is here, at most: programs that tell of threads go on sending."""


class Controlled(Results, abc.ABC):
    """Results that can be held, begun anew and kept.

    Args:
        name: Of the session.
        target: Where it runs.
        built: The compiled cell.
        outputs: Where its results go.
    """

    _id: str
    _script: ScriptRun | None
    _walk: WalkRun | None
    _thread: threading.Thread

    def __init__(self, name: str, target: Target, built: Built, outputs: Outputs) -> None:
        super().__init__(name, target, built, outputs)
        self.notice = ""
        """What came of the last action, one line."""
        self.snapshots: list[Snapshot] = []
        """What :meth:`snapshot` has kept, oldest first."""
        self.actions: dict[str, Callable[[str], str]] = {}
        """Actions of others that :meth:`request` takes besides :data:`ACTIONS`: called with the
        argument, in a thread of their own; what they return becomes :attr:`notice`."""
        self._requests = Requests()
        self._off: set[int] = set()
        """Rows of the switch map that are off, whether paused or not."""
        self._paused_since: float | None = None
        self._paused_s = 0.0
        self._number = 0
        self._taking = threading.Lock()

    # --- to be asked from any thread ----------------------------------------------------------

    def pause(self) -> None:
        """Have every program return at once until :meth:`resume`; nothing is detached.

        When this returns, everything that happened before is in the frames. What happens
        in the meantime is in the ledger as ``while paused``. Timers of a script and what
        its commands print wait as well. Elapsed time goes on, and so do ``--for`` and other limits.

        A walk forgets what was open at its end: such calls have no return. What programs of C keep
        themselves, such as the time of an entry, they find again afterwards.

        Raises:
            OptionError: The session is over, or a program cannot be switched.
            TargetError: The target is out of reach.
        """
        self._demand("pause")

    def resume(self) -> None:
        """Go on after :meth:`pause`; timers of a script go on where they were.

        Raises:
            OptionError: The session is over.
            TargetError: The target is out of reach.
        """
        self._demand("resume")

    def reset(self) -> None:
        """Begin anew: maps are empty, nothing is counted, events, history and text are forgotten.

        Exactly: what came before is in nothing afterwards, what comes then is in everything, and
        ``submitted = delivered + lost`` holds for it. What happened while that was done, some
        milliseconds, is in neither. A script's globals get their first values; its ``begin``
        does not run again, and values of functions that are under way stay. Of calls that are open
        across it the returns are counted as ``unmatched``. Snapshots and what the command wrote stay.

        Raises:
            OptionError: The session is over, or a program cannot be switched.
            TargetError: The target is out of reach.
        """
        self._demand("reset")

    def switch(self, program: str, on: bool) -> None:
        """Switch one probe off or on again; nothing is detached.

        Where a script's probe of a return has one of the entry, both; of a walk all functions.

        Args:
            program: As in the index of :attr:`probes`.
            on: Whether it is to run, when the session is not paused.

        Raises:
            KeyError: No such program, or none that can be switched.
            OptionError: The session is over.
            TargetError: The target is out of reach.
        """
        self._rows_of(program)
        self._demand("on" if on else "off", program)

    def snapshot(self) -> Snapshot:
        """Keep everything as it stands, in :attr:`snapshots` too; also of a session that is over.

        Raises:
            TargetError: The target is out of reach.
        """
        if self._counts:
            try:
                return self._demand("snapshot")  # type: ignore[no-any-return]
            except OptionError:
                pass  # it has just ended
        return self._take_snapshot()

    def request(self, action: str, argument: str = "") -> None:
        """Ask for an action and return at once; what comes of it is told by :attr:`notice`.

        Args:
            action: One of :data:`ACTIONS` or of :attr:`actions`.
            argument: ``on`` and ``off`` take the name of a program.
        """
        own = self.actions.get(action)
        if action == "snapshot" and not self._counts:
            own = self._note_snapshot
        if own is not None:
            name = f"ktrace_nb {self.name} {action}"
            threading.Thread(target=self._perform, args=(own, argument), name=name, daemon=True).start()
            return
        try:
            if action not in ACTIONS:
                known = ", ".join((*ACTIONS, *self.actions))
                raise OptionError(f"nothing can be asked for as {action!r}; there are {known}")
            if action in ("on", "off"):
                self._rows_of(argument)
            self._requests.put(Request(action, argument))
        except (KTraceError, KeyError) as error:
            self.notice = str(error.args[0])

    @property
    def possible(self) -> frozenset[str]:
        """Actions that can be asked for now."""
        found = {"snapshot", *self.actions}
        if self._counts:
            found |= {"resume" if self.paused else "pause", "reset"}
            found |= {"on", "off"} if self.outputs.switches else set()
        return frozenset(found)

    @property
    def paused(self) -> bool:
        """Whether programs return at once for now."""
        return self._paused_since is not None

    @property
    def paused_s(self) -> float:
        """Seconds that the session has been paused, all pauses together."""
        since = self._paused_since
        return self._paused_s + (0.0 if since is None else time.monotonic() - since)

    def is_on(self, program: str) -> bool:
        """Whether a program runs when the session is not paused."""
        return not self._off.intersection(self.outputs.switches.get(program, ()))

    # --- in the thread that collects --------------------------------------------------------------

    def _serve(self) -> None:
        """Carry out what was asked for.

        Raises:
            TargetError: The target is gone.
        """
        while request := self._requests.next():
            try:
                request.done.set_result(self._carry_out(request))
            except (OptionError, RemoteError) as error:
                self.notice = error.message
                request.done.set_exception(error)
            except BaseException as error:
                # The session ends of it, and who waits is told why.
                self.notice = getattr(error, "message", "") or f"{type(error).__name__}: {error}"
                request.done.set_exception(error)
                raise

    def _carry_out(self, request: Request) -> Any:
        if request.action == "snapshot":
            self._ask(True, 0.0)
            if self._script:
                self._script.run_records()
            return self._take_snapshot()
        steps: dict[str, Callable[[], str]] = {
            "pause": self._pause,
            "resume": self._resume,
            "reset": self._reset,
            "on": lambda: self._switch(request.argument, on=True),
            "off": lambda: self._switch(request.argument, on=False),
        }
        self.notice = steps[request.action]()
        return None

    def _pause(self) -> str:
        if not self.paused:
            self._check_switches()
            self._set_words(paused=True)
            self._paused_since = time.monotonic()
            if self._script:
                self._script.pause()
            self._drain()
        return "paused"

    def _resume(self) -> str:
        if not self.paused:
            return "not paused"
        if self._walk:
            self._walk.resume(self.counted_ns)
        if self._script:
            self._script.resume()
        self._set_words(paused=False)
        self._end_pause()
        self._restart_limits()
        return "resumed"

    def _end_pause(self) -> None:
        self._paused_s, self._paused_since = self.paused_s, None

    def _switch(self, program: str, *, on: bool) -> str:
        rows = self._rows_of(program)
        off = self._off - set(rows) if on else self._off | set(rows)
        if on and self._walk and not self.paused:
            # Its open calls, which may have returned unseen, are not told from those of others.
            try:
                self._set_words(silent=True)
                self._drain()
                self._walk.resume(self.counted_ns)
            finally:
                self._set_words(paused=self.paused)
        self._off = off
        self._set_words(paused=self.paused)
        return f"{program} is {'on' if on else 'off'}"

    def _reset(self) -> str:
        self._check_switches()
        self._set_words(silent=True)
        try:
            self._drain()
            if maps := self.outputs.emptied:
                self.target.connection.call("clear", session=self._id, maps=maps)
            if self._script:
                self._script.begin_anew()
            else:
                self._read_maps(self.outputs.map_names)
                self.outputs.forget()
        finally:
            self._set_words(paused=self.paused)
        self.reset_ns = self.counted_ns
        self.shared.clear()
        self.reset_at = datetime.datetime.now(datetime.UTC)
        self._restart_limits()
        # The time, because a second reset is news as well.
        return f"reset at {datetime.datetime.now():%H:%M:%S}"

    def _set_words(self, *, paused: bool = False, silent: bool = False) -> None:
        """Write the switch map; when this returns, what is off has ended."""
        rows = sorted({row for rows in self.outputs.switches.values() for row in rows})
        words = {row: b.PAUSED if paused or row in self._off else b.ON for row in rows}
        if silent:
            words = dict.fromkeys(rows, b.SILENT)
        by_graph = self._walk is not None and self._walk.walk.means == GRAPH
        self.target.connection.call(
            "switch",
            session=self._id,
            rows=list(words.items()),
            graph=not (paused or silent) if by_graph else None,
            settle=paused or any(words.values()),
        )

    def _drain(self) -> None:
        """Take in everything that was sent."""
        for _ in range(_PASSES):
            more = self._ask(True, 0.0)
            if self._script:
                self._script.run_records()
            if not more:
                return

    def _take_snapshot(self) -> Snapshot:
        with self._taking:
            self._number += 1
            taken = Snapshot(
                session=self.name,
                number=self._number,
                taken_at=datetime.datetime.now(datetime.UTC),
                frames={name: self.frame(name) for name in self.outputs.names},
                ledger=self.ledger,
                probes=self.probes,
                text=self.text,
            )
            self.notice = f"snapshot {taken.number}"
            if len(self.snapshots) >= SNAPSHOTS:
                self.notice += f"; snapshot {self.snapshots[0].number} had to go: {SNAPSHOTS} are kept"
            self.snapshots = [*self.snapshots, taken][-SNAPSHOTS:]
            return taken

    # --- parts ------------------------------------------------------------------------------------

    def _demand(self, action: str, argument: str = "") -> Any:
        """Ask for an action and wait for what comes of it."""
        request = Request(action, argument)
        if threading.current_thread() is self._thread and self.state == "running":
            return self._carry_out(request)
        self._requests.put(request)
        # The collect that waits need not: this thread does.
        self.target.connection.post("wake", session=self._id)
        return self._outcome(action, request.done)

    def _outcome(self, action: str, done: Future[Any]) -> Any:
        try:
            return done.result(_PATIENCE_S)
        except TimeoutError:
            why = self.target.diagnose()
            raise TargetError(f"{action!r} was not done within {_PATIENCE_S:g} s: {why}") from None

    def _perform(self, action: Callable[[str], str], argument: str) -> None:
        try:
            self.notice = action(argument)
        except KTraceError as error:
            self.notice = error.message
        except Exception as error:
            self.notice = f"{type(error).__name__}: {error}"

    def _note_snapshot(self, _: str) -> str:
        self._take_snapshot()
        return self.notice

    def _rows_of(self, program: str) -> tuple[int, ...]:
        switches = self.outputs.switches
        if program not in switches:
            hint = near_hint(program, switches) or f"there are {', '.join(switches) or 'none'}"
            raise KeyError(f"session {self.name!r} has no probe {program!r} that can be switched; {hint}")
        return switches[program]

    def _check_switches(self) -> None:
        if stuck := self.outputs.unswitchable:
            raise OptionError(
                f"{', '.join(stuck)} cannot be held: the function comes out of a macro",
                hint="write the function out, or stop the session",
            )

    @property
    def _counts(self) -> bool:
        """Whether the thread is there that carries out what is asked for."""
        return self.state == "running" and self._thread.is_alive()

    @abc.abstractmethod
    def _ask(self, with_maps: bool, wait_s: float) -> bool:
        """Collect once; gives whether buffers hold more."""

    @abc.abstractmethod
    def _read_maps(self, names: Sequence[str]) -> None:
        """Bring the snapshots of some maps up to date."""

    @abc.abstractmethod
    def _restart_limits(self) -> None:
        """What programs cost is counted anew."""
