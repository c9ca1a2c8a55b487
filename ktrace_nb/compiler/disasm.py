"""BPF instructions as text, for ``--show bytecode``.

The notation is the verifier's own (``kernel/bpf/disasm.c`` prints ``r1 = r6`` and
the like), so that a place in its log can be found here. The encoding is that of
RFC 9669, "BPF Instruction Set Architecture".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from ktrace_nb.compiler.verifier import lines_of
from ktrace_nb.ir.program import Program
from ktrace_nb.wire.bundle import CONTROL_FD, HITS_FD, LEDGER_FD, SWITCH_FD, Bundle, ProgramDef

_ALU = {
    0x00: "+=", 0x10: "-=", 0x20: "*=", 0x30: "/=", 0x40: "|=", 0x50: "&=", 0x60: "<<=", 0x70: ">>=",
    0x90: "%=", 0xA0: "^=", 0xB0: "=", 0xC0: "s>>=",
}  # fmt: skip
_JUMP = {
    0x10: "==", 0x20: ">", 0x30: ">=", 0x40: "&", 0x50: "!=", 0x60: "s>", 0x70: "s>=",
    0xA0: "<", 0xB0: "<=", 0xC0: "s<", 0xD0: "s<=",
}  # fmt: skip
_SIZES = {0x00: "u32", 0x08: "u16", 0x10: "u8", 0x18: "u64"}
_ATOMIC = {0x00: "+", 0x40: "|", 0x50: "&", 0xA0: "^"}


def disassemble(
    definition: ProgramDef, bundle: Bundle, program: Program, helpers: Mapping[int, str]
) -> list[str]:
    """A program as text, each line of the cell in front of what was made of it.

    Args:
        definition: The program.
        bundle: Where the maps it names are defined.
        program: The cell, for its lines.
        helpers: Names of BPF helpers by number.
    """
    maps = {m.fd: m.name for m in bundle.maps} | {
        LEDGER_FD: "(ledger)",
        CONTROL_FD: "(control)",
        HITS_FD: "(hits)",
        SWITCH_FD: "(switch)",
    }
    lines = lines_of(definition)
    insns = [struct.unpack_from("<BBhi", definition.insns, at) for at in range(0, len(definition.insns), 8)]
    text = [f"{definition.name}: {len(insns)} instructions"]
    shown = index = 0
    while index < len(insns):
        line = lines.get(index, 0)
        if line != shown and 1 <= line <= program.source.line_count:
            text.append(f"; {program.source.name}:{line}: {program.source.line(line).strip()}")
            shown = line
        wide = insns[index][0] == 0x18
        high = insns[index + 1][3] if wide and index + 1 < len(insns) else 0
        text.append(f"{index:5d}: ({insns[index][0]:02x}) {_one(insns, index, high, maps, helpers)}")
        index += 2 if wide else 1
    return text


def _one(
    insns: Sequence[tuple[int, int, int, int]],
    index: int,
    high: int,
    maps: Mapping[int, str],
    helpers: Mapping[int, str],
) -> str:
    code, registers, offset, number = insns[index]
    to, source = registers & 15, registers >> 4
    kind, operation = code & 7, code & 0xF0
    if code == 0x18:
        if source == 1:
            return f"r{to} = map {maps.get(number, hex(number))}"
        return f"r{to} = {(number & 0xFFFFFFFF) | (high & 0xFFFFFFFF) << 32:#x}"
    if kind in (4, 7):
        return _arithmetic(code, to, source, number)
    if kind in (5, 6):
        return _branch(code, operation, to, source, index + 1 + offset, number, helpers)
    size = _SIZES[code & 0x18]
    if kind == 1:
        return f"r{to} = *({size} *)(r{source} {offset:+d})"
    if kind == 2:
        return f"*({size} *)(r{to} {offset:+d}) = {number}"
    if kind == 3 and code & 0xE0 == 0xC0:
        return f"lock *({size} *)(r{to} {offset:+d}) {_ATOMIC.get(number & 0xF0, '?')}= r{source}"
    if kind == 3:
        return f"*({size} *)(r{to} {offset:+d}) = r{source}"
    return f".byte {code:#x} {registers:#x} {offset} {number}"


def _arithmetic(code: int, to: int, source: int, number: int) -> str:
    name = "w" if code & 7 == 4 else "r"
    operation = code & 0xF0
    if operation == 0x80:
        return f"{name}{to} = -{name}{to}"
    if operation == 0xD0:
        return f"r{to} = {'be' if code & 8 else 'le'}{number} r{to}"
    value = f"{name}{source}" if code & 8 else str(number)
    return f"{name}{to} {_ALU.get(operation, '?')} {value}"


def _branch(
    code: int, operation: int, to: int, source: int, target: int, number: int, helpers: Mapping[int, str]
) -> str:
    if operation == 0x80:
        return f"call {helpers.get(number, 'helper')}#{number}"
    if operation == 0x90:
        return "exit"
    if operation == 0x00:
        return f"goto {target}"
    name = "w" if code & 7 == 6 else "r"
    value = f"{name}{source}" if code & 8 else str(number)
    return f"if {name}{to} {_JUMP.get(operation, '?')} {value} goto {target}"
