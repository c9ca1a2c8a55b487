"""A script while it runs: its handlers beside the notebook, in the right order.

One thread calls everything here: :meth:`ScriptRun.begin` before anything is attached,
:meth:`ScriptRun.run` after each collect, :meth:`ScriptRun.hold` and
:meth:`ScriptRun.finish` at the end. Other threads see what the script makes only
through its :class:`~ktrace_nb.stream.script.outputs.ScriptOutputs`.
"""

from __future__ import annotations

import queue
import struct
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ktrace_nb.diagnostics import Problem
from ktrace_nb.errors import KTraceError
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import script_layout as layout
from ktrace_nb.ir import walk
from ktrace_nb.ir.program import Program
from ktrace_nb.kernel.syscall_table import NAMES
from ktrace_nb.stream.maps import MapSnapshot
from ktrace_nb.stream.script.arrays import Array, Entries, Scalar, ScalarStatistics, overflow, store_of
from ktrace_nb.stream.script.codec import Codec
from ktrace_nb.stream.script.environment_session import SessionEnvironment, Stacks
from ktrace_nb.stream.script.errors import LimitError, ScriptError
from ktrace_nb.stream.script.functions import functions_of
from ktrace_nb.stream.script.outputs import ScriptOutputs
from ktrace_nb.stream.script.port import Change, Port
from ktrace_nb.stream.script.pycode import Captured, Routine, compile_script
from ktrace_nb.stream.script.records import Arrived, Exited, Failed, RecordReader
from ktrace_nb.stream.script.remote import Remote
from ktrace_nb.stream.script.symbols import TargetNames
from ktrace_nb.stream.script.timers import Timers
from ktrace_nb.stream.script.uses import Uses, uses_of

if TYPE_CHECKING:
    from ktrace_nb.kernel.facts import KernelFacts
    from ktrace_nb.source import Place
    from ktrace_nb.wire.bundle import Bundle

COMMAND_S = 5.0
"""How long the end waits for a command that ``system()`` started."""

NOTED = 100
"""Errors of which a note is made; more are only counted."""


_ANY_HANDLER = ir.Handler(number=-1, event=ir.Event.KERNEL, name="of a function", body=())
"""Stands for the handlers that call a function which sends records of its own."""

OwnStore: TypeAlias = Scalar | ScalarStatistics | Array


@dataclass(frozen=True, slots=True)
class _Held:
    """A global in the kernel, and the copy that handlers work on."""

    remote: Remote
    copy: OwnStore


@dataclass(frozen=True, slots=True)
class _Task:
    """Code to be run, and the globals in the kernel that it needs."""

    call: Callable[[Captured], None]
    handler: ir.Handler
    read: tuple[_Held, ...]
    written: tuple[_Held, ...]


