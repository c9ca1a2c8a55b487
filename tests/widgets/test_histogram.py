from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comm
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.stream.histogram import linear_hist, log2_hist
from ktrace_nb.widgets import histogram
from ktrace_nb.widgets.chart import histogram_picture
from ktrace_nb.widgets.histogram import HistogramView, histogram_html, histogram_text
from ktrace_nb.widgets.picks import picked_bars, rows_of_bars
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.svg import BAR, OTHER, PICKED, picture_svg


def nothing() -> None:
    """Nobody has to draw anything."""


class Picks:
    """What a view asked to be picked."""

    def __init__(self) -> None:
        self.labels: list[list[Any]] = []

    def __call__(self, labels: Sequence[Any]) -> None:
        self.labels.append(list(labels))


def shown(frame: pd.DataFrame, picks: Picks, **more: Any) -> ViewData:
    return ViewData(name="h", kind="histogram", frame=frame, generation=1, pick=picks, **more)


def part(bars: list[list[str]], how: str = "only") -> dict[str, Any]:
    return {"how": how, "parts": bars, "direct": True}


@given(st.dictionaries(st.integers(-500, 3000), st.integers(1, 9), min_size=1), st.integers(1, 50))
def test_the_rows_of_all_bars_are_all_rows_and_those_of_one_add_up_to_its_count(
    counts: dict[int, int], step: int
) -> None:
    frame = linear_hist(list(counts), list(counts.values()), step=step, start=-7)
    picture = histogram_picture(frame, scale="linear")
    (chart,) = picture.charts
    every = [("", label) for label in picture.labels]
    assert rows_of_bars(frame, picture, every).tolist() == list(range(len(frame)))
    for bar, label in enumerate(picture.labels):
        rows = rows_of_bars(frame, picture, [("", label)])
        assert int(frame["count"].to_numpy()[rows].sum()) == chart.counts[bar]
        marks = np.zeros(len(frame), dtype=bool)
        marks[rows] = True
        assert picked_bars(frame, picture, marks) == ((bar,) if len(rows) else (),)


def test_a_key_s_bar_is_picked_in_its_own_chart_alone() -> None:
    frame = log2_hist([3, 4, 4], [1, 2, 9], keys={"device": ["sda", "sda", "<b>"]})
    picture = histogram_picture(frame)
    assert [chart.title for chart in picture.charts] == ["device = <b>", "device = sda"]
    rows = rows_of_bars(frame, picture, [("device = sda", "8..15"), ("device = ??", "4..7")])
    assert frame.index[rows].tolist() == [("sda", 4)]
    marks = np.array(frame.index.isin([("sda", 4), ("<b>", 4)]))
    place = picture.labels.index("8..15")
    assert picked_bars(frame, picture, marks) == ((place,), (place,))
    assert picked_bars(frame, picture, None) == ((), ())


def test_clicks_pick_add_and_drop_and_hearing_one_twice_changes_nothing() -> None:
    picks = Picks()
    view = HistogramView(shown(log2_hist([8, 9, 10], [1, 2, 3]), picks), nothing)
    view.take(part([["", "128..255"]]))
    view.take(part([["", "512..1,023"]], "add"))
    view.take(part([["", "512..1,023"]], "add"))
    view.take(part([["", "128..255"]], "drop"))
    view.take(part([["", "128..255"]], "drop"))
    view.take(part([]))
    assert picks.labels == [[8], [8, 10], [8, 10], [10], [10], []]
    view.close()


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"how": "all", "parts": []},
        {"how": "only"},
        {"how": "only", "parts": "xy"},
        {"how": "add", "parts": [["", "128..255"]] * 20_000},
    ],
)
def test_a_message_that_makes_no_sense_picks_nothing(message: dict[str, Any]) -> None:
    picks = Picks()
    view = HistogramView(shown(log2_hist([8], [1]), picks), nothing)
    view.take(message)
    assert picks.labels == []
    view.close()


def test_an_update_of_the_same_counts_sends_nothing_and_one_of_others_their_heights_alone() -> None:
    before = len(comm.get_comm_manager().comms)
    view = HistogramView(shown(log2_hist([8, 9, 10], [1, 2, 90]), Picks()), nothing)
    sent: list[tuple[str, set[str]]] = []
    for widget in widgets_of(view):
        note_sent(widget, sent)
    assert not view.update(shown(log2_hist([8, 9, 10], [1, 2, 90]), Picks()))
    assert sent == []
    assert view.update(shown(log2_hist([8, 9, 10], [7, 2, 95]), Picks()))
    assert sent == [("Bars", {"y"})]
    view.close()
    view.layout.close()
    assert len(comm.get_comm_manager().comms) == before


def note_sent(widget: Any, sent: list[tuple[str, set[str]]]) -> None:
    """Note which traits a widget sends to the page from now on."""
    send = widget.send_state

    def send_state(key: Any = None) -> None:
        sent.append((type(widget).__name__, {key} if isinstance(key, str) else set(key or ())))
        send(key)

    widget.send_state = send_state


def widgets_of(view: HistogramView) -> list[Any]:
    figure = view.children[1]
    return [view, *view.children, *figure.marks, *figure.axes, *figure.marks[0].scales.values()]


