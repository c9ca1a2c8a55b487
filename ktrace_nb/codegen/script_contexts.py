"""What a program gets from the kernel, by kind of probe: registers, arguments, results.

Registers are those of x86-64. Functions have their first six arguments in di, si, dx,
cx, r8 and r9 and the others on the stack behind the return address (System V ABI,
AMD64 supplement); system calls have r10 in place of cx.
"""

from __future__ import annotations

from collections.abc import Sequence

REGISTERS = (
    *("r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di"),
    *("orig_ax", "ip", "cs", "flags", "sp", "ss"),
)
"""In the order of ``struct pt_regs`` (``arch/x86/include/asm/ptrace.h``)."""

WITH_REGISTERS = frozenset(("kprobe", "kretprobe", "perf", "uprobe", "uretprobe", "usdt"))
TRAMPOLINES = frozenset(("fentry", "fexit"))
SYSCALLS = frozenset(("sys_enter", "sys_exit"))
IN_USER_MODE = frozenset(("uprobe", "uretprobe", "usdt"))
OF_FUNCTIONS = frozenset(("kprobe", "kretprobe"))

_FUNCTION_ARGUMENTS = ("di", "si", "dx", "cx", "r8", "r9")
_SYSCALL_ARGUMENTS = ("di", "si", "dx", "r10", "r8", "r9")


def register_name(name: str) -> tuple[str, int] | None:
    """A register's name in ``struct pt_regs`` and how many bytes of it are meant.

    ``rdi`` and ``di`` are 8 bytes, ``edi`` is 4, as SystemTap's ``register()`` has them.
    """
    plain = name.lower().removeprefix("%")
    if plain in REGISTERS:
        return plain, 8
    if plain[:1] in ("r", "e") and plain[1:] in REGISTERS and not plain[1:2].isdigit():
        return plain[1:], 8 if plain[0] == "r" else 4
    if plain[:1] == "r" and plain[-1:] == "d" and plain[:-1] in REGISTERS:
        return plain[:-1], 4
    return None


def register(context: str, name: str) -> str:
    """C of a register's 64 bits; 0 where the context has none."""
    constant = f"KTRACE_{name.upper()}"
    if context in WITH_REGISTERS:
        return f"ctx[{constant}]"
    if context in SYSCALLS:
        return f"ktrace_saved_(ctx, {constant})"
    return "0"


def argument(context: str, index: int) -> str | None:
    """C of an argument's 64 bits; None if it lies on the stack, see :func:`stack_argument`.

    Raises:
        ValueError: The context has no arguments.
    """
    if context in SYSCALLS:
        return register(context, _SYSCALL_ARGUMENTS[index])
    if context in ("kprobe", "uprobe"):
        return register(context, _FUNCTION_ARGUMENTS[index]) if index < len(_FUNCTION_ARGUMENTS) else None
    if context == "raw_tracepoint":
        return f"ctx[{index}]"
    if context in TRAMPOLINES:
        return f"ktrace_argument_(ctx, {index})"
    raise ValueError(f"no arguments in context {context!r}")


def any_argument(context: str, index: int) -> str:
    """The same for whatever context there is: what the register of an argument holds, 0 without one."""
    if context in WITH_REGISTERS:
        return register(context, _FUNCTION_ARGUMENTS[index]) if index < len(_FUNCTION_ARGUMENTS) else "0"
    return argument(context, index) or "0"


def any_result(context: str) -> str:
    """What the register of results holds, or the result is; 0 where nothing returns."""
    if context in WITH_REGISTERS:
        return register(context, "ax")
    return result(context) if context in ("sys_exit", "fexit") else "0"


def user_register(context: str, name: str) -> str:
    """C of a register as the program had it when it came into the kernel."""
    if context in IN_USER_MODE or context in SYSCALLS:
        return register(context, name)
    return f"ktrace_user_register_(KTRACE_{name.upper()})"


def stack_argument(index: int) -> str:
    """C of the address of a function's argument behind the sixth."""
    return f"(ctx[KTRACE_SP] + {8 * (index - len(_FUNCTION_ARGUMENTS) + 1)})"


def result(context: str) -> str:
    """C of what the function or system call returned, 64 bits.

    Raises:
        ValueError: Nothing returns here.
    """
    if context in ("kretprobe", "uretprobe"):
        return register(context, "ax")
    if context == "sys_exit":
        return "ctx[1]"
    if context == "fexit":
        return "ktrace_returned_(ctx)"
    raise ValueError(f"no result in context {context!r}")


def call_key(context: str) -> str:
    """C of the stack pointer that tells a call from those nested in it: as it was before the call.

    System calls of a task do not nest. A trampoline has no stack pointer: there a
    function that calls itself is taken for one call.
    """
    if context in ("kprobe", "uprobe"):
        # At entry the return address is on the stack, at return it no longer is.
        return "ctx[KTRACE_SP] + 8"
    if context in ("kretprobe", "uretprobe"):
        return "ctx[KTRACE_SP]"
    return "0"


def syscall_number(context: str) -> str:
    """C of the number of the system call."""
    # At exit the argument is the result, and the number is in the saved registers.
    return "ctx[1]" if context == "sys_enter" else "ktrace_saved_(ctx, KTRACE_ORIG_AX)"


def syscall_filter(context: str, numbers: Sequence[int]) -> list[str]:
    """C that leaves unless the system call is one of some numbers, of a 64-bit program."""
    if context not in SYSCALLS:
        return []
    number = syscall_number(context)
    compat = ["if (ktrace_is_compat_(ctx))", "\treturn 0;"]
    if not numbers:
        return compat
    if len(numbers) == 1:
        return [f"if ({number} != {numbers[0]})", "\treturn 0;", *compat]
    lines = [f"switch ({number}) {{"]
    for start in range(0, len(numbers), 8):
        lines.append(" ".join(f"case {n}:" for n in numbers[start : start + 8]))
    return [*lines, "\tbreak;", "default:", "\treturn 0;", "}", *compat]
