"""What of the kernel's memory is read after the event, and what is refused there."""

from __future__ import annotations

import pytest

from ktrace_nb.errors import UnsupportedError
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk
from ktrace_nb.ir.format_text import parse_format
from ktrace_nb.ir.placement import place
from ktrace_nb.ir.script import Event, Expr, Type
from ktrace_nb.source import Place, Source, Span

SOURCE = Source('probe kernel.function("f") { it = happens }\n', "cell")
AT = Place(SOURCE, Span(28, 30))
FIRST = ir.Argument(0, at=AT)
HEAD = ir.Global("head", at=AT)


def load(address: Expr, *, user: bool = False) -> ir.Load:
    return ir.Load(address, 8, signed=False, user=user, at=AT)


def call(name: str, *arguments: Expr, type: Type = Type.LONG) -> ir.Call:
    return ir.Call(name, arguments, type=type, at=AT)


def show(*values: Expr) -> ir.Print:
    return ir.Print(1, parse_format(" ".join("%d" for _ in values)), values, at=AT)


def caught(*body: ir.Stmt) -> ir.Try:
    """What sends a handler to the notebook."""
    return ir.Try(body, "", (), at=AT)


def put(name: str, value: Expr) -> ir.Evaluate:
    return ir.Evaluate(ir.Assign(ir.Local(name), "", value), at=AT)


def placed(*body: ir.Stmt, functions: tuple[ir.Function, ...] = (), event: Event = Event.KERNEL) -> ir.Placed:
    name = 'kernel.function("f")' if event is Event.KERNEL else event.value
    handler = ir.Handler(
        number=0,
        event=event,
        name=name,
        body=body,
        locals=tuple(ir.LocalVariable(n, Type.LONG) for n in ("p", "q")),
        context="kprobe" if event is Event.KERNEL else "",
        at=AT,
    )
    head = ir.GlobalVariable(name="head", type=Type.LONG)
    return place(ir.Script(globals=(head,), functions=functions, handlers=(handler,)))


def function(name: str, *body: ir.Stmt) -> ir.Function:
    return ir.Function(name, (ir.LocalVariable("p", Type.LONG),), (), Type.LONG, body, at=AT)


def late_loads(body: ir.Body) -> list[ir.Load]:
    return [e for e in walk.expressions(body) if isinstance(e, ir.Load)]


def sent(made: ir.Placed) -> list[Expr]:
    """What the kernel sends along."""
    (ship,) = (s for s in walk.statements(made.kernel_handlers[0].body) if isinstance(s, ir.Ship))
    return list(ship.values)


# --- handlers without an event -----------------------------------------------------------


@pytest.mark.parametrize("event", [Event.BEGIN, Event.END, Event.TIMER, Event.ERROR, Event.READ])
def test_a_handler_without_an_event_reads_the_kernel_and_nobody_needs_to_be_told(event: Event) -> None:
    made = placed(show(load(load(HEAD))), event=event)
    assert late_loads(made.user_handlers[0].body)
    assert made.late_reads == ()


@pytest.mark.parametrize(
    "expr",
    [
        load(HEAD, user=True),
        FIRST,
        ir.Result(at=AT),
        ir.Intrinsic("user_string", (HEAD,), type=Type.STRING, at=AT),
        ir.Intrinsic("__user_read", (HEAD, ir.Number(8)), at=AT),
        ir.Intrinsic("__register", (ir.Text("di", type=Type.STRING),), at=AT),
        load(ir.Binary("+", FIRST, ir.Number(8))),
    ],
)
def test_registers_and_processes_are_refused_there(expr: Expr) -> None:
    with pytest.raises(UnsupportedError, match="begin runs beside the notebook, where this cannot be read"):
        placed(show(expr), event=Event.BEGIN)


def test_a_function_that_reads_registers_is_refused_there_too() -> None:
    reads = function("reads", put("p", FIRST), ir.Return(load(ir.Local("p"))))
    with pytest.raises(UnsupportedError, match="cannot be read"):
        placed(show(call("reads", HEAD)), functions=(reads,), event=Event.END)


# --- handlers that were moved ------------------------------------------------------------


def test_what_the_kernel_can_read_beforehand_it_does() -> None:
    made = placed(caught(show(load(ir.Binary("+", load(FIRST), ir.Number(16))))))
    assert sent(made) == [load(ir.Binary("+", load(FIRST), ir.Number(16)))]
    assert late_loads(made.records[0].body) == []
    assert made.late_reads == ()


