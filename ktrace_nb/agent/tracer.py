"""Set ftrace's tracer ``function_graph`` up, have it record, take it away.

Where the kernel lets it (Linux 6.12 does, 6.1 does not), the tracer works in an
instance of tracefs of the session's own. Else there is one for the whole machine:
who uses it already is not disturbed, and everything changed is put back (see
:mod:`ktrace_nb.agent.keeper`).

Functions are named to the kernel by their line in ``available_filter_functions``:
a name would be compared with every function's, 40 ms each in an emulated machine,
all 607 of ``ext4_*`` by line take 8 ms. Source: Linux ``kernel/trace/ftrace.c``,
``add_rec_by_index()``.

While nothing is to be recorded, only calls of a thread that cannot be are looked
at. Were it the buffer alone that is off, the kernel would note for a
thread that it is below a root and then, its call not being recorded, never forget:
the next call of that thread would count as below a root, whatever it is. Source:
``kernel/trace/trace.h``, ``ftrace_graph_addr()``, and ``trace_graph_entry()``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from ktrace_nb.agent import tracefs_words as files
from ktrace_nb.agent.errors import AgentError
from ktrace_nb.agent.host import online_cpus
from ktrace_nb.agent.keeper import Keeper, write_words
from ktrace_nb.agent.mounts import TRACEFS
from ktrace_nb.wire.bundle import GraphDef

TRACER = "function_graph"

MOST_KB = 1 << 16
"""Room for all CPUs together: when tracing stops, what is unread is kept in the agent."""


NOBODY = 1 << 22
"""A thread's number that none ever has. Source: Linux ``include/linux/threads.h``, ``PID_MAX_LIMIT``."""


_IGNORED = "set_ftrace_notrace_pid"
"""Threads whose calls are not looked at although those of all or of their process are."""


def _mask(cpus: Iterable[int]) -> str:
    """CPUs as the kernel reads them: hexadecimal, with a comma between every 32 bits."""
    bits = sum(1 << cpu for cpu in cpus)
    digits = f"{bits:x}"
    head = len(digits) % 8
    groups = [digits[:head]] if head else []
    groups += [digits[at : at + 8] for at in range(head, len(digits), 8)]
    return ",".join(groups)


