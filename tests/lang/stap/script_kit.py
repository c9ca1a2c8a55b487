"""Scripts through the language's front end, and their IR in a form that can be read and compared."""

from __future__ import annotations

from collections.abc import Iterable

from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.stap.lower import Lowered, lower
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.lang.stap.script import compile_script, library_for, settings_for
from ktrace_nb.source import Source
from tests.lang.stap.point_kernel import FACTS

READ = 'kernel.function("vfs_read")'
WRITE = 'kernel.function("vfs_write")'


def lowered(text: str, facts: KernelFacts = FACTS) -> Lowered:
    """A script with names and types, nothing placed yet."""
    return lower(parse(Source(text), settings_for(facts)), facts, library_for(facts), ir.Limits())


def placed(text: str, facts: KernelFacts = FACTS) -> ir.Placed:
    """A script with everything where it belongs."""
    return compile_script(Source(text), facts).placed


def script(text: str, facts: KernelFacts = FACTS) -> ir.Script:
    """The IR of a script."""
    return lowered(text, facts).script


def handler(text: str) -> ir.Handler:
    """The only handler of a script."""
    (found,) = script(text).handlers
    return found


def remarks(text: str) -> list[str]:
    """What is said of a script that is right, without lint."""
    return [problem.message for problem in lowered(text).problems]


def types(text: str) -> dict[str, str]:
    """Types of a script's globals: ``long``, ``string[long, string]``."""
    return {g.name: _type(g) for g in script(text).globals}


def _type(variable: ir.GlobalVariable) -> str:
    keys = ", ".join(key.value for key in variable.keys)
    return variable.type.value + (f"[{keys}]" if keys else "")


def local_types(held: ir.Handler | ir.Function) -> dict[str, str]:
    """Types of the variables of a handler or function, parameters too."""
    parameters = held.parameters if isinstance(held, ir.Function) else ()
    return {v.name: v.type.value for v in (*parameters, *held.locals)}


def function(made: ir.Script, name: str) -> ir.Function:
    """A function by its name."""
    return next(f for f in made.functions if f.name == name)


def calls(body: ir.Body) -> set[str]:
    """Intrinsics that a body names."""
    return {e.name for e in walk.expressions(body) if isinstance(e, ir.Intrinsic)}


def prints(body: ir.Body) -> list[ir.Print]:
    """The print sites of a body, in order."""
    return [s for s in walk.statements(body) if isinstance(s, ir.Print)]


# --- IR as text, close to the language ---------------------------------------------------


def code(body: Iterable[ir.Stmt]) -> list[str]:
    """A body, one statement a line; blocks in braces."""
    return [_statement(s) for s in body]


def _block(body: ir.Body) -> str:
    return "{ " + "; ".join(code(body)) + " }" if body else "{ }"


def _statement(node: ir.Stmt) -> str:
    match node:
        case ir.Evaluate():
            return show(node.expr)
        case ir.Accumulate():
            return f"{show(node.target)} <<< {show(node.value)}"
        case ir.Print():
            return f"printf({', '.join([_format(node.pieces), *map(show, node.arguments)])})"
        case ir.If():
            rest = f" else {_block(node.otherwise)}" if node.otherwise else ""
            return f"if ({show(node.condition)}) {_block(node.then)}{rest}"
        case ir.While():
            return f"while ({show(node.condition)}) {_block((*node.body, *node.step))}"
        case ir.Foreach():
            return f"foreach ({', '.join(node.names)} in {node.array}) {_block(node.body)}"
        case ir.Delete():
            return f"delete {show(node.target)}"
        case ir.Return():
            return f"return {show(node.value)}" if node.value else "return"
        case ir.Try():
            return f"try {_block(node.body)} catch ({node.variable}) {_block(node.handler)}"
        case ir.Ship():
            return f"ship {node.record}({', '.join(map(show, node.values))})"
    return type(node).__name__.lower()


def _format(pieces: tuple[ir.Piece, ...]) -> str:
    text = "".join(p.text.replace("\n", "\\n") or f"%{p.flags}{p.conversion}" for p in pieces)
    return f'"{text}"'


def show(node: ir.Expr) -> str:
    """An expression."""
    match node:
        case ir.Number():
            return str(node.value)
        case ir.Text():
            return f'"{node.value}"'
        case ir.Local() | ir.Global():
            return node.name
        case ir.Element() | ir.Contains():
            keys = ", ".join("*" if key is None else show(key) for key in node.keys)
            return f"[{keys}] in {node.array}" if isinstance(node, ir.Contains) else f"{node.array}[{keys}]"
        case ir.Unary():
            return f"{node.op}{show(node.operand)}"
        case ir.Binary() | ir.Compare() | ir.Logical():
            return f"({show(node.left)} {node.op} {show(node.right)})"
        case ir.Concat():
            return f"({show(node.left)} . {show(node.right)})"
        case ir.Choose():
            return f"({show(node.condition)} ? {show(node.then)} : {show(node.otherwise)})"
        case ir.Match():
            return f'({show(node.subject)} {"!~" if node.negated else "=~"} "{node.pattern}")'
        case ir.Assign():
            return f"{show(node.target)} {node.op}= {show(node.value)}"
        case ir.Step():
            sign = "++" if node.by > 0 else "--"
            return f"{sign}{show(node.target)}" if node.prefix else f"{show(node.target)}{sign}"
        case ir.Call():
            return f"{node.function}({', '.join(map(show, node.arguments))})"
        case ir.Intrinsic():
            return f"{node.name}({', '.join(map(show, node.arguments))})"
        case ir.Symbol():
            return f"number of {node.name}({show(node.operand)})"
        case ir.Argument():
            return f"argument {node.index}"
        case ir.Captured():
            return f"captured {node.index}"
        case ir.EntryValue():
            return f"entry {node.index}"
        case ir.AtEntry():
            return f"@entry({show(node.operand)})"
        case ir.Statistic():
            return f"@{node.what}({show(node.of)})"
        case ir.Histogram():
            return f"@hist({show(node.of)})"
        case ir.Bucket():
            return f"{show(node.histogram)}[{show(node.index)}]"
        case ir.Extend():
            return f"{'s' if node.signed else 'u'}{8 * node.size}({show(node.operand)})"
        case ir.Load():
            return f"*({show(node.address)})"
        case ir.Format():
            return f"sprintf({', '.join([_format(node.pieces), *map(show, node.arguments)])})"
    return type(node).__name__.lower()
