from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import comm
import pandas as pd
import pytest

from ktrace_nb.stream.histogram import log2_hist
from ktrace_nb.widgets import Panel, PanelStatus, ViewData, direct, keeping, table
from ktrace_nb.widgets import panel as panel_module
from ktrace_nb.widgets.console import TextView, new_lines
from ktrace_nb.widgets.header import Header
from ktrace_nb.widgets.histogram import HistogramView
from ktrace_nb.widgets.table import TableView
from tests.widgets.synthetic import BEYOND_INT32, Synthetic


def models() -> int:
    """How many widget models the kernel holds."""
    return len(comm.get_comm_manager().comms)


def part(panel: Panel, kind: type[Any]) -> Any:
    (found,) = (child for child in panel.widget.children if isinstance(child, kind))
    return found


def test_a_panel_leaves_no_models_behind_when_it_closes() -> None:
    before = models()
    panel = Panel(Synthetic(age=10, hertz=0))
    assert panel.widget is panel.widget
    assert models() > before + 10
    panel.close()
    assert models() == before
    panel.close()  # the session closes it, and the cell that is run again
    assert models() == before


def test_bars_carry_counts_beyond_31_bits() -> None:
    panel = Panel(Synthetic(["large"], hertz=0))
    figure = part(panel, HistogramView).children[1]
    bars = figure.marks[0]
    assert bars.y.dtype == "float64"
    assert sorted(bars.y[bars.y > 0].tolist()) == [2**31, BEYOND_INT32]
    assert figure.axes[0].label == "bytes (1K = 1024)"
    panel.close()


def test_a_click_sorts_a_table_of_the_same_generation_anew() -> None:
    source = Synthetic(["by process"], hertz=0, age=5, seconds=0)
    panel = Panel(source)
    table = part(panel, TableView)
    assert table.table["rows"][0][1] == "1039"
    assert direct.deliver({"address": table.address, "data": {"sort": "pid", "descending": False}})
    deadline = time.monotonic() + 3
    while table.table["sort"] != "pid" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [row[1] for row in table.table["rows"][:2]] == ["1000", "1001"]
    panel.close()
    assert not direct.deliver({"address": table.address, "data": {"sort": "comm"}})


def test_a_view_of_the_same_generation_is_not_drawn_again() -> None:
    source = Synthetic(["latency"], hertz=0, age=5)
    panel = Panel(source)
    bars = part(panel, HistogramView).children[1].marks[0]
    drawn: list[object] = []
    bars.observe(drawn.append, "y")
    panel.finish()
    assert drawn == []
    source.age = 6
    panel.finish()
    assert len(drawn) == 1
    panel.close()


class Keyed(Synthetic):
    """A histogram whose number of keys can be set."""

    keys = 3

    def view_data(self) -> list[ViewData]:
        devices = [f"disk{number}" for number in range(self.keys)]
        frame = log2_hist([9] * self.keys, range(1, self.keys + 1), keys={"device": devices})
        return [ViewData(name="h", kind="histogram", frame=frame, generation=self.keys)]


def test_charts_come_and_go_with_their_keys_and_leave_nothing_behind() -> None:
    before = models()
    source = Keyed(hertz=0)
    panel = Panel(source)
    view = part(panel, HistogramView)
    for keys, figures in ((3, 3), (9, 6), (1, 1), (0, 0), (2, 2)):
        source.keys = keys
        panel.finish()
        _, *drawn, note = view.children
        assert len(drawn) == figures
        assert ("nothing counted yet" in note.value, "3 more not drawn" in note.value) == (
            not keys,
            keys == 9,
        )
        assert [figure.axes[0].visible for figure in drawn] == [False] * (figures - 1) + [True] * bool(
            figures
        )
    panel.close()
    assert models() == before


def test_a_page_s_stop_reaches_the_trace() -> None:
    source = Synthetic(["latency"])
    panel = Panel(source)
    assert panel.widget is not None
    assert direct.deliver({"address": panel.address, "data": {"stop": True}})
    assert source.over
    panel.close()


