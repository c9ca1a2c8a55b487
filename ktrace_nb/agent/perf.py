"""perf_event_open(2): probes, samples and per-CPU output buffers.

``struct perf_event_attr`` as in ``include/uapi/linux/perf_event.h``.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import struct

from ktrace_nb.agent import bpf, links

_SYSCALLS = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "s390x": 331, "ppc64le": 319}
_libc = ctypes.CDLL(None, use_errno=True)

_ATTR_SIZE = 112  # PERF_ATTR_SIZE_VER5
_FD_CLOEXEC = 8
_IOC_ENABLE, _IOC_SET_BPF = 0x2400, 0x40042408

TYPE_SOFTWARE, TYPE_TRACEPOINT = 1, 2
SW_BPF_OUTPUT = 10
_SAMPLE_RAW = 1 << 10
# Bits of the flag word: freq is 10, watermark 14.
_FREQ, _WATERMARK = 1 << 10, 1 << 14

PAGE = mmap.PAGESIZE


def attribute(
    type_: int,
    config: int = 0,
    period: int = 0,
    frequency: int = 0,
    config1: int = 0,
    config2: int = 0,
    sample_type: int = 0,
    watermark: int = 0,
) -> bytes:
    """A ``perf_event_attr``; a frequency in Hz takes the place of a period."""
    flags = (_FREQ if frequency else 0) | (_WATERMARK if watermark else 0)
    packed = struct.pack(
        "<IIQQQQQIIQQ",
        type_, _ATTR_SIZE, config, frequency or period, sample_type, 0, flags, watermark, 0, config1, config2,
    )  # fmt: skip
    return packed.ljust(_ATTR_SIZE, b"\0")


def open_event(attr: bytes, pid: int, cpu: int) -> int:
    """Open a perf event.

    Raises:
        OSError: The kernel refused.
    """
    block = bpf.Buffer(attr)
    fd = _libc.syscall(
        _SYSCALLS[os.uname().machine], ctypes.c_void_p(block.address), pid, cpu, -1, _FD_CLOEXEC
    )
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(fd)


def run_program_on(perf_fd: int, program_fd: int, cookie: int = 0) -> list[int]:
    """Let a program run on an event; gives the descriptors that hold it, the link first if there is one.

    Raises:
        OSError: The kernel refused; EINVAL also where there is a cookie and no links that have one.
    """
    try:
        held = [links.link_perf_event(program_fd, perf_fd, cookie), perf_fd]
    except OSError:
        if cookie:
            raise
        fcntl.ioctl(perf_fd, _IOC_SET_BPF, program_fd)
        held = [perf_fd]
    try:
        fcntl.ioctl(perf_fd, _IOC_ENABLE, 0)
    except OSError:
        for link in held[:-1]:
            os.close(link)
        raise
    return held


class OutputBuffer:
    """One CPU's buffer of a BPF_PERF_OUTPUT map."""

    def __init__(self, cpu: int, pages: int) -> None:
        self.cpu = cpu
        self.size = pages * PAGE
        # One wake-up per event, bcc's default, costs the traced program 7 µs each:
        # ask for one when a quarter is full and look regularly besides.
        attr = attribute(
            TYPE_SOFTWARE, SW_BPF_OUTPUT, period=1, sample_type=_SAMPLE_RAW, watermark=self.size // 4
        )
        self.fd = open_event(attr, -1, cpu)
        try:
            self._map = mmap.mmap(
                self.fd, PAGE + self.size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE
            )
        except OSError:
            os.close(self.fd)
            raise
        view = memoryview(self._map)
        # struct perf_event_mmap_page: data_head at 1024, data_tail at 1032. Aligned
        # eight-byte access through the cast is one load or store.
        self._positions = view[1024:1040].cast("Q")
        self._data = view[PAGE:]
        fcntl.ioctl(self.fd, _IOC_ENABLE, 0)

    def pending(self) -> int:
        """Bytes waiting."""
        return int(self._positions[0] - self._positions[1])

    def take(self, limit: int) -> bytes:
        """Whole records of at most ``limit`` bytes (one record at least), and forget them."""
        head, tail = self._positions[0], self._positions[1]
        end, at = head, tail
        if head - tail > limit:
            while at < head:
                size = self._record_size(at)
                if at > tail and at + size - tail > limit:
                    break
                at += size
            end = at
        start, stop = tail % self.size, end % self.size
        if end == tail:
            return b""
        data = (
            bytes(self._data[start:stop])
            if start < stop
            else bytes(self._data[start:]) + bytes(self._data[:stop])
        )
        self._positions[1] = end
        return data

    def _record_size(self, at: int) -> int:
        # struct perf_event_header: type u32, misc u16, size u16. Records are 8-byte
        # aligned, so a header never wraps.
        return struct.unpack_from("<H", self._data, at % self.size + 6)[0] or 8

    def close(self) -> None:
        """Unmap and close."""
        self._positions.release()
        self._data.release()
        self._map.close()
        os.close(self.fd)