class ScriptRun:
    """One run of a script.

    Args:
        program: The script, compiled.
        bundle: What is loaded.
        facts: What is known of the target's kernel.
        port: The way to the target.
        every_s: Seconds between snapshots of maps that are kept.
    """

    def __init__(
        self, program: Program, bundle: Bundle, facts: KernelFacts, port: Port, *, every_s: float
    ) -> None:
        assert program.script is not None
        self._placed = placed = program.script
        self._sites = program.sites
        self._sizes = {g.variable.name: g.variable.size for g in placed.kernel_globals}
        self._port = port
        self._limits = placed.script.limits
        self._has_stacks = any(output.name == layout.STACKS for output in program.outputs)
        self._names: dict[tuple[str, int], str] = {}
        self._held = self._hold_globals(placed)
        self._own = own = {g.name: store_of(g, self._limits.max_map_entries) for g in placed.user_globals}
        uses = {h.number: uses_of(h.body, placed.user_functions) for h in placed.user_handlers}
        record_uses = {r.number: uses_of(r.body, placed.user_functions) for r in placed.records}
        written = frozenset[str]().union(*(u.written for u in (*uses.values(), *record_uses.values())))
        self.outputs = ScriptOutputs(
            placed,
            bundle,
            program.outputs,
            {name: held.remote for name, held in self._held.items()},
            {name: _teller(store) for name, store in own.items()},
            written,
            every_s=every_s,
        )
        self._stacks = stacks = Stacks(self._stacks_snapshot)
        symbols = TargetNames(facts.symbols, stacks=stacks, user_stacks=stacks, system_calls=NAMES)
        self._environment = SessionEnvironment(
            self._limits, symbols, port, self.outputs.sink, self.outputs.sites, self._warned
        )
        self._functions = functions_of(self._environment)
        code = compile_script(
            placed.user_functions,
            [
                *(Routine(f"handler_{h.number}", h.body, h.locals) for h in placed.user_handlers),
                *(Routine(f"record_{r.number}", r.body, r.locals) for r in placed.records),
            ],
            {**own, **{name: held.copy for name, held in self._held.items()}},
            self._environment,
        )
        handlers = {h.number: h for h in placed.script.handlers}
        self._tasks = {
            h.number: self._task(code[f"handler_{h.number}"], h, uses[h.number]) for h in placed.user_handlers
        }
        self._record_tasks = {
            r.number: self._task(
                code[f"record_{r.number}"], handlers.get(r.handler, _ANY_HANDLER), record_uses[r.number]
            )
            for r in placed.records
        }
        self._handlers = handlers
        self._reader = RecordReader(placed.records, self._name_of)
        self._timers = Timers((), 0)
        self._paused_ns: int | None = None
        self._target_pid = 0
        self._offset_ns = 0
        self._errors = 0
        self._is_finished = False
        self._asked: queue.SimpleQueue[tuple[ir.Handler, Future[str]]] = queue.SimpleQueue()
        self._texts: dict[str, str] = {}
        self.failed = False
        """Whether an error ended it."""
        self.ending = ""
        """Why it ends; empty while it does not."""

    def _hold_globals(self, placed: ir.Placed) -> dict[str, _Held]:
        most = placed.script.limits.max_map_entries
        held = {}
        for kernel_global in placed.kernel_globals:
            variable = kernel_global.variable
            codec = Codec(kernel_global, self._port.cpus, self._name_of)
            held[variable.name] = _Held(Remote(kernel_global, codec), store_of(variable, most))
        return held

    def _task(self, call: Callable[[Captured], None], handler: ir.Handler, uses: Uses) -> _Task:
        read = tuple(held for name, held in self._held.items() if name in uses.read)
        written = tuple(held for name, held in self._held.items() if name in uses.written)
        return _Task(call, handler, read, written)

    # --- the life of a script ------------------------------------------------------------------

    def begin(self, target_pid: int) -> None:
        """Set the kernel's part up and run the ``begin`` handlers; nothing is attached yet.

        Args:
            target_pid: What ``target()`` gives; 0 for none.

        Raises:
            TargetError: The target is out of reach.
        """
        self._offset_ns = self._environment.set_clock()
        self._environment.target_pid = self._target_pid = target_pid
        first = self._first_values()
        # Probes are attached one by one: until all are, none of them does anything.
        self._port.change([*self._state(stopping=True), *first])
        with self.outputs.changing:
            for handler in self._ordered(ir.Event.BEGIN):
                if not self.ending:
                    self._run(self._tasks[handler.number])
        self._target_pid = self._environment.target_pid

    def _first_values(self) -> list[Change]:
        return [change for held in self._held.values() for change in held.remote.first_value()]

    def release(self) -> None:
        """Let events count from now on, all of them at once; everything is attached."""
        self._port.change(self._state(stopping=False))
        self._timers = Timers(self._placed.user_handlers, self._port.monotonic_ns())

    def run(self) -> None:
        """Run what has come since, then the timers that are due."""
        self.run_records()
        self._answer()
        if self._paused_ns is None:
            self._run_timers()
        skipped = sum(counts.recursion for counts in self.outputs.programs.values())
        if skipped > self._limits.max_skipped and not self.ending:
            self._fail("Skipped too many probes, check MAXSKIPPED", None)

    def _run_timers(self) -> None:
        with self.outputs.changing:
            for handler in self._timers.due(self._port.monotonic_ns()):
                if not self.ending:
                    self._run(self._tasks[handler.number])
            self._environment.put_out_commands()
            self._changed()

    @property
    def idle_s(self) -> float:
        """Seconds until there is something to do without the kernel."""
        if not self._asked.empty():
            return 0.0
        due = self._timers.next_ns if self._paused_ns is None else None
        return float("inf") if due is None else max(0.0, (due - self._port.monotonic_ns()) / 1e9)

    def run_records(self) -> None:
        """Run what the kernel has sent, in the order it came."""
        spans = self.outputs.take_spans()
        if not spans:
            return
        outputs, reader = self.outputs, self._reader
        with outputs.changing:
            for span in spans:
                self._run_span(span)
            self._environment.at(None)
            outputs.arrived, outputs.discarded = reader.arrived, reader.discarded
            outputs.unread = reader.unread
            self._changed()

    def _run_span(self, span: bytes) -> None:
        tasks, environment = self._record_tasks, self._environment
        for record in self._reader.read(span):
            if type(record) is not Arrived:
                self._other(record)
            elif environment.exiting or self.failed:
                self.outputs.left += 1
            else:
                task = tasks[record.number]
                environment.at(record.ktime)
                if task.read:
                    self._run(task, record.values)
                else:
                    self._guarded(task, record.values)

    def _other(self, record: Failed | Exited | Arrived) -> None:
        if isinstance(record, Failed):
            self._kernel_failed(record)
        elif isinstance(record, Exited) and not self.ending:
            self.ending = self._exit_words(self._handlers[record.handler])

    # --- texts that are asked for ------------------------------------------------------------------

    @property
    def texts(self) -> list[str]:
        """Names of the texts that the script makes when asked."""
        return [h.file for h in self._ordered(ir.Event.READ)]

    def ask(self, name: str) -> Future[str]:
        """Have a text made: by the thread that runs the script, or as it was at the script's end.

        Raises:
            KeyError: The script makes no such text.
        """
        handler = next((h for h in self._ordered(ir.Event.READ) if h.file == name), None)
        if handler is None:
            raise KeyError(name)
        text: Future[str] = Future()
        if self._is_finished:
            text.set_result(self._texts.get(name, ""))
        else:
            self._asked.put((handler, text))
        return text

    def _answer(self) -> None:
        while not self._asked.empty():
            handler, text = self._asked.get()
            with self.outputs.changing:
                text.set_result(self._text_of(handler))

    def _text_of(self, handler: ir.Handler) -> str:
        self._environment.reply = ""
        self._run(self._tasks[handler.number])
        return self._environment.reply

    # --- controls ------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Have timers wait, and what commands print; the kernel's part is held by its switch."""
        if self._paused_ns is None:
            self._paused_ns = self._port.monotonic_ns()

    def resume(self) -> None:
        """Have timers go on where they were."""
        if self._paused_ns is not None:
            self._timers.put_off(self._port.monotonic_ns() - self._paused_ns)
            self._paused_ns = None

    def begin_anew(self) -> None:
        """Give globals their first values; the kernel's part is off, and its maps are empty.

        ``begin`` handlers do not run again, and timers go on as they were.

        Raises:
            TargetError: The target is out of reach.
        """
        self._port.change(self._first_values())
        self._port.collect(self.outputs.map_names)
        with self.outputs.changing:
            for store in self._own.values():
                store.entries = {}
            for held in self._held.values():
                held.remote.forget()
                held.copy.entries = {}
            self._stacks.forget()
            self.outputs.forget()
            self._reader.forget()
            self._environment.cut.cuts = 0

    def hold(self) -> None:
        """Have the kernel's part do nothing more; what it has done stays."""
        self._port.change(self._state(stopping=True))

    def finish(self) -> None:
        """Run what is left of the kernel's records, then ``end`` handlers, or ``error`` handlers, once."""
        if self._is_finished:
            return
        self.run_records()
        with self.outputs.changing:
            self._texts = {h.file: self._text_of(h) for h in self._ordered(ir.Event.READ)}
            self._is_finished = True
            self._answer()
            for handler in self._ordered(ir.Event.END):
                if not self.failed:
                    self._run(self._tasks[handler.number], ends=True)
            if self.failed:
                for handler in self._ordered(ir.Event.ERROR):
                    self._run(self._tasks[handler.number], ends=True)
            self._environment.put_out_commands(COMMAND_S)
            self.outputs.sink.close()
            self._changed()

    def _ordered(self, event: ir.Event) -> list[ir.Handler]:
        handlers = [h for h in self._placed.user_handlers if h.event is event]
        return sorted(handlers, key=lambda h: (h.order, h.number))

    def _state(self, *, stopping: bool) -> list[Change]:
        value = struct.pack("<QqqQ", stopping, self._target_pid, self._offset_ns, self._errors)
        return [Change("update", layout.STATE, (struct.pack("<I", 0),), (value,))]

    # --- one handler -----------------------------------------------------------------------------

    def _run(self, task: _Task, captured: Captured = (), *, ends: bool = False) -> None:
        """Run a handler on fresh copies of the kernel's globals, and write back what it changed."""
        if task.read:
            self._port.collect([name for held in task.read for name in held.remote.codec.maps])
            snapshots = self.outputs.snapshots()
            for held in task.read:
                held.copy.entries = held.remote.look(snapshots)
        self._guarded(task, captured, ends=ends)
        if task.written:
            # What it did before it failed counts.
            self._write_back(task)
        self._changed()

    def _guarded(self, task: _Task, captured: Captured, *, ends: bool = False) -> None:
        try:
            task.call(captured)
        except ScriptError as error:
            self._fail(str(error), error.at, at_once=isinstance(error, LimitError))
        except KTraceError:
            raise
        except Exception as error:  # a fault of ours must not leave probes attached
            words = f"{type(error).__name__} in probe {task.handler.name}: {error}"
            self._fail(words, task.handler.at, at_once=True)
        if self._environment.exiting and not self.ending and not ends:
            self.ending = self._exit_words(task.handler)

    def _write_back(self, task: _Task) -> None:
        changes = [c for held in task.written for c in held.remote.changes(held.copy.entries)]
        if not changes:
            return
        taken, refused = self._port.change(changes)
        for held in task.written:
            held.remote.settle(taken)
        if refused:
            self._fail("Array overflow, check MAXMAPENTRIES", task.handler.at)

    def _changed(self) -> None:
        self.outputs.runs += 1
        self.outputs.strings_cut = self._environment.cut.cuts
        self.outputs.show_lines()

    # --- errors and the end ------------------------------------------------------------------------

    def _kernel_failed(self, record: Failed) -> None:
        handler = self._handlers.get(record.handler)
        if record.site < 0:
            self._fail(record.text, handler.at if handler else None)
            return
        site = self._sites[record.site] if record.site < len(self._sites) else None
        if site is None:
            self._fail(f"error {record.site} of the kernel's part", handler.at if handler else None)
            return
        error = ScriptError(_words(site, record.detail, self._sizes.get(site.name, 0)), site.at)
        error.own = site.code == layout.RAISED
        self._fail(str(error), site.at)

    def _fail(self, message: str, at: Place | None, *, at_once: bool = False) -> None:
        """Count an error; beyond ``MAXERRORS`` it ends the script."""
        self._errors += 1
        ends = at_once or self._errors > self._limits.max_errors
        if self._errors <= NOTED:
            source, span = (at.source, at.span) if at else (None, None)
            severity = "error" if ends else "warning"
            self.outputs.problems.append(Problem(message, source, span, severity=severity))
        if ends and not self.failed:
            self.failed = True
            self.ending = f"error: {message}"

    def _warned(self, message: str) -> None:
        if len(self.outputs.problems) < NOTED:
            self.outputs.problems.append(Problem(message.rstrip("\n"), severity="warning"))

    def _exit_words(self, handler: ir.Handler) -> str:
        calls = [
            e.at for e in walk.expressions(handler.body) if isinstance(e, ir.Intrinsic) and e.name == "exit"
        ]
        at = calls[0] if len(calls) == 1 and calls[0] else handler.at
        if at is None:
            return f"exit() in probe {handler.name}"
        line, _ = at.source.position(at.span.start)
        return f"exit() at {at.source.name}:{line}"

    # --- names for numbers ---------------------------------------------------------------------------

    def _name_of(self, function: str, number: int) -> str:
        known = self._names.get((function, number))
        if known is None:
            known = self._names[function, number] = str(self._functions[function](number))
        return known

    def _stacks_snapshot(self) -> MapSnapshot | None:
        if not self._has_stacks:
            return None
        self._port.collect([layout.STACKS])
        return self.outputs.snapshots().get(layout.STACKS)


def _words(site: layout.Site, detail: int, size: int) -> str:
    """An error of the kernel's part in SystemTap's words; ``size`` is what the script gives an array."""
    if site.code == layout.FAULT:
        return f"read fault [man error::fault] at {detail:#x}"
    if site.code == layout.DIVISION:
        return "division by 0"
    if site.code == layout.ARRAY_FULL:
        return overflow(size).message
    if site.code == layout.TOO_MANY_ACTIONS:
        return "MAXACTION exceeded"
    return site.name


def _teller(store: OwnStore) -> Callable[[], Entries]:
    return lambda: store.entries