def test_what_hangs_on_the_notebook_is_read_later_and_said_once() -> None:
    made = placed(caught(show(load(HEAD)), show(load(ir.Binary("+", HEAD, ir.Number(8))))))
    assert len(late_loads(made.records[0].body)) == 2
    assert sent(made) == []
    assert made.late_reads == (('kernel.function("f")', AT),)


def test_of_an_address_the_part_that_is_the_events_is_still_read_by_the_kernel() -> None:
    made = placed(caught(show(load(ir.Binary("+", load(FIRST), HEAD)))))
    assert sent(made) == [load(FIRST)]
    (late,) = late_loads(made.records[0].body)
    assert late.address == ir.Binary("+", ir.Captured(0), HEAD)


def test_a_list_is_walked_later_from_where_the_kernel_saw_its_head() -> None:
    step = put("p", load(ir.Local("p")))
    made = placed(
        caught(put("p", load(FIRST)), ir.While(ir.Local("p"), (show(load(ir.Local("p"))),), (step,)))
    )
    assert sent(made) == [load(FIRST)]
    assert [e.address for e in late_loads(made.records[0].body)] == [ir.Local("p")] * 2
    assert len(made.late_reads) == 1


def test_a_value_read_later_is_read_once_though_it_is_used_twice() -> None:
    read = load(ir.Intrinsic("strtol", (ir.Text("8", type=Type.STRING), ir.Number(16))))
    made = placed(put("p", read), show(ir.Local("p"), ir.Local("p")), caught())
    assert len(late_loads(made.records[0].body)) == 1


@pytest.mark.parametrize(
    "expr",
    [load(HEAD, user=True), ir.Intrinsic("user_string", (HEAD,), type=Type.STRING, at=AT)],
)
def test_memory_of_a_process_is_not_read_later(expr: Expr) -> None:
    with pytest.raises(UnsupportedError, match="this must be read while the event happens"):
        placed(caught(show(expr)))


@pytest.mark.parametrize("name", ["kernel_string", "kernel_string_n", "kernel_string2", "__kernel_bytes"])
def test_strings_of_the_kernel_are_read_later(name: str) -> None:
    more = {"kernel_string": (), "kernel_string2": (ir.Text("", type=Type.STRING),)}.get(
        name, (ir.Number(4),)
    )
    read = ir.Intrinsic(name, (HEAD, *more), type=Type.STRING, at=AT)
    made = placed(caught(ir.Print(1, parse_format("%s"), (read,), at=AT)))
    assert read in walk.expressions(made.records[0].body)
    assert len(made.late_reads) == 1


# --- functions of moved handlers -----------------------------------------------------------


def _named(made: ir.Placed, start: str) -> list[ir.Function]:
    return [f for f in made.user_functions if f.name.startswith(start)]


def test_a_function_gets_what_the_kernel_can_read_and_reads_the_rest() -> None:
    # The parameter is assigned to: what is at its later values nobody knows beforehand.
    walks = function(
        "walks",
        ir.While(ir.Local("p"), (put("p", load(ir.Local("p"))),)),
        ir.Return(load(FIRST)),
    )
    made = placed(caught(show(call("walks", HEAD))), functions=(walks,))
    (variant,) = _named(made, "walks")
    assert sent(made) == [load(FIRST)]
    assert [e.address for e in late_loads(variant.body)] == [ir.Local("p")]
    assert len(made.late_reads) == 1


def test_a_function_that_calls_itself_reads_all_of_it_later() -> None:
    down = function(
        "down",
        ir.If(ir.Local("p"), (ir.Return(ir.Binary("+", ir.Number(1), call("down", load(ir.Local("p"))))),)),
        ir.Return(ir.Number(0)),
    )
    made = placed(show(call("down", FIRST)), functions=(down,))
    assert _named(made, "down") == [down]
    assert sent(made) == [FIRST]
    assert len(made.late_reads) == 1


def test_a_function_that_calls_itself_and_asks_who_runs_is_refused() -> None:
    down = function(
        "down", ir.Return(ir.Binary("+", ir.Intrinsic("tid", at=AT), call("down", load(ir.Local("p")))))
    )
    with pytest.raises(UnsupportedError, match="this must be read while the event happens"):
        placed(show(call("down", FIRST)), functions=(down,))


def test_a_function_without_an_event_reads_as_it_is_written() -> None:
    reads = function("reads", put("p", load(ir.Local("p"))), ir.Return(load(ir.Local("p"))))
    made = placed(show(call("reads", HEAD)), functions=(reads,), event=Event.BEGIN)
    assert made.user_functions == (reads,)
