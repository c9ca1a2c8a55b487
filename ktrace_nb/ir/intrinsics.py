"""Functions that no script can write: what each is and where it can run.

The tapset declares them with their types and documentation (``intrinsic
function``), :mod:`ktrace_nb.codegen.script_intrinsics` has the C of those that run
in the kernel, :mod:`ktrace_nb.stream.script.functions` the Python of those that
run beside the notebook.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an intrinsic can run, and what of it."""

    kernel: bool = False
    """It has C."""
    user: bool = False
    """It has Python, which needs nothing but its arguments and the session."""
    event: bool = False
    """Its value belongs to the event: beside the notebook it must be sent along by the kernel.
    With ``user`` it has a value of its own where there is no event (``begin``, timers)."""
    late: bool = False
    """With ``kernel``: it reads the kernel's memory. Beside the notebook it can be read, too,
    but later than the event; the kernel is the better place wherever it can do it."""
    effect: bool = False
    """It does something or keeps a state: it must run as often as, and in the order, the script says."""
    size: int = 0
    """In the kernel, of a string: bytes it may need, NUL included; 0 for the script's longest."""
    symbol: str = ""
    """In the kernel its string is a number, and this is the user function that makes text of it."""


def _event(*names: str, **more: object) -> dict[str, Place]:
    return {name: Place(kernel=True, user=True, event=True, **more) for name in names}  # type: ignore[arg-type]


def _user(*names: str, effect: bool = False) -> dict[str, Place]:
    return {name: Place(user=True, effect=effect) for name in names}


def _memory(*names: str, late: bool) -> dict[str, Place]:
    return {name: Place(kernel=True, late=late) for name in names}


INTRINSICS: dict[str, Place] = {
    # The task and the moment.
    **_event("pid", "tid", "uid", "gid", "cpu", "task_current"),
    **_event("execname", size=16),
    **_event("gettimeofday_ns", "gettimeofday_us", "gettimeofday_ms", "gettimeofday_s"),
    **_event("ktime_get_ns", "get_cycles"),
    "target": Place(kernel=True, user=True),
    "user_mode": Place(kernel=True, event=True),
    # Registers by name (x86-64: "rdi", "di", "ip" ...) and the probed address.
    "__register": Place(kernel=True, event=True),
    "addr": Place(kernel=True, event=True),
    "__user_stack_pointer": Place(kernel=True, event=True),
    # Names that are numbers in the kernel.
    "probefunc": Place(kernel=True, event=True, symbol="symname"),
    "backtrace": Place(kernel=True, event=True, symbol="__kernel_stack"),
    "ubacktrace": Place(kernel=True, event=True, symbol="__user_stack"),
    # What the lowering knows of each probe point or kernel, and puts in their place.
    **{name: Place() for name in ("pp", "pn", "ppfunc", "is_return", "HZ", "__possible_cpus")},
    # (number from 1) and nothing: 64 raw bits of an argument, and what was returned.
    **{name: Place(kernel=True, event=True) for name in ("__argument", "returnval")},
    # (name): a register as the program had it at its way into the kernel.
    "__user_register": Place(kernel=True, event=True),
    "jiffies": Place(kernel=True, event=True),
    # Of a system call its number; -1 elsewhere.
    "__syscall_nr": Place(kernel=True, event=True),
    # Memory; an address that cannot be read is an error of the script. That of a process
    # belongs to the event: who runs afterwards is somebody else.
    **_memory("kernel_string", "kernel_string_n", late=True),
    **_memory("user_string", "user_string_n", late=False),
    # The same, but with the text of the last argument where the address cannot be read.
    **_memory("kernel_string2", late=True),
    **_memory("user_string2", late=False),
    # (address, length): bytes as a string, NULs included as blanks.
    **_memory("__kernel_bytes", late=True),
    **_memory("__user_bytes", late=False),
    # (address, length, text where it cannot be read).
    **_memory("__user_bytes2", late=False),
    # (address): addresses in a list up to a NULL, 64 at most; -1 if there is none to be read.
    **_memory("__user_count", late=False),
    # (address): 1 if there is a byte to be read, 0 if not.
    **_memory("__user_readable", late=False),
    # (address, size in bytes): an unsigned integer; the last gives 0 where the address cannot be read.
    **_memory("__kernel_read", late=True),
    **_memory("__user_read", "__user_read2", late=False),
    # Numbers that the kernel has many of and the notebook gives names to.
    **_user("symname", "symdata", "__kernel_stack", "__user_stack", "__syscall_name", "__syscall_probe_name"),
    **_user("errno_str", "__signal_name"),
    **_user("modname", "__errno_name", "ip_ntop", "ip6_ntop", "__dev_name"),
    # Strings.
    **_user("strlen", "substr", "isinstr", "strpos", "strtol", "str_replace", "stringat", "text_str"),
    **_user("text_strn"),
    **_user("string_quoted", "toupper", "tolower", "ctime", "tz_ctime", "hex", "__flags"),
    **_user("strcmp", "__words", "tz_gmtoff", "tz_name", "stp_pid", "__symbol_lines"),
    # Addresses of processes, and the process.
    **_user("__user_symname", "__user_symdata", "__user_modname", "__user_symbol_lines"),
    # Order and effect.
    **_user("tokenize", "__indent", "__indent_depth", "system", "warn", "log", "__ansi", effect=True),
    **_user("randint", effect=True),
    "exit": Place(kernel=True, user=True, effect=True),
    "error": Place(kernel=True, user=True, effect=True),
    # The text that somebody asked for: set it, or with a first argument of 1 add to it; read it.
    **_user("__reply", "__reply_text", effect=True),
    "__set_target_pid": Place(user=True, effect=True),
}  # fmt: skip
"""All by name."""
