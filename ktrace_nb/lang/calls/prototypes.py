"""What programs and means must know of a function's registers, from its signature."""

from __future__ import annotations

from dataclasses import replace

from ktrace_nb.ir.calls import RESULT_INT, RESULT_LONG, RESULT_NONE, Traced
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kernel.signatures import POINTER, RECORD, UNKNOWN, Signature

_ERRORS = {32: RESULT_INT, 64: RESULT_LONG}


class Prototypes:
    """Signatures of the kernel's functions and of those of its modules.

    Args:
        facts: The kernel.
    """

    def __init__(self, facts: KernelFacts) -> None:
        self._facts = facts

    def of(self, function: Traced) -> Signature:
        """The signature of a function; one that knows nothing where there are no types of it."""
        return self._facts.signature(function.name, function.module)

    def described(self, function: Traced) -> Traced:
        """A function with what programs must know of its registers."""
        signature = self.of(function)
        pointers = 0
        for parameter in signature.parameters:
            if parameter.reading.kind == POINTER and parameter.registers:
                pointers |= 1 << parameter.registers[0]
        result = _ERRORS.get(signature.result.error_bits, RESULT_NONE)
        return replace(function, pointers=pointers, result=result)

    def fits_trampoline(self, function: Traced) -> bool:
        """Whether BPF's trampolines can be at a function: they pass on words, and what lies in registers.

        Source: ``get_ctx_arg_total_size`` and ``btf_distill_func_proto`` in Linux ``kernel/bpf``.
        """
        signature = self.of(function)
        return (
            signature.is_known
            and not signature.variadic
            and "." not in function.name
            and signature.result.kind not in (RECORD, UNKNOWN)
            and all(len(p.registers) == 1 and p.reading.kind != RECORD for p in signature.parameters)
        )