def test_marks_colour_the_picked_bars_and_dim_the_others() -> None:
    frame = log2_hist([8, 9, 10], [1, 2, 3])
    view = HistogramView(shown(frame, Picks(), marks=np.array([False, True, False])), nothing)
    bars = view.children[1].marks[0]
    assert bars.colors.count("var(--kt-pick)") == 1
    assert bars.x[bars.colors.index("var(--kt-pick)")] == 8.5  # bucket 9 spans 8 to 9 in log2
    assert set(bars.colors) == {"var(--kt-pick)", "var(--kt-dim)"}
    assert view.update(shown(frame, Picks()))
    assert bars.colors == ["var(--kt-bar)"]
    view.close()


def test_counts_beyond_floats_are_exact_in_words() -> None:
    frame = log2_hist([3, 5], np.array([2**64 - 1, 1], dtype=np.uint64))
    view = HistogramView(shown(frame, Picks()), nothing)
    head, figure, _ = view.children
    labels = histogram_picture(frame).labels
    expected = [{"4..7": 2**64 - 1, "16..31": 1}.get(label, 0) for label in labels]
    assert head.exact == {
        "0": {"total": "18446744073709551616", "counts": [str(count) for count in expected]}
    }
    assert figure.marks[0].y.max() == float(2**64 - 1)
    assert "18,446,744,073,709,551,615" in picture_svg(histogram_picture(frame))
    view.close()


def test_the_picture_that_stays_shows_what_is_picked() -> None:
    frame = log2_hist([8, 9, 10], [1, 2, 3])
    picture = histogram_picture(frame)
    plain, picked = picture_svg(picture), picture_svg(picture, [[picture.labels.index("256..511")]])
    assert (plain.count(PICKED), plain.count(BAR)) == (0, 1)
    assert (picked.count(PICKED), picked.count(f'fill="{OTHER}"'), picked.count(BAR)) == (1, 1, 0)
    view = shown(frame, Picks(), marks=np.array([False, True, False]))
    assert "data:image/svg+xml" in histogram_html(view)
    assert histogram_text(view).splitlines()[0] == "h  total 6"


def test_the_counts_of_a_window_of_time_say_of_which() -> None:
    frame = log2_hist([8, 9], [1, 2])
    view = HistogramView(shown(frame, Picks()), nothing)
    assert view.children[-1].value == ""
    windowed = shown(frame, Picks(), window=(2.0, 5.0))
    assert view.update(windowed)
    assert view.children[-1].value == "counted from 2 s to 5 s"
    assert histogram_text(windowed).splitlines()[-1] == "counted from 2 s to 5 s"
    assert histogram_html(windowed).endswith("<p>counted from 2 s to 5 s</p>")
    assert not view.update(windowed)
    assert view.update(shown(frame.iloc[:0], Picks(), window=(2.0, 5.0)))
    assert view.children[-1].value == "nothing counted from 2 s to 5 s"
    many = log2_hist([3] * 8, range(1, 9), keys={"pid": range(8)})
    view.update(shown(many, Picks(), window=(0.25, 0.5)))
    assert view.children[-1].value == "counted from 0.25 s to 0.5 s · 2 more not drawn"
    view.update(shown(frame, Picks()))
    assert view.children[-1].value == ""
    view.close()


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (pd.DataFrame({"a": [1]}), r"not a histogram: columns \['a'\], wanted low, high and count"),
        (log2_hist([3], [1]).reset_index(), "not a histogram: indexed by None, wanted 'bucket', last"),
        (log2_hist([3], [1]).astype({"count": float}), "'count' is of type float64, wanted integers"),
        (linear_hist([3, 900], [1, 1]), "wanted 0 to 64; a linear histogram is shown with scale 'linear'"),
        (log2_hist([3], [1]).assign(count=-1), "a count of -1, wanted 0 or more"),
    ],
)
def test_what_is_no_histogram_is_refused_in_words(frame: pd.DataFrame, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        histogram(frame)


def test_a_million_keys_make_six_charts() -> None:
    count = 1_000_000
    index = pd.MultiIndex.from_arrays([np.arange(count), np.full(count, 4)], names=["inode", "bucket"])
    counts = np.ones(count, dtype=np.uint64)
    counts[[5, 777_777]] = 9, 8
    low, high = np.full(count, 8, dtype=np.uint64), np.full(count, 15, dtype=np.uint64)
    frame = pd.DataFrame({"low": low, "high": high, "count": counts}, index=index)
    picture = histogram_picture(frame)
    assert [chart.title for chart in picture.charts][:3] == ["inode = 5", "inode = 777777", "inode = 0"]
    assert picture.left_out == count - 6
    rows = rows_of_bars(frame, picture, [("inode = 777777", "8..15")])
    assert rows.tolist() == [777_777]


def test_a_million_linear_buckets_share_few_bars() -> None:
    counts = np.arange(1, 1_000_001, dtype=np.uint64)
    frame = linear_hist(np.arange(1_000_000) - 500_000, counts)
    picture = histogram_picture(frame, scale="linear")
    (chart,) = picture.charts
    assert len(chart.counts) == 100
    assert chart.total == 1_000_000 * 1_000_001 // 2
    assert int(chart.counts[0]) == 10_000 * 10_001 // 2
    assert len(rows_of_bars(frame, picture, [("", picture.labels[0])])) == 10_000


def test_bars_picked_in_a_view_are_its_selected_rows() -> None:
    view = histogram(log2_hist([8, 9, 10], [1, 2, 3], unit="ns"), title="latency")
    assert len(view.selected) == 0
    view.select([9, 10])
    assert view.selected["count"].tolist() == [2, 3]
    view.close()
