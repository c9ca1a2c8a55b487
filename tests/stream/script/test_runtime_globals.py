"""Globals that live in the kernel, read and changed from beside the notebook while events go on."""

from __future__ import annotations

import struct

from ktrace_nb.ir import script as ir
from ktrace_nb.ir.script import LONG, Event, HistogramShape, KernelGlobal, Number, Shape, Type
from ktrace_nb.stream.maps import MapSnapshot
from ktrace_nb.stream.script.codec import Codec
from ktrace_nb.stream.script.statistics import Statistics
from tests.stream.script.kit_runtime import CPUS, PlayedKernel, placed

NAME = Shape(16, text=True)
COUNTS = ir.GlobalVariable(name="counts", type=Type.LONG, keys=(Type.LONG,), key_names=("pid",))
SIZES = ir.GlobalVariable(name="sizes", type=Type.STATISTICS, keys=(Type.LONG,))
TOTAL = ir.GlobalVariable(name="total", type=Type.LONG, initial=5)
K = ir.LocalVariable("k", Type.LONG)
SECOND = 1_000_000_000


def added(variable: ir.GlobalVariable) -> KernelGlobal:
    return KernelGlobal(variable, (LONG,) * len(variable.keys), LONG, added=True)


def changed(variable: ir.GlobalVariable) -> KernelGlobal:
    return KernelGlobal(variable, (LONG,) * len(variable.keys), LONG, read=True)


def every_second(*body: ir.Stmt) -> ir.Handler:
    return ir.Handler(
        number=1, event=Event.TIMER, name="timer.s(1)", body=body, locals=(K,), period_ns=SECOND
    )


def played(kernel_global: KernelGlobal, *body: ir.Stmt) -> PlayedKernel:
    kernel = PlayedKernel(placed([every_second(*body)], kernel_globals=[kernel_global]))
    kernel.run.begin(0)
    kernel.run.release()
    return kernel


def tick(kernel: PlayedKernel) -> None:
    """A second goes by."""
    kernel.run._run(kernel.run._tasks[1])


def show(array: str) -> ir.Stmt:
    pieces = (ir.Piece("", "d"), ir.Piece("="), ir.Piece("", "d"), ir.Piece(" "))
    entry = (ir.Local("k"), ir.Element(array, (ir.Local("k"),)))
    return ir.Foreach("", ("k",), array, (), 1, "", False, None, (ir.Print(1, pieces, entry),))


def meanwhile(kernel: PlayedKernel, *additions: tuple[int, int]) -> None:
    """Add to counts between the next snapshot and the change that follows it."""

    def add() -> None:
        for key, value in additions:
            kernel.add("counts", (key,), value)

    kernel.between.append(add)


def shown(kernel: PlayedKernel) -> dict[object, object]:
    name = kernel.run.outputs.names[0]
    kernel.collect([f"g_{name}"])
    frame = kernel.run.outputs.frame(name)
    return frame["value" if "value" in frame else "count"].to_dict()


def test_a_handler_that_only_reads_costs_one_snapshot_and_no_change() -> None:
    kernel = played(added(COUNTS), show("counts"))
    kernel.add("counts", (7,), 3)
    kernel.add("counts", (8,), 4)
    kernel.asked.clear()
    tick(kernel)
    assert kernel.run.outputs.printed() == "7=3 8=4 "
    assert kernel.asked == []  # the snapshot is read by collect()
    assert list(kernel.run.outputs.frame("counts").index.names) == ["pid"]


def test_what_is_added_while_an_array_is_deleted_belongs_to_the_next_interval() -> None:
    kernel = played(added(COUNTS), show("counts"), ir.Delete(ir.Element("counts", ())))
    kernel.add("counts", (7,), 1000)
    # Between the snapshot and the deletion: more of what is known, and something new.
    meanwhile(kernel, (7, 8), (9, 1))
    tick(kernel)
    assert kernel.maps["g_counts"] == {}
    assert shown(kernel) == {7: 8, 9: 1}
    kernel.add("counts", (7,), 2)
    tick(kernel)
    assert kernel.run.outputs.printed() == "7=1000 7=10 9=1 "
    assert shown(kernel) == {}


def test_one_entry_is_deleted_and_the_others_stay() -> None:
    kernel = played(added(COUNTS), ir.Delete(ir.Element("counts", (Number(7),))))
    kernel.add("counts", (7,), 5)
    kernel.add("counts", (8,), 6)
    meanwhile(kernel, (7, 1), (8, 1))
    tick(kernel)
    assert shown(kernel) == {8: 7, 7: 1}


def test_what_a_handler_sets_is_kept_on_top_of_what_the_kernel_adds() -> None:
    target = ir.Element("counts", (Number(7),))
    kernel = played(added(COUNTS), ir.Evaluate(ir.Assign(target, "", Number(100))))
    kernel.add("counts", (7,), 5)
    kernel.add("counts", (7,), 1)
    tick(kernel)
    assert shown(kernel) == {7: 100}
    kernel.add("counts", (7,), 3)
    assert shown(kernel) == {7: 103}


def test_statistics_lose_no_count_and_no_sum_when_they_are_deleted() -> None:
    kernel = played(added(SIZES), ir.Delete(ir.Element("sizes", ())))
    kernel.accumulate("sizes", (1,), 10, cpu=0)
    kernel.accumulate("sizes", (1,), -4, cpu=1)
    kernel.collect(["g_sizes"])
    row = kernel.run.outputs.frame("sizes").loc[1].to_dict()
    assert row == {"count": 2, "sum": 6, "min": -4, "max": 10, "avg": 3}
    kernel.between.append(lambda: kernel.accumulate("sizes", (1,), 7))
    tick(kernel)
    kernel.accumulate("sizes", (1,), 1)
    kernel.collect(["g_sizes"])
    row = kernel.run.outputs.frame("sizes").loc[1].to_dict()
    assert (row["count"], row["sum"]) == (2, 8)


