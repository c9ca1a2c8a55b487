"""A running trace.

A session is started by :func:`ktrace_nb.engine.start`. One thread of its own
collects what the agent has; everything public may be called from any thread
and at any time, also after the session is over: frames, text and ledger stay.
"""

from __future__ import annotations

import codecs
import contextlib
import datetime
import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ktrace_nb.compiler.build import Built
from ktrace_nb.controls import Controlled
from ktrace_nb.errors import (
    AgentGoneError,
    KTraceError,
    RemoteError,
    StreamError,
    TargetError,
)
from ktrace_nb.governor import Governor, Limits
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.results import State
from ktrace_nb.starting import attach, load, load_error
from ktrace_nb.stream.calls.outputs import WalkOutputs
from ktrace_nb.stream.calls.run import WalkRun
from ktrace_nb.stream.history import EVERY_S
from ktrace_nb.stream.outputs import Outputs
from ktrace_nb.stream.script.port import Port
from ktrace_nb.stream.script.runtime import ScriptRun
from ktrace_nb.targets.base import Target
from ktrace_nb.wire.bundle import LEDGER

SNAPSHOT_S = 0.2
"""How often maps are read while a session runs, at most."""

_FIRST_SNAPSHOTS_S = (0.0, 0.02, 0.05, 0.1)
_ANSWER_S = 10.0
_ATTACH_S = 120.0
_DETACH_S = 0.05
_COLLECT_BYTES = 1 << 23

_numbers = itertools.count(1)
_Utf8 = codecs.getincrementaldecoder("utf-8")


