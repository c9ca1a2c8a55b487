from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.widgets.panel import Panel
from ktrace_nb.widgets.rows import columns_of
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.table import TableView, table_html, table_text
from ktrace_nb.widgets.table_changes import changes
from ktrace_nb.widgets.table_state import LONGEST_TEXT, Wishes, Writer, choose, shares, table_state, write
from tests.widgets.synthetic import Synthetic
from tests.widgets.tables import EVIL, Cells, view_of


class Page:
    """A page that keeps the state of a table as ``table_body.js`` does."""

    def __init__(self, table: TableView) -> None:
        self.table = table
        self.state = json.loads(json.dumps(table.table))
        self.sent: list[Mapping[str, Any]] = []
        self.whole = 0
        table.send = self.take
        table.observe(self.reset, "table")

    def take(self, message: Mapping[str, Any], buffers: object = None) -> None:
        message = json.loads(json.dumps(message))
        self.sent.append(message)
        assert message["version"] == self.state["version"] + 1
        for row, column, *cell in message.get("cells", []):
            for name, value in zip(("rows", "exact", "bars"), cell, strict=True):
                self.state[name][row][column] = value
        self.state |= message.get("set", {})
        self.state["version"] = message["version"]

    def reset(self, change: Mapping[str, Any]) -> None:
        self.whole += 1
        self.state = json.loads(json.dumps(change["new"]))


def test_numbers_are_humanised_and_their_digits_sent_besides() -> None:
    view = Synthetic().view("by process", 3)
    state = table_state(view, Wishes(sort="bytes"))
    assert state["rows"][0] == ["<img src=x onerror=alert(1)>", "1039", "16.0 EiB", "58.5 µs"]
    assert state["exact"][0] == [None, None, "18446744073709551615", "58.5"]
    assert state["numeric"] == [False, True, True, True]
    assert state["foot"] == "40 rows, 20 more rows not shown"
    exact = table_state(view, Wishes(sort="bytes", exact=True))
    assert exact["rows"][0][1:] == ["1039", "18,446,744,073,709,551,615", "58.5"]
    assert exact["exact"][0] == [None] * 4
    assert table_state(view, Wishes(sort="comm", descending=False))["rows"][0][0].startswith("<img")
    assert [row[1] for row in table_state(view, Wishes())["rows"]] == [str(1000 + n) for n in range(20)]


def test_bars_are_shares_of_the_largest_value_shown() -> None:
    assert shares([200, 100, 1, 0, -50]) == [100, 50, 1, 0, 0]
    assert shares([2**64 - 1, 2**63, 1]) == [100, 50, 1]
    assert shares([math.nan, None, pd.NA, 5.0]) == [0, 0, 0, 100]
    assert shares([math.inf, 4, 2, -math.inf]) == [100, 100, 50, 0]
    assert shares([0, 0]) == [0, 0]
    assert shares([-1, -2]) == [0, 0]
    assert shares([]) == []


def test_only_what_says_how_much_has_a_bar() -> None:
    frame = pd.DataFrame({"comm": ["a"], "pid": [7], "bytes": [5], "calls": [3]})
    frame.index = pd.Index([9], name="n")
    for bars, expected in (("sorted", ["bytes"]), ("all", ["bytes", "calls"]), ("none", [])):
        state = table_state(view_of(frame), Wishes(sort="bytes", bars=bars))  # type: ignore[arg-type]
        assert [name for name, bar in zip(state["names"], state["barred"], strict=True) if bar] == expected
    assert not any(table_state(view_of(frame), Wishes(sort="pid"))["barred"])


def test_what_a_page_asks_for_is_taken_and_nonsense_is_not() -> None:
    wishes = Wishes(sort="bytes")
    asked = {"sort": "pid", "descending": False, "limit": 50, "words": "x", "bars": "all", "rates": False}
    assert wishes.changed_by(asked) == Wishes(
        sort="pid", descending=False, limit=50, words="x", bars="all", rates=False
    )
    nonsense = {"sort": 3, "descending": "no", "limit": 10**9, "words": None, "bars": "x", "exact": 1}
    assert wishes.changed_by(nonsense) == wishes
    assert wishes.changed_by({"limit": [1]}) == wishes


grids = st.lists(st.lists(st.sampled_from("abc"), min_size=3, max_size=3), min_size=1, max_size=5)


def grid_state(rows: Sequence[Sequence[str]], foot: str) -> dict[str, Any]:
    heads = {name: ["x"] * 3 for name in ("names", "keys", "numeric", "units", "plain", "barred")}
    zeros = [[0] * 3 for _ in rows]
    return {**heads, "rows": [*map(list, rows)], "exact": zeros, "bars": zeros, "foot": foot}


