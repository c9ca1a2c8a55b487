"""The ``$variables`` of functions and tracepoints, from the kernel's types.

Where arguments are: the System V ABI for x86-64, section 3.2.3: the first six words
in registers, the others on the stack behind the return address; a structure of at
most 16 bytes takes one or two words like any argument, a larger one is on the stack.
An :class:`~ktrace_nb.ir.script.Argument` of 6 or more is a word of the stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ktrace_nb.errors import RemoteError
from ktrace_nb.ir import script as ir
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import RECORDS, Kind, Parameter
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.stap.context import Variable

REGISTERS = 6
"""Words of arguments that are passed in registers."""

NO_TYPE = "the kernel has no type of this function"

_TRAMPOLINE_WORDS = 6
"""Words of arguments that every kernel's trampolines save. Source: ``arch_prepare_bpf_trampoline`` before
Linux 6.6, where commit 473e3150e30a ("bpf, x86: allow function arguments up to 12 for TRACING") raised it."""


@dataclass(frozen=True, slots=True)
class Prototype:
    """What a function takes and returns."""

    btf: Btf
    parameters: tuple[Variable, ...]
    """Those whose place is known."""
    result: Variable | None
    """None if it returns nothing."""
    words: int
    """64-bit words of arguments."""
    has_trampoline: bool
    """Whether fentry and fexit can be at it, as far as its types tell."""
    hidden: str = ""
    """Why some parameters are missing."""


def prototype(facts: KernelFacts, name: str) -> Prototype | None:
    """What the kernel's types say of a function; None if they do not know it.

    Args:
        facts: The kernel.
        name: The function; of a clone that the compiler made (``f.isra.0``) the types of the
            original are given, which the kernel's build keeps only if the arguments still fit.
    """
    btf = types_of(facts, name)
    type_id = btf.function(name.partition(".")[0]) if btf else None
    if btf is None or type_id is None:
        return None
    function_id = btf.referent(type_id)
    parameters = btf.parameters(function_id)
    variables, words, hidden = _placed(btf, parameters)
    result_id = btf.result(function_id)
    result = Variable("return", btf, result_id, ir.Result()) if btf.resolve(result_id) else None
    returns_word = result is None or btf.kind(btf.resolve(result_id)) not in RECORDS
    return Prototype(
        btf,
        tuple(variables),
        result,
        words,
        not hidden and returns_word and words <= _TRAMPOLINE_WORDS and "." not in name,
        hidden,
    )


def types_of(facts: KernelFacts, function: str) -> Btf | None:
    """The types of the kernel, or of the module a function is in; None if it has none."""
    module = facts.traceable.get(function, "")
    try:
        return facts.module_btf(module) if module else facts.btf
    except RemoteError:
        return None


def tracepoint_variables(facts: KernelFacts, event: str) -> tuple[Variable, ...] | None:
    """The arguments of a raw tracepoint; None if the kernel's types do not know it.

    ``__traceiter_EVENT``, which calls whoever is attached, has their names; the first
    parameter belongs to the caller. Source: ``DEFINE_TRACE_FN``, Linux ``include/linux/tracepoint.h``.
    """
    btf = facts.btf
    function = btf.function(f"__traceiter_{event}")
    if function is not None:
        parameters = btf.parameters(btf.referent(function))[1:]
    else:
        found = btf.find(f"btf_trace_{event}", Kind.TYPEDEF)
        if not found:
            return None
        parameters = [
            Parameter(f"arg{number}", p.type_id)
            for number, p in enumerate(btf.parameters(btf.resolve(btf.referent(btf.resolve(found[0])))))
        ][1:]
    # The kernel passes every argument of a raw tracepoint as one 64-bit word.
    return tuple(Variable(p.name, btf, p.type_id, ir.Argument(n)) for n, p in enumerate(parameters))


def member_of(variable: Variable, path: Sequence[str]) -> Variable | None:
    """What members of a structure that a variable points to hold: ``args``, ``flags``.

    Returns:
        A variable of the name of the last member; None if there is none, or it is a bit-field.
    """
    btf, expr, type_id = variable.btf, variable.expr, variable.type_id
    for step, name in enumerate(path):
        record = btf.resolve(type_id)
        if step == 0:
            if btf.kind(record) is not Kind.PTR:
                return None
            record = btf.resolve(btf.referent(record))
        elif btf.kind(record) is Kind.PTR:
            expr = ir.Load(expr, 8, False, user=variable.user)
            record = btf.resolve(btf.referent(record))
        if btf.kind(record) not in RECORDS:
            return None
        member = btf.member(record, name)
        if member is None or member.bitfield_size:
            return None
        expr = ir.Binary("+", expr, ir.Number(member.bit_offset // 8))
        type_id = member.type_id
    kind = btf.kind(btf.resolve(type_id))
    size = btf.size(type_id)
    if kind in RECORDS or kind is Kind.ARRAY or size not in (1, 2, 4, 8):
        return None
    signed = kind in (Kind.INT, Kind.ENUM, Kind.ENUM64) and btf.is_signed(btf.resolve(type_id))
    return Variable(path[-1], btf, type_id, ir.Load(expr, size, signed, user=variable.user), variable.user)


def _placed(btf: Btf, parameters: Sequence[Parameter]) -> tuple[list[Variable], int, str]:
    """Parameters with their places, words of arguments in all, and why a parameter is missing."""
    found: list[Variable] = []
    used = stacked = words = 0
    hidden = ""
    for number, parameter in enumerate(parameters):
        if not parameter.type_id:  # ", ..."
            return found, words, "what is passed for '...' has no names"
        resolved = btf.resolve(parameter.type_id)
        size = btf.size(resolved)
        needed = (size + 7) // 8
        in_registers = needed <= 2 and used + needed <= REGISTERS
        if needed == 1:
            place = ir.Argument(used if in_registers else REGISTERS + stacked)
            found.append(Variable(parameter.name or f"arg{number + 1}", btf, parameter.type_id, place))
        else:
            hidden = "a structure passed by value cannot be read"
        words += needed
        if in_registers:
            used += needed
        else:
            stacked += needed
    return found, words, hidden
