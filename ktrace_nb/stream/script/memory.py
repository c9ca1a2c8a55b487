"""The kernel's memory, as handlers beside the notebook read it: as it is now.

Each function does what the C of the same name does in the kernel
(:mod:`ktrace_nb.codegen.script_intrinsics`); an address that cannot be read is the
same error of the script.
"""

from __future__ import annotations

from collections.abc import Callable

from ktrace_nb.ir import script as ir
from ktrace_nb.stream.script.environment import Environment
from ktrace_nb.stream.script.errors import Fault
from ktrace_nb.stream.script.values import Value, wrap

_MOST_BYTES = 8
"""Of an integer."""


def memory_of(environment: Environment) -> dict[str, Callable[..., Value]]:
    """The functions by their names.

    Args:
        environment: The session.
    """
    longest, read, read_string = (
        environment.cut.longest,
        environment.read_kernel,
        environment.read_kernel_string,
    )

    def text(address: int, length: int) -> str:
        # With the NUL; none of it if the length is negative, and then nothing is read.
        size = min(max(length + 1, 0), longest + 1)
        return _known(read_string(address, size), address).decode("latin-1") if size else ""

    def text_or(address: int, otherwise: str) -> str:
        found = read_string(address, longest + 1)
        return otherwise if found is None else found.decode("latin-1")

    def data(address: int, length: int) -> str:
        size = min(max(length, 0), longest)
        found = _known(read(address, size), address) if size else b""
        return found.decode("latin-1").replace("\0", " ")

    def number(address: int, size: int) -> int:
        size = min(max(size, 0), _MOST_BYTES)
        return wrap(int.from_bytes(_known(read(address, size), address), "little")) if size else 0

    return {
        "kernel_string": lambda address: text(address, longest),
        "kernel_string_n": text,
        "kernel_string2": text_or,
        "__kernel_bytes": data,
        "__kernel_read": number,
    }


def loader(load: ir.Load, environment: Environment) -> Callable[[int], int]:
    """What a :class:`~ktrace_nb.ir.script.Load` does with its address."""
    read, size, signed = environment.read_kernel, load.size, load.signed
    if not load.bits:
        return lambda address: wrap(
            int.from_bytes(_known(read(address, size), address), "little", signed=signed)
        )
    bits, shift = load.bits, load.shift
    sign = 1 << bits - 1 if signed else 0

    def field(address: int) -> int:
        whole = int.from_bytes(_known(read(address, size), address), "little")
        value = whole >> shift & (1 << bits) - 1
        return wrap((value ^ sign) - sign)

    return field


def _known(found: bytes | None, address: int) -> bytes:
    if found is None:
        raise Fault(address).error()
    return found
