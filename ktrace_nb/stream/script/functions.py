"""The Python of every intrinsic that can run beside the notebook.

:func:`functions_of` gives them bound to one session, by the names in
:mod:`ktrace_nb.ir.intrinsics`. Strings they make are cut at the script's longest.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from typing import TypeAlias

from ktrace_nb.ir.flag_tables import flag_text
from ktrace_nb.stream.script import functions_text as text
from ktrace_nb.stream.script.environment import Environment
from ktrace_nb.stream.script.errors import ScriptError
from ktrace_nb.stream.script.functions_names import names_of
from ktrace_nb.stream.script.memory import memory_of
from ktrace_nb.stream.script.values import Value, wrap

Function: TypeAlias = Callable[..., Value | None]

_FIRST_REAL_TIME_SIGNAL = 32
"""Of the kernel; the C library keeps two of them for itself."""
_RANDOM_MOST = 1 << 20
"""What ``randint`` takes at most. Source: SystemTap ``tapset/random.stp``."""


def functions_of(environment: Environment) -> dict[str, Function]:
    """Every function by its name, each taking what the script gives it.

    Args:
        environment: The session.
    """
    return {
        **{name: _cut(function, environment) for name, function in _TEXT.items()},
        **_NUMBERS,
        **_escapes(environment),
        **_moment(environment),
        **names_of(environment),
        **memory_of(environment),
        **_effects(environment),
        **_Pieces().functions(),
        **_Indents(environment).functions(),
    }


def _cut(function: Callable[..., str], environment: Environment) -> Function:
    cut = environment.cut
    return lambda *arguments: cut(function(*arguments))


def _escapes(environment: Environment) -> dict[str, Function]:
    """What leaves room for quotes and dots, and is no longer than a string may be."""
    longest = environment.cut.longest
    return {
        "text_str": lambda value: text.text_strn(value, 0, 0, longest),
        "text_strn": lambda value, length, quoted: text.text_strn(value, length, quoted, longest),
        "string_quoted": lambda value: text.text_strn(value, 0, 1, longest),
    }


# --- strings and numbers -------------------------------------------------------------------


_KERNEL_ERRORS = {errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EDEADLK: "EDEADLK", errno.EAGAIN: "EAGAIN"}
"""Where the C library has a second name, that of the kernel. Source: ``include/uapi/asm-generic/errno.h``."""


def error_name(number: int) -> str:
    """Name of an error number of any sign: ``ENOENT``; empty if it has none."""
    return _KERNEL_ERRORS.get(abs(number)) or errno.errorcode.get(abs(number), "")


def _numbered_error(number: int) -> str:
    return error_name(number) or f"E#{number}"


def signal_name(number: int) -> str:
    """Name of a signal: ``SIGTERM``, ``SIGRTMIN+2``; its number if it has none."""
    if _FIRST_REAL_TIME_SIGNAL <= number <= 64:
        above = number - _FIRST_REAL_TIME_SIGNAL
        return f"SIGRTMIN+{above}" if above else "SIGRTMIN"
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


_NUMBERS: dict[str, Function] = {
    "strlen": len,
    "isinstr": text.isinstr,
    "strpos": str.find,
    "strcmp": text.strcmp,
    "strtol": text.strtol,
    "stringat": text.stringat,
}

_TEXT: dict[str, Callable[..., str]] = {
    "substr": text.substr,
    "str_replace": text.str_replace,
    "toupper": text.toupper,
    "tolower": text.tolower,
    "hex": text.hexadecimal,
    "__words": text.words,
    "ctime": text.ctime,
    "ip_ntop": text.ip_ntop,
    "ip6_ntop": text.ip6_ntop,
    "errno_str": error_name,
    "__errno_name": _numbered_error,
    "__signal_name": signal_name,
    "__flags": flag_text,
}


# --- the moment and the task ---------------------------------------------------------------


def _moment(environment: Environment) -> dict[str, Function]:
    """What an event has and a handler without one gets from the session."""
    task, zone = environment.task, environment.zone
    real, monotonic = environment.realtime_ns, environment.monotonic_ns

    def tz_ctime(seconds: int) -> str:
        return environment.cut(f"{text.ctime(wrap(seconds - zone.west_s))} {zone.name}")

    return {
        "pid": lambda: task.pid,
        "tid": lambda: task.tid,
        "uid": lambda: task.uid,
        "gid": lambda: task.gid,
        "execname": lambda: task.execname,
        "cpu": lambda: 0,
        "task_current": lambda: 0,
        "target": lambda: environment.target_pid,
        "stp_pid": os.getpid,
        "gettimeofday_ns": real,
        "gettimeofday_us": lambda: real() // 1_000,
        "gettimeofday_ms": lambda: real() // 1_000_000,
        "gettimeofday_s": lambda: real() // 1_000_000_000,
        "ktime_get_ns": monotonic,
        # There is no cycle counter to read here; one that goes at 1 GHz will do.
        "get_cycles": monotonic,
        "tz_ctime": tz_ctime,
        "tz_gmtoff": lambda: zone.west_s,
        "tz_name": lambda: zone.name,
    }


# --- effects -------------------------------------------------------------------------------


def _effects(environment: Environment) -> dict[str, Function]:
    def error(message: str) -> None:
        problem = ScriptError(message)
        problem.own = True
        raise problem

    def randint(most: int) -> int:
        if not 0 <= most <= _RANDOM_MOST:
            raise ScriptError("range too wide")
        return environment.random.randrange(most) if most else 0

    def reply(more: int, text: str) -> None:
        environment.reply = environment.reply + text if more else text

    def set_target_pid(pid: int) -> None:
        environment.target_pid = pid

    return {
        "error": error,
        "exit": environment.exit,
        "warn": environment.warn,
        "log": lambda message: environment.write(f"{message}\n"),
        "system": environment.system,
        "randint": randint,
        "__ansi": environment.write,
        "__set_target_pid": set_target_pid,
        "__reply": reply,
        "__reply_text": lambda: environment.reply,
    }


class _Pieces:
    """``tokenize()``, which remembers what is left."""

    def __init__(self) -> None:
        self._rest: str | None = None

    def functions(self) -> dict[str, Function]:
        """By their names."""
        return {"tokenize": self.tokenize}

    def tokenize(self, source: str, delimiters: str) -> str:
        """The next piece that is not empty; an empty string behind the last."""
        if source:
            self._rest = source
        while self._rest is not None:
            ends = [at for at in map(self._rest.find, delimiters) if at >= 0]
            if ends:
                piece, self._rest = self._rest[: min(ends)], self._rest[min(ends) + 1 :]
            else:
                piece, self._rest = self._rest, None
            if piece:
                return piece
        return ""


class _Indents:
    """``thread_indent()`` and its relatives: a depth and a time for each key.

    Source: SystemTap ``tapset/indent.stp``.
    """

    def __init__(self, environment: Environment) -> None:
        self._cut = environment.cut
        self._depths: dict[int, int] = {}
        self._begun: dict[int, int] = {}

    def functions(self) -> dict[str, Function]:
        """By their names."""
        return {"__indent": self.indent, "__indent_depth": self.depth}

    def depth(self, delta: int, key: int) -> int:
        """The depth of what is entered now (delta above 0) or left."""
        before = self._depths.get(key, 0)
        self._depths[key] = wrap(before + delta)
        here = before + max(delta, 0)
        return here - 1 if here > 0 else 0

    def indent(self, delta: int, key: int, name: str, now: int) -> str:
        """Time since the outermost level was entered, name, and a blank per level."""
        if not self._depths.get(key):
            self._begun[key] = now
        since = wrap(now - self._begun[key])
        return self._cut(f"{since:6d} {name}:{'':{self.depth(delta, key)}}")
