"""What programs print with bpf_trace_printk.

The kernel has one trace buffer for that, shared by everybody; reading the pipe
consumes its lines. Only lines of the helper are passed on.
"""

from __future__ import annotations

import os
import struct

from ktrace_nb.agent.mounts import TRACEFS

_CALL = 0x85  # BPF_JMP | BPF_CALL
_PRINT_HELPERS = (6, 177)  # BPF_FUNC_trace_printk, BPF_FUNC_trace_vprintk
_MARK = b": bpf_trace_printk: "
_LIMIT = 1 << 20


def prints_to_trace(insns: bytes) -> bool:
    """Whether a program calls a printing helper."""
    return any(
        code == _CALL and registers >> 4 == 0 and number in _PRINT_HELPERS
        for code, registers, _, number in struct.iter_unpack("<BBhi", insns)
    )


class TracePipe:
    """The reading end of the trace buffer."""

    def __init__(self) -> None:
        self.fd = os.open(TRACEFS + "/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        self._rest = b""
        self._read()  # what others printed before is not ours
        self._rest = b""

    def _read(self) -> bytes:
        data = self._rest
        while len(data) < _LIMIT:
            try:
                more = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                break
            if not more:
                break
            data += more
        return data

    def take(self) -> bytes:
        """Complete lines printed since the last call, as the kernel wrote them."""
        lines = self._read().split(b"\n")
        self._rest = lines.pop()
        return b"".join(line + b"\n" for line in lines if _MARK in line)

    def close(self) -> None:
        """Let the pipe go."""
        os.close(self.fd)
