"""A script and a kernel's part of it that tests play themselves."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, cast

from ktrace_nb.ir import script as ir
from ktrace_nb.ir import script_layout as layout
from ktrace_nb.ir.program import EVENTS, MAP, Output, Program
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.source import Edited, Place, Source, Span
from ktrace_nb.stream.script.port import Port
from ktrace_nb.stream.script.runtime import ScriptRun
from ktrace_nb.wire import bundle as b
from ktrace_nb.wire.frames import REPLY, Message

CPUS = 2
RING_FD = 1
BOOTED_NS = 1_000_000_000_000_000_000
"""Wall clock when the monotonic one was 0."""

SOURCE = Source("probe begin { x++ }\nprobe timer.s(1) { exit() }\nprobe end { error(1/0) }\n", "cell")


def place(start: int, end: int) -> Place:
    """A range of :data:`SOURCE`."""
    return Place(SOURCE, Span(start, end))


def values_of(kernel_global: ir.KernelGlobal) -> tuple[int, int, int]:
    """Type of a global's map, bytes of its key and of its value."""
    variable = kernel_global.variable
    is_array, per_cpu = bool(variable.keys), variable.type is ir.Type.STATISTICS
    kinds = {
        (False, False): b.ARRAY,
        (False, True): b.PERCPU_ARRAY,
        (True, False): b.HASH,
        (True, True): b.PERCPU_HASH,
    }
    size = layout.statistics_layout(variable).size if per_cpu else layout.slot_size(kernel_global.value)
    return kinds[is_array, per_cpu], layout.offsets(kernel_global.keys)[-1] if is_array else 4, size