class Tracer:
    """The tracer, set up and not yet recording.

    Args:
        definition: What is wanted.

    Raises:
        AgentError: ``no_tracer`` if the kernel lacks it, ``busy`` if somebody uses it,
            ``no_functions`` if it can see none of the functions, ``os`` if the kernel
            refuses a setting; everything is put back.
    """

    def __init__(self, definition: GraphDef) -> None:
        self._tracked = bool(definition.tracked)
        self._roots = definition.roots.splitlines()
        self._ready = False
        lines, self.refused = files.find_lines(definition.functions.splitlines())
        if not lines:
            raise AgentError("no_functions", "ftrace offers none of these functions")
        self.root = files.own_instance(TRACER) or TRACEFS
        folder = self.root if self.root != TRACEFS else ""
        try:
            files.check_free(TRACER, self.root, shared=bool(definition.roots or definition.depth))
            changes, back = self._settings(definition, lines)
            self._keeper = Keeper(back, folder)
        except BaseException:
            if folder:
                os.rmdir(folder)
            raise
        try:
            self._set_up(changes)
            self.page = files.page_size(self.root)
        except BaseException:
            self._keeper.dismiss()
            raise

    def _file(self, name: str) -> str:
        """Where a setting is: an instance has not all of them."""
        path = f"{self.root}/{name}"
        return path if os.path.exists(path) else f"{TRACEFS}/{name}"

    def _settings(
        self, definition: GraphDef, lines: list[str]
    ) -> tuple[dict[str, list[str]], list[tuple[str, list[str]]]]:
        """What is to be changed, and what is to be written at the end; in order."""
        kb = max(64, min(definition.buffer_kb, MOST_KB // len(online_cpus())))
        wanted = {
            # The clock first: changing it empties the buffer.
            "trace_clock": ["mono"],
            "buffer_size_kb": [str(kb)],
            # Whoever waits for the buffer is woken when it is half full: if every event
            # woke the agent, those of its own reading would.
            "buffer_percent": ["50"],
            "tracing_cpumask": [_mask(online_cpus())],
            "options/overwrite": ["1"],
            "options/function-fork": ["1"],
            "options/funcgraph-irqs": ["1"],
            "set_ftrace_filter": lines,
            "set_ftrace_notrace": [],
            "set_ftrace_notrace_pid": [],
            "set_graph_function": [],
            "set_graph_notrace": [],
            "max_graph_depth": [str(definition.depth)],
            "tracing_thresh": ["0"],  # with it, only returns are written
        }
        paths = {self._file(name): words for name, words in wanted.items()}
        before = {path: files.read_words(path) for path in paths if os.path.exists(path)}
        changes = {path: paths[path] for path, words in before.items() if words != paths[path]}
        if not before[self._file("buffer_size_kb")]:  # CPUs differ: somebody wants that
            changes.pop(self._file("buffer_size_kb"))
        # What is changed while it runs, too, and what starts others' recording again at last.
        later = [self._file(name) for name in ("set_ftrace_pid", "tracing_on")]
        if os.path.exists(ignored := self._file(_IGNORED)):
            later.insert(0, ignored)
        if self._roots:
            later.insert(0, self._file("set_graph_function"))
        back = {path: before[path] for path in changes}
        back.update({path: before.get(path) or files.read_words(path) for path in later})
        if self.root != TRACEFS:  # what is in the instance goes with it
            back = {path: words for path, words in back.items() if not path.startswith(self.root)}
        off = [(self._file("tracing_on"), ["0"]), (self._file("current_tracer"), ["nop"])]
        return changes, [*off, *back.items()]

    def _set_up(self, changes: dict[str, list[str]]) -> None:
        self._write("tracing_on", "0")
        self._write("set_ftrace_pid")  # whom somebody looked at is not ours
        self._watch_nobody()
        for path, words in changes.items():
            try:
                write_words(path, words)
            except OSError as error:
                raise AgentError.from_os(error, path) from None
        try:
            self._write("current_tracer", TRACER)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise AgentError("busy", "somebody reads the kernel's trace_pipe") from None
            raise

    def _write(self, name: str, *words: str) -> None:
        write_words(self._file(name), words)

    def _watch_nobody(self) -> None:
        """Look at no calls, whether those of all threads or of none were looked at before."""
        try:
            self._add_threads([NOBODY])
        except OSError:
            # Before Linux 5.16 a number is refused that is beyond kernel.pid_max; the keeper only waits.
            self._add_threads([self._keeper.pid])

    def _add_threads(self, tids: Iterable[int], file: str = "set_ftrace_pid") -> None:
        fd = os.open(self._file(file), os.O_WRONLY | os.O_APPEND)
        try:
            os.write(fd, " ".join(map(str, tids)).encode() + b"\n")
        finally:
            os.close(fd)

    def _prepare(self) -> None:
        """Record what is looked at; that is nothing yet."""
        if not self._ready:
            if self._roots:
                self._write("set_graph_function", *self._roots)
            self._write("tracing_on", "1")
            self._ready = True

    def start(self) -> None:
        """Record from now on; if processes are to be named, from the first on."""
        self._prepare()
        if not self._tracked:
            self._write("set_ftrace_pid")

    def track(self, pid: int) -> None:
        """Record this process, its threads and what they start; none but those tracked.

        Raises:
            AgentError: ``no_process`` if there is none.
        """
        self._prepare()
        done: set[int] = set()
        while True:
            # A thread that came meanwhile may have a parent that was not written yet.
            try:
                new = {int(tid) for tid in os.listdir(f"/proc/{pid}/task")} - done
            except FileNotFoundError:
                raise AgentError("no_process", f"there is no process {pid}") from None
            if not new:
                return
            self._add_threads(sorted(new))
            done |= new

    def pause(self) -> None:
        """Record nothing from now on; what was recorded can be read still."""
        if not self._tracked:
            self._watch_nobody()
        elif self._can_ignore:
            # The kernel adds children to this list as it does to that of the tracked.
            words = files.read_words(self._file("set_ftrace_pid"))
            self._add_threads(map(int, words), _IGNORED)
        self._write("tracing_on", "0")

    def resume(self) -> None:
        """Record again after :meth:`pause`."""
        self._write("tracing_on", "1")
        if not self._tracked:
            self._write("set_ftrace_pid")
        elif self._can_ignore:
            self._write(_IGNORED)

    @property
    def _can_ignore(self) -> bool:
        """Whether threads can be left out by name, as since Linux 5.7."""
        return os.path.exists(self._file(_IGNORED))

    def remove(self) -> None:
        """Take the tracer away and put everything back; nobody may have its buffer open.

        Safe to call twice.
        """
        self._keeper.dismiss()
