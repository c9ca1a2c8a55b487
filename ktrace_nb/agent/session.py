"""One session on this kernel: load, attach, run, collect, detach.

Everything a session made is a descriptor of this process. Requests come one at
a time (see :mod:`ktrace_nb.agent.server`); only :meth:`AgentSession.interrupt`
is called from another thread.
"""

from __future__ import annotations

import os
import select
import struct
import threading
import time
from typing import Any, Callable, Union

from ktrace_nb.agent import bpf, maps, perf
from ktrace_nb.agent.errors import AgentError
from ktrace_nb.agent.graph import Graph
from ktrace_nb.agent.host import online_cpus, possible_cpus
from ktrace_nb.agent.peek import Peek, Wanted
from ktrace_nb.agent.points import Attached
from ktrace_nb.agent.rings import PAGE, Ring
from ktrace_nb.agent.runstats import RunStats
from ktrace_nb.agent.settle import settle
from ktrace_nb.agent.tracepipe import TracePipe, prints_to_trace
from ktrace_nb.agent.workload import Workload
from ktrace_nb.wire import bundle as b
from ktrace_nb.wire.frames import PEEK, Message

Answer = Union[tuple[dict[str, Any], bytes], tuple[dict[str, Any], list[bytes]]]
Buffer = Union[Ring, perf.OutputBuffer]

REST_S = 0.01
"""Rest before draining: a reader that is behind is not woken for every record."""
MOST_RESTS = 10
"""Where records keep coming and there is room for them, the rest is longer: every
collect costs both sides most of a millisecond."""

PERF_PAGES = 64
"""Pages per CPU of a BPF_PERF_OUTPUT buffer."""


