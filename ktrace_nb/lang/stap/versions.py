"""Conditions of the preprocessor: ``%( kernel_v >= "5.10" && CONFIG_SMP == "y" %? … %)``.

Versions are compared as the C library's ``strverscmp`` does, names and settings by
wildcards as its ``fnmatch``. Source: man stap, "Preprocessing".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from operator import eq, ge, gt, le, lt, ne
from typing import TYPE_CHECKING, Any

from ktrace_nb.diagnostics import near_hint
from ktrace_nb.errors import CellError
from ktrace_nb.lang.stap.lexer import Token
from ktrace_nb.lang.stap.numerals import number_of

if TYPE_CHECKING:
    from ktrace_nb.lang.stap.macros import Settings

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lt,
    "<=": le,
    "==": eq,
    "!=": ne,
    ">": gt,
    ">=": ge,
}
_NAMES = ("kernel_v", "kernel_vr", "systemtap_v", "systemtap_privilege", "guru_mode", "arch", "runtime")
# What SystemTap calls the machines that uname calls otherwise.
_ARCHITECTURES = (("i?86", "i386"), ("aarch64", "arm64"), ("arm*", "arm"), ("ppc*", "powerpc"),
                  ("s390*", "s390"), ("mips*", "mips"), ("riscv*", "riscv"))  # fmt: skip


def holds(left: Token, op: Token, right: Token, settings: Settings) -> bool:
    """Whether one comparison of a condition holds.

    Raises:
        CellError: It is none.
    """
    for token in (left, op, right):
        if token.error is not None:
            raise token.error
    if op.kind != "op" or op.text not in _COMPARE:
        raise _error(op, f"expected a comparison, found {_shown(op)}", "one of == != < <= > >=")
    if left.kind == "name":
        return _named(left, op, right, settings)
    if left.kind not in ("string", "number"):
        hint = f"{', '.join(_NAMES)}, CONFIG_..., a string or a number"
        raise _error(left, f"expected what a condition can ask for, found {_shown(left)}", hint)
    if right.kind != left.kind:
        word = "number" if left.kind == "number" else "string"
        hint = "a comparison has two strings, or two numbers"
        raise _error(right, f"expected a {word}, found {_shown(right)}", hint)
    if left.kind == "number":
        return _COMPARE[op.text](number_of(left), number_of(right))
    return _COMPARE[op.text](left.text, right.text)


def _named(left: Token, op: Token, right: Token, settings: Settings) -> bool:
    name = left.text
    if name.startswith("CONFIG_"):
        return _config(left, op, right, settings.config)
    if name == "guru_mode":
        if right.kind != "number" or right.text not in ("0", "1"):
            raise _error(right, f"expected 0 or 1, found {_shown(right)}", "guru_mode is always 0 here")
        _equality(op, name)
        return _COMPARE[op.text]("0", right.text)
    versions = {
        "kernel_v": base_release(settings.release),
        "kernel_vr": settings.release,
        "systemtap_v": settings.systemtap,
    }
    names = {
        "arch": architecture(settings.machine),
        "runtime": settings.runtime,
        "systemtap_privilege": settings.privilege,
    }
    if name not in versions and name not in names:
        asked = near_hint(name, _NAMES) or f"it can ask for {', '.join(_NAMES)} and CONFIG_..."
        raise _error(left, f"a condition cannot ask for {name!r}", asked)
    if right.kind != "string":
        hint = f'{name} {op.text} "{right.text}"' if right.kind in ("name", "number") else None
        raise _error(right, f"expected a string, found {_shown(right)}", hint)
    if name in versions and not re.search(r"[*?[]", right.text):
        return _COMPARE[op.text](compare_versions(versions[name], right.text), 0)
    _equality(op, name, wildcards=name in versions)
    return fnmatchcase({**versions, **names}[name], right.text) == (op.text == "==")


def _config(left: Token, op: Token, right: Token, config: Mapping[str, str]) -> bool:
    value = _setting(left.text, config)
    if right.kind == "string":
        _equality(op, left.text)
        matches = fnmatchcase(value, right.text) or (value == "1" and fnmatchcase("y", right.text))
        return matches == (op.text == "==")
    if right.kind == "number":
        number = _integer(value)
        if number is None:
            shown = f"{value!r}" if value else "not set"
            hint = f'{left.text} {op.text} "y" compares it as text' if op.text in ("==", "!=") else None
            raise _error(left, f"{left.text} is no number on this kernel: it is {shown}", hint)
        return _COMPARE[op.text](number, number_of(right))
    if right.kind == "name" and right.text.startswith("CONFIG_"):
        other = _setting(right.text, config)
        numbers = _integer(value), _integer(other)
        return _COMPARE[op.text](*((value, other) if None in numbers else numbers))
    hint = f'{left.text} {op.text} "y"'
    raise _error(right, f"expected a string, a number or CONFIG_..., found {_shown(right)}", hint)


def _setting(name: str, config: Mapping[str, str]) -> str:
    """A setting's value; empty if it is not set.

    ``.config`` says ``CONFIG_X=m``, ``generated/autoconf.h`` defines ``CONFIG_X_MODULE``
    as 1 (and ``CONFIG_X`` as 1 for ``=y``, which the comparison minds).
    """
    if name not in config and f"{name}_MODULE" in config:
        return "m"
    return config.get(name, "")


def _equality(op: Token, name: str, *, wildcards: bool = False) -> None:
    if op.text not in ("==", "!="):
        what = "wildcards" if wildcards else name
        raise _error(op, f"{op.text!r} cannot compare {what}", f"{what} can be compared with == and !=")


def _integer(value: str) -> int | None:
    try:
        return int(value, 0)
    except ValueError:
        return None


def _shown(token: Token) -> str:
    if token.kind == "end":
        return "the end of the script"
    return f'"{token.text}"' if token.kind == "string" else repr(token.text)


def _error(token: Token, message: str, hint: str | None) -> CellError:
    return CellError(message, token.source, token.at.span, hint=hint)


def base_release(release: str) -> str:
    """The release without what a distribution put behind it: 6.12.22 of 6.12.22-cloud-amd64."""
    match = re.match(r"[0-9.]*", release)
    assert match is not None
    return match[0].rstrip(".")


def architecture(machine: str) -> str:
    """What SystemTap calls a machine: x86_64, i386, arm64, powerpc ..."""
    return next((name for pattern, name in _ARCHITECTURES if fnmatchcase(machine, pattern)), machine)


def compare_versions(one: str, other: str) -> int:
    """Below, at or above 0, as ``strverscmp``: runs of digits by value, the rest by its characters."""
    ones, others = (re.findall(r"[0-9]+|[^0-9]", text) for text in (one, other))
    for a, b in zip(ones, others, strict=False):
        if a != b:
            if a.isdigit() and b.isdigit():
                if int(a[:40]) != int(b[:40]):
                    return -1 if int(a[:40]) < int(b[:40]) else 1
                continue
            return -1 if a < b else 1
    return (len(ones) > len(others)) - (len(ones) < len(others))
