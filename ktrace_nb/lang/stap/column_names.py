"""What the columns of a print site are called: as what is printed is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.symbols import PRINTING


def column_names(node: tree.Call) -> tuple[str, ...]:
    """The names for the arguments of a call of the print family; all differ.

    An argument without a name of its own is called by its number: ``arg2``.
    """
    names: list[str] = []
    if node.name.endswith("f"):
        arguments: Sequence[tree.Expression] = node.arguments[1:]
    else:
        arguments = [a for a in node.arguments if not isinstance(a, tree.String)]
    for number, argument in enumerate(arguments, 1):
        name = _name_of(argument) or f"arg{number}"
        unique = (
            name if name not in names else next(f"{name}_{n}" for n in count(2) if f"{name}_{n}" not in names)
        )
        names.append(unique)
    return tuple(names)


def _name_of(node: tree.Expression) -> str:
    match node:
        case tree.Name() | tree.Target() | tree.Var():
            members = [a.name for a in getattr(node, "accessors", ()) if isinstance(a, tree.Member)]
            return (members[-1] if members else node.name).lstrip("$")
        case tree.Cast():
            members = [a.name for a in node.accessors if isinstance(a, tree.Member)]
            return members[-1] if members else node.type_name.split()[-1]
        case tree.Index(base=tree.Name()):
            return node.base.name
        case tree.Call(name=name) if name not in PRINTING:
            first = node.arguments[0] if node.arguments else None
            return _name_of(first) if name.endswith(("_string", "_str")) and first is not None else name
        case tree.Operator():
            base = node.operand if isinstance(node.operand, tree.Name) else node.operand.base
            return f"{node.name}_{base.name}" if isinstance(base, tree.Name) else node.name
        case tree.Entry() | tree.Unary():
            return _name_of(node.operand)
        case tree.Binary() | tree.Conditional():
            sides = (node.left, node.right) if isinstance(node, tree.Binary) else (node.then, node.otherwise)
            return next((name for name in map(_name_of, sides) if name), "")
        case _:
            return ""
