"""Looking through trees: what is named, and which statements nobody needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

from ktrace_nb.lang.stap import tree


def nodes(root: object) -> Iterator[tree.Node]:
    """Every node below and including one (or a tuple of some), outermost first."""
    if isinstance(root, tuple):
        for item in root:
            yield from nodes(item)
    elif isinstance(root, tree.Node):
        yield root
        for field in fields(root):
            if field.name != "at":
                yield from nodes(getattr(root, field.name))


def names(root: object) -> set[str]:
    """Names of variables below a node."""
    return {node.name for node in nodes(root) if isinstance(node, tree.Name)}


def needed_part(block: tree.Block, needed: set[str]) -> tree.Block:
    """What of an alias's body sets variables that are needed, or does anything else than set variables.

    Args:
        block: The body.
        needed: Names wanted behind it; those its remaining statements want are added.
    """
    kept: list[tree.Statement] = []
    for statement in reversed(block.body):
        part = _needed(statement, needed)
        if part is not None:
            kept.append(part)
            needed |= names(part)
    return replace(block, body=tuple(reversed(kept)))


def _needed(statement: tree.Statement, needed: set[str]) -> tree.Statement | None:
    match statement:
        case tree.Evaluate(expression=tree.Assign(op="=", target=tree.Name(name=name), value=value)):
            return statement if name in needed or _has_effect(value) else None
        case tree.Block():
            part = needed_part(statement, needed)
            return part if part.body else None
        case tree.If():
            then = _needed(statement.then, needed)
            otherwise = None if statement.otherwise is None else _needed(statement.otherwise, needed)
            if then is None and otherwise is None and not _has_effect(statement.condition):
                return None
            return replace(statement, then=then or tree.Block(statement.at, ()), otherwise=otherwise)
        case _:
            return statement


def _has_effect(expression: tree.Expression) -> bool:
    """Whether evaluating it may do more than give a value; functions of the tapset in aliases do not."""
    return any(isinstance(node, tree.Assign | tree.Step) for node in nodes(expression))
