"""From what the agent collects to frames and the ledger, without a kernel."""

from __future__ import annotations

import struct
from typing import Any

import pandas as pd
import pytest

from ktrace_nb.ir.program import LINEAR, LOG2, Output
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.stream.outputs import Outputs
from ktrace_nb.wire import bundle as b
from tests.kernel_facts.btf_writer import BtfWriter

CPUS = 2


def make() -> Outputs:
    types = BtfWriter()
    u32, u64 = types.integer("unsigned int", 4), types.integer("unsigned long long", 8)
    char = types.integer("char", 1, signed=True)
    event = [("at", u64, 0), ("comm", types.array(char, 8), 64)]
    types.record("event", 16, event)
    types.refer(Kind.TYPEDEF, u64, "u64")
    maps = (
        b.MapDef(1, "calls", b.HASH, 4, 8, 100, btf_key=u32, btf_value=u64, slot=0),
        b.MapDef(2, "sizes", b.ARRAY, 4, 8, 64, btf_key=u32, btf_value=u64, slot=1),
        b.MapDef(3, "per_cpu", b.PERCPU_HASH, 4, 4, 100, btf_key=u32, btf_value=u32, slot=2),
        b.MapDef(4, "ring", b.RINGBUF, 0, 0, 4096, slot=3, role="ring"),
        b.MapDef(5, "stacks", b.STACK_TRACE, 4, 8 * 127, 64, slot=4),
    )
    program = b.ProgramDef("kprobe__f", b.KPROBE, "GPL", b"")
    outputs = [Output("calls", "map"), Output("sizes", "histogram", LOG2), Output("ring", "events")]
    fields = {"ring": [("at", "u64"), ("comm", "char[8]")]}
    return Outputs(
        b.Bundle(maps, (program,), (), types.blob()),
        outputs,
        fields,
        ["struct event"],
        lambda addresses: [f"f+{a:#x}" for a in addresses],
    )


