from __future__ import annotations

import struct

from ktrace_nb.agent.tracepipe import prints_to_trace, sort_lines


def test_lines_of_others_are_left_and_lost_ones_counted() -> None:
    ours = b"   dd-123   [000] ...21  1.5: bpf_trace_printk: read 64"
    lines = [
        ours,
        b"   sh-9     [001] ...1.  1.6: sched_switch: prev_comm=sh",
        b"CPU:1 [LOST 412 EVENTS]",
        b"CPU:0 [LOST EVENTS]",
        b"   dd-123   [000] ...21  1.7: bpf_trace_printk: CPU:1 [LOST 5 EVENTS]",
    ]
    assert sort_lines(lines) == (ours + b"\n" + lines[4] + b"\n", 413)


def test_a_program_that_prints_is_told_from_one_that_does_not() -> None:
    call = struct.Struct("<BBhi")
    assert prints_to_trace(call.pack(0x85, 0, 0, 6))
    assert not prints_to_trace(call.pack(0x85, 0, 0, 7))
    assert not prints_to_trace(call.pack(0x85, 1 << 4, 0, 6))  # a call of a function of its own
