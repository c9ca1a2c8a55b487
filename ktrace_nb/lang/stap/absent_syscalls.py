"""System calls that SystemTap has probes for and 64-bit programs on x86-64 cannot make.

A script that names one is right on another machine, or for programs of 32 bits. Its
probe is never hit here, which is no reason to refuse the script.

Source: names of the probes in SystemTap 5's ``tapset/linux``, those that are not in
``arch/x86/entry/syscalls/syscall_64.tbl``.
"""

from __future__ import annotations

from ktrace_nb.kernel.syscall_table import NUMBERS, call_name

_NAMES = frozenset(
    [
        "bdflush",
        "chown16",
        "fadvise64_64",
        "fchown16",
        "fstatfs64",
        "ftruncate64",
        "get_thread_area",
        "gethostname",
        "getresgid16",
        "getresuid16",
        "ipc",
        "lchown16",
        "llseek",
        "lookup_dcookie",
        "mmap2",
        "mmap32",
        "nfsservctl",
        "nice",
        "pipe32",
        "pselect7",
        "pwrite32",
        "readdir",
        "recv",
        "rt_sigaction32",
        "send",
        "set_thread_area",
        "set_zone_reclaim",
        "setregid16",
        "setresgid16",
        "setresuid16",
        "setreuid16",
        "settimeofday32",
        "sgetmask",
        "sigaction",
        "sigaction32",
        "signal",
        "sigpending",
        "sigprocmask",
        "sigreturn",
        "sigsuspend",
        "socketcall",
        "ssetmask",
        "statfs64",
        "stime",
        "sysctl",
        "sysctl32",
        "timerfd",
        "tux",
        "uselib",
        "ustat32",
        "vm86",
        "vm86_warning",
        "vm86old",
        "waitpid",
    ]
)
_PREFIXES = ("compat_", "sys32_", "sys64_", "ppc_", "ppc32_", "ppc64_")


def is_absent(call: str) -> bool:
    """Whether SystemTap knows a call by that name that x86-64 does not have."""
    return call in _NAMES or call.startswith(_PREFIXES)


def in_place_of(call: str) -> str:
    """What 64-bit programs call instead; empty if there is nothing like it."""
    other = call_name(call)
    return other if other in NUMBERS else ""
