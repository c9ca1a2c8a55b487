"""Which function of the kernel serves which system call."""

from __future__ import annotations

from collections.abc import Collection, Iterable

ENTRY_PREFIXES = ("__x64_sys_", "__arm64_sys_", "__riscv_sys_", "__s390x_sys_", "__se_sys_", "sys_")
"""What system calls' functions begin with; with the first of these that a kernel
has, its 64-bit calls enter. Source: ``asm/syscall_wrapper.h`` of each architecture."""

# Calls whose function is not called after them, although one of that name may exist for
# 32-bit programs. Source: Linux arch/x86/entry/syscalls/syscall_64.tbl.
_RENAMED = {
    "stat": "newstat",
    "fstat": "newfstat",
    "lstat": "newlstat",
    "uname": "newuname",
    "umount2": "umount",
    "sendfile": "sendfile64",
}


def entry_prefix(functions: Collection[str]) -> str:
    """What the functions of system calls begin with on a kernel, e.g. ``__x64_sys_``.

    Args:
        functions: Names of the kernel's functions.
    """
    # Every kernel that runs BPF has this call.
    return next((prefix for prefix in ENTRY_PREFIXES if f"{prefix}bpf" in functions), ENTRY_PREFIXES[0])


def system_calls(functions: Collection[str], prefix: str = "") -> dict[str, str]:
    """Every system call and the function that serves it, by the names of the system call table.

    Args:
        functions: Names of the kernel's functions.
        prefix: What :func:`entry_prefix` says of all of them, where these are only some.

    Returns:
        ``{"openat": "__x64_sys_openat", "stat": "__x64_sys_newstat", ...}``.
        A call is found by its function's name too (``newstat``).
    """
    prefix = prefix or entry_prefix(functions)
    calls = {name.removeprefix(prefix): name for name in functions if name.startswith(prefix)}
    calls = {name: function for name, function in calls.items() if "." not in name}
    for name, served_by in _RENAMED.items():
        if served_by in calls:
            calls[name] = calls[served_by]
    return dict(sorted(calls.items()))


def from_tracepoints(tracepoints: Iterable[str]) -> list[str]:
    """The system calls that have a tracepoint, from ``category/event`` names."""
    prefix = "syscalls/sys_enter_"
    return sorted(name.removeprefix(prefix) for name in tracepoints if name.startswith(prefix))
