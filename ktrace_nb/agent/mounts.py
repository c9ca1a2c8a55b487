"""The kernel's tracing files, also where nobody has mounted them.

What is missing is mounted in a name space of the agent's own: nobody else sees
it, and it is gone with the agent.
"""

from __future__ import annotations

import ctypes
import os

TRACEFS = "/sys/kernel/tracing"
DEBUGFS = "/sys/kernel/debug"
_SIGNS = ((TRACEFS, b"tracefs", "available_events"), (DEBUGFS, b"debugfs", "bdi"))
_CLONE_NEWNS = 0x20000
_MS_REC, _MS_SLAVE = 1 << 14, 1 << 19


def provide() -> None:
    """Mount what is not there; without privilege, do nothing."""
    missing = [(path, kind) for path, kind, sign in _SIGNS if not os.path.exists(f"{path}/{sign}")]
    if not missing or os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None)
    # A slave still sees what is mounted on the machine later, but passes nothing back.
    if libc.unshare(_CLONE_NEWNS) or libc.mount(
        b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_SLAVE), None
    ):
        return
    for path, kind in missing:
        libc.mount(kind, path.encode(), kind, ctypes.c_ulong(0), None)
