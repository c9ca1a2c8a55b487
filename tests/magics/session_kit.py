"""A session of a C cell without a target: its maps and events are filled in by hand."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

from ktrace_nb.governor import Limits
from ktrace_nb.ir.program import LOG2, Output, Program
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.session import Session
from ktrace_nb.source import Edited, Source
from ktrace_nb.targets.connection import Hello
from ktrace_nb.wire import bundle as b
from tests.facts_kit import StoredFacts
from tests.kernel_facts.btf_writer import BtfWriter

BEGAN_NS = 1_000_000_000_000
"""When everything was attached, on the target's clock."""

_SWITCH = "<QIII16s16s4x"
_STEP = "<QQII"


def traced() -> Session:
    """A session with a histogram, a map, counters and two streams of events, just attached."""
    types = BtfWriter()
    u32, u64 = types.integer("unsigned int", 4), types.integer("unsigned long long", 8)
    char = types.integer("char", 1, signed=True)
    name = types.array(char, 16)
    numbers = [("ts", u64, 0), ("cpu", u32, 64), ("prev_pid", u32, 96), ("next_pid", u32, 128)]
    types.record("switched", 56, [*numbers, ("prev_comm", name, 160), ("next_comm", name, 288)])
    types.record(
        "step", 24, [("ts", u64, 0), ("skaddr", u64, 64), ("oldstate", u32, 128), ("newstate", u32, 160)]
    )
    maps = (
        b.MapDef(1, "latency_ns", b.ARRAY, 4, 8, 64, btf_key=u32, btf_value=u64, slot=0),
        b.MapDef(2, "bytes", b.HASH, 4, 8, 100, btf_key=u32, btf_value=u64, slot=1),
        b.MapDef(3, "counters", b.ARRAY, 4, 8, 2, btf_key=u32, btf_value=u64, slot=2),
        b.MapDef(4, "switches", b.RINGBUF, 0, 0, 4096, slot=3, role="ring"),
        b.MapDef(5, "steps", b.RINGBUF, 0, 0, 4096, slot=4, role="ring"),
    )
    outputs = (
        Output("latency_ns", "histogram", LOG2),
        *(Output(name, "map") for name in ("bytes", "counters")),
        Output("switches", "events", type_names=("struct switched",)),
        Output("steps", "events", type_names=("struct step",)),
    )
    source = Source("")
    program = Program(source, Edited(source, []), (), outputs, structs=("struct switched", "struct step"))
    programs = (b.ProgramDef("kprobe__f", b.KPROBE, "GPL", b""),)
    built: Any = SimpleNamespace(
        program=program, bundle=b.Bundle(maps, programs, (), types.blob()), events={}, problems=()
    )
    hello = Hello("6.12", "", "x86_64", "nowhere", 2, (0, 1), "", 0, 1, 0, 0)
    target: Any = SimpleNamespace(name="nowhere", hello=hello, connection=SimpleNamespace(call=None))
    facts = KernelFacts(StoredFacts({}), release="6.12", machine="x86_64", cpus=2)
    session = Session("trace", target, facts, built, Limits())
    session.attached_ns = session.counted_ns = BEGAN_NS
    return session


def collect(
    session: Session, at_s: float, *, spans: dict[int, bytes] | None = None, **maps: dict[int, int]
) -> None:
    """What the agent would have collected at a moment: maps by name, records by descriptor."""
    at_ns = BEGAN_NS + round(at_s * 1e9)
    head: dict[str, Any] = {"spans": [], "maps": [], "programs": {}, "text": 0}
    blob = b""
    for fd, span in (spans or {}).items():
        head["spans"].append([fd, -1, len(span)])
        blob += span
    for name, entries in maps.items():
        head["maps"].append([name, len(entries), 8, at_ns])
        blob += struct.pack(f"<{len(entries)}I", *entries)
        blob += struct.pack(f"<{len(entries)}Q", *entries.values())
    session.outputs.ingest(head, blob)
    session.counted_ns = at_ns


def switches(*told: tuple[float, int, int, str, int, str]) -> bytes:
    """Records: second, CPU, what ran (number, name), what runs then."""
    records = b""
    for at_s, cpu, before, before_name, after, after_name in told:
        data = struct.pack(
            _SWITCH,
            BEGAN_NS + round(at_s * 1e9),
            cpu,
            before,
            after,
            before_name.encode(),
            after_name.encode(),
        )
        records += _record(data)
    return records


def steps(*told: tuple[float, int, int, int]) -> bytes:
    """Records: second, socket, from which state, to which."""
    return b"".join(
        _record(struct.pack(_STEP, BEGAN_NS + round(at_s * 1e9), sk, old, new)) for at_s, sk, old, new in told
    )


def _record(data: bytes) -> bytes:
    """As a ring has it: length, page offset, data in multiples of eight bytes."""
    return struct.pack("<II", len(data), 0) + data + bytes(-len(data) % 8)