@given(grids, grids, st.sampled_from(["f", "g"]))
def test_changes_make_the_new_state_of_the_old_one(
    old: list[list[str]], new: list[list[str]], foot: str
) -> None:
    before, after = grid_state(old, "f"), grid_state(new, foot)
    patch = changes(before, after)
    if len(old) != len(new):
        assert patch is None
        return
    differ = sum(a != b for one, other in zip(old, new, strict=True) for a, b in zip(one, other, strict=True))
    if patch is None:
        assert differ > len(old) * 3 / 2
        return
    assert len(patch.get("cells", [])) == differ
    for row, column, text, _, _ in patch.get("cells", []):
        old[row][column] = text
    assert old == new
    assert patch.get("set", {}) == ({"foot": "g"} if foot == "g" else {})


def test_a_live_table_sends_what_changed_and_its_trait_is_up_to_date() -> None:
    source = Synthetic(hertz=0)
    table = TableView(source.view("by process", 400), lambda: None)
    page = Page(table)
    for age in range(401, 430):
        view = source.view("by process", age)
        assert table.update(view)
        assert page.state == json.loads(json.dumps(table.table))
        assert page.state["rows"] == table_state(view, Wishes(sort="bytes"))["rows"]
    assert len(page.sent) >= 25
    assert all(len(json.dumps(message)) < len(json.dumps(table.table)) / 2 for message in page.sent)
    table.close()


def test_an_unchanged_frame_sends_nothing() -> None:
    view = Synthetic().view("by process", 4)
    table = TableView(view, lambda: None)
    page = Page(table)
    assert not table.update(view)
    assert (page.sent, page.whole) == ([], 0)
    assert not table.stale
    table.close()


def test_a_page_that_missed_something_gets_everything() -> None:
    view = Synthetic().view("by process", 4)
    calls: list[int] = []
    table = TableView(view, lambda: calls.append(1))
    states: list[object] = []
    table.send_state = lambda key=None: states.append(key)
    table.receive({"have": table.table["version"]})
    assert (calls, table.stale) == ([], False)
    table.receive({"have": 17})
    assert (calls, table.stale) == ([1], True)
    assert table.update(view)
    assert states == ["table"]
    assert not table.stale
    table.close()


def test_a_page_that_missed_something_gets_everything_while_rows_change() -> None:
    source = Synthetic(hertz=0)
    table = TableView(source.view("by process", 400), lambda: None)
    page = Page(table)
    table.send = lambda message, buffers=None: None  # this one is lost on the page
    assert table.update(source.view("by process", 401))
    assert page.state["version"] < table.table["version"]
    table.send = page.take
    # It sees by the next one, or by its first question, that it missed one.
    table.receive({"have": page.state["version"]})
    assert table.update(source.view("by process", 402))
    assert page.state == json.loads(json.dumps(table.table))
    assert (page.sent, page.whole) == ([], 1)
    # Once, and then only what changes.
    assert table.update(source.view("by process", 403))
    assert page.state == json.loads(json.dumps(table.table))
    assert (len(page.sent), page.whole) == (1, 1)
    table.close()


def test_a_wish_that_comes_twice_is_drawn_once() -> None:
    view = Synthetic().view("by process", 4)
    calls: list[int] = []
    table = TableView(view, lambda: calls.append(1))
    for drawn in (True, False):
        table.receive({"sort": "pid", "descending": False})
        assert table.update(view) == drawn
    assert calls == [1]
    assert table.table["rows"][0][1] == "1000"
    table.close()


def test_a_filter_is_applied_to_the_whole_frame() -> None:
    view = Synthetic().view("by process", 4)
    table = TableView(view, lambda: None)
    table.receive({"words": "proc-0 mean_us>3us"})
    assert table.update(view)
    assert [row[0] for row in table.table["rows"]] == [f"proc-0{n}" for n in range(9, 2, -1)]
    assert table.table["foot"] == "7 of 40 rows"
    table.receive({"words": "proc"})
    table.update(view)
    assert table.table["foot"] == "39 of 40 rows, 19 more rows not shown"
    table.receive({"words": f"colour{EVIL}=1"})
    table.update(view)
    assert table.table["foot"] == "40 rows, 20 more rows not shown"
    assert "\x1b" not in table.table["hint"]
    table.close()


def numbers_of(table: TableView, *firsts: str) -> list[int]:
    """The numbers by which the page knows rows, by their first cells."""
    return [
        number
        for number, row in zip(table.table["ids"], table.table["rows"], strict=True)
        if row[0] in firsts
    ]


