"""What a ``@cast`` makes of a number: its type, and whose memory it leads into."""

from __future__ import annotations

from ktrace_nb.diagnostics import near_hint
from ktrace_nb.errors import CellError, UnsupportedError
from ktrace_nb.ir import script as ir
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import ENUMS, Kind
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kernel.type_names import TypeNames
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.variables_globals import Known, types_of
from ktrace_nb.lang.stap.variables_types import find_type
from ktrace_nb.lang.stap.variables_walk import Spot

_KERNEL_HEADERS = ("linux/", "asm/", "asm-generic/")


def cast_spot(facts: KernelFacts, node: tree.Cast, operand: ir.Expr, own: Btf, *, in_program: bool) -> Spot:
    """The operand as the value the cast says it is.

    ``"kernel<linux/sched.h>"`` is the kernel: all of its headers are in its BTF. A header
    alone, ``"<linux/time.h>"``, stands for the process's memory; of those only the kernel's
    own have types that are sure to be the same on both sides.

    Args:
        facts: The kernel.
        node: The cast.
        operand: Its operand.
        own: The types of what is probed: meant where no module is named.
        in_program: Whether a program is probed: without a module its memory is meant.

    Returns:
        The operand in a register. A pointer whose own type the kernel nowhere has becomes
        the thing it points to, in memory, which is the same to every accessor.

    Raises:
        CellError: There is no such type.
    """
    modules, user = _modules(node)
    user = user or (in_program and not node.module)
    text = f'@cast(..., "{node.type_name}")'
    pointed_to, star, _ = node.type_name.rpartition("*")
    for module in modules:
        is_own = not node.module and own is not facts.btf
        known = Known(own, TypeNames(own)) if is_own else types_of(facts, module, node.at)
        found = find_type(known.names, node.type_name)
        if found:
            return Spot(known.btf, found, operand, False, user, text)
        found = find_type(known.names, pointed_to) if star else None
        if found:
            return Spot(known.btf, found, operand, True, user, text)
    bare = node.type_name.replace("*", " ").split()[-1:]
    names = facts.btf.names(Kind.STRUCT, Kind.UNION, Kind.TYPEDEF, *ENUMS)
    where = "the kernel" if modules in ([""], ["kernel"]) else f"module '{node.module}'"
    raise CellError(
        f"no type '{node.type_name}' in {where}",
        node.at.source,
        node.at.span,
        hint=near_hint(bare[0], names) if bare else None,
    )


def _modules(node: tree.Cast) -> tuple[list[str], bool]:
    """Where to look for the type, and whether the module says that the process's memory is meant."""
    at = node.at
    names, user = [], False
    for part in node.module.split(":"):
        name, header, rest = part.partition("<")
        if header and not name:
            user = True
            if not rest.startswith(_KERNEL_HEADERS):
                raise UnsupportedError(
                    f'types of the header "<{rest}" are not known here, only those of the kernel',
                    at.source,
                    at.span,
                    hint='"<linux/...>" as module reads a type of the kernel from the process\'s memory',
                )
        if name.startswith("/"):
            raise UnsupportedError(
                f"types of the program {name} are not known here, only those of the kernel",
                at.source,
                at.span,
                hint='"<linux/...>" as module reads a type of the kernel from the process\'s memory',
            )
        names.append(name)
    return names, user
