"""Integers as C: u64 that wrap, cast where the sign matters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ktrace_nb.codegen import script_contexts as contexts
from ktrace_nb.codegen import script_globals, script_intrinsics, script_statements, script_strings
from ktrace_nb.codegen.script_values import is_constant
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import script_layout as layout

if TYPE_CHECKING:
    from ktrace_nb.codegen.script_body import Body

_LEAST = -(1 << 63)


def number(body: Body, expr: ir.Expr) -> str:
    """C of a value.

    Raises:
        ValueError: The expression cannot be in the kernel.
    """
    match expr:
        case ir.Number(value=value):
            return literal(value)
        case ir.Text(value=""):
            return "0"  # a symbol that stands for nothing
        case ir.Local(name=name):
            return body.variables[name].c
        case ir.Global() | ir.Element():
            return script_globals.read(body, expr)
        case ir.Compare() | ir.Logical() | ir.Contains() | ir.Unary(op="!"):
            return f"(u64)({condition(body, expr)})"
        case ir.Unary(op=op, operand=operand):
            return f"({op}{as_u64(body.number(operand))})"
        case ir.Binary(op=op, left=left, right=right):
            a, b = body.numbers((left, right))
            return binary(body, op, a, b, expr)
        case ir.Choose():
            return _choose(body, expr)
        case ir.Assign():
            return script_globals.assign(body, expr, wanted=True)
        case ir.Step():
            return script_globals.step(body, expr, wanted=True)
        case ir.Call():
            return script_statements.call(body, expr, None)
        case ir.Intrinsic():
            return script_intrinsics.number(body, expr)
        case ir.Symbol(operand=operand):
            return body.number(operand)
        case ir.Argument(index=index):
            return argument(body, index, expr)
        case ir.Result():
            found = contexts.result(body.context)
            return body.given(found) if found.startswith("ctx") else body.keep(found)
        case ir.Load():
            return _load(body, expr)
        case ir.Extend(operand=operand, size=size, signed=signed):
            # All 64 bits, for a shift would not widen it.
            return f"(u64)({'s' if signed else 'u'}{8 * size})({body.number(operand)})"
        case ir.EntryValue(index=index):
            return entry_value(body, index, expr)
    raise ValueError(f"{type(expr).__name__} cannot be in the kernel")


def literal(value: int) -> str:
    """C of a constant."""
    return "(-9223372036854775807LL - 1)" if value == _LEAST else str(value)


def as_u64(text: str) -> str:
    """A constant as C of 64 bits; else the same."""
    return f"(u64){text}" if is_constant(text) else text


def binary(body: Body, op: str, a: str, b: str, expr: ir.Expr) -> str:
    """C of an operation on two values."""
    match op:
        case "+" | "-" | "*" | "&" | "|" | "^":
            return f"({as_u64(a)} {op} {b})"
        case "<<":
            return f"({as_u64(a)} << {_count(b)})"
        case ">>":
            return f"(u64)((s64){a} >> {_count(b)})"
    if not is_constant(b) or int(b) == 0:
        b = body.steady(b)
        with body.lines.block(f"if (!{b})"):
            body.fail(layout.DIVISION, expr.at)
    return f"ktrace_{'divide' if op == '/' else 'remainder'}_({a}, {b})"


def _count(text: str) -> str:
    return str(int(text) & 63) if is_constant(text) else f"({text} & 63)"


def condition(body: Body, expr: ir.Expr) -> str:
    """C of whether a value is not 0."""
    match expr:
        case ir.Compare(op=op, left=left, right=right):
            if left.type is ir.Type.STRING and not script_strings.shape(body, left).symbol:
                return script_strings.compare(body, op, left, right)
            a, b = body.numbers((left, right))
            if op not in ("==", "!="):
                a, b = (f"(s64){as_operand(side)}" for side in (a, b))
            return f"{as_operand(a)} {op} {as_operand(b)}"
        case ir.Logical():
            return _logical(body, expr)
        case ir.Contains(array=array, keys=keys):
            return script_globals.contains(body, array, keys)
        case ir.Unary(op="!", operand=operand):
            return f"!({condition(body, operand)})"
    return body.number(expr)


def as_operand(text: str) -> str:
    """C that can stand beside any operator."""
    return text if text.isalnum() or (text[:1] == "(" and text[-1:] == ")") else f"({text})"


def _logical(body: Body, expr: ir.Logical) -> str:
    left = condition(body, expr.left)
    with body.lines.deeper(), body.lines.held() as lines:
        right = condition(body, expr.right)
    if not lines:
        return f"({left}) {expr.op} ({right})"
    # The right side takes statements of its own, which run only where it counts.
    name = body.name("n")
    body.put(f"u64 {name} = {int(expr.op == '||')};")
    with body.lines.block(f"if ({left if expr.op == '&&' else f'!({left})'})"):
        body.lines.add(lines)
        body.put(f"{name} = ({right}) != 0;")
    return name


def _choose(body: Body, expr: ir.Choose) -> str:
    name = body.name("n")
    body.put(f"u64 {name};")
    with body.lines.block(f"if ({condition(body, expr.condition)})"):
        body.put(f"{name} = {body.number(expr.then)};")
    with body.lines.block("else"):
        body.put(f"{name} = {body.number(expr.otherwise)};")
    return name


# --- memory ------------------------------------------------------------------------------


def _load(body: Body, expr: ir.Load) -> str:
    address = body.number(expr.address)
    word = load(body, address, expr.size, expr, user=expr.user)
    if not expr.bits:
        return body.keep(f"{word}.{'s' if expr.signed else 'u'}{8 * expr.size}")
    kind = "s64" if expr.signed else "u64"
    field = f"((u64){word}.u{8 * expr.size} << {64 - expr.shift - expr.bits})"
    return body.keep(f"({kind}){field} >> {64 - expr.bits}")


def load(body: Body, address: str, size: int, expr: ir.Expr, *, user: bool) -> str:
    """Read memory; gives C of the union it is in until the next read."""
    address = body.steady(address)
    helper = "ktrace_read_user_" if user else "bpf_probe_read_kernel"
    word = body.use("word")
    with body.lines.block(f"if ({helper}(&{word}, {size}, (void *){address}))"):
        body.fail(layout.FAULT, expr.at, detail=address)
    return word


def argument(body: Body, index: int, expr: ir.Expr) -> str:
    """C of an argument's raw value."""
    found = contexts.argument(body.context, index)
    if found is not None:
        # What takes a call is called once.
        return body.given(found) if found.startswith("ctx") else body.keep(found)
    address = body.given(contexts.stack_argument(index))
    return body.keep(load(body, address, 8, expr, user=body.context in contexts.IN_USER_MODE) + ".u64")


def entry_value(body: Body, index: int, expr: ir.Expr) -> str:
    """C of a value that was put aside at entry; where that could not be read, an error now."""
    entry = body.use("entry")
    check_entry(body, index, expr)
    return body.keep(f"{entry} ? {entry}->v{index} : 0")


def check_entry(body: Body, index: int, expr: ir.Expr) -> None:
    """Write what leaves if a value could not be read at entry."""
    entry = body.use("entry")
    value, shape = body.handler.entry[index]
    if script_strings.can_fault(value):
        slot = f"*(u64 *){entry}->v{index}" if layout.is_text(shape) else f"{entry}->v{index}"
        with body.lines.block(f"if ({entry} && ({entry}->faults >> {index} & 1))"):
            body.fail(layout.FAULT, expr.at, detail=slot)
