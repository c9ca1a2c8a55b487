"""Global variables of the kernel.

``@var("name@file.c", "module")``, and ``$name`` where no parameter has the name.

The address is that of the kernel's symbol. The type is in BTF only for some:
until pahole 1.28 (``--btf_features=global_var``) only variables that every CPU
has its own of were written there. For others :data:`KNOWN_TYPES` has the common
ones, and the rest count as ``long``.
"""

from __future__ import annotations

from dataclasses import dataclass

from ktrace_nb.diagnostics import near_hint
from ktrace_nb.errors import CellError, RemoteError
from ktrace_nb.ir import script as ir
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kernel.type_names import TypeNames
from ktrace_nb.lang.stap.variables_types import find_type
from ktrace_nb.lang.stap.variables_walk import Spot, wrapped
from ktrace_nb.source import Place

KNOWN_TYPES = {
    "jiffies": "unsigned long",
    "jiffies_64": "u64",
    "init_task": "struct task_struct",
    "init_mm": "struct mm_struct",
    "init_net": "struct net",
    "init_pid_ns": "struct pid_namespace",
    "init_user_ns": "struct user_namespace",
    "init_uts_ns": "struct uts_namespace",
    "nr_threads": "int",
    "total_forks": "unsigned long",
    "pid_max": "int",
    "panic_timeout": "int",
    "max_pfn": "unsigned long",
    "min_low_pfn": "unsigned long",
    "_totalram_pages": "atomic_long_t",
    "nr_cpu_ids": "unsigned int",
    "saved_command_line": "char *",
    "loops_per_jiffy": "unsigned long",
    "sysctl_sched_base_slice": "unsigned int",
    "vm_swappiness": "int",
}
"""Types of common variables.

Source: their declarations in Linux ``include/linux/`` (``jiffies.h``, ``sched/task.h``, ``mm_types.h``,
``net/net_namespace.h``, ``pid_namespace.h``, ``uts_namespace.h``, ``panic.h``,
``memblock.h``, ``mm.h``, ``swap.h``).
"""


@dataclass(frozen=True, slots=True)
class Known:
    """Types by name, in the kernel or one of its modules."""

    btf: Btf
    names: TypeNames


def types_of(facts: KernelFacts, module: str, at: Place) -> Known:
    """The types of the kernel (no module) or of a module.

    Raises:
        CellError: There is no such module, or it has no types.
    """
    if module in ("", "kernel", "vmlinux"):
        return Known(facts.btf, facts.type_names)
    try:
        btf = facts.module_btf(module)
    except RemoteError:
        hint = near_hint(module, facts.modules)
        raise CellError(
            f"module '{module}' is not loaded, or has no types", at.source, at.span, hint=hint
        ) from None
    return Known(btf, TypeNames(btf))


def global_spot(facts: KernelFacts, name: str, module: str, at: Place, text: str) -> Spot:
    """Where a global variable is.

    Raises:
        CellError: There is none, there are several, or each CPU has its own.
    """
    known = types_of(facts, module, at)
    type_id, per_cpu = _described(known.btf, name)
    if per_cpu:
        raise CellError(
            f"'{name}' is a per-CPU variable: every CPU has one of its own, at an address of its own",
            at.source,
            at.span,
        )
    addresses = sorted(set(facts.symbols.addresses(name)))
    if not addresses and facts.symbols.hidden:
        raise CellError(
            "the kernel hides the addresses of its variables",
            at.source,
            at.span,
            hint="sysctl kernel.kptr_restrict=0 as root shows them",
        )
    if not addresses:
        raise CellError(f"no global variable '{name}' in the kernel", at.source, at.span)
    if len(addresses) > 1:
        raise CellError(
            f"{len(addresses)} variables are called '{name}', and the kernel does not tell them apart",
            at.source,
            at.span,
        )
    if not type_id:
        type_id = find_type(known.names, KNOWN_TYPES.get(name, "long")) or 0
    return Spot(known.btf, type_id, ir.Number(wrapped(addresses[0]), at=at), True, False, text)


def has_type(facts: KernelFacts, name: str, module: str, at: Place) -> bool:
    """Whether the type of a global variable is known, not only taken to be ``long``."""
    return name in KNOWN_TYPES or bool(_described(types_of(facts, module, at).btf, name)[0])


def is_global(facts: KernelFacts, name: str) -> bool:
    """Whether a name is one of the kernel's variables, not a function."""
    return bool(facts.symbols.addresses(name)) and name not in facts.symbols.functions


def _described(btf: Btf, name: str) -> tuple[int, bool]:
    """The type that BTF gives a variable, 0 if none, and whether it is per CPU."""
    for variable in btf.find(name, Kind.VAR):
        return btf.referent(variable), variable in _per_cpu(btf)
    return 0, False


def _per_cpu(btf: Btf) -> set[int]:
    sections = btf.find(".data..percpu", Kind.DATASEC)
    return {entry.type_id for section in sections for entry in btf.section(section)}
