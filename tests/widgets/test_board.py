"""The health board: what is said of a frame, what is sent of it, and what stays."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest

from ktrace_nb.health.frame import STATES as TOLD_STATES
from ktrace_nb.health.frame import health_frame
from ktrace_nb.widgets import ViewData, health_board, health_svg, static_bundle
from ktrace_nb.widgets.board import BoardView
from ktrace_nb.widgets.board_alone import HealthBoard
from ktrace_nb.widgets.board_past import SECONDS, Past
from ktrace_nb.widgets.board_picture import LAMPS, board_html, board_text
from ktrace_nb.widgets.board_rows import STATES, Band, board_of
from tests.widgets.made_health import health
from tests.widgets.synthetic import Synthetic

SVG = "{http://www.w3.org/2000/svg}"


def view_of(frame: pd.DataFrame, generation: int = 0, name: str = "lab") -> ViewData:
    return ViewData(name=name, kind="health", frame=frame, generation=generation)


class Page(BoardView):
    """A board, and what a page would have been sent and have made of it."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.messages: list[dict[str, Any]] = []
        self.wholes = 0
        self.asked = 0
        super().__init__(view_of(frame), self._ask)
        self.has: dict[str, Any] = json.loads(json.dumps(self.board))

    def _ask(self) -> None:
        self.asked += 1

    def send_state(self, key: Any = None) -> None:
        """Note that the whole went out."""
        if key is not None and "board" in key:
            self.wholes += 1
            self.has = json.loads(json.dumps(self.board))

    def send(self, content: Any, buffers: Any = None) -> None:
        """Take a message as ``board.js`` does."""
        message = json.loads(json.dumps(content))
        self.messages.append(message)
        board = self.has
        assert message["seq"] == board["seq"] + 1
        board["seq"] = message["seq"]
        board.update({name: message[name] for name in ("title", "foot") if name in message})
        for place, fields in message.get("rows", {}).items():
            board["rows"][int(place)].update(fields)
        if "at" in message:
            board["at"] = board["at"][message["drop"] :] + message["at"]
            for row, rates in zip(board["rows"], message["past"], strict=True):
                row["past"] = row["past"][message["drop"] :] + rates


def test_each_piece_is_a_row_and_its_parts_are_under_it() -> None:
    rows = board_of(health()).rows
    assert [(row.name, row.under, row.parts, row.troubled) for row in rows] == [
        ("ctxt", False, 0, ""),
        ("interrupts", False, 2, "1 drift"),
        ("24", True, 0, ""),
        ("LOC", True, 0, ""),
        ("skb", False, 0, ""),
        ("runnable", False, 0, ""),
        ("pages", False, 0, ""),
    ]
    assert [row.state for row in rows] == ["ok", "ok", "ok", "drift", "low", "high", "drift"]


def test_parts_without_their_whole_stand_for_themselves() -> None:
    frame = health()
    board = board_of(frame[frame.index.get_level_values("part") != ""])
    assert [(row.name, row.under) for row in board.rows] == [
        ("interrupts 24", False),
        ("interrupts LOC", False),
    ]


def test_a_whole_that_comes_after_its_parts_is_above_them() -> None:
    assert [row.name for row in board_of(health().iloc[::-1]).rows][-4:] == [
        "interrupts",
        "LOC",
        "24",
        "ctxt",
    ]


def test_every_state_of_a_frame_has_a_lamp() -> None:
    assert TOLD_STATES == STATES
    assert tuple(LAMPS) == STATES
    assert len({outline for _, outline in LAMPS.values()}) == len(STATES), "no two have the same shape"


def test_a_number_has_its_place_in_its_band_of_a_counter_by_its_rate() -> None:
    rows = {row.name: row for row in board_of(health()).rows}
    # The scale of one that is open below ends a quarter of the bound above it.
    assert rows["ctxt"].band == Band(0.0, 0.8, round(12_340 / 62_500, 3))
    # Of one with two ends a quarter of its width on either side: 25 to 175.
    assert rows["skb"].band == Band(round(25 / 150, 3), round(125 / 150, 3), round(15 / 150, 3))
    assert rows["runnable"].band == Band(0.0, 0.8, 0.9)
    assert rows["pages"].band is None
    assert [rows[name].band_text for name in ("ctxt", "skb", "runnable", "pages")] == [
        "≤ 50,000/s",
        "50 to 150",
        "≤ 8",
        "",
    ]


def test_a_line_tells_every_digit() -> None:
    rows = {row.name: row.tell for row in board_of(health()).rows}
    assert rows["pages"] == (
        "pages: drift · pages allocated · 1,000,000 pages · the kernel tells 999,000 · "
        "drift 1,000 of 500,000 moved, uncertain by 12 · 0.0/s"
    )
    assert rows["skb"].endswith("band 50 to 150")


def test_the_foot_says_what_is_not_well() -> None:
    assert board_of(health()).foot == (
        "5 pieces: skb low, runnable high, pages drift, parts of interrupts 1 drift; compared over 62 s"
    )
    assert board_of(health().loc[["ctxt"]]).foot == "1 piece: all ok; compared over 62 s"
    assert board_of(health().iloc[:0]).foot == "no pieces"


def test_a_watch_without_rows_is_an_empty_board() -> None:
    assert board_of(health_frame([])).rows == ()


