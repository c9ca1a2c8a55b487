"""Expressions as text."""

from __future__ import annotations

from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.parser_expressions import COMPARISON, IN, LEVELS

# Beyond the levels of binary operators.
ANY, CONDITIONAL, UNARY, VALUE = 0, 0.5, 20, 21
_ESCAPES = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b",
            "\v": "\\v", "\f": "\\f", "\r": "\\r"}  # fmt: skip


def string(value: str) -> str:
    """A string literal for a string of bytes: readable where it is UTF-8."""
    try:
        text = value.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return '"' + "".join(_char(char) if char.isascii() else _octal(char) for char in value) + '"'
    return '"' + "".join(_char(char) for char in text) + '"'


def _char(char: str) -> str:
    escape = _ESCAPES.get(char)
    return escape or (char if char.isprintable() else _octal(tree.bytes_of_text(char)))


def _octal(value: str) -> str:
    """Bytes as escapes of three digits: unlike with ``\\x``, what follows cannot become part of them."""
    return "".join(f"\\{ord(byte):03o}" for byte in value)


def number(value: int) -> str:
    """A number; a negative one is the wrapped form of one from 2**63."""
    return str(value) if value >= 0 else hex(value + (1 << 64))


def literal(node: tree.Number | tree.String) -> str:
    """A literal where no expression may stand, so with its sign."""
    return string(node.value) if isinstance(node, tree.String) else str(node.value)


def keys(items: tuple[tree.Expression | None, ...]) -> str:
    """``[a, *]``."""
    return "[" + ", ".join("*" if item is None else expression(item) for item in items) + "]"


def expression(node: tree.Expression, level: float = ANY) -> str:
    """An expression, in parentheses if it binds looser than ``level``."""
    text, own = _with_level(node)
    return text if own >= level else f"({text})"


def _with_level(node: tree.Expression) -> tuple[str, float]:
    match node:
        case tree.Number():
            return number(node.value), VALUE
        case tree.String():
            return string(node.value), VALUE
        case tree.Name():
            return node.name, VALUE
        case tree.Index():
            return expression(node.base, VALUE) + keys(node.keys), VALUE
        case tree.Target() | tree.Cast() | tree.Var():
            return _target(node), VALUE
        case tree.Entry():
            return f"@entry({expression(node.operand)})", VALUE
        case tree.Defined():
            return f"@defined({expression(node.operand)})", VALUE
        case tree.ProbeWrite():
            return f"@probewrite({expression(node.operand)})", VALUE
        case tree.Call():
            return f"{node.name}({', '.join(expression(a) for a in node.arguments)})", VALUE
        case tree.Operator():
            arguments = [expression(node.operand), *(_argument(a) for a in node.arguments)]
            return f"@{node.name}({', '.join(arguments)})", VALUE
        case tree.Unary():
            inner = expression(node.operand, UNARY)
            # Two signs in a row would be read as one word: --x, !~x.
            return node.op + (f" {inner}" if inner[0] in "-+~" else inner), UNARY
        case tree.Step():
            target = expression(node.target, VALUE)
            return (node.op + target if node.prefix else target + node.op), UNARY
        case tree.Membership():
            (*others, key) = node.keys
            bare = None if key is None or others else expression(key, COMPARISON)
            return f"{bare or keys(node.keys)} in {node.array.name}", IN
        case tree.Conditional():
            parts = (
                expression(node.condition, 1),
                expression(node.then),
                expression(node.otherwise, CONDITIONAL),
            )
            return "{} ? {} : {}".format(*parts), CONDITIONAL
        case tree.Assign():
            return f"{expression(node.target, VALUE)} {node.op} {expression(node.value)}", ANY
        case tree.Binary():
            return _binary(node)


def _binary(node: tree.Binary) -> tuple[str, float]:
    level = LEVELS[node.op]
    if node.op in ("=~", "!~"):
        # A regular expression is not the left side of another comparison.
        left, right = expression(node.left, COMPARISON + 1), expression(node.right, VALUE)
        return f"{left} {node.op} {right}", IN + 0.5
    # What begins with [ cannot be a left side that binds closer than 'in'.
    return f"{expression(node.left, level)} {node.op} {expression(node.right, level + 1)}", level


def _argument(node: tree.Expression) -> str:
    return str(node.value) if isinstance(node, tree.Number) else expression(node)


def _target(node: tree.Target | tree.Cast | tree.Var) -> str:
    match node:
        case tree.Target():
            head = f"${node.name}"
        case tree.Cast(type_name=""):
            head, level = _with_level(node.operand)
            plain = level == VALUE and not isinstance(node.operand, tree.Target | tree.Cast | tree.Var)
            if node.accessors and not isinstance(node.accessors[0], tree.Member):
                plain = isinstance(node.operand, tree.Call | tree.Entry)
            if not plain:
                head = f"({head})"
        case tree.Cast():
            arguments = [expression(node.operand), string(node.type_name), *_module(node.module)]
            head = f"@cast({', '.join(arguments)})"
        case tree.Var():
            head = f"@var({', '.join([string(node.name), *_module(node.module)])})"
    return ("&" if node.address else "") + head + "".join(_accessor(a) for a in node.accessors)


def _module(module: str) -> list[str]:
    return [string(module)] if module else []


def _accessor(node: tree.Accessor) -> str:
    match node:
        case tree.Member():
            return f"->{node.name}"
        case tree.Subscript():
            return f"[{expression(node.index)}]"
        case tree.Pretty():
            return "$$" if node.deep else "$"