class AgentSession:
    """Maps, programs, attachments and the workload of one session."""

    def __init__(self) -> None:
        self._cpus = possible_cpus()
        self._bundle = b.Bundle((), ())
        self._fds: list[int] = []
        self._maps: dict[int, int] = {}
        self._arrays: dict[int, maps.MappedArray] = {}
        self._switch_words: maps.Words | None = None
        self._own: dict[int, b.MapDef] = {}
        self._programs: dict[str, int] = {}
        self._attached = Attached()
        self._buffers: list[tuple[int, Buffer]] = []
        self._workload: Workload | None = None
        self._trace: TracePipe | None = None
        self._graph: Graph | None = None
        self._stats: RunStats | None = None
        self._peek_program: Peek | None = None
        self._stopping = threading.Event()
        self._closed = False
        self._poll = select.epoll()
        self._woken, self._waker = os.pipe()
        self._waker_lock = threading.Lock()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)
        self._poll.register(self._woken, select.EPOLLIN)
        self._operations: dict[str, Callable[[Message], Answer]] = {
            "open": lambda _: ({}, b""),
            "load": self._load,
            "attach": self._attach,
            "graph_track": self._graph_track,
            "run": self._run,
            "go": self._go,
            "switch": self._switch,
            "change": self._change,
            "clear": self._clear,
            "peek": self._peek,
            "collect": self._collect,
            "detach": self._detach,
            "control": self._control,
            "close": self._close,
        }

    def handle(self, message: Message) -> Answer:
        """Carry out one request."""
        operation = self._operations.get(str(message.head.get("op")))
        if operation is None:
            raise AgentError("no_operation", "a session has no operation {!r}".format(message.head.get("op")))
        return operation(message)

    def interrupt(self) -> None:
        """Make a collect that waits come back at once, now and from now on."""
        self._stopping.set()
        self._wake()

    def wake(self) -> None:
        """Make a collect that waits come back soon."""
        self._wake()

    def _wake(self) -> None:
        with self._waker_lock:
            try:
                if self._waker >= 0:
                    os.write(self._waker, b"!")
            except BlockingIOError:
                pass  # full: it will wake anyway

    # --- load ------------------------------------------------------------------

    def _load(self, message: Message) -> Answer:
        """Create the maps and load the programs of the bundle in the blob."""
        if self._programs:
            raise AgentError("bad_request", "this session has its programs already")
        self._bundle = b.decode_bundle(message.blob)
        btf = self._load_btf()
        definitions = (*self._bundle.maps, *self._bundle.own_maps)
        self._maps = maps.create(definitions, btf, self._cpus)
        self._fds += self._maps.values()
        self._arrays = maps.map_arrays(self._bundle.maps, self._maps)
        self._own = {m.fd: m for m in self._bundle.own_maps}
        self._switch_words = maps.Words(self._maps[b.SWITCH_FD], self._own[b.SWITCH_FD])
        for program in self._bundle.programs:
            self._programs[program.name] = fd = self._load_program(program, btf)
            self._fds.append(fd)
        for definition in self._bundle.maps:
            self._open_buffers(definition)
        self._stats = RunStats(self._programs, always=any(p.hits_row < 0 for p in self._bundle.programs))
        return {"cpus": self._cpus}, b""

    def _load_btf(self) -> int:
        if not self._bundle.btf:
            return 0
        try:
            fd = bpf.load_btf(self._bundle.btf)
        except OSError:
            return 0  # the kernel lacks a BTF kind the compiler used; only names in its logs are lost
        self._fds.append(fd)
        return fd

    def _load_program(self, program: b.ProgramDef, btf: int) -> int:
        insns = bytearray(program.insns)
        for at in range(0, len(insns), 8):
            # BPF_LD | BPF_DW | BPF_IMM with src_reg BPF_PSEUDO_MAP_FD
            if insns[at] == 0x18 and insns[at + 1] >> 4 == 1:
                (number,) = struct.unpack_from("<i", insns, at + 4)
                struct.pack_into("<i", insns, at + 4, self._maps[number])
        module_fd = 0
        if program.attach_module:
            try:
                module_fd = bpf.module_btf_fd(program.attach_module)
            except OSError as error:
                raise AgentError.from_os(error, f"types of module {program.attach_module!r}") from None
        try:
            return bpf.load_program(
                program.type,
                program.name,
                bytes(insns),
                program.license,
                program.kern_version,
                program.flags,
                program.attach_type,
                btf,
                (program.func_info, program.func_info_size),
                (program.line_info, program.line_info_size),
                program.attach_btf_id,
                module_fd,
            )
        except bpf.ProgramRefused as refused:
            raise AgentError(
                "verifier", str(refused), program=program.name, errno=refused.errno, log=refused.log
            ) from None
        finally:
            if module_fd:
                os.close(module_fd)

    def _open_buffers(self, definition: b.MapDef) -> None:
        fd = self._maps[definition.fd]
        buffers: list[Buffer] = []
        if definition.role == "ring":
            buffers.append(Ring(fd, definition.max_entries))
        elif definition.role == "perf_output":
            for cpu in online_cpus():
                output = perf.OutputBuffer(cpu, PERF_PAGES)
                buffers.append(output)
                bpf.update(fd, struct.pack("<I", cpu), struct.pack("<I", output.fd))
        for buffer in buffers:
            self._poll.register(buffer.fd, select.EPOLLIN)
            self._buffers.append((definition.fd, buffer))

    def _control(self, message: Message) -> Answer:
        """Tell the programs the limits in the blob."""
        bpf.update(self._maps[b.CONTROL_FD], struct.pack("<I", 0), message.blob)
        return {}, b""

    def _switch(self, message: Message) -> Answer:
        """Switch programs: ``rows`` has of each its ``hits_row`` and its word of the switch map.

        ``graph``, if given: whether function_graph records. With ``settle`` the answer
        comes when all that ran before have ended.
        """
        if self._switch_words is None:
            raise AgentError("bad_request", "this session has no programs yet")
        self._switch_words.set((int(row), int(word)) for row, word in message.head["rows"])
        recording = message.head.get("graph")
        if recording is not None and self._graph is not None:
            if recording:
                self._graph.resume()
            else:
                self._graph.pause()
        if message.head.get("settle"):
            settle()
        return {"monotonic_ns": time.monotonic_ns()}, b""

    # --- attach and run -----------------------------------------------------------

    def _attach(self, message: Message) -> Answer:
        """Attach every point of the bundle, all or none.

        ``refused`` of the answer has what optional points left out: index of the point, of
        the function in it, the kernel's ``errno``; ``graph`` the names of functions that
        function_graph cannot see.

        Raises:
            AgentError: A point that cannot be attached; ``point`` is its index.
        """
        if self._trace is None and any(prints_to_trace(p.insns) for p in self._bundle.programs):
            self._trace = TracePipe()
            self._poll.register(self._trace.fd, select.EPOLLIN)
        head: dict[str, Any] = {}
        if self._bundle.graph is not None:
            self._graph = Graph(self._bundle.graph)
            head["graph"] = {"refused": self._graph.refused}
            for fd in self._graph.fds:
                self._poll.register(fd, select.EPOLLIN)
        try:
            self._attached.attach(self._bundle.attach, self._programs)
        except BaseException:
            self._detach_all()
            raise
        if self._graph:
            self._graph.start()
        return {
            "attached": len(self._attached),
            "refused": self._attached.refused,
            "monotonic_ns": time.monotonic_ns(),
            **head,
        }, b""

    def _graph_track(self, message: Message) -> Answer:
        """Have function_graph record process ``pid`` and its children, and no process that was not named."""
        if self._graph is None:
            raise AgentError("bad_request", "this session has no function_graph")
        self._graph.track(int(message.head["pid"]))
        return {"monotonic_ns": time.monotonic_ns()}, b""

    def _run(self, message: Message) -> Answer:
        """Start the workload ``command``, as ``user`` and ``group`` if given.

        With ``held`` its process is there, but runs nothing before ``go``.
        """
        user = message.head.get("user")
        group = message.head.get("group")
        identity = (int(user), int(group)) if user is not None and group is not None else None
        held = bool(message.head.get("held"))
        self._workload = Workload(str(message.head["command"]), self._wake, identity, held=held)
        return {"pid": self._workload.pid}, b""

    def _go(self, _: Message) -> Answer:
        """Let a workload go that was held."""
        if self._workload is None:
            raise AgentError("bad_request", "this session has no workload")
        self._workload.go()
        return {}, b""

    def _change(self, message: Message) -> Answer:
        """Change entries of maps, in the order of ``steps``.

        A step is ``[what, map, entries]``: the blob has for ``update`` the keys and
        the values of so many entries, for ``delete`` the keys. ``take`` removes the
        entries whose keys the blob has, or all if it is for 0 entries, and hands on
        what they were as ``collect`` does.
        """
        definitions = {m.name: m for m in self._bundle.maps}
        head: dict[str, Any] = {"maps": [], "refused": 0}
        blobs: list[bytes] = []
        at = 0

        def next_bytes(size: int) -> bytes:
            nonlocal at
            at += size
            return message.blob[at - size : at]

        for what, name, entries in message.head["steps"]:
            definition = definitions[name]
            fd = self._maps[definition.fd]
            keys = next_bytes(entries * definition.key_size)
            if what == "update":
                values = next_bytes(entries * maps.stride(definition, self._cpus))
                head["refused"] += maps.update(fd, definition, self._cpus, keys, values)
            elif what == "delete":
                maps.delete(fd, definition, keys)
            else:
                taken = maps.take(fd, definition, self._cpus, keys)
                head["maps"].append([name, taken.entries, taken.value_size, time.monotonic_ns()])
                blobs += [taken.keys, taken.values]
        head["monotonic_ns"] = time.monotonic_ns()
        return head, blobs

    def _clear(self, message: Message) -> Answer:
        """Empty ``maps``, given by name, and make arrays 0; no program may be changing them."""
        definitions = {m.name: m for m in self._bundle.maps}
        for name in message.head["maps"]:
            definition = definitions[name]
            try:
                maps.clear(self._maps[definition.fd], definition, self._cpus, self._arrays.get(definition.fd))
            except OSError as error:
                raise AgentError.from_os(error, f"map {name!r} cannot be cleared", map=name) from None
        return {"monotonic_ns": time.monotonic_ns()}, b""

    def _peek(self, message: Message) -> Answer:
        """Read the kernel's memory: the blob has :data:`PEEK` for each read.

        ``sizes`` of the answer has for each how many bytes of its blob it gave, -1 if
        the address could not be read.
        """
        if self._peek_program is None:
            self._peek_program = Peek()
        wanted = [Wanted(a, size, bool(text)) for a, size, text in PEEK.iter_unpack(message.blob)]
        found = self._peek_program.read(wanted)
        sizes = [-1 if data is None else len(data) for data in found]
        return {"sizes": sizes}, b"".join(data for data in found if data)

    def _detach(self, _: Message) -> Answer:
        """Take every probe away; maps and buffers stay readable."""
        self._detach_all()
        settle()
        if self._stats:
            self._stats.close()
        return {}, b""

    def _detach_all(self) -> None:
        try:
            if self._graph:
                self._graph.stop()
        finally:
            self._attached.release()

    # --- collect ------------------------------------------------------------------

    def _collect(self, message: Message) -> Answer:
        """Wait up to ``wait_ms`` for something new, then hand on what there is.

        ``maps``: names to snapshot; ``bytes``: limit for ring data. The head of
        the reply describes, in the order of the blob, ``spans``, ``graph``, ``maps``,
        ``text`` and the workload's output.
        """
        limit = int(message.head.get("bytes", 1 << 20))
        self._wait(float(message.head.get("wait_ms", 0)) / 1000)
        # What rings tell of threads until then comes along: no call that is later goes before it.
        before_ns = time.monotonic_ns()
        blobs: list[bytes] = []
        head: dict[str, Any] = {"spans": [], "maps": []}
        for fd, buffer in self._buffers:
            span = buffer.take(limit) if limit > 0 and buffer.pending() else b""
            if span:
                limit -= len(span)
                head["spans"].append([fd, getattr(buffer, "cpu", -1), len(span)])
                blobs.append(span)
        head["more"] = any(buffer.pending() for _, buffer in self._buffers)
        if self._graph:
            head["graph"], pages = self._graph.take(max(limit, 0), before_ns)
            head["more"] = head["more"] or not all(drained for _, _, drained in head["graph"]["cpus"])
            blobs += pages
        self._collect_maps(message.head.get("maps", []), head["maps"], blobs)
        head["programs"] = self._program_statistics()
        if self._trace:
            text = self._trace.take()
            head["text"], head["text_lost"] = len(text), self._trace.lost
            head["more"] = head["more"] or self._trace.pending
            blobs.append(text)
        if self._workload:
            out, err, dropped = self._workload.take_output()
            head["workload"] = {
                "status": self._workload.status,
                "stdout": len(out),
                "stderr": len(err),
                "dropped": dropped,
            }
            blobs += [out, err]
        head["monotonic_ns"] = time.monotonic_ns()
        return head, blobs

    def _wait(self, timeout: float) -> None:
        if timeout <= 0 or self._stopping.is_set():
            return
        if self._poll.poll(timeout):
            for _ in range(MOST_RESTS):
                if self._stopping.wait(REST_S) or not self._filling():
                    break
        try:
            while os.read(self._woken, 4096):
                pass
        except BlockingIOError:
            pass

    def _filling(self) -> bool:
        """Whether records come fast, and there is room for those that come yet."""
        return any(PAGE < buffer.pending() < buffer.size // 8 for _, buffer in self._buffers)

    def _collect_maps(self, names: list[str], heads: list[Any], blobs: list[bytes]) -> None:
        wanted = set(names)
        definitions = [m for m in self._bundle.maps if m.type in b.LISTABLE_TYPES]
        for definition in [d for d in (*definitions, self._own[b.LEDGER_FD]) if d.name in wanted]:
            array = self._arrays.get(definition.fd)
            snapshot = array.read() if array else maps.read(self._maps[definition.fd], definition, self._cpus)
            heads.append([definition.name, snapshot.entries, snapshot.value_size, time.monotonic_ns()])
            blobs += [snapshot.keys, snapshot.values]

    def _program_statistics(self) -> dict[str, list[int]]:
        """Per program: hits, nanoseconds, recursion misses, missed kprobes."""
        missed = self._attached.missed()
        counted = maps.read(self._maps[b.HITS_FD], self._own[b.HITS_FD], self._cpus).values
        rows = list(struct.iter_unpack(f"<{self._cpus}Q", counted))
        looks = self._stats.look() if self._stats else {}
        result = {}
        for definition in self._bundle.programs:
            look, row = looks[definition.name], definition.hits_row
            hits = sum(rows[row]) if row >= 0 else look.runs
            result[definition.name] = [hits, look.ran_ns, look.recursion, missed.get(definition.name, 0)]
        return result

    def _close(self, _: Message) -> Answer:
        """Let go of everything; when the answer comes, nothing is left."""
        self.close()
        return {}, b""

    def close(self) -> None:
        """Let go of everything. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        if self._workload:
            self._workload.close()
        try:
            self._detach_all()
        except OSError:
            pass  # its keeper tries again
        if self._stats:
            self._stats.close()
        for _, buffer in self._buffers:
            buffer.close()
        for array in self._arrays.values():
            array.close()
        if self._switch_words:
            self._switch_words.close()
        if self._trace:
            self._trace.close()
        if self._peek_program:
            self._peek_program.close()
        self._poll.close()
        with self._waker_lock:
            os.close(self._waker)
            self._waker = -1  # the workload's threads may still call _wake()
        for fd in [*self._fds, self._woken]:
            os.close(fd)