def test_picked_rows_are_told_by_their_labels_wherever_they_are_by_then() -> None:
    frame = pd.DataFrame({"comm": list("abc"), "n": [3, 2, 1]}, index=["x", "y", "z"])
    picks: list[list[Any]] = []
    given = {"options": {"sort": "n"}, "pick": lambda labels: picks.append(list(labels))}
    table = TableView(view_of(frame, **given), lambda: None)
    clicked = numbers_of(table, "a")
    table.update(view_of(frame.assign(n=[0, 2, 1]), **given))
    assert [row[0] for row in table.table["rows"]] == ["b", "c", "a"]
    table.receive({"pick": clicked, "keep": False})
    table.receive({"pick": [*clicked, 999, "no"], "keep": False})
    assert picks == [["x"], ["x"]]
    table.receive({"pick": []})
    assert picks[-1] == []
    table.close()


def test_rows_that_are_marked_are_picked_wherever_that_was_done() -> None:
    frame = pd.DataFrame({"n": range(30)}, index=pd.RangeIndex(100, 130))
    marks = np.zeros(30, dtype=bool)
    marks[[2, 3, 25, 26]] = True
    picks: list[list[Any]] = []
    view = view_of(frame, marks=marks, pick=lambda labels: picks.append(list(labels)))
    table = TableView(view, lambda: None)
    assert table.table["picked"] == [2, 3]
    assert table.table["foot"] == "30 rows, 10 more rows not shown · 2 picked · 2 picked rows not shown"
    # One more is picked: those that are not shown stay picked.
    table.receive({"pick": [table.table["ids"][row] for row in (2, 3, 7)], "keep": True})
    assert sorted(picks[-1]) == [102, 103, 107, 125, 126]
    table.close()


def test_where_nobody_listens_rows_are_picked_for_copying_all_the_same() -> None:
    view = Synthetic().view("by process", 4)
    table = TableView(view, lambda: None)
    ids = table.table["ids"]
    table.receive({"pick": ids[:2]})
    assert table.stale
    assert table.update(view)
    assert table.table["picked"] == [0, 1]
    table.receive({"words": "proc-37"})
    table.update(view)
    assert table.table["foot"] == "1 of 40 rows · 2 picked rows not shown"
    table.receive({"pick": table.table["ids"], "keep": True})
    table.update(view)
    assert table.table["foot"] == "1 of 40 rows · 1 picked · 2 picked rows not shown"
    table.close()


def is_stale(table: TableView) -> bool:
    return table.stale


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_rates_and_new_rows_are_told_while_it_runs_and_not_after() -> None:
    clock = Clock()
    over: list[bool] = []

    def at(step: int) -> ViewData:
        names = ["a", "b"] + ["new"] * (step > 2)
        frame = pd.DataFrame(
            {"bytes": [2048 * step, 10, 9][: len(names)]}, index=pd.Index(names, name="comm")
        )
        return view_of(frame, generation=step, options={"sort": "bytes"})

    table = TableView(at(0), lambda: None, lambda: not over, clock=clock)
    assert table.table["rates"] == []
    for step in (1, 2):
        clock.now += 1
        table.update(at(step))
    assert table.table["rates"] == ["+2.00 KiB/s", ""]
    clock.now += 1
    table.update(at(3))
    assert (table.table["rates"], table.table["fresh"]) == (["+2.00 KiB/s", "", ""], [2])
    assert not is_stale(table)
    clock.now += 1
    # Nothing comes any more: what was told a second ago is no longer so.
    assert is_stale(table)
    table.update(at(3))
    assert (table.table["rates"], table.table["fresh"]) == (["", "", ""], [])
    assert not is_stale(table)
    clock.now += 1
    table.update(at(4))
    assert table.table["rates"] == ["+2.00 KiB/s", "", ""]
    over.append(True)
    assert is_stale(table)
    table.update(at(4))
    assert table.table["rates"] == []
    assert not is_stale(table)
    table.close()


class Counted(Synthetic):
    """Processes of which one more comes at every look."""

    def generation(self) -> int:
        return self.age

    def view(self, name: str, age: int) -> ViewData:
        frame = pd.DataFrame({"pid": range(age), "bytes": range(1000 * age, 1001 * age)})
        return view_of(frame, name=name, generation=age, options={"sort": "bytes"})


def test_a_panel_tells_no_rates_of_a_trace_that_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ktrace_nb.widgets.rates.LOOK_S", 0.0)
    source = Counted(["by process"], age=3)
    panel = Panel(source)
    assert panel.widget
    for age in (4, 5):
        source.age = age
        panel.finish()  # draws, whether it is over or not
    table = panel.shown("by process")
    assert isinstance(table, TableView)
    assert any(table.table["rates"])
    assert table.table["fresh"]
    # Not one row more: what is drawn last differs only in that it is the last.
    source.request_stop()
    panel.finish()
    assert (table.table["rates"], table.table["fresh"]) == ([], [])
    panel.close()