class PlayedKernel:
    """Maps as the agent's operations see them, and a run of a script over them."""

    def __init__(self, placed: ir.Placed, sites: Sequence[layout.Site] = ()) -> None:
        definitions = [b.MapDef(RING_FD, layout.RECORDS, b.RINGBUF, 0, 0, 4096, slot=0, role="ring")]
        self.maps: dict[str, dict[bytes, bytes]] = {layout.STATE: {}}
        definitions.append(b.MapDef(2, layout.STATE, b.ARRAY, 4, 8 * len(layout.STATE_FIELDS), 1, slot=1))
        for number, kernel_global in enumerate(placed.kernel_globals, 3):
            kind, key_size, value_size = values_of(kernel_global)
            name = layout.map_name(kernel_global.variable)
            definitions.append(b.MapDef(number, name, kind, key_size, value_size, 100, slot=number - 1))
            stride = value_size * CPUS if kind in b.PERCPU_TYPES else value_size
            self.maps[name] = {} if kernel_global.variable.keys else {bytes(4): bytes(stride)}
        self._definitions = {d.name: d for d in definitions}
        programs = [b.ProgramDef(h.handler.function, b.KPROBE, "GPL", b"") for h in placed.kernel_handlers]
        bundle = b.Bundle(tuple(definitions), tuple(programs))
        text = Source("", "script.c")
        outputs = tuple(Output(d.name, EVENTS if d.role == "ring" else MAP) for d in definitions)
        program = Program(text, Edited(text, []), (), outputs, script=placed, sites=tuple(sites))
        facts = KernelFacts(cast(Any, self), release="6.12.0 test", machine="x86_64", cpus=CPUS)
        port = Port(self.call, "session", bundle, self.collect, CPUS)
        self.now_ns = 0
        self.asked: list[str] = []
        """Operations of the agent that were asked for."""
        self.between: list[Callable[[], object]] = []
        """Called, one each time, before maps are changed: events that come just then."""
        self.commands: list[str] = []
        self.run = ScriptRun(program, bundle, facts, port, every_s=1.0)

    def fact(self, name: str) -> bytes:
        """What the kernel tells: one symbol."""
        return b"ffffffff81000000 T vfs_read\nffffffff81000100 T vfs_write\n" if name == "kallsyms" else b""

    # --- the agent -------------------------------------------------------------------------

    def call(self, op: str, blob: bytes = b"", **fields: Any) -> Message:
        """Answer as the agent does."""
        self.asked.append(op)
        if op == "ping":
            return Message(REPLY, {"realtime_ns": BOOTED_NS + 5, "monotonic_ns": 5}, b"")
        if op == "exec":
            self.commands.append(fields["argv"][-1])
            return Message(REPLY, {"status": 0, "stdout": 3, "stderr": 0}, b"hi\n")
        assert op == "change"
        if self.between:
            self.between.pop(0)()
        return self._change(fields["steps"], blob)

    def _change(self, steps: list[list[Any]], blob: bytes) -> Message:
        heads, parts, at = [], b"", 0
        for what, name, entries in steps:
            definition, entries_of = self._definitions[name], self.maps[name]
            keys = [blob[at + i * definition.key_size :][: definition.key_size] for i in range(entries)]
            at += entries * definition.key_size
            stride = self._stride(definition)
            if what == "update":
                for i, key in enumerate(keys):
                    entries_of[key] = blob[at + i * stride :][:stride]
                at += entries * stride
            elif what == "delete":
                for key in keys:
                    entries_of.pop(key, None)
            else:
                taken = {k: entries_of.pop(k) for k in keys or list(entries_of) if k in entries_of}
                heads.append([name, len(taken), stride, 7])
                parts += b"".join(taken) + b"".join(taken.values())
        assert at == len(blob)
        return Message(REPLY, {"maps": heads, "refused": 0}, parts)

    def _stride(self, definition: b.MapDef) -> int:
        return definition.value_size * (CPUS if definition.type in b.PERCPU_TYPES else 1)

    def collect(self, names: Sequence[str], spans: bytes = b"") -> None:
        """Hand maps, and what is in the ring, to the outputs."""
        self.now_ns += 1000
        maps = {name: self.maps[name] for name in names if name in self.maps}
        head = {
            "spans": [[RING_FD, -1, len(spans)]] if spans else [],
            "maps": [[n, len(m), self._stride(self._definitions[n]), self.now_ns] for n, m in maps.items()],
            "programs": {},
        }
        blob = spans + b"".join(b"".join(m) + b"".join(m.values()) for m in maps.values())
        self.run.outputs.ingest(head, blob)

    # --- the programs ------------------------------------------------------------------------

    def send(self, *payloads: bytes) -> None:
        """Records arrive."""
        self.collect((), b"".join(struct.pack("<II", len(p), 0) + p + bytes(-len(p) % 8) for p in payloads))

    def add(self, name: str, key: tuple[int, ...], value: int) -> None:
        """``name[key] += value`` in the kernel; integers only."""
        entries = self.maps[f"g_{name}"]
        packed = struct.pack(f"<{len(key)}q", *key) if key else bytes(4)
        (old,) = struct.unpack("<q", entries.get(packed, bytes(8)))
        entries[packed] = struct.pack("<q", old + value)

    def accumulate(self, name: str, key: tuple[int, ...], value: int, cpu: int = 0) -> None:
        """``name[key] <<< value`` in the kernel, on a CPU."""
        entries = self.maps[f"g_{name}"]
        packed = struct.pack(f"<{len(key)}q", *key) if key else bytes(4)
        data = bytearray(entries.get(packed, bytes(32 * CPUS)))
        count, total, least, most = struct.unpack_from("<4q", data, 32 * cpu)
        least, most = (min(least, value), max(most, value)) if count else (value, value)
        struct.pack_into("<4q", data, 32 * cpu, count + 1, total + value, least, most)
        entries[packed] = bytes(data)

    @property
    def state(self) -> tuple[int, int, int]:
        """Stopping, target pid, offset of the wall clock."""
        return cast(tuple[int, int, int], struct.unpack_from("<3q", self.maps[layout.STATE][bytes(4)]))


def record(number: int, handler: int, *values: int) -> bytes:
    """A record of integers."""
    return struct.pack(f"<IIQQ{len(values)}q", number, handler, 1000, 0, *values)


def placed(
    handlers: Sequence[ir.Handler] = (),
    *,
    kernel_globals: Sequence[ir.KernelGlobal] = (),
    user_globals: Sequence[ir.GlobalVariable] = (),
    records: Sequence[ir.Record] = (),
    limits: ir.Limits = ir.Limits(),  # noqa: B008 - frozen
) -> ir.Placed:
    """A script whose kernel events are those that records name, all of handler 100."""
    event = ir.Handler(number=100, event=ir.Event.KERNEL, name='kernel.function("vfs_read")', body=())
    variables = (*(g.variable for g in kernel_globals), *user_globals)
    script = ir.Script(globals=variables, functions=(), handlers=(*handlers, event), limits=limits)
    return ir.Placed(
        script=script,
        kernel_globals=tuple(kernel_globals),
        kernel_functions=(),
        kernel_handlers=(ir.KernelHandler(event, (), ()),),
        records=tuple(records),
        user_globals=tuple(user_globals),
        user_handlers=tuple(handlers),
        user_functions=(),
    )
