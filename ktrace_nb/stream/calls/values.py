"""Arguments and results of calls as text, from the registers they were in."""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.ir.flag_tables import flag_text
from ktrace_nb.kernel import signatures as k
from ktrace_nb.kernel.signatures import ERRNO_NAMES, MAX_ERRNO, Reading, Signature


class Values:
    """How the registers of a walk's functions are read.

    Args:
        signatures: Of each function, by its number.
    """

    def __init__(self, signatures: Sequence[Signature]) -> None:
        self.signatures = tuple(signatures)
        bits = [s.result.error_bits for s in self.signatures]
        self._error_bits = np.array(bits, np.uint8)
        self._bits = np.array([min(64, s.result.bits) for s in self.signatures], np.uint64)
        signed = [s.result.kind in (k.SIGNED, k.CHAR) or _has_negative(s.result) for s in self.signatures]
        self._signed = np.array(signed, bool)
        self._is_void = np.array([s.result.kind == k.VOID for s in self.signatures], bool)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Values) and self.signatures == other.signatures

    def __hash__(self) -> int:
        return hash(self.signatures)

    # --- many at once --------------------------------------------------------------------

    def errors(self, function: NDArray[Any], result: NDArray[np.uint64]) -> NDArray[np.int16]:
        """Error numbers that results say; 0 where there is none."""
        bits = self._error_bits[function]
        wide = result.view(np.int64)
        narrow = result.astype(np.uint32).view(np.int32)
        value = np.where(bits == 64, wide, np.where(bits == 32, narrow, 0))
        return np.where((value < 0) & (value >= -MAX_ERRNO), -value, 0).astype(np.int16)

    def failed(self, function: NDArray[Any], result: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which results say an error."""
        found: NDArray[np.bool_] = self.errors(function, result) != 0
        return found

    def numbers(self, function: NDArray[Any], result: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Results as numbers of the width and sign of their types."""
        unused = np.uint64(64) - self._bits[function]
        shifted = result << unused
        signed = shifted.view(np.int64) >> unused.view(np.int64)
        found: NDArray[np.int64] = np.where(
            self._signed[function], signed, (shifted >> unused).view(np.int64)
        )
        return found

    def is_void(self, function: NDArray[Any]) -> NDArray[np.bool_]:
        """Which functions give nothing."""
        found: NDArray[np.bool_] = self._is_void[function]
        return found

    # --- one as text -------------------------------------------------------------------------

    def arguments(self, function: int, registers: Sequence[int]) -> str:
        """``dir=0xffff888003a1c000, flags=0``; what is not in a recorded register is ``…``."""
        signature = self.signatures[function]
        shown = []
        for parameter in signature.parameters:
            if parameter.registers:
                bits = sum(registers[r] << 64 * n for n, r in enumerate(parameter.registers))
                text = show(parameter.reading, bits)
            else:
                text = "…"
            shown.append(f"{parameter.name}={text}" if parameter.name else text)
        return ", ".join([*shown, *(["..."] if signature.variadic else [])])

    def result(self, function: int, value: int) -> str:
        """``0``, ``-ENOENT``, ``0xffff888003a1c000``; empty of a function that gives nothing."""
        return show_result(self.signatures[function].result, value)


def show_result(reading: Reading, bits: int) -> str:
    """A result: as :func:`show`, and errors by name."""
    if reading.error_bits:
        value = _signed(bits, reading.error_bits)
        if -MAX_ERRNO <= value < 0 and -value in ERRNO_NAMES:
            return f"-{ERRNO_NAMES[-value]}"
    return show(reading, bits)


def show(reading: Reading, bits: int) -> str:
    """Bits as their type has them in C, or nearly so."""
    bits &= (1 << reading.bits) - 1
    return _SHOWN[reading.kind](reading, bits)


def _pointer(reading: Reading, bits: int) -> str:
    if not bits:
        return "NULL"
    number = -_signed(bits, reading.bits)
    if 0 < number <= MAX_ERRNO:
        return f"-{ERRNO_NAMES[number]}" if number in ERRNO_NAMES else str(-number)
    return f"{bits:#x}"


def _char(reading: Reading, bits: int) -> str:
    return repr(chr(bits)) if 32 <= bits < 127 else str(_signed(bits, reading.bits))


def _enum(reading: Reading, bits: int) -> str:
    names = {value: name for name, value in reversed(reading.names)}
    signed = _signed(bits, reading.bits)
    if signed in names:
        return names[signed]
    if bits in names:
        return names[bits]
    flags = {value: name for value, name in names.items() if value > 0}
    if bits and flags and all(not value & (value - 1) for value in flags) and not bits & ~sum(flags):
        return "|".join(name for value, name in sorted(flags.items()) if bits & value)
    return str(signed if _has_negative(reading) else bits)


def _flags(reading: Reading, bits: int) -> str:
    return flag_text(bits, reading.table) if bits else "0"


def _record(reading: Reading, bits: int) -> str:
    return "{" + ", ".join(f"{n}={show(r, bits >> at)}" for n, at, r in reading.members) + "}"


# Linux include/uapi/linux/stat.h; Python has the same numbers, POSIX gives them on every Linux.
_FILE_TYPES = {
    stat.S_IFSOCK: "S_IFSOCK",
    stat.S_IFLNK: "S_IFLNK",
    stat.S_IFREG: "S_IFREG",
    stat.S_IFBLK: "S_IFBLK",
    stat.S_IFDIR: "S_IFDIR",
    stat.S_IFCHR: "S_IFCHR",
    stat.S_IFIFO: "S_IFIFO",
}


def _mode(_: Reading, bits: int) -> str:
    kind, rest = stat.S_IFMT(bits), stat.S_IMODE(bits)
    return f"{_FILE_TYPES[kind]}|{rest:04o}" if kind in _FILE_TYPES else f"{bits:04o}"


_SHOWN: dict[str, Callable[[Reading, int], str]] = {
    k.SIGNED: lambda reading, bits: str(_signed(bits, reading.bits)),
    k.UNSIGNED: lambda _, bits: str(bits),
    k.BOOL: lambda _, bits: "true" if bits else "false",
    k.CHAR: _char,
    k.POINTER: _pointer,
    k.ENUM: _enum,
    k.FLAGS: _flags,
    k.RECORD: _record,
    k.MODE: _mode,
    # Linux include/linux/kdev_t.h: 20 bits of minor number.
    k.DEVICE: lambda _, bits: f"{bits >> 20}:{bits & 0xFFFFF}",
    k.VOID: lambda *_: "",
    k.UNKNOWN: lambda _, bits: f"{bits:#x}",
}


def _signed(bits: int, width: int) -> int:
    bits &= (1 << width) - 1
    return bits - (1 << width) if bits >> (width - 1) else bits


def _has_negative(reading: Reading) -> bool:
    return reading.kind == k.ENUM and any(value < 0 for _, value in reading.names)