def test_what_is_no_frame_of_health_is_refused() -> None:
    with pytest.raises(ValueError, match="the column 'drift'"):
        health_board(health().drop(columns="drift"))
    with pytest.raises(ValueError, match="the index level 'name'"):
        health_board(pd.DataFrame({"level": [1]}))
    board = health_board(health())
    with pytest.raises(ValueError, match="the column 'rate'"):
        board.update(health().drop(columns="rate"))


def test_the_past_is_kept_for_three_minutes_and_has_holes_where_a_row_was_not_there() -> None:
    past = Past()
    past.with_past(health(ctxt=1.0), 0.0)
    past.with_past(health().drop(index=[("ctxt", "")]), 1.0)
    board = board_of(past.with_past(health(ctxt=2.0), 2.0))
    assert board.at_s == (0.0, 1.0, 2.0)
    assert list(board.past["ctxt", ""]) == [1.0, None, 2.0]
    later = board_of(past.with_past(health(ctxt=3.0), SECONDS + 1.5))
    assert list(later.past["ctxt", ""]) == [2.0, 3.0]
    first = health()
    past.with_past(first, SECONDS + 2)
    assert "past" not in first.attrs, "a caller's frame stays as it is"


def test_a_page_is_sent_what_changed_and_the_newest_rates() -> None:
    past = Past()
    page = Page(past.with_past(health(), 0.0))
    assert page.update(view_of(past.with_past(health(ctxt=5.0), 1.0)))
    (message,) = page.messages
    assert message["at"] == [1.0]
    assert message["past"][0] == [5.0]
    assert set(message["rows"]) == {"0"}
    assert set(message["rows"]["0"]) == {"rate", "band", "tell"}
    for at in range(2, 400, 3):
        page.update(view_of(past.with_past(health(ctxt=float(at)), at)))
    assert page.wholes == 0
    assert page.has == json.loads(json.dumps(page.board))
    assert page.has["at"][0] >= 398 - SECONDS


def test_nothing_is_sent_for_an_unchanged_frame() -> None:
    frame = Past().with_past(health(), 0.0)
    page = Page(frame)
    assert not page.update(view_of(frame, 1))
    assert (page.messages, page.wholes) == ([], 0)


def test_another_set_of_rows_is_sent_whole() -> None:
    page = Page(health())
    assert page.update(view_of(health().loc[["ctxt", "skb"]]))
    assert (page.messages, page.wholes) == ([], 1)
    assert [row["name"] for row in page.has["rows"]] == ["ctxt", "skb"]


def test_a_page_that_missed_something_asks_for_the_whole() -> None:
    past = Past()
    page = Page(past.with_past(health(), 0.0))
    frame = past.with_past(health(ctxt=1.0), 1.0)
    page.update(view_of(frame))
    page.receive({"have": 1})
    assert (page.stale, page.asked) == (False, 0)
    page.receive({"have": 0})
    assert (page.stale, page.asked) == (True, 1)
    assert page.update(view_of(frame))
    assert (page.stale, page.wholes) == (False, 1)


def test_what_is_sent_is_json_whatever_is_in_the_frame() -> None:
    frame = health()
    frame["rate"] = [float("nan"), float("inf"), *frame["rate"].tolist()[2:]]
    page = Page(Past().with_past(frame, 0.0))
    text = json.dumps(page.board, allow_nan=False)
    assert "runnable <b>tasks" in text, "the page writes it as text"


def test_frames_that_stay_the_same_are_not_shown_again_but_their_time_counts() -> None:
    clock = iter(range(100))
    board = HealthBoard(health(), clock=lambda: next(clock))
    first = board.frame
    board.update(health())
    assert board.frame is first
    board.update(health(ctxt=9.0))
    assert board.frame.attrs["past"]["at_s"] == [0, 1, 2]


def test_the_picture_shows_each_piece_and_the_parts_that_are_not_well() -> None:
    past = Past()
    past.with_past(health(), 0.0)
    svg = health_svg(past.with_past(health(), 1.0), title="<lab>")
    root = ElementTree.fromstring(svg)
    texts = [str(text.text) for text in root.iter(f"{SVG}text")]
    assert {"<lab>", "ctxt", "LOC", "12.35M", "+1,000 · 0.200 %", "low", "high", "drift"} <= set(texts)
    assert "24" not in texts
    outlines = {path.get("d") for path in root.iter(f"{SVG}path")}
    assert {outline for _, outline in LAMPS.values()} <= outlines
    assert sum("H" in str(d) and "M5" in str(d) for d in outlines) >= 1, "lines of the past"


def test_what_stays_has_a_text_in_place_of_the_picture() -> None:
    html = board_html(view_of(health()))
    assert html.startswith('<p><img src="data:image/svg+xml;base64,')
    assert "skb: low · network buffers · 40 buffers" in html
    assert "<b>" not in html
    bundle = static_bundle([view_of(health())], Synthetic().status(), name="health")
    assert "skb low, runnable high" in bundle["text/plain"]


def test_text_is_a_line_per_piece_in_eighty_columns() -> None:
    lines = board_text(view_of(health(), name="lab\x1b")).splitlines()
    assert lines[0] == "lab\\x1b"
    assert lines[1].split() == ["state", "piece", "level", "rate", "drift"]
    assert lines[2].split() == ["ok", "ctxt", "12.35M", "12.3k/s", "0"]
    assert lines[4].split() == ["drift", "LOC", "2,000", "60/s", "−3", "·", "1.00", "%"]
    long = health().rename(index={"ctxt": "c" * 200}, level="name")
    assert max(map(len, board_text(view_of(long)).splitlines()[:-1])) <= 80