def test_rates_of_which_none_is_known_leave_no_gap_when_it_is_over() -> None:
    clock = Clock()
    over: list[bool] = []
    source = Synthetic()
    table = TableView(source.view("by process", 4), lambda: None, lambda: not over, clock=clock)
    for age in (5, 6, 6, 6):
        clock.now += 1
        table.update(source.view("by process", age))
    assert table.table["rates"] == [""] * 20
    assert not is_stale(table)
    over.append(True)
    assert is_stale(table)
    table.update(source.view("by process", 6))
    assert table.table["rates"] == []
    table.close()


def test_a_column_whose_values_stay_is_written_anew_where_they_only_look_equal() -> None:
    writer = Writer()
    (column,) = columns_of(pd.DataFrame({"n": [1]}))
    for values in ([1, 2], [1.0, 2.5], [True, 2], [1, None], [1, pd.NA], [pd.NA, pd.NA], [1, 2]):
        for exact in (False, True, False):
            assert writer.write(column, values, exact=exact) == write(column, values, exact=exact)


def test_rates_can_be_done_without() -> None:
    clock = Clock()
    table = TableView(Synthetic().view("by process", 4), lambda: None, lambda: True, clock=clock)
    table.receive({"rates": False})
    for age in (5, 6, 7):
        clock.now += 1
        table.update(Synthetic().view("by process", age))
    assert table.table["rates"] == []
    table.close()


def test_a_dear_table_rests_while_it_runs_but_not_if_somebody_asks() -> None:
    clock, spent = Clock(), iter(range(1000))
    over: list[bool] = []
    source = Synthetic()
    # Each drawing costs a second by this clock.
    table = TableView(
        source.view("by process", 1), lambda: None, lambda: not over, clock=clock, spent=lambda: next(spent)
    )
    assert table.update(source.view("by process", 2))
    clock.now += 10
    assert not table.update(source.view("by process", 3))
    assert is_stale(table)
    table.receive({"limit": 10})
    assert table.update(source.view("by process", 3))
    assert len(table.table["rows"]) == 10
    assert not table.update(source.view("by process", 4))
    clock.now += 21
    assert table.update(source.view("by process", 4))
    assert not table.update(source.view("by process", 5))
    over.append(True)
    assert is_stale(table)
    assert table.update(source.view("by process", 5))
    assert (
        table.table["rows"]
        == table_state(source.view("by process", 5), Wishes(sort="bytes", limit=10))["rows"]
    )
    table.close()


def test_the_picture_that_stays_has_every_digit_in_its_tooltips_and_the_text_in_plain() -> None:
    view = Synthetic().view("by process", 3)
    page = Cells(table_html(view))
    assert "16.0 EiB" in page.texts
    assert "18,446,744,073,709,551,615 bytes" in page.titles
    assert "58.5 µs" in page.titles
    assert "… 20 more rows" in page.texts
    text = table_text(view)
    assert "18,446,744,073,709,551,615" in text
    assert text.endswith("... 20 more rows")


def test_long_cells_are_cut_on_the_page_and_copied_whole() -> None:
    state = table_state(view_of(pd.DataFrame({"args": ["x" * 1000]})), Wishes())
    assert len(state["rows"][0][0]) == LONGEST_TEXT
    assert state["exact"][0][0] == "x" * 1000


def test_two_columns_of_one_name_sort_each_by_itself() -> None:
    frame = pd.DataFrame([[1, 9], [2, 8]], columns=["n", "n"])
    state = table_state(view_of(frame), Wishes(sort="n (2)"))
    assert state["names"] == ["n", "n"]
    assert state["rows"] == [["1", "9"], ["2", "8"]]
    assert table_state(view_of(frame), Wishes(sort="n"))["rows"] == [["2", "8"], ["1", "9"]]


def test_the_rows_of_a_million_are_those_pandas_finds() -> None:
    count = 1_000_000
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "comm": pd.Categorical([f"proc-{n % 1000}" for n in range(count)]),
            "pid": np.arange(count),
            "bytes": rng.integers(0, 2**64 - 1, count, dtype=np.uint64),
        }
    )
    wishes = Wishes(sort="bytes", limit=50)
    expected = frame.sort_values("bytes", ascending=False, kind="stable")["pid"].head(50)
    assert choose(frame, wishes).values[1] == expected.tolist()
    view = view_of(frame, options={"sort": "bytes"})
    table = TableView(view, lambda: None)
    table.receive({"words": "proc-99 bytes>=8EiB", "limit": 50})
    table.update(view)
    kept = frame[frame["comm"].astype(str).str.contains("proc-99") & (frame["bytes"] >= np.uint64(2**63))]
    assert table.table["foot"].startswith(f"{len(kept):,} of 1,000,000 rows")
    shown = [int(row[1]) for row in table.table["rows"]]
    assert shown == kept.sort_values("bytes", ascending=False)["pid"].head(50).tolist()
    table.close()
