"""The heat map without a page: what is laid out, sent, picked and drawn."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.stream.histogram import linear_hist, log2_hist
from ktrace_nb.stream.over_time import HeatHistory
from ktrace_nb.widgets import ViewData, heatmap
from ktrace_nb.widgets.heatgrid import MOST_COLUMNS, bounds_said, heat_grid, span_label
from ktrace_nb.widgets.heatmap import HeatmapView
from ktrace_nb.widgets.heatmap_picture import (
    heatmap_html,
    heatmap_svg,
    heatmap_text,
    rate_label,
    shades,
    time_ticks,
)
from tests.widgets.heat import Growing, bimodal, history_of, view_of

SVG = "{http://www.w3.org/2000/svg}"
HAND = history_of({1.0: {11: 10, 12: 3}, 2.0: {11: 15, 12: 3, 13: 2}, 4.0: {11: 15, 12: 7, 13: 2}})
EMPTY = HAND.iloc[:0]


class Page:
    """A view and what a page gets of it."""

    def __init__(self, view: ViewData) -> None:
        self.asked = 0
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []
        self.view = HeatmapView(view, self._changed)
        self.view.send = lambda message, buffers: self.sent.append((message, buffers))

    def _changed(self) -> None:
        self.asked += 1

    def update(self, view: ViewData) -> tuple[dict[str, Any], list[bytes]] | None:
        """What is sent of a view, None if nothing is."""
        before = len(self.sent)
        changed = self.view.update(view)
        assert changed == (len(self.sent) > before)
        assert len(self.sent) <= before + 1
        return self.sent[-1] if changed else None

    def join(self, view: ViewData) -> tuple[dict[str, Any], list[bytes]]:
        """A page comes."""
        self.view.receive({"have": [0, 0]})
        found = self.update(view)
        assert found is not None
        return found


def counts_of(buffer: bytes, rows: int) -> list[list[int]]:
    return np.frombuffer(buffer, "<u8").reshape(-1, rows).astype(object).tolist()


# --- rows and columns ---------------------------------------------------------------------


def test_rows_of_a_power_of_two_histogram_are_its_buckets_and_some_around() -> None:
    grid = heat_grid(view_of(HAND))
    # Buckets 11 to 13 and empty ones around them: 8 rows at least.
    assert grid.rows.lows == tuple(1 << n for n in range(8, 16))
    assert grid.rows.highs == tuple((2 << n) - 1 for n in range(8, 16))
    assert grid.edges.tolist() == [0, 1, 2, 4]
    assert grid.counts[:, 2:5].tolist() == [[10, 3, 0], [5, 0, 2], [0, 4, 0]]
    assert (grid.total, grid.counts.sum()) == (24, 24)
    assert grid.rows.label == "duration"
    labels = "500 ns,1 µs,2 µs,5 µs,10 µs,20 µs,50 µs"
    assert [tick.label for tick in grid.rows.ticks] == labels.split(",")
    # 1,000 ns is log2(1000) - 8 rows above the lower edge of the row from 256 on.
    assert {t.label: t.at for t in grid.rows.ticks}["1 µs"] == pytest.approx(np.log2(1000) - 8)


def test_rows_of_a_linear_histogram_are_few_enough_to_be_told_apart() -> None:
    frame = pd.concat(
        {1.0: linear_hist(np.arange(1000), np.ones(1000, int), step=3, start=-30)}, names=["at_s"]
    )
    grid = heat_grid(view_of(frame, scale="linear", unit="jobs"))
    assert len(grid.rows) == 50  # 1,000 buckets, 20 in a row
    assert (grid.rows.lows[0], grid.rows.highs[0], grid.rows.lows[1]) == (-30, 29, 30)
    assert grid.counts.tolist() == [[20] * 50]
    assert grid.rows.label == "jobs · 20 buckets per row"


@pytest.mark.parametrize("top", [2**62, 2**64 - 1])
def test_huge_linear_ranges_and_counts_stay_exact(top: int) -> None:
    frame = pd.concat(
        {1.0: linear_hist(*np.array([[0, top], [2**64 - 3, 1]], dtype=np.uint64))}, names=["at_s"]
    )
    grid = heat_grid(view_of(frame, scale="linear"))
    assert 4 <= len(grid.rows) <= 64
    assert grid.counts[0, 0] == 2**64 - 3
    assert grid.counts[0].astype(object).sum() == grid.total == 2**64 - 2
    assert grid.rows.lows[-1] <= top <= grid.rows.highs[-1]
    assert f"{2**64 - 2:,} counted in 1 s" in heatmap_text(view_of(frame, scale="linear"))


def test_more_intervals_than_there_is_room_for_are_added_up() -> None:
    growing = HeatHistory(every_s=1.0, most=2 * MOST_COLUMNS + 10)
    for second in range(1, 2 * MOST_COLUMNS + 4):
        growing.add(float(second), log2_hist([4], [second * second]))
    grid = heat_grid(view_of(growing.frame()))
    assert grid.columns == (2 * MOST_COLUMNS + 3) // 4 + 1
    assert grid.edges[:3].tolist() == [0, 4, 8]
    row = grid.rows.lows.index(8)
    assert grid.counts[:3, row].tolist() == [16, 64 - 16, 144 - 64]
    assert grid.edges[-1] == 2 * MOST_COLUMNS + 3


def test_bounds_are_said_exactly_and_readably() -> None:
    assert bounds_said(512, 1023, "bytes") == "512 to 1,023 bytes"
    assert bounds_said(4096, 8191, "ns") == "4.1 µs to 8.19 µs (4,096 to 8,191 ns)"
    assert bounds_said(2**63, 2**64 - 1, "") == "9,223,372,036,854,775,808 to 18,446,744,073,709,551,615"
    assert bounds_said(0, 0, "ns") == "0 ns"
    assert [span_label(s) for s in (1.5, 119.0, 300, 723, 7500)] == [
        "1.5 s",
        "119 s",
        "5 min",
        "12 min 3 s",
        "2 h 5 min",
    ]


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(ValueError, match="not a histogram over time"):
        heatmap(log2_hist([4], [1]))
    with pytest.raises(ValueError, match="wanted 'log2' or 'linear'"):
        heat_grid(view_of(HAND, scale="log10"))
    deep = pd.concat({1.0: linear_hist([100], [1])}, names=["at_s"])
    with pytest.raises(ValueError, match="wanted 0 to 64; scale='linear'"):
        heat_grid(view_of(deep))


# --- what is sent -------------------------------------------------------------------------


def test_nothing_is_sent_before_a_page_is_there() -> None:
    page = Page(view_of(HAND))
    assert page.update(view_of(HAND)) is None
    assert not page.view.stale
    page.view.receive({"have": [0, 0]})
    assert (page.asked, page.view.stale) == (1, True)
    found = page.update(view_of(HAND))
    assert found is not None
    message, (edges, counts, marks) = found
    assert not page.view.stale
    assert (message["grid"], message["from"], message["columns"]) == (1, 0, 3)
    assert message["axis"]["lows"][2:5] == ["1024", "2048", "4096"]
    assert message["foot"] == "24 counted in 4 s"
    assert np.frombuffer(edges, "<f8").tolist() == [0, 1, 2, 4]
    assert [row[2:5] for row in counts_of(counts, 8)] == [[10, 3, 0], [5, 0, 2], [0, 4, 0]]
    assert (message["marks"], marks) == (0, b"")


def test_an_unchanged_frame_sends_nothing() -> None:
    page = Page(view_of(HAND))
    page.join(view_of(HAND))
    assert page.update(view_of(HAND)) is None
    assert page.update(view_of(HAND.copy(), generation=7)) is None


def test_only_columns_that_changed_are_sent() -> None:
    growing = Growing()
    for _ in range(300):
        growing.step()
    page = Page(view_of(growing.history.frame()))
    _, buffers = page.join(view_of(growing.history.frame()))
    rows = len(heat_grid(view_of(growing.history.frame())).rows)
    assert len(buffers[1]) == 300 * rows * 8
    for seconds, columns in ((1.0, 1), (0.4, 1), (0.4, 1), (2.0, 1)):
        growing.step(seconds)
        found = page.update(view_of(growing.history.frame()))
        assert found is not None
        message, (edges, counts) = found
        assert "axis" not in message
        assert message["from"] == message["columns"] - columns
        assert (len(edges), len(counts)) == (16, rows * 8)
        grid = heat_grid(view_of(growing.history.frame()))
        assert counts_of(counts, rows) == grid.counts[-1:].tolist()
        assert np.frombuffer(edges, "<f8").tolist() == grid.edges[-2:].tolist()


def test_another_axis_of_values_sends_all() -> None:
    page = Page(view_of(HAND))
    page.join(view_of(HAND))
    wider = history_of({1.0: {11: 10, 12: 3}, 2.0: {11: 15, 12: 3, 20: 2}})
    found = page.update(view_of(wider))
    assert found is not None
    assert (found[0]["grid"], found[0]["from"], found[0]["columns"]) == (2, 0, 2)
    assert found[0]["axis"]["lows"] == [str(1 << n) for n in range(10, 20)]


def test_fewer_columns_than_before_are_told() -> None:
    page = Page(view_of(HAND))
    page.join(view_of(HAND))
    found = page.update(view_of(HAND.loc[:2.0]))
    assert found is not None
    assert (found[0]["from"], found[0]["columns"], found[1][1]) == (2, 2, b"")


def test_a_page_that_has_everything_is_sent_nothing_and_one_that_lacks_some_all() -> None:
    page = Page(view_of(HAND))
    page.join(view_of(HAND))
    page.view.receive({"have": [1, 3]})
    assert page.update(view_of(HAND)) is None
    page.view.receive({"have": [1, 2]})
    found = page.update(view_of(HAND))
    assert found is not None
    assert found[0]["from"] == 0
    assert "axis" in found[0]


def test_nonsense_from_a_page_is_passed_over() -> None:
    done: list[Any] = []
    page = Page(replace(view_of(HAND), pick=done.append, set_window=done.append))
    for message in (
        {"have": "all"},
        {"pick": {"from": 0, "to": 1}},
        {"pick": {"from": 0, "to": 1, "low": "x", "high": None}},
        {"window": [2, 1]},
        {"window": ["a", 3]},
        {"else": 1},
        {},
    ):
        page.view.receive(message)
    assert (done, page.view.stale) == ([], False)


# --- picking ------------------------------------------------------------------------------


def picking(frame: pd.DataFrame) -> tuple[Page, list[list[Any]]]:
    picked: list[list[Any]] = []
    view = replace(view_of(frame), pick=lambda labels: picked.append(list(labels)))
    return Page(view), picked


def test_cells_are_picked_as_rows_of_the_frame() -> None:
    page, picked = picking(HAND)
    cell = {"from": 1.0, "to": 2.0, "low": "1024", "high": "2047", "how": "only"}
    page.view.receive({"pick": cell})
    assert picked == [[(2.0, 11)]]
    assert HAND.loc[picked[0], "count"].tolist() == [15]
    page.view.receive({"pick": {**cell, "to": 4.0, "high": "4095"}})
    assert picked[-1] == [(2.0, 11), (2.0, 12), (4.0, 11), (4.0, 12)]
    page.view.receive({"pick": None})
    assert picked[-1] == []


def test_cells_are_added_and_taken_away() -> None:
    marks = np.asarray(HAND.index.isin([(1.0, 11), (2.0, 11)]))
    picked: list[list[Any]] = []
    view = replace(view_of(HAND), pick=lambda labels: picked.append(list(labels)), marks=marks)
    page = Page(view)
    page.view.receive({"pick": {"from": 1, "to": 2, "low": "4096", "high": "8191", "how": "add"}})
    page.view.receive({"pick": {"from": 1, "to": 2, "low": "1024", "high": "2047", "how": "remove"}})
    assert picked == [[(1.0, 11), (2.0, 11), (2.0, 13)], [(1.0, 11)]]


def test_of_a_frame_with_keys_all_keys_of_a_cell_are_picked() -> None:
    hist = log2_hist([4, 4, 5], [1, 2, 3], keys={"device": ["sda", "sdb", "sdb"]})
    page, picked = picking(pd.concat({1.0: hist, 2.0: hist}, names=["at_s"]))
    page.view.receive({"pick": {"from": 1.0, "to": 2.0, "low": "8", "high": "15", "how": "only"}})
    assert picked == [[(2.0, "sda", 4), (2.0, "sdb", 4)]]


def test_marked_rows_are_sent_as_cells_and_only_when_they_change() -> None:
    page = Page(view_of(HAND))
    page.join(view_of(HAND))
    # Cell = column times 8 rows plus row; bucket 11 is row 2.
    marks = np.asarray(HAND.index.isin([(2.0, 11), (4.0, 13)]))
    found = page.update(replace(view_of(HAND), marks=marks))
    assert found is not None
    message, (buffer,) = found
    assert message == {"grid": 1, "marks": 2}
    assert np.frombuffer(buffer, "<u4").tolist() == [8 + 2, 16 + 4]
    assert page.update(replace(view_of(HAND), marks=marks.copy())) is None
    found = page.update(view_of(HAND))
    assert found is not None
    assert found[0]["marks"] == 0


def test_a_window_is_set_and_shown() -> None:
    windows: list[Any] = []
    page = Page(replace(view_of(HAND), set_window=windows.append))
    page.view.receive({"window": [1, 2.5]})
    page.view.receive({"window": None})
    assert windows == [(1.0, 2.5), None]
    page.join(view_of(HAND))
    assert page.update(replace(view_of(HAND), window=(1.0, 2.5))) == ({"grid": 1, "window": [1.0, 2.5]}, [])
    assert page.update(view_of(HAND)) == ({"grid": 1, "window": None}, [])


def test_a_frame_alone_gives_the_rows_and_the_window_that_were_picked() -> None:
    view = heatmap(HAND, title="latency")
    view.select([(2.0, 11)])
    assert view.selected["count"].tolist() == [15]
    view.window = (1.0, 2.0)
    assert view.window == (1.0, 2.0)
    view.close()


# --- pictures -----------------------------------------------------------------------------


def test_shades_are_steps_alike_in_their_logarithm() -> None:
    step, starts = shades(np.array([[0, 1], [9.9, 10], [99, 1000]]), 3)
    assert step.tolist() == [[-1, 0], [0, 1], [1, 2]]
    assert starts == pytest.approx((1, 10, 100))
    assert shades(np.zeros((2, 2)), 3)[1] == ()
    assert shades(np.full((1, 2), 7.0), 3)[0].tolist() == [[2, 2]]


def test_moments_are_round_and_have_a_unit() -> None:
    assert time_ticks(0, 300, 7) == [(0, "0"), *((60 * n, f"{n} min") for n in range(1, 6))]
    assert [label for _, label in time_ticks(0, 12, 7)] == ["0", "2 s", "4 s", "6 s", "8 s", "10 s", "12 s"]
    assert [label for _, label in time_ticks(0.1, 0.35, 5)] == [
        "100 ms",
        "150 ms",
        "200 ms",
        "250 ms",
        "300 ms",
        "350 ms",
    ]
    assert [rate_label(rate) for rate in (0.25, 12.34, 999.6, 1500, 150_000)] == [
        "0.25",
        "12.3",
        "1k",
        "1.5k",
        "150k",
    ]


def test_the_picture_has_a_box_where_something_was_counted() -> None:
    root = ElementTree.fromstring(heatmap_svg(HAND, title="a < b"))
    paths = [path for path in root.iter(f"{SVG}path") if path.get("fill")]
    boxes = [box for path in paths for box in re.findall(r"M([\d.]+) \d+h([\d.]+)V", path.get("d", ""))]
    # By hand: 620 pixels from 84 on are 4 s. Rates of 10, 3, 5, 2 and 2 per second.
    assert sorted((float(x), float(wide)) for x, wide in boxes) == [
        (84, 155),
        (84, 155),
        (239, 155),
        (239, 155),
        (394, 310),
    ]
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts[0] == "a < b"
    assert {"duration", "time since the start", "0", "1 s", "4 s", "1 µs", "24 counted in 4 s"} <= set(texts)


def test_the_saved_picture_is_an_image_with_a_table_and_nothing_that_runs() -> None:
    html = heatmap_html(view_of(HAND, "<script>alert(1)</script>\x1b[31m"))
    assert "<script" not in html
    assert "\x1b" not in html
    image = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    assert image is not None
    ElementTree.fromstring(base64.b64decode(image[1]))
    cells = [re.findall(r"<td[^>]*>([^<]*)", row) for row in html.split("<tr>")[2:]]
    assert cells == [
        ["4.1 µs to 8.19 µs (4,096 to 8,191 ns)", "2", "2", "1 s"],
        ["2.05 µs to 4.1 µs (2,048 to 4,095 ns)", "7", "3", "0"],
        ["1.02 µs to 2.05 µs (1,024 to 2,047 ns)", "15", "10", "0"],
    ]


def test_the_text_has_a_line_per_row_and_a_character_per_column() -> None:
    # Rates: 10, 3 | 5, 0, 2 | 0, 2: five steps from 2 to 10, each 5 ** 0.2 times the one before.
    assert heatmap_text(view_of(HAND)).splitlines() == [
        "latency, ns: 24 counted in 4 s",
        "    32K..64K |   |",
        "    16K..32K |   |",
        "     8K..16K |   |",
        "      4K..8K | · |",
        "      2K..4K |░ ·|",
        "      1K..2K |█▒ |",
        "  512..1,023 |   |",
        "    256..511 |   |",
        "             0 4 s",
        "  per second: · 2  ░ 2.76  ▒ 3.81  ▓ 5.25  █ 7.25",
    ]


def test_the_text_fits_in_80_columns() -> None:
    lines = heatmap_text(view_of(bimodal())).splitlines()
    assert max(map(len, lines)) <= 80
    assert len({len(line) for line in lines if line.endswith("|")}) == 1
    assert lines[-2].split() == ["0", "5", "min"]


@pytest.mark.parametrize("frame", [EMPTY, pd.DataFrame(), history_of({0.0: {4: 1}})])
def test_nothing_counted_is_said(frame: pd.DataFrame) -> None:
    view = view_of(frame)
    assert heatmap_text(view).startswith("latency")
    assert "nothing counted yet" in heatmap_text(view)
    assert "<table>" not in heatmap_html(view)
    page = Page(view)
    message, _ = page.join(view)
    assert message["columns"] == 0
    found = page.update(view_of(HAND))  # and then something is
    assert found is not None
    assert found[0]["columns"] == 3


def test_one_column_and_one_bucket_are_drawn() -> None:
    view = view_of(history_of({0.25: {64: 2**64 - 1}}))
    assert "18,446,744,073,709,551,615 counted in 250 ms" in heatmap_text(view)
    assert "█" in heatmap_text(view)
    ElementTree.fromstring(heatmap_svg(view.frame))
    message, (_, counts, _) = Page(view).join(view)
    assert message["axis"]["highs"][-1] == str(2**64 - 1)
    assert counts_of(counts, 8)[0][-1] == 2**64 - 1


def test_a_million_keys_are_added_up() -> None:
    number = np.arange(1_000_000)
    index = pd.MultiIndex.from_arrays(
        [np.where(number % 2, 2.0, 1.0), number // 2, number // 2 % 10 + 5], names=["at_s", "pid", "bucket"]
    )
    bucket = index.get_level_values("bucket").to_numpy()
    frame = pd.DataFrame(
        {"low": 1 << (bucket - 1), "high": (1 << bucket) - 1, "count": 1 + number % 2}, index=index
    )
    grid = heat_grid(view_of(frame))
    # 500,000 keys of ten buckets, counted once in each second.
    assert grid.counts.tolist() == [[50_000] * 10] * 2