@pytest.mark.parametrize(
    "message", [{}, {"ack": "x"}, {"ack": None}, {"view": 3, "bye": 1}, {"ack": -1, "view": "v"}]
)
def test_a_message_that_makes_no_sense_is_ignored(message: dict[str, object]) -> None:
    panel = Panel(Synthetic(["latency"]))
    panel.receive(message)
    panel.close()


def test_only_new_lines_are_sent() -> None:
    frame = pd.DataFrame({"text": ["a", "b\x1b", "c\td"]}, index=[7, 8, 9])
    assert new_lines(frame, -1) == (["a", "b\\x1b", "c       d"], 9)
    assert new_lines(frame, 8) == (["c       d"], 9)
    assert new_lines(frame, 9) == ([], 9)
    assert new_lines(frame, -1, most=2)[0] == ["b\\x1b", "c       d"]
    assert new_lines(frame.head(0), 9) == ([], 9)


def test_a_page_that_comes_late_gets_the_latest_lines_once() -> None:
    view = Synthetic().view("printed", 1200)
    calls: list[int] = []
    text = TextView(view, lambda: calls.append(1))
    sent: list[Any] = []
    text.send = lambda content, buffers=None: sent.append(content)
    assert text.update(view)
    assert not text.update(view)
    text.receive({"resend": True})
    assert (calls, text.stale) == ([1], True)
    assert text.update(view)
    assert not text.stale
    assert [len(message["lines"]) for message in sent] == [1000, 1000]
    assert [message["fresh"] for message in sent] == [False, True]
    assert [message["before"] for message in sent] == [200, 200]
    text.close()


