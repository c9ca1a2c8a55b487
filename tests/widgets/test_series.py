from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.widgets import series
from ktrace_nb.widgets.picks import picked_lines, rows_of_lines
from ktrace_nb.widgets.series import SeriesView, series_html, series_text
from ktrace_nb.widgets.series_picture import MOST_LINES, MOST_MOMENTS, series_picture
from ktrace_nb.widgets.series_still import series_svg, sparkline
from ktrace_nb.widgets.source import ViewData


def at(*moments: float) -> pd.Index[float]:
    return pd.Index(moments, name="at_s", dtype="float64")


def keyed(moments: int, keys: list[str]) -> pd.DataFrame:
    """A line per key, ten times as high as the one before."""
    index = pd.MultiIndex.from_product([np.arange(float(moments)), keys], names=["at_s", "device"])
    return pd.DataFrame({"reads_per_s": np.tile(10.0 ** np.arange(len(keys)), moments)}, index=index)


def shown(frame: pd.DataFrame, **more: Any) -> ViewData:
    return ViewData(name="io", kind="series", frame=frame, generation=1, **more)


def test_every_column_of_numbers_is_a_line() -> None:
    frame = pd.DataFrame({"a": [1, 2], "who": ["x", "y"], "b": [np.nan, -3.5]}, index=at(0, 10))
    picture = series_picture(frame)
    assert [line.title for line in picture.lines] == ["a", "b"]
    assert picture.lines[0].mean.tolist() == [1, 2]
    assert np.isnan(picture.lines[1].mean[0])
    assert picture.lines[1].mean[1] == -3.5
    assert picture.bottom <= -3.5
    assert all(line.mean.dtype == np.float64 for line in picture.lines)
    assert not picture.banded


def test_every_key_is_a_line_the_largest_eight_in_order_of_appearance() -> None:
    frame = keyed(3, [f"disk{number}" for number in range(11)])
    picture = series_picture(frame)
    assert [line.title for line in picture.lines] == [f"device = disk{number}" for number in range(3, 11)]
    assert len(picture.lines) == MOST_LINES
    assert picture.note == "3 more not drawn"
    assert picture.lines[0].mean.tolist() == [1000.0] * 3


def test_a_key_that_is_missing_at_a_moment_leaves_a_gap() -> None:
    index = pd.MultiIndex.from_tuples([(0.0, "a"), (0.0, "b"), (1.0, "a"), (2.0, "b")], names=["at_s", "key"])
    picture = series_picture(pd.DataFrame({"n": [1, 2, 3, 4]}, index=index))
    assert np.isnan(picture.lines[0].mean).tolist() == [False, False, True]
    assert np.isnan(picture.lines[1].mean).tolist() == [False, True, False]


@pytest.mark.parametrize(("count", "every_s"), [(301, 1.0), (302, 1.0), (900, 0.013), (5000, 17.0)])
def test_many_moments_are_condensed_to_mean_least_and_most(count: int, every_s: float) -> None:
    dice = np.random.default_rng(count)
    values = np.where(dice.random(count) < 0.3, np.nan, dice.normal(0, 1e6, count))
    values[10:40] = np.nan
    moments = np.arange(len(values)) * every_s
    picture = series_picture(pd.DataFrame({"x": values}, index=pd.Index(moments, name="at_s")))
    assert len(picture.at_s) <= MOST_MOMENTS + 1
    assert picture.banded == (len(picture.at_s) < count)
    # pandas, told where steps begin: at whole multiples of 1, 2 or 5 times a power of ten.
    least = moments[-1] / MOST_MOMENTS
    decade = 10.0 ** np.floor(np.log10(least))
    width = min(size * decade for size in (1, 2, 5, 10) if size * decade >= least)
    expected = pd.Series(values).groupby(np.floor(moments / width)).agg(["mean", "min", "max"])
    (line,) = picture.lines
    np.testing.assert_allclose(line.mean, expected["mean"], rtol=1e-9)
    np.testing.assert_array_equal(line.low, expected["min"])
    np.testing.assert_array_equal(line.high, expected["max"])


def test_columns_of_least_and_most_are_the_band_of_the_one_they_are_named_after() -> None:
    frame = pd.DataFrame({"x": [5, 6], "x_min": [1, 2], "x_max": [9, 12], "y_min": [0, 0]}, index=at(0, 1))
    picture = series_picture(frame)
    assert [line.title for line in picture.lines] == ["x", "y_min"]
    assert (picture.lines[0].low.tolist(), picture.lines[0].high.tolist()) == ([1, 2], [9, 12])
    assert picture.banded
    assert picture.top >= 12
    assert picture.note == "band: least to most"


def test_numbers_beyond_floats_are_exact_in_text() -> None:
    frame = pd.DataFrame({"n": np.array([2**64 - 1, 2**53 + 1], dtype=np.uint64)}, index=at(0, 1))
    text = series_text(shown(frame))
    assert "18,446,744,073,709,551,615" in text
    assert "9,007,199,254,740,993" in text


