from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.stream.histogram import linear_hist, log2_hist
from ktrace_nb.widgets.chart import MOST_BARS, MOST_CHARTS, histogram_picture, view_picture
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.value_axis import LEAST_BARS


@given(st.dictionaries(st.integers(0, 64), st.integers(1, 2**53), min_size=1))
def test_every_bucket_s_bar_is_as_high_as_its_count(counts: dict[int, int]) -> None:
    frame = log2_hist(list(counts), np.array(list(counts.values()), dtype=np.uint64))
    picture = histogram_picture(frame)
    (chart,) = picture.charts
    drawn = {
        int(edge) + 1: int(height) for edge, height in zip(picture.left_edges, chart.heights, strict=True)
    }
    assert {bucket: height for bucket, height in drawn.items() if height} == counts
    assert len(drawn) >= LEAST_BARS["log2"]
    assert chart.total == sum(counts.values())
    assert chart.top >= max(counts.values())


def test_heights_are_float64_for_bqplot_wraps_int64_at_2_to_the_31() -> None:
    picture = histogram_picture(log2_hist([12], [5_000_000_000]))
    assert picture.charts[0].heights.dtype == np.float64
    assert picture.left_edges.dtype == np.float64
    assert picture.charts[0].heights.max() == 5_000_000_000


def test_a_value_stands_at_its_binary_logarithm() -> None:
    picture = histogram_picture(log2_hist([11], [1]))
    (bar,) = np.flatnonzero(picture.charts[0].heights)
    assert 2 ** picture.left_edges[bar] == 1024
    assert picture.labels[bar] == "1K..2K"


def test_zero_and_one_share_a_bucket_only_where_the_frame_says_so() -> None:
    assert histogram_picture(log2_hist([1], [1])).labels[0] == "0..1"
    assert histogram_picture(log2_hist([0, 1], [1, 1], bcc=False)).labels[:2] == ("0", "1")
    assert histogram_picture(log2_hist([1], [1], bcc=False)).labels[0] == "1"


def test_linear_bars_stand_side_by_side_and_are_named_by_their_values() -> None:
    picture = histogram_picture(linear_hist([2, 5], [1, 3], start=-100, step=50), scale="linear")
    assert picture.left_edges.tolist() == [0, 1, 2, 3]
    assert picture.labels == ("0..49", "50..99", "100..149", "150..199")
    assert picture.charts[0].heights.tolist() == [1, 0, 0, 3]


@given(st.dictionaries(st.integers(0, 5000), st.integers(1, 1000), min_size=1), st.integers(1, 50))
def test_a_wide_linear_histogram_is_drawn_with_fewer_bars_and_loses_nothing(
    counts: dict[int, int], step: int
) -> None:
    frame = linear_hist(list(counts), list(counts.values()), step=step, start=-7)
    picture = histogram_picture(frame, scale="linear")
    (chart,) = picture.charts
    assert len(chart.heights) <= MOST_BARS + 1
    assert int(chart.heights.sum()) == sum(counts.values())
    first, second = (label_bounds(label) for label in picture.labels[:2])
    width = second[0] - first[0]
    assert width % step == 0
    drawn = dict(zip((label_bounds(label)[0] for label in picture.labels), chart.heights, strict=True))
    expected: dict[int, int] = {}
    for bucket, count in counts.items():
        low = (bucket * step) // width * width - 7
        expected[low] = expected.get(low, 0) + count
    assert {low: int(height) for low, height in drawn.items() if height} == expected
    said = f" · {width // step:,} buckets per bar" if width > step else ""
    assert picture.axis_label.removeprefix("value") == said


def test_a_few_buckets_far_apart_are_drawn_too() -> None:
    picture = histogram_picture(
        linear_hist(np.array([0, 2**64 - 1], dtype=np.uint64), [1, 2]), scale="linear"
    )
    assert len(picture.labels) <= MOST_BARS + 1
    assert picture.charts[0].heights[[0, -1]].tolist() == [1, 2]


def label_bounds(label: str) -> tuple[int, int]:
    """The lowest value of a bar and the one after its highest."""
    low, _, high = label.partition("..")
    units = {"K": 1024, "M": 1024**2}
    first, end = (
        int(part.rstrip("KM").replace(",", "")) * units.get(part[-1:], 1) for part in (low, high or low)
    )
    return first, end


def test_keys_become_charts_over_one_axis_the_largest_first_and_six_at_most() -> None:
    keys = [f"disk{n}" for n in range(9)]
    frame = log2_hist(np.arange(5, 14), np.arange(1, 10), keys={"device": keys})
    picture = histogram_picture(frame, name="requests")
    assert [chart.title for chart in picture.charts] == [f"device = disk{n}" for n in (8, 7, 6, 5, 4, 3)]
    assert picture.left_out == 9 - MOST_CHARTS
    assert {len(chart.heights) for chart in picture.charts} == {len(picture.left_edges)}
    assert [int(chart.heights.sum()) for chart in picture.charts] == [9, 8, 7, 6, 5, 4]


def test_nothing_counted_gives_a_picture_without_charts() -> None:
    picture = histogram_picture(log2_hist([], []), name="idle")
    assert (picture.charts, picture.span) == ((), (0, 1))


def test_the_axis_says_its_unit_and_what_k_means() -> None:
    assert histogram_picture(log2_hist([5, 15], [1, 1], unit="bytes")).axis_label == "bytes (1K = 1024)"
    assert histogram_picture(log2_hist([5], [1], unit="ns")).axis_label == "time"
    assert histogram_picture(log2_hist([5], [1]), unit="pages").axis_label == "pages"
    assert histogram_picture(log2_hist([5], [1]), label="depth").axis_label == "depth"


def test_a_view_s_options_choose_the_scale() -> None:
    frame = linear_hist([3], [1])
    view = ViewData(name="cpu", kind="histogram", frame=frame, generation=1, options={"scale": "linear"})
    assert view_picture(view).labels[:4] == ("2", "3", "4", "5")
    with pytest.raises(ValueError, match="scale 'cubic', wanted 'log2' or 'linear'"):
        view_picture(
            ViewData(name="x", kind="histogram", frame=frame, generation=1, options={"scale": "cubic"})
        )
