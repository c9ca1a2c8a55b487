"""Target variables: ``$name->member[1]``, ``@cast``, ``@var``, and all of them as text.

What a variable is and where its value comes from, the probe point says (a
:class:`~ktrace_nb.lang.stap.context.ProbeContext`); what is in it, the kernel's
types say. Numbers have 64 bits and a sign, so a pointer into the kernel is
negative and an unsigned 64-bit member may be.

At a return, parameters are what they were at the entry, and so is all that
they led to *then*: ``$file->f_pos`` at the return of ``vfs_read`` is the
position before. What it is now, ``@cast(@entry($file), "file")->f_pos`` says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ktrace_nb.diagnostics import near
from ktrace_nb.errors import CellError, UnsupportedError
from ktrace_nb.ir import script as ir
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import ENUMS, Kind
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap import variables_walk as walk
from ktrace_nb.lang.stap import walk as tree_walk
from ktrace_nb.lang.stap.context import ProbeContext, Variable
from ktrace_nb.lang.stap.pretty import Printer
from ktrace_nb.lang.stap.variables_casts import cast_spot
from ktrace_nb.lang.stap.variables_globals import global_spot, has_type, is_global
from ktrace_nb.lang.stap.variables_types import ctype_text
from ktrace_nb.lang.stap.variables_walk import Spot

_GROUPS = ("$vars", "$parms", "$locals", "$return")
_USER_PROBES = frozenset(("uprobe", "uretprobe", "usdt"))
_TRACEPOINTS = frozenset(("raw_tracepoint",))


class Access:
    """Makes IR of the target variables of one handler or function.

    Args:
        facts: The kernel.
        context: What the probe point offers; None where there is none: functions, ``begin``, timers.
        convert: Makes IR of expressions inside: indexes.
    """

    def __init__(
        self,
        facts: KernelFacts,
        context: ProbeContext | None,
        convert: Callable[[tree.Expression], ir.Expr],
    ) -> None:
        self.context = context
        self._facts = facts
        self._convert = convert

    def target(self, node: tree.Target) -> ir.Expr:
        """``$name`` with what follows: a number, or a text where it ends in ``$``.

        Raises:
            CellError: There is no such variable, or nothing where it leads.
        """
        if node.name in _GROUPS:
            return self._group(node)
        variable = self._find(node)
        if variable is None:
            spot = global_spot(self._facts, node.name, "", node.at, f"${node.name}")
            return self._read(spot, node, _as_it_is)
        if not self._at_return or node.name == "return":
            return self._read(_spot(variable), node, _as_it_is)
        self._refuse_moving_index(node)
        return self._read(_spot(variable), node, self._saved)

    def cast(self, node: tree.Cast, operand: ir.Expr) -> ir.Expr:
        """``@cast(operand, "type", "module")`` with what follows.

        With a struct's name the operand is its address, with a pointer's it is the pointer.
        Without anything behind it, a cast to an integer narrower than 64 bits cuts the number
        to it as in C, and any other gives the operand itself.

        Raises:
            CellError: There is no such type, or nothing where it leads.
        """
        spot = cast_spot(self._facts, node, operand, self._own, in_program=self._in_program)
        if not node.accessors:
            narrow = not node.address and not spot.in_memory and spot.kind in ENUMS | {Kind.INT}
            return walk.value(spot, node.at) if narrow else operand
        if spot.kind is not Kind.PTR or spot.in_memory:
            spot = replace(spot, in_memory=True)
            first, *rest = node.accessors
            # An array's own elements are in it; anything else is taken for the first of several.
            if isinstance(first, tree.Subscript) and spot.kind is not Kind.ARRAY:
                spot = walk.indexed(spot, self._convert(first.index), first.at)
                node = replace(node, accessors=tuple(rest))
        return self._read(spot, node, _as_it_is)

    def var(self, node: tree.Var) -> ir.Expr:
        """``@var("name@file", "module")`` with what follows.

        Without a module and a file it may also be a variable of the probe point, as ``$name`` is.

        Raises:
            CellError: There is no such variable, or nothing where it leads.
        """
        name, _, _ = node.name.partition("@")
        if not node.module and "@" not in node.name and self._variable(name) is not None:
            return self.target(tree.Target(node.at, name, node.accessors, node.address))
        if node.module.startswith("/") or (not node.module and self._in_program):
            raise UnsupportedError(
                "variables of programs cannot be read, only those of the kernel", node.at.source, node.at.span
            )
        module = node.module.partition("<")[0].partition(":")[0]
        spot = global_spot(self._facts, name, module, node.at, f'@var("{node.name}")')
        self._refuse_untyped(spot, name, module, node)
        return self._read(spot, node, _as_it_is)

    def defined(self, node: tree.Expression) -> bool:
        """Whether every target variable in an expression can be read."""
        try:
            for part in tree_walk.nodes(node):
                if isinstance(part, tree.Target):
                    self.target(part)
                elif isinstance(part, tree.Var):
                    self.var(part)
                elif isinstance(part, tree.Cast):
                    self.cast(part, ir.Number(0))
        except CellError:
            return False
        return True

    # --- which variable ------------------------------------------------------------------

    @property
    def _own(self) -> Btf:
        """The types of the probed function: a module's, if it is one of a module."""
        context = self.context
        variables = (*context.variables, context.returns) if context else ()
        return next((v.btf for v in variables if v), self._facts.btf)

    @property
    def _in_program(self) -> bool:
        return self.context is not None and self.context.kind in _USER_PROBES

    @property
    def _at_return(self) -> bool:
        return self.context is not None and self.context.at_return

    def _variable(self, name: str) -> Variable | None:
        if self.context is None:
            return None
        if name == "return":
            return self.context.returns
        return next((v for v in self.context.variables if v.name == name), None)

    def _find(self, node: tree.Target) -> Variable | None:
        """The variable of the probe point; None if it is a global of the kernel."""
        at, name, context = node.at, node.name, self.context
        if context is None:
            raise CellError(
                f"there is no ${name} here: only handlers of kernel events have target variables",
                at.source,
                at.span,
                hint="give a function what it needs as an argument",
            )
        found = self._variable(name)
        if found is not None:
            return found
        where = f" in {context.function}" if context.function else " here"
        if name == "return":
            if context.at_return:
                raise CellError(f"{context.function or 'it'} returns nothing", at.source, at.span)
            raise CellError(
                "$return has a value only at a return",
                at.source,
                at.span,
                hint="add .return to the probe point",
            )
        if context.kind not in _USER_PROBES and is_global(self._facts, name):
            return None
        raise CellError(f"no variable '${name}'{where}", at.source, at.span, hint=_hint(name, context))

    # --- reading it ----------------------------------------------------------------------

    def _read(
        self,
        spot: Spot,
        node: tree.Target | tree.Cast | tree.Var,
        saved: Callable[[ir.Expr], ir.Expr],
    ) -> ir.Expr:
        accessors = list(node.accessors)
        pretty = accessors.pop() if accessors and isinstance(accessors[-1], tree.Pretty) else None
        for accessor in accessors:
            if isinstance(accessor, tree.Pretty):
                raise CellError("$ and $$ come last", accessor.at.source, accessor.at.span)
            spot = walk.follow(spot, accessor, self._convert)
        if pretty is None:
            read = walk.address if node.address else walk.value
            return saved(read(spot, node.at))
        assert isinstance(pretty, tree.Pretty)
        _refuse_address(node)
        printer = Printer(node.at, saved)
        printer.pretty(spot, deep=pretty.deep)
        return printer.result()

    def _saved(self, expr: ir.Expr) -> ir.Expr:
        """A value of parameters as it was when the function was entered."""
        context = self.context
        if context is None or not context.at_return:
            return expr
        if not context.parameters_saved and _is_of_registers(expr):
            return expr
        return ir.AtEntry(expr, type=expr.type, at=expr.at)

    def _refuse_moving_index(self, node: tree.Target) -> None:
        for accessor in node.accessors:
            if isinstance(accessor, tree.Subscript) and not isinstance(accessor.index, tree.Number):
                raise CellError(
                    "at a return, an index into a parameter must be a plain number: it is read at the entry",
                    accessor.at.source,
                    accessor.at.span,
                    hint=f'read it now: @cast(@entry(${node.name}), "type")[...]',
                )

    def _refuse_untyped(self, spot: Spot, name: str, module: str, node: tree.Var) -> None:
        if node.accessors and not has_type(self._facts, name, module, node.at):
            raise CellError(
                f"the type of {spot.text} is not known",
                node.at.source,
                node.at.span,
                hint=f'say what it is: @cast(&{spot.text}, "struct name")->member',
            )

    # --- all of them ---------------------------------------------------------------------

    def _group(self, node: tree.Target) -> ir.Expr:
        """``$$vars``, ``$$parms``, ``$$locals`` or ``$$return``."""
        context, at = self.context, node.at
        if context is None or not context.kind or (node.name == "$return" and not context.at_return):
            raise CellError(f"there is no ${node.name} here", at.source, at.span)
        _refuse_address(node)
        pretty = node.accessors[0] if node.accessors else None
        if node.accessors and (len(node.accessors) > 1 or not isinstance(pretty, tree.Pretty)):
            raise CellError(f"${node.name} is a text, it has no members", at.source, at.span)
        variables = context.variables
        if node.name == "$locals":
            variables = ()
        elif node.name == "$return":
            variables = (context.returns,) if context.returns else ()
        saved = _as_it_is if node.name == "$return" else self._saved
        printer = Printer(at, saved)
        for number, variable in enumerate(variables):
            printer.text(f"{' ' if number else ''}{variable.name}=")
            spot = _spot(variable)
            if isinstance(pretty, tree.Pretty):
                printer.pretty(spot, deep=pretty.deep)
            else:
                printer.plain(spot, pointers=context.kind in _TRACEPOINTS)
        return printer.result()


