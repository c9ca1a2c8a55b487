"""What a function takes and gives, as far as its registers show it.

A :class:`Signature` says of each parameter and of the result which registers it is in,
and how these bits are to be read (:class:`Reading`). It comes from BTF alone.

Which register has what: System V ABI, AMD64 supplement, section 3.2.3 ("Parameter
Passing"), and Procedure Call Standard for the Arm 64-bit Architecture, section 6.8.2.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field, replace

from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import ENUMS, MAX_DEPTH, RECORDS, Kind
from ktrace_nb.kernel.errors import FactError

REGISTERS = 6
"""How many registers an entry tells of."""

_IN_REGISTERS = 16
"""Bytes of a record that two registers have; what is larger is in memory."""

SIGNED, UNSIGNED, BOOL, CHAR, POINTER, ENUM, FLAGS, RECORD, MODE, DEVICE, VOID, UNKNOWN = (
    *("signed", "unsigned", "bool", "char", "pointer", "enum", "flags", "record", "mode", "device"),
    *("void", "unknown"),
)
"""Kinds of :class:`Reading`."""

ERRNO_NAMES: dict[int, str] = {
    **errno.errorcode,
    # Two names for one number: the one the kernel's sources use. The last has no name in Python.
    **{11: "EAGAIN", 35: "EDEADLK", 95: "EOPNOTSUPP", 133: "EHWPOISON"},
    # Numbers that never leave the kernel; Linux include/linux/errno.h.
    **{512: "ERESTARTSYS", 513: "ERESTARTNOINTR", 514: "ERESTARTNOHAND", 515: "ENOIOCTLCMD"},
    **{516: "ERESTART_RESTARTBLOCK", 517: "EPROBE_DEFER", 518: "EOPENSTALE", 519: "ENOPARAM"},
    **{521: "EBADHANDLE", 522: "ENOTSYNC", 523: "EBADCOOKIE", 524: "ENOTSUPP", 525: "ETOOSMALL"},
    **{526: "ESERVERFAULT", 527: "EBADTYPE", 528: "EJUKEBOX", 529: "EIOCBQUEUED", 530: "ERECALLCONFLICT"},
}
"""Errors by number, those included that only the kernel knows."""

MAX_ERRNO = 4095
"""Results of -1 to minus this are errors. Source: Linux ``include/linux/err.h``."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How bits are to be read."""

    kind: str
    bits: int = 64
    names: tuple[tuple[str, int], ...] = ()
    """Of an enum: its constants."""
    table: str = ""
    """Of flags: their names, in the form of :mod:`ktrace_nb.ir.flag_tables`."""
    members: tuple[tuple[str, int, Reading], ...] = ()
    """Of a record that two registers can have: name, bit offset and form of each member."""

    @property
    def error_bits(self) -> int:
        """How many bits of a result with a minus sign are an error number; 0 if it has none."""
        return self.bits if self.kind in (SIGNED, POINTER) and self.bits >= 32 else 0


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function."""

    name: str
    reading: Reading
    registers: tuple[int, ...]
    """Where it is, counted from 0; empty if it is on the stack or in a register that is not recorded."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A function's parameters and result."""

    parameters: tuple[Parameter, ...] = ()
    result: Reading = field(default_factory=lambda: Reading(UNKNOWN))
    variadic: bool = False
    is_known: bool = False
    """Whether the parameters are known."""