def test_a_picture_is_kept_now_and_then_and_the_final_one_once(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Synthetic(["latency"], hertz=0, age=9)
    saved: list[dict[str, str]] = []
    panel = Panel(source, saved=saved.append)
    panel.finish()
    assert saved == []
    monkeypatch.setattr(keeping, "SAVE_S", 0)
    monkeypatch.setattr(keeping, "SAVE_REST", 0)
    panel.finish()
    assert "| running |" in saved[0]["text/plain"]
    source.request_stop()
    panel.finish()
    panel.finish()
    assert len(saved) == 2
    assert "done: stopped" in saved[1]["text/plain"]
    assert f'data-panel="{panel.address}"' in saved[1]["text/html"]
    panel.close()


class Broken(Synthetic):
    """A trace whose frames cannot be had any more."""

    broken = False

    def view_data(self) -> list[ViewData]:
        if self.broken:
            raise RuntimeError("no\x1bframe")
        return list(super().view_data())


def test_a_source_that_fails_is_told_in_the_panel_and_printed_nowhere(
    capfd: pytest.CaptureFixture[str],
) -> None:
    source = Broken(["latency"], hertz=50)
    panel = Panel(source)
    header = part(panel, Header)
    source.broken = True
    panel.receive({"view": "v", "hello": True, "direct": True})
    deadline = time.monotonic() + 3
    while header.state["state"] == "running" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert header.state["state"] == "failed"
    assert header.state["message"] == r"cannot be shown: RuntimeError: no\x1bframe"
    assert isinstance(panel.problem, RuntimeError)
    panel.close()
    assert capfd.readouterr() == ("", "")


def until(condition: Callable[[], bool], timeout_s: float = 30) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def answered(panel: Panel) -> list[int]:
    """Have a page that draws at once; the numbers of the ticks that reach it."""
    header = part(panel, Header)
    numbers: list[int] = []

    def draw(content: dict[str, Any], buffers: object = None) -> None:
        if "tick" in content:
            numbers.append(content["tick"])
            panel.receive({"view": "v", "ack": content["tick"], "direct": True})

    header.send = draw
    panel.receive({"view": "v", "hello": True, "direct": True})
    return numbers


def test_a_frame_that_is_replaced_after_its_picture_was_kept_is_in_the_next_one() -> None:
    view = table(pd.DataFrame({"n": [1111]}))
    panel = view._panel
    saved: list[str] = []
    panel.keep_with(lambda picture: saved.append(picture["text/plain"]))
    answered(panel)
    assert until(lambda: bool(saved))
    assert "1,111" in saved[-1]
    for number in (2222, 3333):
        view.update(pd.DataFrame({"n": [number]}))
        assert until(lambda number=number: f"{number:,}" in saved[-1])  # type: ignore[misc]
    view.close()


def test_rows_that_are_picked_when_a_trace_is_over_are_in_its_picture_without_a_picture_for_each_click() -> (
    None
):
    source = Keyed(hertz=0, seconds=0)
    saved: list[dict[str, str]] = []
    panel = Panel(source, saved=saved.append)
    answered(panel)
    assert until(lambda: len(saved) == 1)
    for keys in range(4, 54):
        source.keys = keys
        panel.finish()
    assert len(saved) < 50
    # Nobody calls finish() any more: the publisher does not end before the last one is kept.
    panel.refresh()
    assert until(lambda: "disk52" in saved[-1]["text/plain"])
    panel.close()


def test_a_tick_that_cannot_be_sent_does_not_end_the_panel() -> None:
    source = Synthetic(["latency"], hertz=50)
    panel = Panel(source)
    header = part(panel, Header)
    numbers = answered(panel)
    assert until(lambda: len(numbers) > 1)
    send = header.send
    failed: list[object] = []

    def fail_once(content: dict[str, Any], buffers: object = None) -> None:
        if not failed:
            failed.append(content)
            raise OSError("socket is closed")
        send(content, buffers)

    header.send = fail_once
    assert until(lambda: bool(failed))
    seen = len(numbers)
    assert until(lambda: len(numbers) > seen + 2)
    assert isinstance(panel.problem, OSError)
    panel.close()


class Counted(Synthetic):
    """Notes how often it was asked how it stands."""

    statuses = 0

    def status(self) -> PanelStatus:
        self.statuses += 1
        return super().status()


def test_an_update_asks_once_how_the_trace_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel_module, "LOOK_S", 3600)
    source = Counted(["by process"], hertz=0)
    panel = Panel(source)
    assert panel.widget is not None
    panel.finish()
    before = source.statuses
    for _ in range(20):
        source.age += 1
        panel._publish()
        assert panel._attentive()
    assert source.statuses - before == 20
    source.request_stop()
    panel.finish()
    assert not panel._attentive()
    panel.close()


class Passing(Synthetic):
    """A trace one view of which is there only at first."""

    gone = False

    def view_data(self) -> list[ViewData]:
        return list(super().view_data())[self.gone :]


def test_a_view_that_is_not_shown_any_more_leaves_nothing_behind_either() -> None:
    before = models()
    for name in ("latency", "by process", "printed"):
        source = Passing([name, "by cpu"], hertz=0, age=10)
        panel = Panel(source)
        assert len(panel.widget.children) == 3
        source.gone = True
        panel.finish()
        assert len(panel.widget.children) == 2
        panel.close()
    assert models() == before


def test_picked_rows_are_those_of_the_frame_that_is_shown_now() -> None:
    frame = pd.DataFrame({"n": [1, 2, 3]}, index=["a", "b", "c"])
    view = table(frame)
    view.select(["c", "a"])
    assert view.selected["n"].tolist() == [1, 3]
    view.select(["b"])
    assert view.selected["n"].tolist() == [2]
    frame.loc["d"] = 4  # it grows where it is
    view.select(["b", "d"])
    assert view.selected["n"].tolist() == [2, 4]
    view.update(pd.DataFrame({"n": [7, 8]}, index=["d", "e"]))
    assert view.selected["n"].tolist() == [7]
    view.close()
