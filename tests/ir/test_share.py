"""Handlers of many system calls as few programs: what is sent, and what is made of it."""

from __future__ import annotations

from functools import cache

from ktrace_nb.ir import script as ir
from ktrace_nb.ir.script import Type
from ktrace_nb.ir.share import share_programs

PID = ir.Compare("==", ir.Intrinsic("pid"), ir.Intrinsic("target"))


def low(argument: int) -> ir.Expr:
    """An argument of 32 bits."""
    return ir.Extend(ir.Argument(argument), 4, True)


@cache
def string(argument: int) -> ir.Expr:
    """What an argument points to."""
    return ir.Intrinsic("user_string", (ir.Argument(argument),), type=Type.STRING)


def placed(*calls: tuple[int, str, tuple[ir.Expr, ...]]) -> ir.Placed:
    """A handler for each call, that sends values under a condition and prints the name with them."""
    handlers, records, whole = [], [], []
    for number, (call, name, values) in enumerate(calls):
        handler = ir.Handler(
            number=number,
            event=ir.Event.KERNEL,
            name=f'kernel.function("__x64_sys_{name}").call',
            body=(),
            context="sys_enter",
            syscalls=(call,),
        )
        shapes = tuple(ir.Shape(128, text=True) if v.type is Type.STRING else ir.LONG for v in values)
        sent = tuple(ir.Captured(i, type=v.type) for i, v in enumerate(values))
        printed = ir.Print(number, (), (ir.Text(name, type=Type.STRING), *sent))
        body = (ir.If(PID, (ir.Ship(number + 1, values),)),)
        whole.append(handler)
        handlers.append(ir.KernelHandler(handler, body, ()))
        records.append(ir.Record(number + 1, number, shapes, (printed,)))
    script = ir.Script(globals=(), functions=(), handlers=tuple(whole))
    return ir.Placed(
        script=script,
        kernel_globals=(),
        kernel_functions=(),
        kernel_handlers=tuple(handlers),
        records=tuple(records),
        user_globals=(),
        user_handlers=(),
        user_functions=(),
    )


def test_calls_that_read_nothing_become_one_program() -> None:
    made = share_programs(placed((3, "close", (low(0),)), (33, "dup2", (low(0), low(1))), (39, "getpid", ())))
    [handler] = made.kernel_handlers
    [record] = made.records
    assert handler.handler.syscalls == (3, 33, 39)
    assert handler.handler.name == 'kernel.function("__x64_sys_*").call'
    [ship] = handler.body[0].then  # type: ignore[attr-defined]
    assert ship.values == (ir.Intrinsic("__syscall_nr"), ir.Argument(0), ir.Argument(1))
    assert record.values == (ir.LONG,) * 3
    assert [h.number for h in made.script.handlers] == [0]


def test_the_notebook_finds_the_call_by_its_number() -> None:
    made = share_programs(placed((3, "close", (low(0),)), (33, "dup2", (low(1), low(0)))))
    [choice] = made.records[0].body
    assert isinstance(choice, ir.If)
    assert choice.condition == ir.Compare("<", ir.Captured(0), ir.Number(33))
    [close], [dup2] = choice.then, choice.otherwise
    first, second = (ir.Captured(place) for place in (1, 2))
    assert isinstance(close, ir.Print) and isinstance(dup2, ir.Print)
    assert close.arguments[1:] == (ir.Extend(first, 4, True),)
    assert dup2.arguments[1:] == (ir.Extend(second, 4, True), ir.Extend(first, 4, True))


def test_calls_share_a_program_only_with_those_that_read_the_same_memory() -> None:
    made = share_programs(
        placed(
            (80, "chdir", (string(0),)), (87, "unlink", (string(0),)), (257, "openat", (low(0), string(1))),
            (3, "close", (low(0),)), (32, "dup", (low(0),)),
        )
    )  # fmt: skip
    assert [handler.handler.syscalls for handler in made.kernel_handlers] == [(80, 87), (257,), (3, 32)]
    assert [record.handler for record in made.records] == [2, 0, 3]


def test_probes_of_one_call_stay_apart() -> None:
    made = share_programs(placed((3, "close", (low(0),)), (3, "close", (low(0),))))
    assert len(made.kernel_handlers) == len(made.records) == 2


def test_variables_that_nothing_reads_are_gone() -> None:
    given = placed((3, "close", (low(0),)))
    [handler] = given.kernel_handlers
    unread = ir.Evaluate(ir.Assign(ir.Local("fd"), "", low(0)))
    local = ir.KernelLocal("fd", ir.LONG)
    with_local = ir.KernelHandler(handler.handler, (unread, *handler.body), (local,))
    made = share_programs(
        ir.Placed(
            script=given.script,
            kernel_globals=(),
            kernel_functions=(),
            kernel_handlers=(with_local,),
            records=given.records,
            user_globals=(),
            user_handlers=(),
            user_functions=(),
        )
    )
    assert made.kernel_handlers == given.kernel_handlers
