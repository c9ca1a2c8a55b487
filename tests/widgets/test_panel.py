from __future__ import annotations

import time
from typing import Any

import comm
import pandas as pd
import pytest

from ktrace_nb.stream.histogram import log2_hist
from ktrace_nb.widgets import Panel, ViewData, direct
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
    monkeypatch.setattr(panel_module, "SAVE_S", 0)
    monkeypatch.setattr(panel_module, "SAVE_REST", 0)
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