class Session(Controlled):
    """A running trace: its results, and the way to hold it, to begin anew and to stop.

    Args:
        name: What it is called.
        target: Where it runs.
        facts: What is known of the kernel there.
        built: The compiled cell.
        limits: When it ends by itself, and what it may cost.
        every_s: Seconds between snapshots of maps that are kept.
        target_pid: What ``target()`` of a script gives where there is no command, and whose calls are
            recorded besides those of the command; 0 for none.
        text: How calls are printed: ``indent`` (also if empty), ``tree`` or ``none``.
    """

    def __init__(
        self,
        name: str,
        target: Target,
        facts: KernelFacts,
        built: Built,
        limits: Limits,
        *,
        every_s: float = EVERY_S,
        target_pid: int = 0,
        text: str = "",
    ) -> None:
        self._id = f"{name}.{next(_numbers)}"
        self._script = None
        self._walk = None
        outputs: Outputs
        if built.program.script is not None:
            port = Port(
                target.connection.call, self._id, built.bundle, self._read_maps, target.hello.cpus_possible
            )
            self._script = ScriptRun(built.program, built.bundle, facts, port, every_s=every_s)
            outputs = self._script.outputs
        elif built.program.walk is not None:
            outputs = calls = WalkOutputs(built.bundle, built.program, facts, every_s=every_s, text=text)
            self._walk = WalkRun(built.program.walk, calls, target.connection.call, self._id)
        else:
            outputs = Outputs(
                built.bundle,
                built.program.outputs,
                built.events,
                built.program.structs,
                lambda addresses: _name_all(facts, addresses),
                every_s=every_s,
            )
        super().__init__(name, target, built, outputs)
        self.limits = limits
        self._governor = Governor(limits)
        self._target_pid = target_pid
        self._stop = threading.Event()
        self._over = threading.Event()
        self._when_over: list[Callable[[], object]] = []
        self._ending = threading.Lock()
        self._thread = threading.Thread(target=self._collect, name=f"ktrace_nb {name}", daemon=True)
        self._started = time.monotonic()
        self._elapsed: float | None = None
        self.workload_status: int | None = None
        """Exit status of the ``-c`` command, negative for a signal; None without one or while it runs."""
        self.stdout = ""
        """What the ``-c`` command wrote on standard output."""
        self.stderr = ""
        """What it wrote on standard error."""
        # A character may come in two pieces.
        self._decode_stdout = _Utf8("replace").decode
        self._decode_stderr = _Utf8("replace").decode

    # --- start --------------------------------------------------------------------

    def start(self) -> None:
        """Load, attach, run the workload. All or nothing: an error leaves nothing attached.

        Raises:
            VerifierError: The kernel refused a program.
            LoadError: It refused a map or an attachment.
            ProbeNotFoundError: A symbol that only the target knows does not exist.
            TargetError: The target is gone.
        """
        call = self.target.connection.call
        try:
            call("open", session=self._id)
            load(call, self._id, self.built)
            self._tell_limits()
            if self._script is not None:
                self._start_script(self._script)
            elif self._walk is not None:
                self._start_walk(self._walk)
            else:
                self._attach()
                self._start_clock()
                if self.limits.command is not None:
                    self._start_command(held=False)
        except KTraceError as problem:
            self._let_go()
            self._end("failed", problem.message)
            self._refuse()
            self._over.set()
            raise load_error(problem) if isinstance(problem, RemoteError) else problem from None
        except BaseException:
            # An interrupt: the user gets the prompt back, the agent lets go by itself.
            self.target.connection.post("close", session=self._id)
            self._end("failed", "interrupted")
            self._refuse()
            self._over.set()
            raise
        self._thread.start()

    def _start_clock(self) -> None:
        self._started = time.monotonic()
        self.started_at = datetime.datetime.now(datetime.UTC)

    def _start_command(self, *, held: bool) -> int:
        """Start the workload; gives the number of its process."""
        user, group = self.target.workload_user() or (None, None)
        command = self.limits.command
        reply = self.target.connection.call(
            "run", session=self._id, command=command, user=user, group=group, held=held
        )
        return int(reply.head["pid"])

    def _start_script(self, script: ScriptRun) -> None:
        """Run what comes before the first event, then let events and the workload begin."""
        pid = self._target_pid
        if self.limits.command is not None:
            pid = self._start_command(held=True)
        self._start_clock()
        script.begin(pid)
        if script.ending:
            return
        self._attach()
        self._start_clock()
        script.release()
        if self.limits.command is not None:
            self.target.connection.call("go", session=self._id)

    def _start_walk(self, walk: WalkRun) -> None:
        """Have the workload wait until everything that it does is seen."""
        processes = [self._target_pid] if self._target_pid else []
        walk.hold()
        if self.limits.command is not None:
            processes.append(self._start_command(held=True))
        walk.track(processes)
        self.attached_ns = walk.attached(self._attach(), processes)
        self._start_clock()
        if self.limits.command is not None:
            self.target.connection.call("go", session=self._id)

    def try_out(self, *, attach: bool) -> None:
        """Load, attach if asked to, and let go again; raises what :meth:`start` does."""
        call = self.target.connection.call
        try:
            call("open", session=self._id)
            load(call, self._id, self.built)
            if attach:
                self._attach()
        except RemoteError as problem:
            raise load_error(problem) from None
        finally:
            self._let_go()
            self._end("done", "tried out")
            self._refuse()
            self._over.set()

    @property
    def _patience_s(self) -> float:
        """How long ending may take: the kernel waits for every CPU with each kprobe it takes away."""
        return _ANSWER_S + _DETACH_S * len(self.built.bundle.attach)

    def _let_go(self) -> None:
        """Have the agent close the session, and wait until it has, if it is there."""
        with contextlib.suppress(TargetError):
            self.target.connection.call("close", session=self._id, timeout_s=self._patience_s)

    def _tell_limits(self) -> None:
        if self.built.program.capped or self.built.program.throttled:
            control = self._governor.control.encode()
            self.target.connection.call("control", control, session=self._id)

    def _attach(self) -> Mapping[str, Any]:
        """Attach everything; gives the head of the agent's reply."""
        timeout_s = _ATTACH_S + self._patience_s
        head, self.built = attach(self.target.connection.call, self._id, self.built, timeout_s=timeout_s)
        self.attached_ns = int(head["monotonic_ns"])
        return head

    # --- the collecting thread -------------------------------------------------------

    def _collect(self) -> None:
        try:
            self._run()
        except AgentGoneError as error:
            self._end("failed", error.message)
        except TargetError as error:
            self._end("failed", error.message if self.target.connection.alive else self.target.diagnose())
            self.target.connection.post("close", session=self._id)
        except StreamError as error:
            self._end("failed", error.message)
            self._let_go()
        except Exception as error:
            self._end("failed", f"{type(error).__name__}: {error}")
            self.target.connection.post("close", session=self._id)
            raise
        finally:
            self._tell()

    def _tell(self) -> None:
        """Make the end known: who waits goes on when all others have been told."""
        self._refuse()
        try:
            if self._walk and self.state == "failed":
                with contextlib.suppress(StreamError):
                    self._walk.finish(self.counted_ns)
            while call := self._next_to_tell():
                call()
        finally:
            self._over.set()

    def _refuse(self) -> None:
        """Nothing more can be asked for."""
        self._requests.close(f"session {self.name!r} is over: {self.message}")

    def _next_to_tell(self) -> Callable[[], object] | None:
        with self._ending:
            if self._when_over:
                return self._when_over.pop(0)
            self._over.set()
            return None

    def _run(self) -> None:
        pauses = itertools.chain(_FIRST_SNAPSHOTS_S, itertools.repeat(SNAPSHOT_S))
        due = self._started
        script = self._script
        reason = script.ending if script else ""
        while not reason:
            now = time.monotonic()
            with_maps = now >= due
            if with_maps:
                due = now + next(pauses)
            idle_s = min(SNAPSHOT_S, script.idle_s) if script else SNAPSHOT_S
            wait_s = 0.0 if self._requests else min(due - now, self._seconds_left(), idle_s)
            self._ask(with_maps, max(0.0, wait_s))
            # A target that takes long to read its maps out is asked less often.
            due = max(due, time.monotonic() + 2 * (time.monotonic() - now)) if with_maps else due
            if script:
                script.run()
            self._serve()
            reason = self._govern() or (script.ending if script else "") or self._reason_to_end()
        if script:
            script.hold()
        if self._walk:
            self._walk.hold()
        self.target.connection.call("detach", session=self._id, timeout_s=6 * self._patience_s)
        while self._ask(True, 0.0):
            if script:
                script.run_records()
        if script:
            script.finish()
            self._ask(True, 0.0)
        if self._walk:
            self._walk.finish(self.counted_ns)
        self.target.connection.call("close", session=self._id)
        self._end(
            "failed" if script and script.failed else "done",
            script.ending if script and script.ending else reason,
        )

    def _ask(self, with_maps: bool, wait_s: float) -> bool:
        """Collect once; gives whether buffers hold more."""
        return self._take(self.outputs.map_names if with_maps else [LEDGER], _COLLECT_BYTES, wait_s)

    def _read_maps(self, names: Sequence[str]) -> None:
        """Bring the snapshots of some maps up to date, and leave the buffers as they are."""
        self._take(names, 0, 0.0)

    def _take(self, names: Sequence[str], size: int, wait_s: float) -> bool:
        reply = self.target.connection.call(
            "collect",
            session=self._id,
            maps=list(names),
            bytes=size,
            wait_ms=round(1000 * wait_s),
            timeout_s=_ANSWER_S,
        )
        out, err = self.outputs.ingest(reply.head, reply.blob)
        self.stdout += self._decode_stdout(out)
        self.stderr += self._decode_stderr(err)
        self.counted_ns = int(reply.head["monotonic_ns"])
        workload = reply.head.get("workload")
        if workload is not None:
            self.workload_status = workload["status"]
        return bool(reply.head["more"])

    def _govern(self) -> str:
        if self.paused:
            return ""
        before = self._governor.control
        outputs = self.outputs
        reason = self._governor.look(self.counted_ns, outputs.ran_ns, outputs.capped)
        if self._governor.control != before:
            self._tell_limits()
        return reason

    def _restart_limits(self) -> None:
        self._governor.restart()

    def _seconds_left(self) -> float:
        limit = self.limits.expire_s if self.limits.seconds is None else self.limits.seconds
        return self._started + limit - time.monotonic()

    def _reason_to_end(self) -> str:
        if self._stop.is_set():
            return "stopped"
        if self.limits.command is not None and self.workload_status is not None:
            return f"the command ended with status {self.workload_status}"
        if self._seconds_left() > 0:
            return ""
        if self.limits.seconds is None:
            return f"nobody stopped it for {self.limits.expire_s / 60:g} minutes"
        return f"time is up ({self.limits.seconds:g} s)"

    def _end(self, state: State, message: str) -> None:
        self._elapsed = time.monotonic() - self._started
        self._end_pause()
        self.message = message
        self.state = state

    # --- control ----------------------------------------------------------------------

    def request_stop(self) -> None:
        """Ask the session to end and return at once."""
        self._stop.set()

    def stop(self, timeout: float | None = None) -> None:
        """End the session; when this returns nothing of it is attached.

        Args:
            timeout: Seconds to wait; by default ten, and more where many probes are to be taken away.

        Raises:
            TargetError: The target did not confirm in time.
        """
        self.request_stop()
        timeout = self._patience_s if timeout is None else timeout
        if not self._over.wait(timeout):
            raise TargetError(
                f"session {self.name!r} did not end within {timeout:g} s: {self.target.diagnose()}"
            )

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the session to end; an interrupt stops it.

        Args:
            timeout: Seconds, None for ever.

        Returns:
            Whether it has ended.
        """
        try:
            return self._over.wait(timeout)
        except KeyboardInterrupt:
            self.request_stop()
            raise

    def read(self, name: str, timeout: float = 10.0) -> str:
        """A text that the script makes when it is asked: ``probe procfs("NAME").read``, ``probe prometheus``.

        Args:
            name: ``"__prometheus"`` for ``probe prometheus``, ``"data.json"`` for ``probe json_data``.
            timeout: Seconds to wait for it.

        Returns:
            The text; of a session that is over, as it was at its end.

        Raises:
            KeyError: The script makes no such text.
            TargetError: It was not made in time.
        """
        if self._script is None or name not in self._script.texts:
            known = ", ".join(self._script.texts if self._script else ()) or "none"
            raise KeyError(f"session {self.name!r} makes no text {name!r}; it makes {known}")
        try:
            return self._script.ask(name).result(timeout)
        except TimeoutError:
            raise TargetError(
                f"the text {name!r} was not made within {timeout:g} s: {self.target.diagnose()}"
            ) from None

    def when_over(self, call: Callable[[], object]) -> None:
        """Have something called in the session's thread when it ends; at once if it has.

        :meth:`wait` and :meth:`stop` return after that.
        """
        with self._ending:
            if not self._over.is_set():
                self._when_over.append(call)
                return
        call()

    @property
    def running(self) -> bool:
        """Whether the session collects."""
        return self.state == "running"

    @property
    def elapsed(self) -> float:
        """Seconds since everything was attached, up to the end of the session."""
        return time.monotonic() - self._started if self._elapsed is None else self._elapsed

    @property
    def remark(self) -> str:
        """Whether it is paused, what is held back to stay within limits, how calls are seen, which probes
        are off or silent; or empty.
        """
        if self.paused:
            return "paused"
        walk = self.built.program.walk
        if off := [name for name in self.outputs.switches if not self.is_on(name)]:
            return f"off: {', '.join(off)}"
        return self._governor.remark or (walk.why if walk else self.silence)

    def __repr__(self) -> str:
        hits = sum(p.hits for p in self.outputs.programs.values())
        lost = sum(self.losses.values())
        state = "paused" if self.paused else self.state
        parts = [state, f"{self.elapsed:.1f} s", f"{hits:,} hits", f"{lost:,} lost"]
        return f"<Session {self.name}: {', '.join(parts)}; frames {', '.join(self.outputs.names)}>"


def _name_all(facts: KernelFacts, addresses: Any) -> list[str]:
    found = facts.symbols.resolve_all(addresses)
    return [str(s) if s else f"{a:#x}" for s, a in zip(found, addresses, strict=True)]
