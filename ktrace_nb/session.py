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
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

from ktrace_nb.compiler.build import Built
from ktrace_nb.compiler.verifier import verifier_error
from ktrace_nb.diagnostics import near_hint
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
from ktrace_nb.stream.history import EVERY_S
from ktrace_nb.stream.ledger import summary
from ktrace_nb.stream.outputs import LEDGER, Outputs
from ktrace_nb.stream.window import Events
from ktrace_nb.targets.base import Target
from ktrace_nb.wire.bundle import encode_bundle

State = Literal["running", "done", "failed"]

SNAPSHOT_S = 0.2
"""How often maps are read while a session runs, at most."""

_FIRST_SNAPSHOTS_S = (0.0, 0.02, 0.05, 0.1)
_ANSWER_S = 10.0
_COLLECT_BYTES = 1 << 23

_numbers = itertools.count(1)
_Utf8 = codecs.getincrementaldecoder("utf-8")


class Session:
    """A trace: its frames, its text, what was lost, and the way to stop it.

    Frames are attributes (``session.bytes``), items (``session["bytes"]``) and
    entries of :attr:`frames`; each is a fresh look at the latest data with
    ``df.attrs["ktrace"]`` telling when, where and what was lost.
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
        self.name = name
        self.target = target
        self.built = built
        self.limits = limits
        self._governor = Governor(limits)
        self.outputs = Outputs(
            built.bundle,
            built.program.outputs,
            built.events,
            built.program.structs,
            lambda addresses: _name_all(facts, addresses),
            every_s=every_s,
        )
        self._id = f"{name}.{next(_numbers)}"
        self._stop = threading.Event()
        self._over = threading.Event()
        self._when_over: list[Callable[[], object]] = []
        self._ending = threading.Lock()
        self._thread = threading.Thread(target=self._collect, name=f"ktrace_nb {name}", daemon=True)
        self._started = time.monotonic()
        self._elapsed: float | None = None
        self._counted_ns = 0
        """``CLOCK_MONOTONIC`` of the target when its counts were read."""
        self._attached_ns = 0
        """``CLOCK_MONOTONIC`` of the target when everything was attached."""
        self.started_at = datetime.datetime.now(datetime.UTC)
        self.state: State = "running"
        self.message = ""
        """Why the session ended; empty while it runs."""
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
            self._attached_ns = int(reply.head["monotonic_ns"])
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
        self._counted_ns = int(reply.head["monotonic_ns"])
        workload = reply.head.get("workload")
        if workload is not None:
            self.workload_status = workload["status"]
        return bool(reply.head["more"])

    def _govern(self) -> str:
        before = self._governor.control
        outputs = self.outputs
        reason = self._governor.look(self._counted_ns, outputs.ran_ns, outputs.capped)
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

    # --- results -----------------------------------------------------------------------

    def frame(self, name: str, *, per_cpu: bool = False) -> pd.DataFrame:
        """One output as a frame.

        Args:
            name: As declared in the cell.
            per_cpu: Of a per-CPU map, one row per key and CPU instead of the sum.

        Returns:
            Columns and dtypes as :mod:`ktrace_nb.stream.layout` describes;
            histograms as :func:`ktrace_nb.stream.histogram.log2_hist`, stacks as
            :func:`ktrace_nb.stream.stacks.stacks_frame`. ``attrs["ktrace"]`` is
            a dict: ``session``, ``target``, ``kernel``, ``started_at`` and
            ``taken_at`` (ISO 8601, UTC), ``state``, ``lost`` (reason to count)
            and ``complete``.

        Raises:
            KeyError: No such output.
            ValueError: ``per_cpu`` of what is not counted per CPU.
        """
        if name not in self.outputs.names:
            hint = near_hint(name, self.outputs.names)
            raise KeyError(f"session {self.name!r} has no frame {name!r}" + (f"; {hint}" if hint else ""))
        frame = self.outputs.frame(name, per_cpu=per_cpu).copy(deep=False)
        frame.attrs["ktrace"] = self._provenance(name)
        return frame

    def events(self, name: str | None = None) -> Events:
        """The events of a stream: ``.tail(20)``, ``.between(...)``, ``.sorted()``, ``.arrow()``.

        Args:
            name: Which stream; may be left out if the cell has one.

        Raises:
            KeyError: No such stream.
        """
        return self.outputs.events(self._named(name, list(self.outputs.streams), "stream"))

    def rates(self, name: str | None = None, *, over_s: float = 1.0) -> pd.DataFrame:
        """How fast the numbers of a map grow now.

        Args:
            name: Which map; may be left out if the cell has one.
            over_s: Seconds to look back, at least; less if the session is younger.

        Returns:
            As :func:`ktrace_nb.stream.history.rates_frame`; ``attrs["ktrace"]["over_s"]``
            are the seconds really looked back.

        Raises:
            KeyError: No such map.
        """
        name = self._named(name, self.outputs.counted, "map")
        frame, seconds = self.outputs.rates(name, over_s)
        frame.attrs["ktrace"] = {**self._provenance(name), "over_s": seconds}
        return frame

    def history(self, name: str | None = None) -> pd.DataFrame:
        """A map at the moments of the session that were kept.

        Args:
            name: Which map; may be left out if the cell has one.

        Returns:
            As :func:`ktrace_nb.stream.history.history_frame`; ``attrs["ktrace"]["every_s"]``
            are the seconds between moments, which grow in a long session.

        Raises:
            KeyError: No such map.
        """
        name = self._named(name, self.outputs.counted, "map")
        frame, every_s = self.outputs.history(name, self._attached_ns)
        frame.attrs["ktrace"] = {**self._provenance(name), "every_s": every_s}
        return frame

    def arrow(self, name: str) -> pa.Table:
        """One output as an Arrow table, its index as columns.

        Raises:
            KeyError: No such output.
        """
        return pa.Table.from_pandas(self.frame(name).reset_index())

    def _named(self, name: str | None, names: list[str], what: str) -> str:
        if name is None and len(names) == 1:
            return names[0]
        if name not in names:
            which = f"no {what} {name!r}" if name else f"{len(names)} {what}s"
            raise KeyError(f"session {self.name!r} has {which}; {what}s: {', '.join(names) or 'none'}")
        return name

    def _provenance(self, name: str) -> dict[str, Any]:
        lost = summary(
            [e for e in self.outputs.entries() if e.name == name or e.kind in ("probe", "session")]
        )
        return {
            "session": self.name,
            "target": self.target.name,
            "kernel": self.target.hello.kernel,
            "started_at": self.started_at.isoformat(),
            "taken_at": self._taken_at(name).isoformat(),
            "state": self.state,
            "lost": lost,
            "complete": not lost,
        }

    def _taken_at(self, name: str) -> datetime.datetime:
        at_ns = self.outputs.snapshot_ns(name)
        if not at_ns:
            return datetime.datetime.now(datetime.UTC)
        hello = self.target.hello
        wall_s = (hello.realtime_ns + at_ns - hello.monotonic_ns) / 1e9
        return datetime.datetime.fromtimestamp(wall_s, datetime.UTC)

    @property
    def frames(self) -> Mapping[str, pd.DataFrame]:
        """Every output by name."""
        return _Frames(self)

    @property
    def ledger(self) -> pd.DataFrame:
        """What was sent, what arrived, what was lost and why; see :mod:`ktrace_nb.stream.ledger`."""
        return self.outputs.ledger()

    @property
    def cpu_share(self) -> float:
        """What the session's programs cost the traced machine: share of one CPU, 1.0 is all of it.

        The time the kernel spent in them, by its own run statistics, over the time of the session.
        """
        watched_ns = self._counted_ns - self._attached_ns
        return self.outputs.ran_ns / watched_ns if watched_ns > 0 else 0.0

    @property
    def remark(self) -> str:
        """What is held back now to stay within the limits; empty if nothing is."""
        return self._governor.remark

    @property
    def losses(self) -> dict[str, int]:
        """Losses by reason; empty if everything is there."""
        return summary(self.outputs.entries())

    @property
    def probes(self) -> pd.DataFrame:
        """What each program cost.

        Returns:
            Indexed by ``program`` (str): ``hits`` (uint64), ``ns_per_hit``
            (float64, nanoseconds; NaN if never hit), ``cpu_share`` (float64,
            of one CPU over the whole session), ``missed`` and ``recursion`` (uint64).
        """
        programs = self.outputs.programs
        hits = pd.array([p.hits for p in programs.values()], dtype="uint64")
        watched_ns = max(1, self._counted_ns - self._attached_ns)
        cost = [p.ns / p.hits if p.hits else float("nan") for p in programs.values()]
        columns = {
            "hits": hits,
            "ns_per_hit": cost,
            "cpu_share": [p.ns / watched_ns for p in programs.values()],
            "missed": pd.array([p.missed for p in programs.values()], dtype="uint64"),
            "recursion": pd.array([p.recursion for p in programs.values()], dtype="uint64"),
        }
        return pd.DataFrame(columns, index=pd.Index(list(programs), name="program", dtype=object).astype(str))

    @property
    def text(self) -> str:
        """What the programs printed with ``bpf_trace_printk``, as the kernel wrote it."""
        return "".join(line + "\n" for line in self.outputs.text)

    @property
    def notes(self) -> list[str]:
        """Remarks worth reading: compiler warnings, silent probes."""
        found = [line for problem in self.built.problems for line in problem.lines(problem.severity)]
        if self.state == "done":
            silent = [name for name, counts in self.outputs.programs.items() if not counts.hits]
            found += [f"note: program {name!r} was attached and never hit" for name in silent]
        return found

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.frame(name)

    def __getattr__(self, name: str) -> pd.DataFrame:
        # Only reached for what the class does not have; a table called "text" is session["text"].
        if name.startswith("_") or "outputs" not in self.__dict__:
            raise AttributeError(name)
        try:
            return self.frame(name)
        except KeyError as error:
            raise AttributeError(str(error.args[0])) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.outputs.names]

    def __repr__(self) -> str:
        hits = sum(p.hits for p in self.outputs.programs.values())
        lost = sum(self.losses.values())
        parts = [self.state, f"{self.elapsed:.1f} s", f"{hits:,} hits", f"{lost:,} lost"]
        return f"<Session {self.name}: {', '.join(parts)}; frames {', '.join(self.outputs.names)}>"


class _Frames(Mapping[str, pd.DataFrame]):
    def __init__(self, session: Session) -> None:
        self._session = session

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self._session.frame(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._session.outputs.names)

    def __len__(self) -> int:
        return len(self._session.outputs.names)

    def __repr__(self) -> str:
        rows = ", ".join(f"{name} ({len(frame)} rows)" for name, frame in self.items())
        return f"<frames {rows}>"


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
