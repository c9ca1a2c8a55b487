"""The life of a script, its kernel's part played by the test."""

from __future__ import annotations

import pytest

from ktrace_nb.ir import script as ir
from ktrace_nb.ir import script_layout as layout
from ktrace_nb.ir.script import LONG, Event, Number, Text, Type
from tests.stream.script.kit_runtime import BOOTED_NS, PlayedKernel, place, placed, record

X = ir.GlobalVariable(name="x", type=Type.LONG)


def say(site: int, text: str, *values: ir.Expr, names: tuple[str, ...] = ()) -> ir.Print:
    pieces = [ir.Piece(text)]
    for value in values:
        pieces += [ir.Piece(" "), ir.Piece("", "s" if value.type is Type.STRING else "d")]
    return ir.Print(site, (*pieces, ir.Piece("\n")), values, names)


def do(name: str, *arguments: ir.Expr) -> ir.Stmt:
    return ir.Evaluate(ir.Intrinsic(name, arguments))


def handler(number: int, event: Event, *body: ir.Stmt, order: int = 0, period_ns: int = 0) -> ir.Handler:
    at = place(20, 39)
    name = event.value
    return ir.Handler(
        number=number, event=event, name=name, body=body, order=order, period_ns=period_ns, at=at
    )


def whole_life(kernel: PlayedKernel) -> None:
    kernel.run.begin(0)
    kernel.run.release()
    kernel.run.hold()
    kernel.run.finish()


def test_handlers_run_in_the_order_of_their_numbers() -> None:
    kernel = PlayedKernel(
        placed(
            [
                handler(1, Event.END, say(1, "last"), order=10),
                handler(2, Event.BEGIN, say(2, "second"), order=1),
                handler(3, Event.END, say(3, "end")),
                handler(4, Event.BEGIN, say(4, "first"), order=-5),
                handler(5, Event.ERROR, say(5, "error")),
            ]
        )
    )
    whole_life(kernel)
    assert kernel.run.outputs.printed() == "first\nsecond\nend\nlast\n"
    assert not kernel.run.failed


def test_end_runs_once_however_often_it_is_asked_for() -> None:
    kernel = PlayedKernel(placed([handler(1, Event.END, say(1, "end"))]))
    whole_life(kernel)
    kernel.run.finish()
    assert kernel.run.outputs.printed() == "end\n"


def test_the_kernel_is_told_who_is_the_target_and_what_time_it_is() -> None:
    kernel = PlayedKernel(placed([handler(1, Event.BEGIN, say(1, "it is", ir.Intrinsic("target")))]))
    kernel.run.begin(4321)
    kernel.run.release()
    assert kernel.state == (0, 4321, BOOTED_NS)
    assert kernel.run.outputs.printed() == "it is 4321\n"
    kernel.run.hold()
    assert kernel.state == (1, 4321, BOOTED_NS)


def test_exit_in_begin_ends_it_and_says_where() -> None:
    kernel = PlayedKernel(
        placed(
            [
                handler(1, Event.BEGIN, say(1, "one"), do("exit"), say(2, "same handler")),
                handler(2, Event.BEGIN, say(3, "two")),
                handler(3, Event.END, say(4, "end")),
            ]
        )
    )
    whole_life(kernel)
    assert kernel.run.ending == "exit() at cell:2"
    assert kernel.run.outputs.printed() == "one\nsame handler\nend\n"


def test_an_error_runs_error_handlers_in_place_of_end() -> None:
    kernel = PlayedKernel(
        placed(
            [
                handler(1, Event.BEGIN, say(1, "begin"), do("error", Text("too bad", type=Type.STRING))),
                handler(2, Event.END, say(2, "end")),
                handler(3, Event.ERROR, say(3, "error")),
            ]
        )
    )
    whole_life(kernel)
    run = kernel.run
    assert (run.failed, run.ending) == (True, "error: too bad")
    assert run.outputs.printed() == "begin\nerror\n"
    assert [(p.message, p.severity) for p in run.outputs.problems] == [("too bad", "error")]


def test_an_error_of_end_is_followed_by_the_error_handlers() -> None:
    divide = ir.Evaluate(ir.Binary("/", Number(1), Number(0), at=place(65, 68)))
    kernel = PlayedKernel(
        placed(
            [
                handler(1, Event.END, divide),
                handler(2, Event.END, say(2, "another end"), order=1),
                handler(3, Event.ERROR, say(3, "error")),
            ]
        )
    )
    whole_life(kernel)
    assert kernel.run.outputs.printed() == "error\n"
    assert kernel.run.ending.startswith("error: division by 0 near ")


def test_errors_up_to_maxerrors_are_warnings() -> None:
    fails = ir.Record(1, 100, (LONG,), (do("error", Text("no", type=Type.STRING)),))
    kernel = PlayedKernel(placed(records=[fails], limits=ir.Limits(max_errors=2)))
    kernel.run.begin(0)
    kernel.run.release()
    kernel.send(record(1, 100, 1), record(1, 100, 2))
    kernel.run.run()
    kernel.send(record(1, 100, 3))
    kernel.run.run()
    assert kernel.run.ending == "error: no"
    assert [p.severity for p in kernel.run.outputs.problems] == ["warning", "warning", "error"]


