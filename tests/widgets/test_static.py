from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from ktrace_nb.stream.histogram import log2_hist
from ktrace_nb.widgets import PanelStatus, ViewData, histogram_svg, static_bundle
from ktrace_nb.widgets.headline import headline
from tests.widgets.synthetic import Synthetic

SVG = "{http://www.w3.org/2000/svg}"


def bars_of(svg: str) -> dict[str, float]:
    """Height in pixels by tooltip."""
    root = ElementTree.fromstring(svg)
    return {str(bar.findtext(f"{SVG}title")): float(bar.attrib["height"]) for bar in root.iter(f"{SVG}rect")}


def test_the_picture_s_bars_are_to_scale() -> None:
    bars = bars_of(histogram_svg(log2_hist([11, 12, 13], [1000, 500, 1], unit="ns")))
    assert set(bars) == {"1K..2K ns: 1,000", "2K..4K ns: 500", "4K..8K ns: 1"}
    assert bars["1K..2K ns: 1,000"] == pytest.approx(2 * bars["2K..4K ns: 500"], abs=0.2)
    assert bars["4K..8K ns: 1"] == 1  # a single count is still seen


def test_names_from_the_kernel_cannot_leave_their_place() -> None:
    frame = log2_hist([1, 2], [1, 1], keys={"comm": ["</text><script>", "\x1b]0;x\x07"]})
    svg = histogram_svg(frame, name='"><svg onload=alert(1)>')
    ElementTree.fromstring(svg)
    assert "<script" not in svg
    assert "<svg onload" not in svg
    assert "\x1b" not in svg


def test_a_picture_of_nothing_says_so() -> None:
    assert "nothing counted yet" in histogram_svg(log2_hist([], []), name="idle")


class Tags(HTMLParser):
    """The tags of a page with their attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_bundle_holds_every_view_as_html_and_as_text() -> None:
    source = Synthetic(age=30, hertz=0)
    bundle = static_bundle(source.view_data(), source.status(), name="vfs_read")
    page = Tags(bundle["text/html"])
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 2
    for image in images:
        source_text = str(image["src"])
        assert source_text.startswith("data:image/svg+xml;base64,")
        svg = base64.b64decode(source_text.partition(",")[2]).decode()
        assert len(bars_of(svg)) > 10
    assert page.text.count("16.0 EiB") == 1
    titles = [attributes.get("title") for tag, attributes in page.tags if tag == "td"]
    assert titles.count("18,446,744,073,709,551,615 bytes") == 1
    assert "18,446,744,073,709,551,615" in bundle["text/plain"]
    assert "20 more rows" in page.text
    assert "<img src=x onerror=alert(1)>" in page.text  # as text, not as a tag
    for view in source.view_data():
        assert view.name in page.text
    for part in ("latency, ns", "by device", "device = sda", "by process", "printed", "20 more rows"):
        assert part in bundle["text/plain"]


def test_the_bundle_has_neither_scripts_nor_links_nor_control_characters() -> None:
    source = Synthetic(age=5, hertz=0, losses=(("<i>full", 1),))
    bundle = static_bundle(source.view_data(), source.status(), name="<script>\x1b")
    tags = {tag for tag, _ in Tags(bundle["text/html"]).tags}
    assert tags == {"p", "b", "img", "font", "table", "thead", "tbody", "tr", "th", "td", "pre"}
    for text in bundle.values():
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


def test_what_was_lost_is_said_in_html_and_in_text() -> None:
    status = PanelStatus(
        state="done", elapsed_s=2, losses=(("ring full", 412), ("map <full>", 3), ("none", 0))
    )
    bundle = static_bundle([], status, name="t")
    assert "412 lost: ring full, 3 lost: map <full>" in bundle["text/plain"]
    assert "412 lost: ring full, 3 lost: map &lt;full&gt;" in bundle["text/html"]
    complete = static_bundle([], PanelStatus(state="done", elapsed_s=2), name="t")
    assert "complete" in complete["text/plain"]
    assert "lost" not in complete["text/html"]


def test_the_headline_puts_a_status_into_words() -> None:
    status = PanelStatus(state="failed", elapsed_s=61.25, message="agent\ngone", hits=2**60, cost_ns=85.3)
    head = headline("read\x1b", status)
    assert head.text.split(" | ") == [
        r"read\x1b",
        r"failed: agent\x0agone",
        "61.2 s",
        "complete",
        "1,152,921,504,606,846,976 hits",
        "85.3 ns per hit",
    ]
    assert not head.stoppable
    assert head.as_dict()["hits_text"] == "1,152,921,504,606,846,976"


def test_a_long_text_keeps_its_latest_lines() -> None:
    view = Synthetic().view("printed", 250)
    bundle = static_bundle([view], PanelStatus(state="done", elapsed_s=1), name="t")
    assert "249: openat" in bundle["text/plain"]
    assert "149: openat" not in bundle["text/plain"]
    assert "\\x1b[31m" in bundle["text/plain"]


def test_an_unknown_unit_and_an_empty_table_are_drawn() -> None:
    empty = ViewData(
        name="t", kind="table", frame=Synthetic().view("by process", 1).frame.head(0), generation=1
    )
    frame = log2_hist(np.array([3]), np.array([1]), unit="furlongs")
    view = ViewData(name="h", kind="histogram", frame=frame, generation=1)
    bundle = static_bundle([empty, view], PanelStatus(state="done", elapsed_s=1), name="t")
    assert "(no rows)" in bundle["text/plain"]
    assert "furlongs" in bundle["text/plain"]
