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
from collections.abc import Callable
from typing import Any

from ktrace_nb.compiler.build import Built
from ktrace_nb.compiler.verifier import verifier_error
from ktrace_nb.errors import (
    AgentGoneError,
    CellError,
    KTraceError,
    LoadError,
    ProbeNotFoundError,
    RemoteError,
    StreamError,
    TargetError,
)
from ktrace_nb.governor import Governor, Limits
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.results import Results, State
from ktrace_nb.stream.history import EVERY_S
from ktrace_nb.stream.outputs import Outputs
from ktrace_nb.targets.base import Target
from ktrace_nb.wire.bundle import LEDGER, encode_bundle

SNAPSHOT_S = 0.2
"""How often maps are read while a session runs, at most."""

_FIRST_SNAPSHOTS_S = (0.0, 0.02, 0.05, 0.1)
_ANSWER_S = 10.0
_COLLECT_BYTES = 1 << 23

_numbers = itertools.count(1)
_Utf8 = codecs.getincrementaldecoder("utf-8")


class Session(Results):
    """A running trace: its results, and the way to stop it.

    Args:
        name: What it is called.
        target: Where it runs.
        facts: What is known of the kernel there.
        built: The compiled cell.
        limits: When it ends by itself, and what it may cost.
        every_s: Seconds between snapshots of maps that are kept.
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
    ) -> None:
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
        self._id = f"{name}.{next(_numbers)}"
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
            self._load()
            self._tell_limits()
            self._attach()
            self._started = time.monotonic()
            self.started_at = datetime.datetime.now(datetime.UTC)
            if self.limits.command is not None:
                user, group = self.target.workload_user() or (None, None)
                call("run", session=self._id, command=self.limits.command, user=user, group=group)
        except KTraceError as problem:
            self._let_go()
            self._end("failed", problem.message)
            self._over.set()
            raise _as_load_error(problem) if isinstance(problem, RemoteError) else problem from None
        except BaseException:
            # An interrupt: the user gets the prompt back, the agent lets go by itself.
            self.target.connection.post("close", session=self._id)
            self._end("failed", "interrupted")
            self._over.set()
            raise
        self._thread.start()

    def try_out(self, *, attach: bool) -> None:
        """Load, attach if asked to, and let go again; raises what :meth:`start` does."""
        call = self.target.connection.call
        try:
            call("open", session=self._id)
            self._load()
            if attach:
                self._attach()
        except RemoteError as problem:
            raise _as_load_error(problem) from None
        finally:
            self._let_go()
            self._end("done", "tried out")
            self._over.set()

    def _let_go(self) -> None:
        """Have the agent close the session, and wait until it has, if it is there."""
        with contextlib.suppress(TargetError):
            self.target.connection.call("close", session=self._id, timeout_s=_ANSWER_S)

    def _load(self) -> None:
        bundle = self.built.bundle
        try:
            self.target.connection.call("load", encode_bundle(bundle), session=self._id, timeout_s=120)
        except RemoteError as error:
            if error.code != "verifier":
                raise
            definition = next(p for p in bundle.programs if p.name == error.fields["program"])
            log = str(error.fields.get("log", ""))
            raise verifier_error(log, error.message, self.built.program, definition) from None

    def _tell_limits(self) -> None:
        if self.built.program.capped or self.built.program.throttled:
            control = self._governor.control.encode()
            self.target.connection.call("control", control, session=self._id)

    def _attach(self) -> None:
        try:
            reply = self.target.connection.call("attach", session=self._id, timeout_s=120)
            self.attached_ns = int(reply.head["monotonic_ns"])
        except RemoteError as error:
            index = error.fields.get("point")
            if not isinstance(index, int):
                raise
            request = self.built.plan.requests[index]
            if error.code == "no_symbol":
                what, name = f"{request.kind} target", str(error.fields.get("name"))
                known = [str(k) for k in error.fields.get("known", ())]
                raise ProbeNotFoundError(what, name, request.source, request.span, known) from None
            raise CellError(error.message, request.source, request.span, hint=_attach_hint(error)) from None

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
        try:
            while call := self._next_to_tell():
                call()
        finally:
            self._over.set()

    def _next_to_tell(self) -> Callable[[], object] | None:
        with self._ending:
            if self._when_over:
                return self._when_over.pop(0)
            self._over.set()
            return None

    def _run(self) -> None:
        pauses = itertools.chain(_FIRST_SNAPSHOTS_S, itertools.repeat(SNAPSHOT_S))
        due = self._started
        reason = ""
        while not reason:
            now = time.monotonic()
            with_maps = now >= due
            if with_maps:
                due = now + next(pauses)
            self._ask(with_maps, max(0.0, min(due - now, self._seconds_left(), SNAPSHOT_S)))
            # A target that takes long to read its maps out is asked less often.
            due = max(due, time.monotonic() + 2 * (time.monotonic() - now)) if with_maps else due
            reason = self._govern() or self._reason_to_end()
        self.target.connection.call("detach", session=self._id, timeout_s=60)
        while self._ask(True, 0.0):
            pass
        self.target.connection.call("close", session=self._id)
        self._end("done", reason)

    def _ask(self, with_maps: bool, wait_s: float) -> bool:
        """Collect once; gives whether buffers hold more."""
        reply = self.target.connection.call(
            "collect",
            session=self._id,
            maps=self.outputs.map_names if with_maps else [LEDGER],
            bytes=_COLLECT_BYTES,
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
        before = self._governor.control
        outputs = self.outputs
        reason = self._governor.look(self.counted_ns, outputs.ran_ns, outputs.capped)
        if self._governor.control != before:
            self._tell_limits()
        return reason

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
        self.message = message
        self.state = state

    # --- control ----------------------------------------------------------------------

    def request_stop(self) -> None:
        """Ask the session to end and return at once."""
        self._stop.set()

    def stop(self, timeout: float = 10.0) -> None:
        """End the session; when this returns nothing of it is attached.

        Args:
            timeout: Seconds to wait.

        Raises:
            TargetError: The target did not confirm in time.
        """
        self.request_stop()
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
        """What is held back now to stay within the limits; empty if nothing is."""
        return self._governor.remark

    def __repr__(self) -> str:
        hits = sum(p.hits for p in self.outputs.programs.values())
        lost = sum(self.losses.values())
        parts = [self.state, f"{self.elapsed:.1f} s", f"{hits:,} hits", f"{lost:,} lost"]
        return f"<Session {self.name}: {', '.join(parts)}; frames {', '.join(self.outputs.names)}>"


def _name_all(facts: KernelFacts, addresses: Any) -> list[str]:
    found = facts.symbols.resolve_all(addresses)
    return [str(s) if s else f"{a:#x}" for s, a in zip(found, addresses, strict=True)]


def _as_load_error(error: RemoteError) -> KTraceError:
    if error.code == "workload":
        return KTraceError(error.message)
    hint = None
    if error.fields.get("errno") in ("EPERM", 1):
        hint = "the agent lacks the privilege; run it as root"
    return LoadError(error.message, hint=hint)


def _attach_hint(error: RemoteError) -> str | None:
    number = error.fields.get("errno")
    return {
        1: "the agent lacks the privilege; run it as root",
        2: "the function cannot be probed: it is not there, inlined, or in a module that is not loaded",
        22: "the kernel does not allow a probe here",
        99: "the kernel has several functions of this name; a tracepoint or fentry names one exactly",
        524: "this kernel was built without this kind of probe; --target lab has it",
        95: "this kernel was built without this kind of probe; --target lab has it",
    }.get(number if isinstance(number, int) else 0)