def collected(outputs: Outputs, **parts: Any) -> None:
    """Hand over a reply as the agent makes it."""
    head: dict[str, Any] = {"spans": [], "maps": [], "programs": {}}
    blob = b""
    for fd, span in parts.get("spans", []):
        head["spans"].append([fd, -1, len(span)])
        blob += span
    for name, keys, values, stride in parts.get("maps", []):
        head["maps"].append([name, len(values) // stride, stride, parts.get("at_ns", 1000)])
        blob += keys + values
    head["programs"] = parts.get("programs", {})
    text = parts.get("text", b"")
    head["text"] = len(text)
    outputs.ingest(head, blob + text)


def ring_record(at: int, comm: bytes) -> bytes:
    return struct.pack("<IIQ8s", 16, 0, at, comm)


def test_a_hash_is_indexed_by_its_key() -> None:
    outputs = make()
    collected(outputs, maps=[("calls", struct.pack("<2I", 7, 9), struct.pack("<2Q", 1, 2**64 - 1), 8)])
    frame = outputs.frame("calls")
    assert frame.index.name == "key"
    assert frame["value"].to_dict() == {7: 1, 9: 2**64 - 1}


def test_a_frame_is_built_once_per_snapshot() -> None:
    outputs = make()
    collected(outputs, maps=[("calls", b"\7\0\0\0", struct.pack("<Q", 1), 8)])
    assert outputs.frame("calls") is outputs.frame("calls")


def test_a_histogram_is_laid_out_by_its_buckets() -> None:
    outputs = make()
    values = [0] * 64
    values[3], values[5] = 10, 20
    collected(outputs, maps=[("sizes", struct.pack("<64I", *range(64)), struct.pack("<64Q", *values), 8)])
    frame = outputs.frame("sizes")
    assert frame["count"].tolist() == [10, 0, 20]
    assert frame["low"].tolist() == [4, 8, 16]


def test_buckets_that_no_power_of_two_has_make_a_linear_histogram() -> None:
    outputs = make()
    assert outputs.scale("sizes") == LOG2
    collected(outputs, maps=[("sizes", struct.pack("<2I", 3, 65), struct.pack("<2Q", 1, 2), 8)])
    assert outputs.scale("sizes") == LINEAR
    frame = outputs.frame("sizes")
    assert frame.loc[[3, 65], "low"].tolist() == [3, 65]
    assert frame["count"].sum() == 3


def test_a_large_array_of_buckets_is_a_power_of_two_histogram_still() -> None:
    outputs = make()
    values = [0] * 128
    values[3], values[64] = 10, 20
    collected(outputs, maps=[("sizes", struct.pack("<128I", *range(128)), struct.pack("<128Q", *values), 8)])
    assert outputs.scale("sizes") == LOG2
    frame = outputs.frame("sizes")
    assert frame["count"].sum() == 30
    assert frame.loc[64, "high"] == 2**64 - 1


def test_per_cpu_values_are_summed_wide_and_can_be_split() -> None:
    outputs = make()
    values = struct.pack("<I4xI4x", 2**32 - 1, 2**32 - 1)
    collected(outputs, maps=[("per_cpu", b"\7\0\0\0", values, 16)])
    assert outputs.frame("per_cpu")["value"].to_dict() == {7: 2 * (2**32 - 1)}
    split = outputs.frame("per_cpu", per_cpu=True)
    assert split["value"].to_dict() == {(7, 0): 2**32 - 1, (7, 1): 2**32 - 1}
    with pytest.raises(ValueError, match="no per-CPU map"):
        outputs.frame("calls", per_cpu=True)


def test_events_are_appended_and_earlier_frames_stay_as_they_were() -> None:
    outputs = make()
    collected(outputs, spans=[(4, ring_record(1, b"bash") + ring_record(2, b"sh"))])
    first = outputs.frame("ring")
    collected(outputs, spans=[(4, ring_record(3, b"bash"))])
    assert first["at"].tolist() == [1, 2]
    frame = outputs.frame("ring")
    assert frame["at"].tolist() == [1, 2, 3]
    assert list(frame["comm"]) == ["bash", "sh", "bash"]
    assert isinstance(frame["comm"].dtype, pd.CategoricalDtype)


def test_records_of_another_size_are_counted_not_guessed() -> None:
    outputs = make()
    collected(outputs, spans=[(4, struct.pack("<II", 40, 0) + bytes(40))])
    assert outputs.frame("ring").empty
    entry = next(e for e in outputs.entries() if e.name == "ring")
    assert entry.losses["unread"] == 1


def test_the_ledger_adds_up_over_cpus_and_parties() -> None:
    outputs = make()
    field = b.LEDGER_FIELDS.index
    rows = [[0] * len(b.LEDGER_FIELDS) for _ in range(6 * CPUS)]
    rows[1][field("faulted")] = 7  # the session's own row comes first
    rows[1 * CPUS][field("full")] = 3  # calls: 3 updates refused, the map was full
    rows[4 * CPUS][field("submitted")] = 4  # ring: on one CPU
    rows[4 * CPUS + 1][field("submitted")] = 3  # and on the other
    rows[4 * CPUS + 1][field("dropped")] = 4
    rows[4 * CPUS + 1][field("capped")] = 2
    values = b"".join(struct.pack(f"<{len(b.LEDGER_FIELDS)}Q", *row) for row in rows)
    collected(
        outputs,
        spans=[(4, ring_record(1, b"a"))],
        maps=[(b.LEDGER, struct.pack("<6I", *range(6)), values, 8 * len(b.LEDGER_FIELDS) * CPUS)],
        programs={"kprobe__f": [100, 5000, 1, 2]},
    )
    ledger = outputs.ledger()
    assert ledger["map_full"]["calls"] == 3
    assert [ledger[c]["ring"] for c in ("submitted", "delivered", "ring_full", "capped", "lost")] == [
        7,
        1,
        4,
        2,
        6,
    ]
    assert ledger["faulted"]["session"] == 7
    assert [ledger[c]["kprobe__f"] for c in ("submitted", "delivered", "lost")] == [103, 100, 3]
    assert str(ledger["lost"].dtype) == "uint64"


def test_stacks_get_names() -> None:
    outputs = make()
    values = struct.pack("<127Q", 0x10, 0x20, *[0] * 125)
    collected(outputs, maps=[("stacks", struct.pack("<I", 5), values, 8 * 127)])
    frame = outputs.frame("stacks")
    assert frame.loc[5, "frames"] == ("f+0x10", "f+0x20")
    assert frame.loc[5, "depth"] == 2


def test_empty_outputs_have_the_right_columns() -> None:
    outputs = make()
    assert outputs.names == ["calls", "sizes", "ring", "per_cpu", "stacks"]
    assert {n: list(outputs.frame(n).columns) for n in outputs.names} == {
        "calls": ["value"],
        "sizes": ["low", "high", "count"],
        "ring": ["at", "comm"],
        "per_cpu": ["value"],
        "stacks": ["depth", "frames", "addresses"],
    }


def test_printed_lines_are_kept_and_counted() -> None:
    outputs = make()
    collected(outputs, text=b"one\ntwo\n")
    assert outputs.text == ["one", "two"]
    assert outputs.lines_printed == 2


def counted(**of_ring: int) -> tuple[str, bytes, bytes, int]:
    """The ledger with these counts of the ring, and ``session`` as those of row 0."""
    field = b.LEDGER_FIELDS.index
    rows = [[0] * len(b.LEDGER_FIELDS) for _ in range(6 * CPUS)]
    for name, count in of_ring.items():
        rows[0 if name in b.SESSION_FIELDS else 4 * CPUS][field(name)] = count
    values = b"".join(struct.pack(f"<{len(b.LEDGER_FIELDS)}Q", *row) for row in rows)
    return b.LEDGER, struct.pack("<6I", *range(6)), values, 8 * len(b.LEDGER_FIELDS) * CPUS


def row_of(outputs: Outputs, name: str) -> dict[str, int]:
    return {str(k): int(v) for k, v in outputs.ledger().drop(columns="kind").loc[name].items() if v}


def test_what_was_forgotten_counts_no_more_and_what_was_handed_out_stays() -> None:
    outputs = make()
    collected(
        outputs,
        spans=[(4, ring_record(1, b"bash") + ring_record(2, b"sh"))],
        maps=[counted(submitted=5, dropped=3, paused=9)],
        programs={"kprobe__f": [100, 5000, 1, 2]},
        text=b"one\ntwo\n",
    )
    before, generation = outputs.frame("ring"), outputs.generation("ring")
    outputs.forget()
    assert before["at"].tolist() == [1, 2]
    assert outputs.frame("ring").empty
    assert outputs.generation("ring") != generation
    assert outputs.ledger()["lost"].sum() == 0
    assert outputs.ledger()["submitted"].sum() == 0
    assert (outputs.text, outputs.ran_ns) == ([], 0)
    collected(
        outputs,
        spans=[(4, ring_record(3, b"cat"))],
        maps=[counted(submitted=7, dropped=4, paused=10)],
        programs={"kprobe__f": [101, 5050, 1, 2]},
        text=b"three\n",
    )
    assert outputs.frame("ring")["at"].tolist() == [3]
    assert list(outputs.frame("ring")["comm"]) == ["cat"]
    assert row_of(outputs, "ring") == {"submitted": 2, "delivered": 1, "lost": 1, "ring_full": 1}
    assert row_of(outputs, "session") == {"lost": 1, "paused": 1}
    assert row_of(outputs, "kprobe__f") == {"submitted": 1, "delivered": 1}
    assert row_of(outputs, "printed") == {"submitted": 1, "delivered": 1}
    assert outputs.ran_ns == 50
    assert outputs.lines_after(2) == (["three"], 3)
    assert before["at"].tolist() == [1, 2]


@pytest.mark.parametrize("sent", [3, 1])
def test_a_record_that_was_under_way_counts_where_it_arrives(sent: int) -> None:
    # At the reset a program had sent a record and not counted it yet, or counted one that had not come.
    outputs = make()
    two = ring_record(1, b"a") + ring_record(2, b"b")
    collected(outputs, spans=[(4, two)], maps=[counted(submitted=sent)])
    outputs.forget()
    came = max(0, sent - 2)
    collected(outputs, spans=[(4, ring_record(3, b"c") * came)], maps=[counted(submitted=2 + came)])
    expected = {"submitted": came, "delivered": came} if came else {}
    assert row_of(outputs, "ring") == expected


def test_forgetting_twice_is_forgetting_what_came_between() -> None:
    outputs = make()
    for total in (1, 2, 3):
        collected(
            outputs,
            spans=[(4, ring_record(total, b"a"))],
            maps=[counted(submitted=2 * total, dropped=total)],
            programs={"kprobe__f": [10 * total, 100, 0, 0]},
        )
        assert row_of(outputs, "ring") == {"submitted": 2, "delivered": 1, "lost": 1, "ring_full": 1}
        assert outputs.programs["kprobe__f"].hits == 10
        outputs.forget()


def test_a_map_over_time_begins_anew() -> None:
    outputs = make()
    for at_ns in (10**9, 3 * 10**9, 5 * 10**9):
        collected(outputs, maps=[("calls", struct.pack("<I", 1), struct.pack("<Q", at_ns), 8)], at_ns=at_ns)
    assert len(outputs.history("calls", 0)[0]) == 3
    outputs.forget()
    assert len(outputs.history("calls", 0)[0]) == 1
