"""A tree as the text of a script, for ``--show ast`` and for tests.

Macros are replaced and conditions of the preprocessor decided in it, aliases with
two blocks are two. Reading the text again gives the same tree.
"""

from __future__ import annotations

from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.unparse_expressions import expression, keys, literal, string

_INDENT = "  "
# What, at the beginning of a line, would go on with the expression before it.
_CONTINUES = tuple('-+&([".$')


def script(node: tree.Script) -> str:
    """All declarations: globals, functions, aliases, probes."""
    parts = ["".join(f"{_global(g)}\n" for g in node.globals)] if node.globals else []
    parts += [_function(f) for f in node.functions]
    parts += [_alias(a) for a in node.aliases]
    parts += [_probe(p) for p in node.probes]
    return "\n".join(parts)


def _global(node: tree.Global) -> str:
    text = "private global " if node.private else "global "
    text += node.name + ("%" if node.wraps else "")
    if node.size is not None:
        text += f"[{node.size}]"
    if node.initial is not None:
        text += f" = {literal(node.initial)}"
    return text


def _doc(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.split("\n")) if text else ""


def _function(node: tree.Function) -> str:
    parameters = ", ".join(p.name + _type(p.type) for p in node.parameters)
    head = "private " if node.private else ""
    head += "intrinsic " if node.body is None else ""
    head = f"{_doc(node.doc)}{head}function {node.name}{_type(node.type)} ({parameters})"
    return f"{head}\n" if node.body is None else f"{head} {block(node.body)}\n"


def _type(name: str) -> str:
    return f":{name}" if name else ""


def _probe(node: tree.Probe) -> str:
    return f"probe {', '.join(point(p) for p in node.points)} {block(node.body)}\n"


def _alias(node: tree.Alias) -> str:
    op = "+=" if node.epilogue else "="
    names = "".join(f"{point(name)} {op} " for name in node.names)
    points = ", ".join(point(p) for p in node.points)
    private = "private " if node.private else ""
    return f"{_doc(node.doc)}{private}probe {names}{points} {block(node.body)}\n"


def point(node: tree.Point) -> str:
    """A probe point."""
    text = ".".join(_component(component) for component in node.components)
    if node.optional:
        text += " !" if node.sufficient else " ?"
    return text if node.condition is None else f"{text} if ({expression(node.condition)})"


def _component(node: tree.Component) -> str:
    if node.argument is None:
        return node.name
    return f"{node.name}({string(node.argument) if isinstance(node.argument, str) else node.argument})"


# --- statements --------------------------------------------------------------------------


def block(node: tree.Block, indent: str = "") -> str:
    """``{ … }``, its statements on lines of their own."""
    if not node.body:
        return "{}"
    inside = indent + _INDENT
    texts = [statement(s, inside) for s in node.body]
    lines = []
    for text, following in zip(texts, [*texts[1:], ""], strict=True):
        lines.append(inside + text + (";" if following.startswith(_CONTINUES) and _is_open(text) else ""))
    return "{\n" + "".join(f"{line}\n" for line in lines) + indent + "}"


def _is_open(text: str) -> bool:
    """Whether an expression at the end of a statement could go on."""
    return not text.endswith(("}", ";"))


def _body(node: tree.Statement, indent: str) -> str:
    """The statement of an if or a loop."""
    if isinstance(node, tree.Block):
        return " " + block(node, indent)
    return f"\n{indent}{_INDENT}{statement(node, indent + _INDENT)}"


def statement(node: tree.Statement, indent: str = "") -> str:
    """A statement; its first line is not indented."""
    match node:
        case tree.Block():
            return block(node, indent)
        case tree.Evaluate():
            return expression(node.expression)
        case tree.If():
            return _if(node, indent)
        case tree.While():
            return f"while ({expression(node.condition)}){_body(node.body, indent)}"
        case tree.For():
            head = "; ".join(
                "" if e is None else expression(e) for e in (node.start, node.condition, node.step)
            )
            return f"for ({head}){_body(node.body, indent)}"
        case tree.Foreach():
            return f"foreach ({_foreach(node)}){_body(node.body, indent)}"
        case tree.Break():
            return "break"
        case tree.Continue():
            return "continue"
        case tree.Next():
            return "next"
        case tree.Return():
            return "return;" if node.value is None else f"return {expression(node.value)}"
        case tree.Delete():
            return f"delete {expression(node.target)}"
        case tree.Try():
            catch = "catch" if node.variable is None else f"catch ({node.variable.name})"
            return f"try {block(node.body, indent)} {catch} {block(node.handler, indent)}"


def _if(node: tree.If, indent: str) -> str:
    text = f"if ({expression(node.condition)}){_body(node.then, indent)}"
    while isinstance(node.otherwise, tree.If):
        node = node.otherwise
        text += f"{_space(text, indent)}else if ({expression(node.condition)}){_body(node.then, indent)}"
    if node.otherwise is not None:
        text += f"{_space(text, indent)}else{_body(node.otherwise, indent)}"
    return text


def _space(text: str, indent: str) -> str:
    return " " if text.endswith("}") else f"\n{indent}"


def _foreach(node: tree.Foreach) -> str:
    def mark(number: int) -> str:
        return ("-" if node.descending else "+") if node.sort_by == number else ""

    names = [name.name + mark(number) for number, name in enumerate(node.names, 1)]
    text = f"{node.value.name} = " if node.value else ""
    text += names[0] if len(names) == 1 else f"[{', '.join(names)}]"
    text += f" in {expression(node.array)}{keys(node.slice) if node.slice else ''}"
    text += (f" @{node.sort_operator}" if node.sort_operator else "") + mark(0)
    return text if node.limit is None else f"{text} limit {expression(node.limit)}"