def test_errors_of_the_kernel_name_their_place() -> None:
    sites = [
        layout.Site(layout.FAULT, place(14, 15)),
        layout.Site(layout.RAISED, place(65, 68), "my own words"),
    ]
    kernel = PlayedKernel(placed(limits=ir.Limits(max_errors=1)), sites)
    kernel.run.begin(0)
    kernel.run.release()
    fault = record(layout.ERROR, 100, 0, 0x10)
    kernel.send(fault, record(layout.ERROR, 100, 1, 0))
    kernel.run.run()
    first, second = kernel.run.outputs.problems
    assert first.message.startswith("read fault [man error::fault] at 0x10 near identifier 'x'")
    assert first.span == place(14, 15).span
    assert (second.message, kernel.run.ending) == ("my own words", "error: my own words")


def test_records_run_in_the_order_of_arrival_and_become_rows() -> None:
    value = ir.Captured(0)
    first = ir.Record(1, 100, (LONG,), (say(1, "a", value, names=("size",)),))
    second = ir.Record(2, 100, (LONG, LONG), (say(2, "b", value, ir.Captured(1)),))
    kernel = PlayedKernel(placed(records=[first, second]))
    kernel.run.begin(0)
    kernel.run.release()
    kernel.send(record(1, 100, 7), record(2, 100, 8, 9), record(1, 100, -1))
    kernel.run.run()
    outputs = kernel.run.outputs
    assert outputs.printed() == "a 7\nb 8 9\na -1\n"
    assert outputs.names == ["vfs_read", "vfs_read_2"]
    assert outputs.frame("vfs_read")["size"].tolist() == [7, -1]
    assert outputs.frame("vfs_read_2").to_dict("list") == {"arg1": [8], "arg2": [9]}
    assert outputs.frame("vfs_read")["size"].dtype == "int64"


def test_after_exit_in_a_record_no_later_one_runs() -> None:
    stop = ir.If(ir.Compare("==", ir.Captured(0), Number(2)), (do("exit"),))
    kernel = PlayedKernel(placed(records=[ir.Record(1, 100, (LONG,), (say(1, "got", ir.Captured(0)), stop))]))
    kernel.run.begin(0)
    kernel.run.release()
    kernel.send(*(record(1, 100, n) for n in (1, 2, 3)))
    kernel.run.run()
    kernel.send(record(1, 100, 4))
    kernel.run.finish()
    assert kernel.run.outputs.printed() == "got 1\ngot 2\n"
    assert kernel.run.outputs.left == 2


def test_exit_in_the_kernel_leaves_nothing_unprinted() -> None:
    kernel = PlayedKernel(placed(records=[ir.Record(1, 100, (LONG,), (say(1, "got", ir.Captured(0)),))]))
    kernel.run.begin(0)
    kernel.run.release()
    kernel.send(record(1, 100, 1), record(layout.EXIT, 100), record(1, 100, 2))
    kernel.run.run()
    assert kernel.run.ending == 'exit() in probe kernel.function("vfs_read")'
    kernel.send(record(1, 100, 3))
    kernel.run.finish()
    assert kernel.run.outputs.printed() == "got 1\ngot 2\ngot 3\n"


def test_globals_beside_the_notebook_are_frames() -> None:
    array = ir.GlobalVariable(
        name="a", type=Type.STRING, keys=(Type.LONG, Type.STRING), key_names=("pid", "who")
    )
    statistics = ir.GlobalVariable(name="s", type=Type.STATISTICS, variance=True)
    body = (
        ir.Evaluate(
            ir.Assign(
                ir.Element("a", (Number(7), Text("caf\u00c3\u00a9", type=Type.STRING)), type=Type.STRING),
                "",
                Text("v", type=Type.STRING),
                type=Type.STRING,
            )
        ),
        ir.Accumulate(ir.Global("s", type=Type.STATISTICS), Number(3)),
        ir.Accumulate(ir.Global("s", type=Type.STATISTICS), Number(8)),
        ir.Evaluate(ir.Step(ir.Global("x"), 1, False)),
    )
    kernel = PlayedKernel(placed([handler(1, Event.BEGIN, *body)], user_globals=[array, statistics, X]))
    kernel.run.begin(0)
    kernel.run.release()
    frames = kernel.run.outputs
    assert frames.frame("a")["value"].to_dict() == {(7, "caf\u00e9"): "v"}
    assert list(frames.frame("a").index.names) == ["pid", "who"]
    assert frames.frame("x")["value"].tolist() == [1]
    row = frames.frame("s").iloc[0].to_dict()
    # The variance of a sample of 3 and 8 is 12.5, rounded down.
    assert row == {"count": 2, "sum": 11, "min": 3, "max": 8, "avg": 5, "variance": 12}


def test_what_commands_print_is_put_out() -> None:
    kernel = PlayedKernel(placed([handler(1, Event.END, do("system", Text("echo hi", type=Type.STRING)))]))
    whole_life(kernel)
    assert kernel.commands == ["echo hi"]
    assert kernel.run.outputs.printed() == "hi\n"


@pytest.mark.parametrize(("text", "lines", "whole"), [("a\nb", 2, "a\nb"), ("a\n", 1, "a\n"), ("", 0, "")])
def test_text_without_an_end_is_shown_as_it_is(text: str, lines: int, whole: str) -> None:
    kernel = PlayedKernel(placed([handler(1, Event.END, ir.Print(1, (ir.Piece(text),), ()))]))
    whole_life(kernel)
    assert kernel.run.outputs.printed() == whole
    assert (kernel.run.outputs.lines_printed, len(kernel.run.outputs.text)) == (lines, lines)
