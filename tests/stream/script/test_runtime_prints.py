"""Text and rows of what a script prints."""

from __future__ import annotations

import pytest

from ktrace_nb.ir import script as ir
from ktrace_nb.ir.script import LONG, Event, Type
from ktrace_nb.stream.script import prints
from ktrace_nb.stream.script.prints import Site, TextSink, sites_of
from tests.stream.script.kit_runtime import placed


def test_lines_may_come_in_pieces() -> None:
    sink = TextSink()
    for piece in ("a", "b\nc", "", "d\n\n", "e"):
        sink.write(piece)
    assert sink.lines == ["ab", "cd", ""]
    assert (sink.printed, sink.text()) == (3, "ab\ncd\n\ne")


def test_bytes_become_text_where_a_character_came_in_two_pieces() -> None:
    sink = TextSink()
    sink.write("caf\u00c3")
    sink.write("\u00a9\n")
    assert sink.text() == "caf\u00e9\n"


def test_the_oldest_lines_go_and_all_are_counted() -> None:
    sink = TextSink(most=100)
    for number in range(1009):
        sink.write(f"{number}\n")
    assert sink.printed == 1009
    assert 100 <= len(sink.lines) <= 125
    assert sink.lines[-1] == "1008"


def test_rows_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prints, "KEEP_ROWS", 5000)
    site = Site("vfs_read", ["who", "size"], [True, False])
    for number in range(6007):
        site.add((f"task{number % 3}", number))
    frame = site.frame()
    assert (site.arrived, site.kept, site.not_kept) == (6007, 5000, 1007)
    assert frame["size"].tolist() == list(range(5000))
    assert frame["who"].astype(str).tolist()[:4] == ["task0", "task1", "task2", "task0"]
    assert len(frame["who"].cat.categories) == 3


def test_earlier_frames_stay_as_they_were() -> None:
    site = Site("x", ["n"], [False])
    site.add((1,))
    before = site.frame()
    site.add((2,))
    assert (before["n"].tolist(), site.frame()["n"].tolist()) == ([1], [1, 2])


@pytest.mark.parametrize(
    ("point", "name"),
    [
        ("begin", "begin"),
        ("timer.s(5)", "timer_s_5"),
        ('kernel.function("vfs_read@fs/read_write.c:552").call', "vfs_read"),
        ('kernel.function("vfs_read").return', "vfs_read_return"),
        ("syscall.openat", "syscall_openat"),
        ('kernel.trace("sched:sched_switch")', "sched_sched_switch"),
    ],
)
def test_a_table_is_named_after_its_probe(point: str, name: str) -> None:
    value = ir.Captured(0)
    body = (ir.Print(1, (ir.Piece("", "d"),), (value,), ("n",)), ir.Print(2, (ir.Piece("text"),), ()))
    handler = ir.Handler(number=1, event=Event.BEGIN, name=point, body=body)
    (site,) = sites_of(placed([handler]), ()).values()
    assert (site.name, site.columns) == (name, ("n",))
    (site,) = sites_of(placed([handler]), {name}).values()
    assert site.name == f"{name}_2"


def test_columns_of_one_name_are_told_apart() -> None:
    text = ir.Text("x", type=Type.STRING)
    values = (ir.Captured(0), ir.Captured(0), text)
    body = (ir.Print(1, (), values, ("n", "n", "")),)
    record = ir.Record(1, 100, (LONG,), body)
    (site,) = sites_of(placed(records=[record]), ()).values()
    assert (site.name, site.columns) == ("vfs_read", ("n", "n_2", "value"))