def test_text_has_a_row_per_line_with_its_numbers_and_course() -> None:
    frame = pd.DataFrame({"wait_ns": [1_000, 3_000, 2_000], "bytes": [0, 1024, 2048]}, index=at(0, 1, 2))
    name, head, wait, size = series_text(shown(frame)).splitlines()
    assert name == "io"
    assert head.split() == ["last", "least", "mean", "most", "0", "to", "2", "s"]
    assert wait.split() == ["wait_ns", "2", "µs", "1", "µs", "2", "µs", "3", "µs", "▃█▆"]
    assert size.split() == ["bytes", "2.00", "KiB", "0", "B", "1.00", "KiB", "2.00", "KiB", "▁▅█"]
    assert all(len(line) <= 80 for line in (head, wait, size))


def test_gaps_of_a_sparkline_are_blank() -> None:
    assert sparkline(np.array([0, np.nan, 7, 3.5]), 10) == "▁ █▅"
    assert sparkline(np.array([np.nan]), 10) == ""
    assert len(sparkline(np.arange(1000.0), 30)) == 30


@pytest.mark.parametrize("columns", [{"n": [7]}, {"n": []}, {"n": [np.nan]}, {"n": [np.inf]}])
def test_one_moment_none_and_none_that_is_a_number_are_stood(columns: dict[str, list[float]]) -> None:
    frame = pd.DataFrame(columns, index=at(*range(len(columns["n"]))), dtype=float)
    view = SeriesView(shown(frame), lambda: None)
    assert series_svg(frame).startswith("<svg")
    assert series_text(shown(frame))
    assert not view.update(shown(frame))
    view.close()


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (pd.DataFrame({"a": [1]}), "no series: indexed by None, wanted 'at_s' first"),
        (pd.DataFrame({"a": ["x"]}, index=at(0)), r"no series: none of the columns \['a'\] is of numbers"),
        (pd.DataFrame(index=at(0)), "no series: it has no columns"),
        (pd.DataFrame({"a": [1]}, index=at(np.nan)), "a moment in 'at_s' is missing"),
    ],
)
def test_what_is_no_series_is_refused_in_words(frame: pd.DataFrame, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        series(frame)


def test_a_click_on_a_line_picks_all_rows_of_its_key() -> None:
    frame = keyed(3, ["a", "b", "c"])
    picked: list[list[Any]] = []
    view = SeriesView(shown(frame, pick=lambda labels: picked.append(list(labels))), lambda: None)
    view.take({"how": "only", "parts": [["device = b", ""]]})
    view.take({"how": "add", "parts": [["device = c", ""]]})
    assert picked[0] == [(0.0, "b"), (1.0, "b"), (2.0, "b")]
    assert sorted({label[1] for label in picked[1]}) == ["b", "c"]
    view.close()


def test_marks_fade_the_lines_that_are_not_picked() -> None:
    frame = keyed(2, ["a", "b"])
    marks = np.asarray(frame.index.get_level_values("device") == "b")
    picture = series_picture(frame)
    assert picked_lines(picture, marks) == (False, True)
    assert rows_of_lines(picture, [("device = b", "")]).tolist() == [1, 3]
    view = SeriesView(shown(frame, marks=marks), lambda: None)
    assert view.lines.opacities == [0.25, 1.0]
    svg = base64.b64decode(series_html(shown(frame, marks=marks)).partition("base64,")[2].partition('"')[0])
    assert svg.decode().count('opacity=".3"') == 1
    view.close()


@pytest.mark.parametrize("window", [[1], [2, 1], ["a", "b"], "12", {"a": 1}, [0, float("nan")]])
def test_a_window_that_makes_no_sense_is_ignored(window: Any) -> None:
    windows: list[Any] = []
    view = SeriesView(shown(keyed(2, ["a"]), set_window=windows.append), lambda: None)
    view.take({"window": window})
    assert windows == []
    view.take({"window": [0.5, 1]})
    view.take({"window": None})
    assert windows == [(0.5, 1.0), None]
    view.close()


def test_lines_reach_bqplot_as_float64_also_when_there_is_one() -> None:
    frame = pd.DataFrame({"n": np.array([5_000_000_000, 2**63], dtype=np.uint64)}, index=at(0, 1))
    view = SeriesView(shown(frame), lambda: None)
    assert view.lines.y.dtype == view.lines.x.dtype == np.float64
    assert view.lines.y.tolist() == [5e9, 2.0**63]
    assert not view.update(shown(frame)), "the same again is nothing new"
    assert view.update(shown(frame * 2 // 3))
    view.close()


def test_names_are_shown_not_obeyed() -> None:
    frame = keyed(2, ["<img src=x>", "b\x1b[31m"])
    svg = series_svg(frame)
    assert "<img" not in svg
    assert "\x1b" not in svg + series_text(shown(frame))
    assert "device = b\\x1b[31m" in svg


def test_a_million_keys_are_eight_lines() -> None:
    count = 500_000
    index = pd.MultiIndex.from_arrays(
        [np.repeat([0.0, 1.0], count), np.tile(np.arange(count), 2)], names=["at_s", "pid"]
    )
    values = np.zeros(2 * count)
    values[[7, count + 7]] = 3, 4
    picture = series_picture(pd.DataFrame({"n": values}, index=index))
    assert picture.left_out == count - 8
    assert {line.title: line.mean.tolist() for line in picture.lines}["pid = 7"] == [3, 4]
