"""Names for the numbers of a target: addresses, stacks, system calls, devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ktrace_nb.kernel.symbols import Symbols

_MASK = (1 << 64) - 1
_LONGEST_FUNCTION = 1 << 20
"""Bytes; :class:`Symbols` knows of none that is longer."""


@dataclass(frozen=True, slots=True)
class Location:
    """An address in a function."""

    name: str
    offset: int
    """Bytes from the start of the function."""
    size: int
    """Bytes of the function."""
    module: str
    """``kernel`` for the kernel itself."""

    def __str__(self) -> str:
        """As ``symdata()`` writes it: ``vfs_read+0x10/0x1b0 [kernel]``."""
        return f"{self.name}+{self.offset:#x}/{self.size:#x} [{self.module}]"


class Symbolizer(Protocol):
    """Gives names; a number without one gets None, or an empty sequence."""

    def location(self, address: int) -> Location | None:
        """The kernel function an address (64 bits, any sign) lies in."""

    def user_location(self, address: int, process: int) -> Location | None:
        """The function of a process an address lies in; the module is the file, without folders."""

    def kernel_stack(self, number: int) -> Sequence[int]:
        """Addresses of a stack of the kernel, the innermost first."""

    def user_stack(self, number: int) -> Sequence[int]:
        """Addresses of a stack of a process, the innermost first."""

    def system_call(self, number: int) -> str | None:
        """Name of a system call."""

    def device(self, number: int) -> str | None:
        """Name of a block device, by the kernel's number for it."""


class TargetNames:
    """Names from what is known of a target.

    Args:
        symbols: Its kernel's symbols.
        stacks: Gives the addresses of a stack of the kernel by its number.
        user_stacks: The same for stacks of processes.
        user_locations: Gives the place of an address in a process.
        system_calls: Names by number.
        devices: Names by number.
    """

    def __init__(
        self,
        symbols: Symbols,
        *,
        stacks: Callable[[int], Sequence[int]] = lambda number: (),
        user_stacks: Callable[[int], Sequence[int]] = lambda number: (),
        user_locations: Callable[[int, int], Location | None] = lambda address, process: None,
        system_calls: Mapping[int, str] | None = None,
        devices: Mapping[int, str] | None = None,
    ) -> None:
        self._stacks = stacks
        self._user_stacks = user_stacks
        self._user_locations = user_locations
        self._symbols = symbols
        self._sizes: dict[int, int] = {}
        self._system_calls = system_calls or {}
        self._devices = devices or {}

    def location(self, address: int) -> Location | None:
        """The kernel function an address lies in."""
        address &= _MASK
        symbol = self._symbols.resolve(address)
        if symbol is None:
            return None
        start = address - symbol.offset
        if start not in self._sizes:
            self._sizes[start] = self._size(start)
        return Location(symbol.name, symbol.offset, self._sizes[start], symbol.module or "kernel")

    def _size(self, start: int) -> int:
        """Bytes from the start of a function to the next symbol."""
        inside, outside = 0, _LONGEST_FUNCTION
        while outside - inside > 1:
            middle = (inside + outside) // 2
            symbol = self._symbols.resolve(start + middle)
            if symbol is not None and symbol.offset == middle:
                inside = middle
            else:
                outside = middle
        return outside

    def user_location(self, address: int, process: int) -> Location | None:
        """The function of a process an address lies in."""
        return self._user_locations(address & _MASK, process)

    def kernel_stack(self, number: int) -> Sequence[int]:
        """Addresses of a stack of the kernel."""
        return self._stacks(number)

    def user_stack(self, number: int) -> Sequence[int]:
        """Addresses of a stack of a process, whose number is the upper half; below 0 if it was not kept."""
        low = number & 0xFFFFFFFF
        return self._user_stacks(low) if low < 1 << 31 else ()

    def system_call(self, number: int) -> str | None:
        """Name of a system call."""
        return self._system_calls.get(number)

    def device(self, number: int) -> str | None:
        """Name of a block device."""
        return self._devices.get(number)
