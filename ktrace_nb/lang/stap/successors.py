"""System calls that programs of today make in place of older ones.

A script of 2007 that names ``open`` would see nothing: the C library now calls
``openat``. Where a call has successors, its probe is at them too, and says so.

Source: glibc 2.36 ``sysdeps/unix/sysv/linux`` (the C library of Debian 12).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ktrace_nb.ir import script as ir

_CLONE_VM, _CLONE_VFORK = 0x100, 0x4000
"""Memory is shared; the parent waits. Source: Linux ``include/uapi/linux/sched.h``."""
_AT_SYMLINK_NOFOLLOW, _AT_EMPTY_PATH = 0x100, 0x1000
"""``AT_*``: the link itself; the descriptor itself. Source: Linux ``include/uapi/linux/fcntl.h``."""


@dataclass(frozen=True, slots=True)
class Successor:
    """A call made in place of another."""

    call: str
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Where it has the parameters of the old call: a name, ``how->flags``, or empty where nothing is
    like that parameter; those not listed are named alike."""
    condition: ir.Expr | None = None
    """When it does what the old call did."""


def _bits(argument: ir.Expr, mask: int, value: int) -> ir.Expr:
    return ir.Compare("==", ir.Binary("&", argument, ir.Number(mask)), ir.Number(value))


_DESCRIPTOR = _AT_EMPTY_PATH
_PATH, _LINK = _DESCRIPTOR | _AT_SYMLINK_NOFOLLOW, _AT_SYMLINK_NOFOLLOW
_NEWFSTATAT_FLAG, _STATX_FLAGS = ir.Argument(3), ir.Argument(2)
_CLONE_FLAGS = ir.Argument(0)
# clone3 has its flags in the first word of a structure of the process: struct clone_args.
_CLONE3_FLAGS = ir.Load(ir.Argument(0), 8, False, user=True)


def _stat(mask: int, value: int, **renamed: str) -> tuple[Successor, ...]:
    return (
        Successor("newfstatat", renamed, _bits(_NEWFSTATAT_FLAG, mask, value)),
        Successor("statx", renamed, _bits(_STATX_FLAGS, mask, value)),
    )


_FORK, _VFORK = (_CLONE_VM | _CLONE_VFORK, 0), (_CLONE_VFORK, _CLONE_VFORK)

SUCCESSORS: dict[str, tuple[Successor, ...]] = {
    "open": (Successor("openat"), Successor("openat2", {"flags": "how->flags", "mode": "how->mode"})),
    "stat": _stat(_PATH, 0),
    "lstat": _stat(_PATH, _LINK),
    "fstat": _stat(_DESCRIPTOR, _DESCRIPTOR, fd="dfd"),
    "fork": (
        Successor("clone", {}, _bits(_CLONE_FLAGS, *_FORK)),
        Successor("clone3", {}, _bits(_CLONE3_FLAGS, *_FORK)),
    ),
    "vfork": (
        Successor("clone", {}, _bits(_CLONE_FLAGS, *_VFORK)),
        Successor("clone3", {}, _bits(_CLONE3_FLAGS, *_VFORK)),
    ),
    "clone": (
        Successor(
            "clone3",
            {
                "clone_flags": "uargs->flags",
                "newsp": "uargs->stack",
                "parent_tidptr": "uargs->parent_tid",
                "child_tidptr": "uargs->child_tid",
                "tls": "uargs->tls",
            },
        ),
    ),
    "select": (Successor("pselect6", {"tvp": "tsp"}),),
    "poll": (Successor("ppoll", {"timeout_msecs": ""}),),
    "pipe": (Successor("pipe2"),),
    "dup2": (Successor("dup3"),),
    "getdents": (Successor("getdents64"),),
    "nanosleep": (Successor("clock_nanosleep"),),
    "getrlimit": (
        Successor("prlimit64", {"rlim": "old_rlim"}, ir.Compare("!=", ir.Argument(3), ir.Number(0))),
    ),
    "setrlimit": (
        Successor("prlimit64", {"rlim": "new_rlim"}, ir.Compare("!=", ir.Argument(2), ir.Number(0))),
    ),
    "utime": (Successor("utimensat", {"times": ""}),),
    "utimes": (Successor("utimensat", {"utimes": ""}),),
    "futimesat": (Successor("utimensat", {"utimes": ""}),),
    "eventfd": (Successor("eventfd2"),),
    "signalfd": (Successor("signalfd4"),),
}
"""Successors by call."""

VDSO = frozenset(("gettimeofday", "time", "clock_gettime", "clock_getres", "getcpu"))
"""Calls that the C library answers without entering the kernel. Source: ``man 7 vdso``, x86-64."""

SOMETIMES: dict[str, tuple[str, ...]] = {
    "accept": ("accept4",),
    "creat": ("open", "openat"),
    "inotify_init": ("inotify_init1",),
    "epoll_create": ("epoll_create1",),
    "access": ("faccessat", "faccessat2"),
    "unlink": ("unlinkat",),
    "rmdir": ("unlinkat",),
    "mkdir": ("mkdirat",),
    "rename": ("renameat", "renameat2"),
    "link": ("linkat",),
    "symlink": ("symlinkat",),
    "readlink": ("readlinkat",),
    "chmod": ("fchmodat",),
    "chown": ("fchownat",),
    "lchown": ("fchownat",),
    "mknod": ("mknodat",),
    "epoll_wait": ("epoll_pwait",),
    "exit": ("exit_group",),
}
"""Calls that some programs make in place of another; a probe is at them only if the script says so."""