class Signatures:
    """Signatures by the types of a kernel or module.

    Args:
        btf: The types.
        machine: ``uname -m``; anything but ``aarch64`` is taken for x86-64.
    """

    def __init__(self, btf: Btf, machine: str = "x86_64") -> None:
        self._btf = btf
        self._is_arm = machine == "aarch64"
        self._readings: dict[int, Reading] = {}

    def of(self, name: str) -> Signature:
        """The signature of a function; of one without types, one that knows nothing.

        The compiler's clones have registers of their own. Of ``NAME.constprop.N`` the result is
        that of ``NAME``; other clones may have lost theirs.
        """
        base, _, clone = name.partition(".")
        found = self._btf.function(base)
        if found is None:
            return Signature()
        prototype = self._btf.referent(found)
        whole = self._of_prototype(prototype)
        if not clone or clone.startswith("cold"):
            return whole
        return Signature(result=whole.result) if clone.startswith("constprop") else Signature()

    def _of_prototype(self, prototype: int) -> Signature:
        btf = self._btf
        listed = btf.parameters(prototype)
        variadic = bool(listed) and not listed[-1].type_id
        result_id = btf.result(prototype)
        # A result that does not fit two registers is written to where a hidden first argument says.
        hidden = self._is_record(result_id) and btf.size(result_id) > _IN_REGISTERS
        taken = 1 if hidden and not self._is_arm else 0
        parameters = []
        for parameter in listed[: len(listed) - variadic]:
            registers, taken = self._registers(parameter.type_id, taken)
            reading = self.reading(parameter.type_id)
            if reading.kind == RECORD and len(registers) == 1 and btf.size(parameter.type_id) > _IN_REGISTERS:
                reading = Reading(POINTER)
            parameters.append(Parameter(parameter.name, reading, registers))
        result = Reading(POINTER) if hidden else self.reading(result_id)
        return Signature(tuple(parameters), result, variadic, is_known=True)

    def _registers(self, type_id: int, taken: int) -> tuple[tuple[int, ...], int]:
        """Which registers an argument is in, and how many are taken then."""
        size = self._btf.size(type_id)
        available = 8 if self._is_arm else REGISTERS
        words = max(1, (size + 7) // 8)
        if words > 2:
            if not self._is_arm:
                return (), taken
            words = 1  # a copy of it, by its address
        if words == 2 and self._is_arm and not self._is_record(type_id):
            taken += taken % 2
        if taken + words > available:
            return (), available if self._is_arm else taken
        places = tuple(range(taken, taken + words))
        return (places if places[-1] < REGISTERS else ()), taken + words

    def _is_record(self, type_id: int) -> bool:
        return bool(type_id) and self._btf.kind(self._btf.resolve(type_id)) in RECORDS

    def reading(self, type_id: int) -> Reading:
        """How a value of a type is to be read."""
        if type_id not in self._readings:
            self._readings[type_id] = self._read(type_id, MAX_DEPTH)
        return self._readings[type_id]

    def _read(self, type_id: int, depth: int) -> Reading:
        btf = self._btf
        if not depth:
            return Reading(UNKNOWN)
        plain = btf.resolve(type_id)
        if not plain:
            return Reading(VOID)
        named = self._by_typedef(type_id)
        if named is not None:
            return named
        kind = btf.kind(plain)
        if kind is Kind.PTR:
            return Reading(POINTER, 8 * btf.pointer_size)
        if kind in ENUMS:
            constants = tuple((e.name, e.value) for e in btf.enumerators(plain))
            return Reading(ENUM, 8 * btf.size(plain), names=constants)
        if kind is Kind.INT:
            return self._read_integer(plain)
        if kind in RECORDS:
            # Larger ones are in memory, where nobody reads them; those of nothing have nothing to be read.
            members = self._members(plain, 0, depth) if 0 < btf.size(plain) <= _IN_REGISTERS else ()
            return Reading(RECORD, 8 * btf.size(plain), members=members)
        if kind is Kind.FLOAT or kind is Kind.ARRAY:
            return Reading(UNKNOWN, 8 * btf.size(plain))
        return Reading(UNKNOWN)

    def _read_integer(self, type_id: int) -> Reading:
        btf = self._btf
        integer = btf.integer(type_id)
        bits = 8 * integer.size
        if integer.boolean:
            return Reading(BOOL, bits)
        if btf.name(type_id) == "char":
            return Reading(CHAR, bits)
        return Reading(SIGNED if integer.signed else UNSIGNED, bits)

    def _members(self, record: int, start: int, depth: int) -> tuple[tuple[str, int, Reading], ...]:
        btf = self._btf
        found: list[tuple[str, int, Reading]] = []
        used = 0
        # The other members of a union are the same bits again.
        members = btf.members(record)[: 1 if btf.kind(record) is Kind.UNION else None]
        for member in members:
            at = start + member.bit_offset
            size = member.bitfield_size or 8 * btf.size(member.type_id)
            # No compiler lays members upon each other, or outside; of such there could be any number.
            if member.bit_offset < used or member.bit_offset + size > 8 * btf.size(record):
                break
            used = member.bit_offset + size
            plain = btf.resolve(member.type_id)
            if not member.name and plain and btf.kind(plain) in RECORDS:
                found += self._members(plain, at, depth - 1) if depth > 1 else ()
                continue
            reading = self._read(member.type_id, depth - 1)
            if member.bitfield_size:
                reading = replace(reading, bits=member.bitfield_size)
            if member.name:
                found.append((member.name, at, reading))
        return tuple(found)

    def _by_typedef(self, type_id: int) -> Reading | None:
        """A reading that only the name of the type tells of."""
        btf = self._btf
        for _ in range(MAX_DEPTH):
            kind = btf.kind(type_id)
            if kind is Kind.TYPEDEF:
                name = btf.name(type_id)
                if name in _NAMED:
                    return replace(_NAMED[name], bits=8 * btf.size(type_id))
                if name in _BY_ENUM:
                    table = _BY_ENUM[name](btf)
                    return Reading(FLAGS, 8 * btf.size(type_id), table=table) if table else None
            elif kind not in (Kind.CONST, Kind.VOLATILE, Kind.TYPE_TAG):
                return None
            type_id = btf.referent(type_id)
        raise FactError(f"malformed BTF: type {type_id} refers on without end")


# Linux include/linux/fs.h; the later bits have moved from release to release.
_FMODE = "FMODE_READ=1|FMODE_WRITE=2|FMODE_LSEEK=4|FMODE_PREAD=8|FMODE_PWRITE=0x10|FMODE_EXEC=0x20"

_NAMED = {
    "umode_t": Reading(MODE),
    "fmode_t": Reading(FLAGS, table=_FMODE),
    "dev_t": Reading(DEVICE),
}

# Linux include/linux/gfp_types.h, larger ones first; made of the bits that an enum there numbers.
_GFP_SETS = {
    "GFP_HIGHUSER_MOVABLE": "DIRECT_RECLAIM KSWAPD_RECLAIM IO FS HARDWALL HIGHMEM MOVABLE",
    "GFP_HIGHUSER": "DIRECT_RECLAIM KSWAPD_RECLAIM IO FS HARDWALL HIGHMEM",
    "GFP_USER": "DIRECT_RECLAIM KSWAPD_RECLAIM IO FS HARDWALL",
    "GFP_KERNEL_ACCOUNT": "DIRECT_RECLAIM KSWAPD_RECLAIM IO FS ACCOUNT",
    "GFP_KERNEL": "DIRECT_RECLAIM KSWAPD_RECLAIM IO FS",
    "GFP_NOFS": "DIRECT_RECLAIM KSWAPD_RECLAIM IO",
    "GFP_ATOMIC": "HIGH KSWAPD_RECLAIM",
    "GFP_NOIO": "DIRECT_RECLAIM KSWAPD_RECLAIM",
}


def _gfp_table(btf: Btf) -> str:
    # Since Linux v6.10 ("mm: enumerate all gfp flags") an enum numbers the bits; before, macros did.
    owner = btf.enumerator("___GFP_DMA_BIT")
    if owner is None:
        return ""
    bits = {
        e.name.removeprefix("___GFP_").removesuffix("_BIT"): e.value
        for e in btf.enumerators(owner)
        if e.name.startswith("___GFP_") and e.name.endswith("_BIT") and e.name != "___GFP_LAST_BIT"
    }
    entries = []
    for name, parts in _GFP_SETS.items():
        if all(part in bits for part in parts.split()):
            entries.append(f"{name}={sum(1 << bits[part] for part in parts.split()):#x}")
    entries += [f"__GFP_{name}={1 << bit:#x}" for name, bit in bits.items() if not name.startswith("UNUSED")]
    return "|".join(entries)


def _fault_table(btf: Btf) -> str:
    owner = btf.enumerator("VM_FAULT_OOM")
    if owner is None:
        return ""
    flags = [e for e in btf.enumerators(owner) if e.value and not e.value & e.value - 1]
    return "|".join(f"{e.name}={e.value:#x}" for e in flags)


_BY_ENUM = {"gfp_t": _gfp_table, "vm_fault_t": _fault_table}