def test_a_scalar_is_deleted_without_being_written() -> None:
    kernel = played(added(TOTAL), ir.Delete(ir.Global("total")))
    assert shown(kernel) == {0: 5}  # what the script says it begins with
    kernel.add("total", (), 37)
    tick(kernel)
    assert kernel.maps["g_total"][bytes(4)] == struct.pack("<q", 42)
    assert shown(kernel) == {0: 5}
    kernel.add("total", (), 3)
    assert shown(kernel) == {0: 8}


def test_what_the_kernel_reads_is_written_there_by_key() -> None:
    target = ir.Element("counts", (Number(7),))
    body = (ir.Evaluate(ir.Step(target, 1, False)), ir.Delete(ir.Element("counts", (Number(8),))))
    kernel = played(changed(COUNTS), *body)
    kernel.add("counts", (7,), 5)
    kernel.add("counts", (8,), 6)
    kernel.add("counts", (9,), 7)
    tick(kernel)
    assert shown(kernel) == {7: 6, 9: 7}
    assert struct.pack("<q", 8) not in kernel.maps["g_counts"]


def test_statistics_of_all_cpus_are_read_as_one_and_written_as_one() -> None:
    variable = ir.GlobalVariable(
        name="s",
        type=Type.STATISTICS,
        histograms=(HistogramShape(), HistogramShape(0, 20, 10)),
        variance=True,
    )
    codec = Codec(KernelGlobal(variable, (), LONG), CPUS, lambda name, number: "")
    wanted = Statistics(variable.histograms)
    for value in (1, -1, 0, 5, 2**40, 25):
        wanted.add(value)
    data = codec.encode_value(wanted)
    # 4 numbers, the squares in two words, 128 buckets and 2 + 3 of the linear histogram; per CPU.
    assert len(data) == CPUS * 8 * (4 + 2 + 128 + 5)
    words = struct.unpack(f"<{len(data) // 8}q", data)
    assert words[:4] == (6, 2**40 + 30, -1, 2**40)
    assert words[4:6] == struct.unpack("<2q", (2**80 + 625 + 25 + 1 + 1).to_bytes(16, "little"))
    assert [words[6 + bucket] for bucket in (63, 64, 65, 67, 69, 105)] == [1] * 6


def test_keys_that_are_strings_fill_their_slots() -> None:
    variable = ir.GlobalVariable(name="a", type=Type.LONG, keys=(Type.STRING, Type.LONG))
    codec = Codec(KernelGlobal(variable, (NAME, LONG), LONG), CPUS, lambda name, number: "")
    assert codec.encode_key(("bash", -1)) == b"bash" + bytes(12) + b"\xff" * 8
    assert codec.encode_key(("x" * 40, 0))[:16] == b"x" * 15 + b"\0"


def test_a_string_that_is_a_number_in_the_kernel_finds_its_way_back() -> None:
    variable = ir.GlobalVariable(name="a", type=Type.LONG, keys=(Type.STRING,))
    codec = Codec(
        KernelGlobal(variable, (Shape(text=True, symbol="symname"),), LONG), CPUS, lambda name, n: f"f{n}"
    )
    entries = codec.decode({"g_a": MapSnapshot(struct.pack("<q", 77), struct.pack("<q", 3), 8, 1)})
    assert entries == {("f77",): 3}
    assert codec.encode_key(("f77",)) == struct.pack("<q", 77)


def emptied(kernel: PlayedKernel) -> None:
    """What the agent does before a script begins anew."""
    for name in kernel.run.outputs.emptied:
        is_array = bytes(4) in kernel.maps[name]
        kernel.maps[name] = {bytes(4): bytes(8)} if is_array else {}


def test_what_a_handler_had_set_is_forgotten_on_both_sides() -> None:
    target = ir.Element("counts", (Number(7),))
    kernel = played(added(COUNTS), ir.Evaluate(ir.Assign(target, "", Number(100))))
    kernel.add("counts", (7,), 5)
    tick(kernel)
    kernel.add("counts", (8,), 3)
    emptied(kernel)
    kernel.run.begin_anew()
    assert shown(kernel) == {}
    kernel.add("counts", (7,), 2)
    assert shown(kernel) == {7: 2}


def test_a_number_in_the_kernel_gets_its_first_value_again() -> None:
    kernel = played(changed(TOTAL), ir.Evaluate(ir.Assign(ir.Global("total"), "", Number(77))))
    tick(kernel)
    assert shown(kernel) == {0: 77}
    emptied(kernel)
    kernel.run.begin_anew()
    assert shown(kernel) == {0: 5}


def test_a_timer_of_a_paused_script_waits() -> None:
    counter = ir.GlobalVariable(name="ticks", type=Type.LONG, initial=0)
    often = ir.Handler(
        number=1,
        event=Event.TIMER,
        name="timer.ns(1)",
        body=(ir.Evaluate(ir.Assign(ir.Global("ticks"), "", Number(1))),),
        period_ns=1,
    )
    kernel = PlayedKernel(placed([often], user_globals=[counter]))
    kernel.run.begin(0)
    kernel.run.release()
    kernel.run.pause()
    kernel.run.run()
    assert kernel.run.idle_s == float("inf")
    assert kernel.run.outputs.frame("ticks")["value"].tolist() == [0]
    kernel.run.resume()
    kernel.run.run()
    assert kernel.run.outputs.frame("ticks")["value"].tolist() == [1]
