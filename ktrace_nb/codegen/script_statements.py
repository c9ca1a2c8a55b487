"""Statements and calls as C."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ktrace_nb.codegen import script_globals, script_intrinsics, script_statistics, script_strings
from ktrace_nb.codegen.script_values import Buffer, Returning, Variable, has_effect
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import script_layout as layout
from ktrace_nb.ir.walk import locals_read

if TYPE_CHECKING:
    from ktrace_nb.codegen.script_body import Body


def run(body: Body, statements: ir.Body) -> None:
    """Write statements."""
    for statement in statements:
        with body.placed(statement.at), body.scope():
            _statement(body, statement)


def _statement(body: Body, statement: ir.Stmt) -> None:
    match statement:
        case ir.Evaluate(expr=expr):
            _in_block(body, lambda: _effect(body, expr))
        case ir.Accumulate():
            _in_block(body, lambda: script_statistics.accumulate(body, statement))
        case ir.Delete():
            _in_block(body, lambda: script_globals.delete(body, statement))
        case ir.Ship():
            _in_block(body, lambda: _ship(body, statement))
        case ir.If():
            _if(body, statement)
        case ir.While():
            _while(body, statement)
        case ir.Break():
            body.put("break;")
        case ir.Continue():
            body.put(f"goto {body.use(body.continuing[-1])};")
        case ir.Next():
            body.leave()
        case ir.Return(value=value):
            _return(body, value)
        case _:
            raise ValueError(f"{type(statement).__name__} cannot be in the kernel")


def _in_block(body: Body, write: Callable[[], None]) -> None:
    """Write something; if it declares variables, in a block of its own, so that they end with it."""
    with body.lines.deeper(), body.lines.held() as lines:
        write()
    if len(lines) <= 1:
        for line in lines:
            body.lines.put(line.text.strip())
        return
    with body.lines.block(""):
        body.lines.add(lines)


def _effect(body: Body, expr: ir.Expr) -> None:
    match expr:
        case ir.Assign():
            script_globals.assign(body, expr, wanted=False)
        case ir.Step():
            script_globals.step(body, expr, wanted=False)
        case ir.Call() if expr.type is ir.Type.STRING and not body.shape(expr).symbol:
            body.text(expr)
        case _ if expr.type is ir.Type.STRING and not body.shape(expr).symbol:
            body.text(expr)
        case _:
            value = body.number(expr)
            if "(" in value:
                body.put(f"(void)({value});")


def _if(body: Body, statement: ir.If) -> None:
    with body.lines.deeper(), body.lines.held() as lines:
        condition = body.condition(statement.condition)
    if not lines:
        _branches(body, condition, statement)
        return
    with body.lines.block(""):
        body.lines.add(lines)
        _branches(body, condition, statement)


def _branches(body: Body, condition: str, statement: ir.If) -> None:
    with body.lines.block(f"if ({condition})"):
        run(body, statement.then)
    if statement.otherwise:
        with body.lines.block("else"):
            run(body, statement.otherwise)


def _while(body: Body, statement: ir.While) -> None:
    """A loop that the verifier follows to its end: the rounds of all loops of a handler are limited."""
    label = body.name("again")
    actions = body.use("actions")
    body.continuing.append(label)
    with body.lines.block("for (;;)"):
        condition = body.condition(statement.condition)
        if condition != "1":
            body.put(f"if (!({condition}))")
            body.put("\tbreak;")
        with body.lines.block(f"if (++{actions} > {body.unit.limits.max_action})"):
            body.fail(layout.TOO_MANY_ACTIONS, statement.at)
        run(body, statement.body)
        if label in body.used:
            body.lines.label(label)
        run(body, statement.step)
    body.continuing.pop()


# --- functions -----------------------------------------------------------------------------


def call(body: Body, expr: ir.Call, to: Buffer | None) -> str:
    """Write a function out where it is called; gives C of the integer it returns."""
    function = body.unit.functions[expr.function]
    result = ""
    if to is None and layout.is_text(function.result):
        to = body.buffer(function.result.size)
    if to is None and function.function.type is not ir.Type.NOTHING:
        result = body.name("result")
        body.put(f"u64 {result} = 0;")
    elif to is not None:
        script_strings.zero(body, to)
    label = body.name("done")
    with body.lines.block(""), body.scope():
        inner = {}
        for parameter, argument in zip(function.parameters, expr.arguments, strict=True):
            inner[parameter.name] = declare(body, parameter, argument)
        outer = body.variables, body.returning, body.continuing
        body.variables, body.continuing = inner, []
        for local in function.locals:
            inner[local.name] = declare(body, local, None)
        body.returning = Returning(result, to, label)
        run(body, function.body)
        body.variables, body.returning, body.continuing = outer
    if label in body.used:
        body.lines.label(label)
    return result or "0"


def _return(body: Body, value: ir.Expr | None) -> None:
    returning = body.returning
    if returning is None:
        body.leave()
        return
    if value is not None and returning.text is not None:
        body.put_text(value, returning.text)
    elif value is not None and returning.number:
        with body.lines.block(""):
            body.put(f"{returning.number} = {body.number(value)};")
    body.put(f"goto {body.use(returning.label)};")


def declare(body: Body, local: ir.KernelLocal, value: ir.Expr | None) -> Variable:
    """Write the declaration of a variable with its first value: 0 or the empty string if none is given."""
    if layout.is_text(local.shape):
        buffer = body.buffer(local.shape.size)
        if value is None:
            script_strings.zero(body, buffer)
        else:
            body.put_text(value, buffer)
        return Variable(buffer.at, local.shape)
    name = body.name(f"{local.name}_")
    first = body.number(value) if value is not None else "0"
    body.put(f"u64 {name} = {first};")
    return Variable(name, local.shape)


def set_first(statements: ir.Body, name: str) -> bool:
    """Whether the first that statements do with a local is to set it."""
    for statement in statements:
        match statement:
            case ir.Evaluate(expr=ir.Assign(target=ir.Local(name=target), op="", value=value)):
                if name in locals_read(value):
                    return False
                if target == name:
                    return True
                continue
        if name in locals_read((statement,)):
            return False
    return False


# --- records ---------------------------------------------------------------------------------


def _ship(body: Body, statement: ir.Ship) -> None:
    """Reserve a record, fill it where it lies, send it.

    What has an effect is evaluated first, and what stands in front of it too: there may
    be no room for a record, and an error must not leave one behind.
    """
    record = body.unit.records[statement.record]
    pairs = list(zip(statement.values, record.values, strict=True))
    early = 1 + max((i for i, (value, _) in enumerate(pairs) if has_effect(value)), default=-1)
    faults = any(script_strings.can_fault(value) for value in statement.values)
    if faults:
        body.put(f"{body.use('faults')} = 0;")
    held = [_ship_early(body, i, *pairs[i]) for i in range(early)]
    kind, name = f"struct record_{record.number}", body.name("record")
    body.put(f"{kind} *{name} = {layout.RECORDS}.ringbuf_reserve(sizeof(*{name}));")
    with body.lines.block(f"if ({name})"):
        script_intrinsics.head(body, f"{name}->head.", str(record.number))
        body.reserved = name
        for i, (value, shape) in enumerate(pairs):
            slot = f"{name}->v{i}"
            if i < early:
                _put_held(body, held[i], shape, slot)
                continue
            with body.placed(value.at), body.noting(i, slot, is_text=layout.is_text(shape)):
                _in_block(body, partial(script_globals.put, body, value, shape, slot, padded=False))
        if faults:
            body.put(f"{name}->head.faults = faults;")
        body.put(f"{layout.RECORDS}.ringbuf_submit({name}, 0);")
        body.reserved = ""
    if _is_error(record.body):
        for line in body.unit.after_error:
            body.put(line)


def _is_error(statements: ir.Body) -> bool:
    """Whether all that is done with a record is to end the script, with words of the script's own."""
    match statements:
        case (ir.Evaluate(expr=ir.Intrinsic(name="error")),):
            return True
    return False


def _ship_early(body: Body, index: int, value: ir.Expr, shape: ir.Shape) -> Buffer | str:
    with body.placed(value.at):
        if layout.is_text(shape):
            buffer = body.buffer(shape.size)
            with body.noting(index, buffer.at, is_text=True), body.lines.block(""):
                body.put_text(value, buffer)
            return buffer
        name = body.name("n")
        body.put(f"u64 {name};")
        with body.noting(index, name), body.lines.block(""):
            body.put(f"{name} = {body.number(value)};")
        return name


def _put_held(body: Body, held: Buffer | str, shape: ir.Shape, slot: str) -> None:
    if isinstance(held, str):
        body.put(f"{slot} = {held};")
    else:
        script_strings.copy(body, held, Buffer(slot, shape.size), padded=False)
