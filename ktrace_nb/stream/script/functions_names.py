"""Functions that give names to the numbers of a target, as SystemTap's tapset words them.

Source: SystemTap ``runtime/sym.c`` (``_stp_snprint_addr``), ``tapset/linux/context-symbols.stp``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from ktrace_nb.kernel.syscall_table import PROBE_NAMES
from ktrace_nb.stream.script.environment import Environment
from ktrace_nb.stream.script.errors import ScriptError
from ktrace_nb.stream.script.functions_text import strtol
from ktrace_nb.stream.script.symbols import Location
from ktrace_nb.stream.script.values import MASK, Cutter

_Locate: TypeAlias = Callable[..., Location | None]
"""Takes an address, and for one of a process the process."""

_AS_STRING = 0
_FULL = 1
"""Styles of symbol lines: to be kept in a string, and with addresses; others have offsets alone."""


def names_of(environment: Environment) -> dict[str, Callable[..., Any]]:
    """The functions by their names.

    Args:
        environment: The session.
    """
    symbols, cut = environment.symbols, environment.cut
    kernel, user = _Names(symbols.location, cut), _Names(symbols.user_location, cut)

    def syscall_name(number: int) -> str:
        return symbols.system_call(number) or str(number)

    def syscall_probe_name(number: int) -> str:
        return PROBE_NAMES.get(number, f"syscall_{number}")

    def device_name(number: int) -> str:
        return symbols.device(number) or f"{(number & MASK) >> 20}:{number & 0xFFFFF}"

    return {
        "symname": kernel.name,
        "symdata": kernel.data,
        "modname": partial(kernel.module, "Cannot determine kernel module name"),
        "__symbol_lines": kernel.lines,
        "__user_symname": user.name,
        "__user_symdata": user.data,
        "__user_modname": partial(user.module, "Cannot determine user module name"),
        "__user_symbol_lines": lambda addresses, process, style: user.lines(addresses, style, process),
        "__kernel_stack": partial(_stack, symbols.kernel_stack, cut),
        "__user_stack": partial(_stack, symbols.user_stack, cut),
        "__syscall_name": syscall_name,
        "__syscall_probe_name": syscall_probe_name,
        "__dev_name": device_name,
    }


class _Names:
    """Names for addresses of the kernel, or of processes."""

    def __init__(self, locate: _Locate, cut: Cutter) -> None:
        self._locate = locate
        self._cut = cut

    def name(self, address: int, *process: int) -> str:
        """The function, or the address."""
        place = self._locate(address, *process)
        return self._cut(place.name) if place else _address(address)

    def data(self, address: int, *process: int) -> str:
        """The function with offset, size and module, or the address."""
        place = self._locate(address, *process)
        return self._cut(str(place)) if place else _address(address)

    def module(self, unknown: str, address: int, *process: int) -> str:
        """The module; an error of the script without one."""
        place = self._locate(address, *process)
        if place is None:
            raise ScriptError(unknown)
        return self._cut(place.module)

    def lines(self, addresses: str, style: int, *process: int) -> str:
        """A line for each address; no more whole lines than a string holds if it is to be kept in one."""
        made = ""
        for word in addresses.split():
            line = _line(word, self._locate(strtol(word, 16), *process), style)
            if style == _AS_STRING and len(made) + len(line) > self._cut.longest:
                self._cut.cuts += 1
                break
            made += line
        return made


def _line(word: str, place: Location | None, style: int) -> str:
    if style == _FULL:
        return f" {word} : {place}\n" if place else f" {word}\n"
    if place is None:
        return f"{word}\n"
    module = f" [{place.module}]" if style == _AS_STRING else ""
    return f"{place.name}+{place.offset:#x}{module}\n"


def _stack(addresses: Callable[[int], Sequence[int]], cut: Cutter, number: int) -> str:
    """As many whole addresses of a stack as a string has room for, blanks between."""
    made = ""
    for address in addresses(number):
        more = f"{made} {_address(address)}" if made else _address(address)
        if len(more) > cut.longest:
            cut.cuts += 1
            break
        made = more
    return made


def _address(address: int) -> str:
    return f"{address & MASK:#x}"
