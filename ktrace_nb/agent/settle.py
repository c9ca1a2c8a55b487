"""Wait until programs that were running have ended.

Programs run in what the kernel calls a read-side critical section of RCU: a grace
period that begins now ends when all of them have. ``membarrier(MEMBARRIER_CMD_GLOBAL)``
waits for one. Source: Linux ``kernel/sched/membarrier.c`` and ``kernel/bpf/trampoline.c``,
``kernel/trace/bpf_trace.c``. It does not where a CPU runs without ticks
(``nohz_full``) or is the only one; there the rest that follows has to do.
"""

from __future__ import annotations

import ctypes
import os
import time

SETTLE_S = 0.002
"""Programs that were running have ended after this, unless their CPU was taken away from them."""

_SYSCALLS = {"x86_64": 324, "aarch64": 283, "riscv64": 283, "s390x": 356, "ppc64le": 365}
_GLOBAL = 1  # enum membarrier_cmd
_libc = ctypes.CDLL(None, use_errno=True)


def settle() -> None:
    """Return when every program that runs now has ended; some milliseconds."""
    number = _SYSCALLS.get(os.uname().machine)
    if number is not None:
        _libc.syscall(number, _GLOBAL, 0, 0)
    time.sleep(SETTLE_S)
