"""What a probe point offers its handler: the ``$variables`` and where their values come from.

:mod:`ktrace_nb.lang.stap.points` makes a :class:`ProbeContext` for each probe
point, :mod:`ktrace_nb.lang.stap.variables` reads ``$name->member[1]`` by it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ktrace_nb.ir import script as ir
from ktrace_nb.kernel.btf import Btf


@dataclass(frozen=True, slots=True)
class Variable:
    """One parameter of the probed function, tracepoint or system call, or what it returned."""

    name: str
    """Without the dollar."""
    btf: Btf
    """Where its type is described: the kernel's types or a module's."""
    type_id: int
    """0: unknown, taken as a signed 64-bit integer."""
    expr: ir.Expr
    """Its raw value, e.g. ``ir.Argument(0)``: bits above its type's size may be anything."""
    user: bool = False
    """A pointer in it leads into the process's memory, not the kernel's: system calls, user probes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeContext:
    """The variables of one probe point."""

    kind: str
    """:attr:`ktrace_nb.ir.script.Handler.context`."""
    variables: tuple[Variable, ...] = ()
    """In the order of their declaration."""
    returns: Variable | None = None
    """``$return``; only at a return, and not of a function that returns nothing."""
    at_return: bool = False
    parameters_saved: bool = False
    """Whether parameters are gone at this return and must be put aside at the entry (``kretprobe``);
    false where the kernel still has them (``fexit``, ``sys_exit``)."""
    function: str = ""
    """What is probed, for messages: ``vfs_read``, ``system call read``."""
    hidden: str = ""
    """Why variables are missing, as a clause for a hint: ``"the kernel has no type of this function"``."""
