"""The record of an entry or a return, as the kernel sends it.

``struct calls_record`` of ``codegen/calls.h``. All records have one size, so that a
span of a ring is one array. What ftrace's function_graph writes is brought into the same form.
"""

from __future__ import annotations

import numpy as np

RECORD = np.dtype(
    [
        ("at", "<u8"),
        ("tid", "<u4"),
        ("frame", "<u4"),
        ("function", "<u2"),
        ("cpu", "<u2"),
        ("kind", "u1"),
        ("depth", "u1"),
        ("what", "<u2"),
        ("values", "<u8", (6,)),
    ]
)
"""
============ ================================================================================
``at``       ``CLOCK_MONOTONIC``, nanoseconds
``tid``      thread (``task_struct.pid``), 0 for the idle threads
``frame``    where the return address lies, >> 3, low 32 bits: equal at a call's entry and its
             return, smaller for calls made from it. Of ``THREAD``: the process (tgid)
``function`` number in :attr:`Walk.functions`
``cpu``      where
``kind``     ``ENTRY``, ``RETURN``, ``THREAD`` (a thread has come, or has a new name), ``END`` (it has gone)
``depth``    of calls sent when completed: how many recorded calls of the thread were open at its entry
``what``     of ``THREAD``: 1 fork, 2 exec, 3 renamed
``values``   of ``ENTRY`` the six argument registers; of ``RETURN`` the result first; of
             ``THREAD`` the name, 16 bytes
============ ================================================================================
"""

PID_MAX_LIMIT = 1 << 22
"""Numbers of threads and processes are smaller. Source: Linux ``include/linux/threads.h``, 64-bit kernels."""

STACK_BITS = 11
"""``frame >> STACK_BITS`` tells stacks apart: 16 KiB each, ``THREAD_SIZE`` of 64-bit x86 and arm."""