def describe(context: ProbeContext) -> list[tuple[str, str]]:
    """The variables of a probe point with their types in C, ``$return`` first, for listings."""
    found = [context.returns] if context.returns else []
    return [
        (f"${v.name}", ctype_text(v.btf, v.type_id) if v.type_id else "long")
        for v in (*found, *context.variables)
    ]


def _spot(variable: Variable) -> Spot:
    return Spot(variable.btf, variable.type_id, variable.expr, False, variable.user, f"${variable.name}")


def _as_it_is(expr: ir.Expr) -> ir.Expr:
    return expr


def _refuse_address(node: tree.Target | tree.Cast | tree.Var) -> None:
    if node.address:
        raise CellError("a text has no address", node.at.source, node.at.span)


def _is_of_registers(expr: ir.Expr) -> bool:
    """Whether a value needs nothing but what the function was called with."""
    if isinstance(expr, ir.Extend):
        return _is_of_registers(expr.operand)
    if isinstance(expr, ir.Binary):
        return _is_of_registers(expr.left) and _is_of_registers(expr.right)
    return isinstance(expr, ir.Argument | ir.Number)


def _hint(name: str, context: ProbeContext) -> str | None:
    names = [f"${v.name}" for v in (*context.variables, *((context.returns,) if context.returns else ()))]
    close = near(f"${name}", names)
    if close:
        return f"did you mean {', '.join(close)}?"
    if names:
        return f"there are {', '.join(names)}"
    return context.hidden or None
