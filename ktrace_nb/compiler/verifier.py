"""The verifier's log: its reason in plain words, and the line of the cell it means.

The log lists instructions as the verifier follows them; what it has to say
stands behind the last one, before its statistics. The program's line
information (``struct bpf_line_info`` in ``include/uapi/linux/bpf.h``) tells the
line of the source for each instruction.
"""

from __future__ import annotations

import re
import struct

from ktrace_nb.errors import VerifierError
from ktrace_nb.ir.program import LINE_BASE, Program
from ktrace_nb.source import Source, Span
from ktrace_nb.wire.bundle import ProgramDef

_INSTRUCTION = re.compile(r"^(\d+): \(")
_STATISTICS = re.compile(
    r"^(?:processed \d+ insns|verification time|stack depth|max_states|mark_precise|last_idx|regs=|parent )"
)
_STATE = re.compile(
    r"^(?:\d+: )?(?:from \d+ to \d+|R\d+(_\w+)?=|; |frame\d+|func#|\d+: R|arg#|[Ll]ive regs"
    r"|cur state|old state)"
)

BYTECODE_HINT = "--show bytecode prints the program as the kernel sees it"

_PLAIN: tuple[tuple[str, str, str], ...] = (
    (
        r"invalid mem access '(map_value|mem|ringbuf_mem|alloc_mem)_or_null'",
        "the pointer may be NULL here",
        "check it first: if (!p) return 0",
    ),
    (
        r"invalid mem access '(scalar|inv)'",
        "this reads memory through a value that the verifier does not know to be a valid pointer",
        "copy it with bpf_probe_read_kernel(&to, sizeof(to), from)",
    ),
    (
        r"invalid (indirect )?read from stack|invalid read from stack",
        "memory on the stack is used before it was set (padding between members counts)",
        "initialise it: struct data_t data = {}",
    ),
    (
        r"back-edge from insn|infinite loop detected|loop detected",
        "the verifier cannot see that this loop ends",
        "give it a constant bound, or #pragma unroll it",
    ),
    (
        r"BPF program is too large|too many instructions|The sequence of \d+ jumps is too complex",
        "the program is too large to be verified",
        "fewer branches or shorter loops",
    ),
    (
        r"unbounded memory access|min value is negative|max value is outside|outside of the allowed",
        "an index or a length may be out of bounds",
        "test it against a constant right before it is used",
    ),
    (r"R0 !read_ok", "the program ends without a value", "end every path with return 0"),
    (
        r"Unreleased reference",
        "something that was reserved is not given back on every path",
        "call ringbuf_submit() or ringbuf_discard() on each",
    ),
    (
        r"unknown func (\S+)|program of this type cannot use helper (\S+)|helper call is not allowed",
        "this kind of probe may not call this helper",
        "another kind of probe may",
    ),
    (
        r"cannot call GPL-restricted function|GPL",
        "this helper is only for programs under the GPL",
        "do not set a BPF_LICENSE; it is GPL by default",
    ),
    (
        r"misaligned (stack|access|value|packet)",
        "memory is accessed across its natural alignment",
        "align the members of the structure",
    ),
    (
        r"combined stack size|stack .*too large|invalid stack .*off=-",
        "the program needs more than 512 bytes of stack",
        "keep large structures in a per-CPU array or reserve them in a ring buffer",
    ),
)


def verifier_error(log: str, errno_name: str, program: Program, definition: ProgramDef) -> VerifierError:
    """The exception for a program the kernel refused.

    Args:
        log: The verifier's log, empty if it did not get that far.
        errno_name: The error's text, the reason where there is no log.
        program: The cell.
        definition: The program as it was to be loaded.
    """
    at, words = _last_words(log)
    name = _what_it_is(definition, program)
    source, span = _where(at if words else -1, definition, program)
    if not words:
        message = f"the kernel refused {name}: {errno_name}"
        return VerifierError(message, source, span, program=definition.name, log=log)
    plain, advice = _in_plain_words(words)
    message = f"the kernel's verifier refused {name}: {plain or words}"
    if plain:
        message += f" ({words})"
    hint = f"{advice} ({BYTECODE_HINT})" if advice else BYTECODE_HINT
    return VerifierError(message, source, span, program=definition.name, log=log, hint=hint)


def _what_it_is(definition: ProgramDef, program: Program) -> str:
    handler = program.handler_of(definition.name)
    return f"probe {handler.name}" if handler else f"program {definition.name!r}"


def _where(at: int, definition: ProgramDef, program: Program) -> tuple[Source, Span | None]:
    """The place of an instruction, or else of its program."""
    handler = program.handler_of(definition.name)
    if handler is None:
        return program.source, place_of(at, definition, program) or program.span_of(definition.name)
    line = lines_of(definition).get(at)
    place = (program.place_of_line(line) if line is not None else None) or handler.at
    return (place.source, place.span) if place else (program.source, None)


def place_of(instruction: int, definition: ProgramDef, program: Program) -> Span | None:
    """The line of the cell that an instruction comes from."""
    line = lines_of(definition).get(instruction)
    if line is None or line > program.source.line_count:
        return None
    span = program.source.line_span(line)
    return span if span.end > span.start else None


def lines_of(definition: ProgramDef) -> dict[int, int]:
    """The line of the cell, counted from 1, of every instruction that comes from one."""
    size = definition.line_info_size
    if not size:
        return {}
    starts = []
    for at in range(0, len(definition.line_info), size):
        # insn_off, file_name_off, line_off, line_col (line in the upper 22 bits)
        offset, _, _, line_column = struct.unpack_from("<4I", definition.line_info, at)
        starts.append((offset, line_column >> 10))
    result: dict[int, int] = {}
    ends = [offset for offset, _ in starts[1:]] + [len(definition.insns) // 8]
    for (offset, line), end in zip(starts, ends, strict=True):
        if line > LINE_BASE:
            result.update(dict.fromkeys(range(offset, end), line - LINE_BASE))
    return result


def _last_words(log: str) -> tuple[int, str]:
    """The last instruction the log shows, and what is said behind it."""
    instruction = 0
    words: list[str] = []
    for line in log.splitlines():
        match = _INSTRUCTION.match(line)
        if match:
            instruction, words = int(match[1]), []
        elif line.strip() and not _STATISTICS.match(line) and not _STATE.match(line):
            words.append(line.strip())
    return instruction, "; ".join(words[-2:])


def _in_plain_words(words: str) -> tuple[str, str]:
    for pattern, plain, advice in _PLAIN:
        if re.search(pattern, words):
            return plain, advice
    return "", ""
