"""``procfs("NAME").read``: text that a script makes when somebody asks for it.

SystemTap shows it as a file in ``/proc``; here ``session.read("NAME")`` asks. ``$value``
is the text: it is not cut at ``MAXSTRINGLEN``.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from ktrace_nb.ir import script as ir
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.context import ProbeContext
from ktrace_nb.lang.stap.point_types import Request, Resolved


def procfs(request: Request) -> list[Resolved]:
    """``procfs("NAME").read``, with ``.maxsize(N)`` and ``.umask(N)``, which have no meaning here."""
    first, *rest = request.components
    names = [component.name for component in rest]
    if "write" in names:
        raise request.unsupported(
            "nobody can write to a script from outside", "set globals with -G NAME=VALUE"
        )
    if "read" not in names:
        raise request.unsupported("procfs wants .read", 'procfs("name").read')
    file = first.argument if isinstance(first.argument, str) else "value"
    context = ProbeContext(kind="", function=f"the text {file!r}")
    return [Resolved(event=ir.Event.READ, name=f'procfs("{file}").read', probe_context=context, file=file)]


def with_reply(node: Any) -> Any:
    """A handler's tree in which ``$value`` is the text that is asked for."""
    match node:
        case tree.Assign(target=tree.Target(name="value"), op="=" | ".=" as op, value=value):
            more = tree.Number(node.at, int(op == ".="))
            return tree.Call(node.at, "__reply", (more, with_reply(value)))
        case tree.Target(name="value"):
            return tree.Call(node.at, "__reply_text", ())
        case tuple():
            return tuple(with_reply(item) for item in node)
        case tree.Node():
            made = {f.name: with_reply(getattr(node, f.name)) for f in fields(node) if f.name != "at"}
            return replace(node, **made)
    return node
