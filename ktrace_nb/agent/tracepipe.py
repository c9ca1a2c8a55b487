"""What programs print with bpf_trace_printk.

The kernel has one trace buffer for that, shared by everybody; reading the pipe
consumes its lines. Only lines of the helper are passed on. Where lines were
overwritten before they were read, the pipe says how many.
"""

from __future__ import annotations

import os
import re
import struct

from ktrace_nb.agent.mounts import TRACEFS

_CALL = 0x85  # BPF_JMP | BPF_CALL
_PRINT_HELPERS = (6, 177)  # BPF_FUNC_trace_printk, BPF_FUNC_trace_vprintk
_MARK = b": bpf_trace_printk: "
# Linux kernel/trace/trace.c, print_trace_line(); the number is missing where the
# kernel does not know it.
_LOST = re.compile(rb"CPU:\d+ \[LOST (?:(\d+) )?EVENTS\]")
# Where reading itself is traced, every read makes a line: it must end nevertheless.
_READS_AT_ONCE = 64


def prints_to_trace(insns: bytes) -> bool:
    """Whether a program calls a printing helper."""
    return any(
        code == _CALL and registers >> 4 == 0 and number in _PRINT_HELPERS
        for code, registers, _, number in struct.iter_unpack("<BBhi", insns)
    )


class TracePipe:
    """The reading end of the trace buffer."""

    def __init__(self) -> None:
        _grow_buffer()
        self.fd = os.open(TRACEFS + "/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        self._rest = b""
        self.lost = 0
        """Lines overwritten before they could be read, at least."""
        self.pending = False
        """Whether the last look left something."""
        self._read()  # what others printed before is not ours

    def _read(self) -> bytes:
        data = b""
        for _ in range(_READS_AT_ONCE):
            try:
                more = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                more = b""
            data += more
            self.pending = bool(more)
            if not more:
                break
        return data

    def take(self) -> bytes:
        """Complete lines printed since the last call, as the kernel wrote them."""
        lines = (self._rest + self._read()).split(b"\n")
        self._rest = lines.pop()
        ours, lost = sort_lines(lines)
        self.lost += lost
        return ours

    def close(self) -> None:
        """Let the pipe go."""
        os.close(self.fd)


def _grow_buffer() -> None:
    """Have the kernel make its buffer as large as for any event that is traced.

    Until then it has room for some dozen lines and says, for example,
    ``7 (expanded: 1408)``, in KiB per CPU.
    """
    path = TRACEFS + "/buffer_size_kb"
    with open(path) as file:
        match = re.search(r"\(expanded: (\d+)\)", file.read())
    if match:
        with open(path, "w") as file:
            file.write(match[1])


def sort_lines(lines: list[bytes]) -> tuple[bytes, int]:
    """Tell programs' lines from others', and count the ones the kernel says it lost."""
    gaps = [match for match in map(_LOST.fullmatch, lines) if match]
    ours = b"".join(line + b"\n" for line in lines if _MARK in line)
    return ours, sum(int(gap[1] or 1) for gap in gaps)
