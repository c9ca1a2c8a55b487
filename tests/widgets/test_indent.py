from __future__ import annotations

import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.stream.calls.feed import FrameFeed, Steps
from ktrace_nb.widgets import IndentView, Panel, ViewData, indent, selected_rows
from ktrace_nb.widgets import direct as direct_channel
from ktrace_nb.widgets.indent import pack
from ktrace_nb.widgets.indent_picture import indent_html, indent_text
from tests.widgets.calls import GrowingFeed, Walked, repeated, synthetic_calls

# Three threads' worth of hand-made calls: numbers are calls, indentation is depth.
#   10: 0 open_a            20: 3 open_b (fails)
#         1 lookup                4 lookup
#           2 get_inode
#       5 close_a (end not seen)
SMALL = pd.DataFrame(
    {
        "tid": [10, 10, 10, 20, 20, 10],
        "comm": ["cat", "cat", "cat", "l\x1bs", "l\x1bs", "cat"],
        "function": pd.Categorical(["open_a", "lookup", "get_inode", "<b>open", "lookup", "close_a"]),
        "depth": [0, 1, 2, 0, 1, 0],
        "parent": [-1, 0, 1, -1, 3, -1],
        "start_ns": [1000, 1100, 1200, 1250, 1300, 5000],
        "duration_ns": pd.array([900, 600, 100, 700, 200, None], dtype="Int64"),
        "error": pd.Categorical([None, None, None, "ENOENT", None, None], categories=["ENOENT"]),
    },
    index=pd.RangeIndex(6, name="call"),
)


def view_of(feed: Any, name: str = "calls", **more: Any) -> ViewData:
    return ViewData(name=name, kind="indent", frame=SMALL, feed=feed, generation=0, **more)


class Page:
    """An indent view, what it sent, and a page's part in the talk."""

    def __init__(self, view: ViewData) -> None:
        self.data = view
        self.asked = 0
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []
        self.view = IndentView(view, self._ask)
        self.view.send = lambda content, buffers=None: self.sent.append((content, buffers or []))

    def _ask(self) -> None:
        self.asked += 1

    def want(self, have: int, *, page: str = "p", names: int = 0, tasks: int = 0) -> None:
        self.view.receive({"view": page, "have": have, "names": names, "tasks": tasks, "direct": True})

    def update(self) -> list[tuple[int, int]]:
        """Update, and say which steps were sent: first and count of each message."""
        self.sent.clear()
        changed = self.view.update(self.data)
        assert changed == bool(self.sent)
        return [(head["start"], head["count"]) for head, _ in self.sent if "start" in head]


@pytest.fixture(scope="module")
def million() -> FrameFeed:
    return FrameFeed(repeated(synthetic_calls(25_000), 24))  # 1.2 million steps


@pytest.fixture
def small() -> Iterator[Page]:
    page = Page(view_of(FrameFeed(SMALL)))
    yield page
    page.view.close()


def test_a_step_is_fifteen_bytes_and_keeps_every_bit() -> None:
    steps = Steps(
        at=np.array([2**53 + 7, 2**53, 2**63], dtype=np.uint64),
        function=np.array([1, 65535, 2], dtype=np.uint16),
        thread=np.array([0, 2**30 - 1, 5], dtype=np.uint32),
        depth=np.array([0, 255, 3], dtype=np.uint8),
        kind=np.array([0, 3, 2], dtype=np.uint8),
        call=np.array([0, 1, 2], dtype=np.int64),
    )
    at, function, who, depth = pack(steps, 2**53 + 7)
    assert at[:16].hex() == "0000000000000000" + "f9ffffffffffffff"  # 0 and -7
    assert int.from_bytes(at[16:], "little", signed=True) == 2**63 - 2**53 - 7
    assert function.hex() == "0100ffff0200"
    assert who.hex() == "00000000" + "ffffffff" + "05000080"
    assert depth.hex() == "00ff03"


def test_nothing_is_sent_until_a_page_asks_and_no_step_twice(small: Page) -> None:
    assert small.update() == []
    small.want(0)
    assert (small.asked, small.view.stale) == (1, True)
    assert small.update() == [(0, 12)]
    assert not small.view.stale
    head, _ = small.sent[0]
    assert head["total"] == 12
    assert head["last"]
    assert head["functions"] == (0, ["<b>open", "close_a", "get_inode", "lookup", "open_a"])
    assert head["threads"] == (0, ["cat (10)", r"l\x1bs (20)"])
    assert small.update() == []
    small.want(12)
    assert small.update() == []


def test_a_page_that_has_names_is_sent_only_new_ones(small: Page) -> None:
    small.want(4, names=5, tasks=1)
    assert small.update() == [(4, 8)]
    assert small.sent[0][0]["functions"] == (5, [])
    assert small.sent[0][0]["threads"] == (1, [r"l\x1bs (20)"])


def test_messages_are_below_a_megabyte_and_no_more_than_a_page_can_take(million: FrameFeed) -> None:
    page = Page(view_of(million))
    page.want(0)
    first = page.update()
    assert len(first) == 16
    assert [start for start, _ in first] == [65_536 * n for n in range(16)]
    assert [head["last"] for head, _ in page.sent] == [False] * 15 + [True]
    for head, buffers in page.sent:
        assert sum(map(len, buffers)) == 15 * head["count"] <= 1_000_000
    assert page.update() == [], "the page has not asked for more"
    page.want(16 * 65_536)
    rest = page.update()
    assert rest[0][0] == 16 * 65_536
    assert sum(count for _, count in first + rest) == million.count() == 1_200_000
    joined = b"".join(buffers[1] for _, buffers in page.sent)
    assert joined == million.steps(16 * 65_536, 1_200_000).function.tobytes()
    page.view.close()


def test_a_slow_page_gets_bigger_steps_and_a_page_that_waits_gets_the_next_ones(million: FrameFeed) -> None:
    feed = GrowingFeed(million, hertz=0, begun=100)
    page = Page(view_of(feed))
    page.want(0)
    assert page.update() == [(0, 100)]
    page.want(100)
    assert page.update() == []
    feed._begun = 150  # new steps answer the question that is open
    assert page.update() == [(100, 50)]
    feed._begun = 80_000  # a page that takes its time has everything since in one go
    assert page.update() == []
    page.want(150)
    assert page.update() == [(150, 65_536), (65_686, 14_314)]
    page.view.close()


def test_a_page_that_comes_later_gets_everything_again_and_the_others_wait(small: Page) -> None:
    small.want(0)
    small.update()
    small.want(12)
    small.update()
    small.want(0, page="later")
    assert small.update() == [(0, 12)]
    small.want(12, page="later")
    small.view.receive({"view": "later", "bye": True})
    assert small.update() == []


def test_of_very_long_walks_the_page_gets_the_beginning_and_the_count(
    small: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.view.most = 5
    small.want(0)
    assert small.update() == [(0, 5)]
    assert small.sent[0][0]["total"] == 12
    small.want(5)
    assert small.update() == []


def test_what_is_pointed_at_is_told_once(small: Page) -> None:
    # Step 4 by time: 1000 open_a, 1100 lookup, 1200 get_inode, 1250 <b>open, 1300 get_inode or lookup.
    small.view.receive({"view": "p", "tell": 3})
    assert small.asked == 1
    small.update()
    (message, _) = small.sent[0]
    assert message["told"] == 3
    assert message["text"].startswith("<b>open()")
    assert "ENOENT" in message["text"]
    assert "700 ns" in message["text"]
    small.update()
    assert small.sent == []
    small.view.receive({"view": "p", "tell": 99})
    small.update()
    assert small.sent == []


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"view": "p", "have": "x", "names": 0, "tasks": 0},
        {"view": 3, "have": 0, "names": 0, "tasks": 0},
        {"tell": None},
        {"select": [1, 2]},
        {"select": "abc"},
    ],
)
def test_a_message_that_makes_no_sense_is_ignored(small: Page, message: dict[str, Any]) -> None:
    small.view.receive(message)
    assert small.asked == 0
    assert small.update() == []
    assert small.view.selected == []


def test_a_click_selects_the_call_of_a_line_and_a_range_the_calls_of_its_lines() -> None:
    said: list[list[int]] = []
    feed = FrameFeed(SMALL)
    # Entries at 1000, 1100, 1200, 1250, 1300 and 5000; returns at 1300, 1500, 1700, 1900, 1950.
    at, calls = feed.steps(0, 12).at.tolist(), feed.steps(0, 12).call.tolist()
    assert at[:4] == [1000, 1100, 1200, 1250]
    page = Page(view_of(feed, selected=lambda calls: said.append(list(calls))))
    page.view.receive({"view": "p", "select": [2, 2, -1]})
    assert page.view.selected == [2]
    page.view.receive({"view": "p", "select": [0, 3, -1]})
    assert page.view.selected == [0, 1, 2, 3]
    page.view.receive({"view": "p", "select": [0, 3, 1]})
    assert page.view.selected == [3]
    last_of_20 = max(step for step in range(12) if calls[step] == 3)
    page.view.receive({"view": "p", "select": [last_of_20, last_of_20, -1]})
    assert page.view.selected == [3]
    page.view.receive({"view": "p", "select": [-1, -2, -1]})
    assert page.view.selected == []
    assert said == [[2], [0, 1, 2, 3], [3], [3], []]
    assert page.asked == 0, "a selection needs nothing drawn"
    page.view.close()


def test_a_selection_is_heard_while_a_cell_runs(small: Page) -> None:
    content = {"address": small.view.address, "data": {"view": "p", "select": [0, 0, -1]}}
    assert direct_channel.deliver(content)
    assert small.view.selected == [0]


def test_selected_rows_are_the_calls_and_all_they_called(small: Page) -> None:
    assert selected_rows(SMALL, [0]).index.tolist() == [0, 1, 2]
    assert selected_rows(SMALL, [1]).index.tolist() == [1, 2]
    assert selected_rows(SMALL, [2, 3]).index.tolist() == [2, 3, 4]
    assert selected_rows(SMALL, []).index.tolist() == []
    part = SMALL.loc[[1, 2, 4]]  # the parents of 1 and 4 are not there
    assert selected_rows(part, [1]).index.tolist() == [1, 2]
    small.view.selected = [3]
    assert selected_rows(SMALL, small.view)["function"].tolist() == ["<b>open", "lookup"]


def test_selected_rows_of_many_calls_agree_with_walking_up_from_each() -> None:
    calls = synthetic_calls(3000)
    chosen = {17, 400, 401, 1500}
    parents = calls["parent"].tolist()

    def is_below(call: int) -> bool:
        while call >= 0:
            if call in chosen:
                return True
            call = parents[call]
        return False

    wanted = [call for call in range(len(calls)) if is_below(call)]
    assert selected_rows(calls, sorted(chosen)).index.tolist() == wanted


def test_a_call_can_be_gone_to_from_python(small: Page) -> None:
    small.view.reveal(3)
    assert small.asked == 1
    small.update()
    assert small.sent == [({"reveal": 3}, [])]
    with pytest.raises(KeyError, match="no call 77"):
        small.view.reveal(77)


def test_where_another_feed_takes_the_place_of_the_first_pages_start_afresh(small: Page) -> None:
    small.want(0)
    small.update()
    small.want(12)
    small.view.receive({"view": "p", "tell": 3})
    small.data = view_of(FrameFeed(SMALL.iloc[:3]))
    assert small.update() == [], "what was asked of the first feed is not answered"
    assert small.sent == [({"feed": 1}, [])]
    small.view.receive({"view": "p", "feed": 1, "have": 0, "names": 0, "tasks": 0})
    assert small.update() == [(0, 6)]
    assert small.sent[0][0]["threads"] == (0, ["cat (10)"])
    assert small.sent[0][0]["total"] == 6


def test_who_asks_for_a_feed_that_is_gone_is_told_the_number_of_the_new_one(small: Page) -> None:
    small.data = view_of(FrameFeed(SMALL.iloc[:3]))
    small.update()
    asked = small.asked
    small.view.receive({"view": "late", "feed": 0, "have": 0, "names": 0, "tasks": 0})
    assert (small.asked, small.view.stale) == (asked + 1, True)
    assert small.update() == []
    assert small.sent == [({"feed": 1}, [])]
    small.view.receive({"view": "late", "feed": 0, "select": [0, 3, -1]})
    assert small.view.selected == [], "the numbers of its lines are those of the first feed"
    small.view.receive({"view": "late", "feed": 1, "select": [0, 0, -1]})
    assert small.view.selected == [0]


def test_a_view_without_a_feed_is_refused() -> None:
    with pytest.raises(ValueError, match="'calls' has no feed"):
        IndentView(ViewData(name="calls", kind="indent", frame=SMALL, generation=0), lambda: None)


def text_of(page: str) -> list[str]:
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_data(self, data: str) -> None:
            found.append(data)

    Reader().feed(page)
    return [text for text in found if text.strip(" \n")]


def test_the_picture_that_stays_has_the_lines_with_indentation() -> None:
    feed = FrameFeed(SMALL)
    lines = indent_text(feed).splitlines()
    assert len(lines) == 12
    assert lines[0].startswith("0.000000  cat (10)     -> open_a()")
    assert lines[2].startswith("0.000000  cat (10)         -> get_inode()")
    assert lines[3].startswith(r"0.000000  l\x1bs (20)  -> <b>open()")
    assert r"0.000001  l\x1bs (20)  <- <b>open  ✗" in lines
    assert lines[-1].startswith("0.000004  cat (10)     <- close_a  ⚠  end not seen")
    page = indent_html(feed)
    shown = text_of(page)
    assert "<b>" not in page
    assert "-> lookup()" in shown[shown.index("\u00a0" * 4) + 1]
    assert page.count("<tr>") == 13


def test_of_many_lines_the_picture_keeps_the_first_and_the_last(million: FrameFeed) -> None:
    lines = indent_text(million).splitlines()
    assert len(lines) == 41
    assert lines[20] == "... 1,199,960 more lines"
    assert "… 1,199,960 more lines" in text_of(indent_html(million))
    last = million.steps(1_199_999, 1_200_000)
    assert lines[-1].endswith(f"<- {million.functions[int(last.function[0])]}")


def test_a_walk_without_calls_says_so() -> None:
    feed = FrameFeed(SMALL.head(0))
    assert indent_text(feed) == "nothing called yet"
    assert indent_html(feed) == "<p>nothing called yet</p>"
    page = Page(view_of(feed))
    page.want(0)
    assert page.update() == []
    page.view.close()


def test_a_frame_alone_is_a_widget_that_answers_its_page_and_has_a_picture() -> None:
    view = indent(SMALL, title="a\x1bb")
    assert view.title == r"a\x1bb"
    assert not view.follow
    bundle, _ = view._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == view.model_id
    assert "-> get_inode()" in bundle["text/plain"]
    assert "<table>" in bundle["text/html"]
    sent: list[Any] = []
    view.send = lambda content, buffers=None: sent.append(content)
    view.receive({"view": "p", "have": 0, "names": 0, "tasks": 0})
    deadline = time.monotonic() + 5
    while not sent and time.monotonic() < deadline:
        time.sleep(0.005)
    assert [(m["start"], m["count"]) for m in sent] == [(0, 12)]
    view.close()


def test_a_frame_that_lacks_a_column_is_refused() -> None:
    with pytest.raises(KeyError, match="depth"):
        indent(SMALL.drop(columns="depth"))


def test_part_of_a_frame_can_be_shown() -> None:
    view = indent(SMALL[SMALL["error"].notna()])
    view.receive({"view": "p", "select": [0, 1, -1]})
    assert view.selected == [3]
    view.close()


def test_a_panel_with_an_indent_view_does_nothing_until_a_page_comes() -> None:
    source = Walked(synthetic_calls(1000))
    panel = Panel(source)
    assert panel.widget is not None
    view = panel.shown("calls")
    assert isinstance(view, IndentView)
    assert not panel._publisher.active
    assert "... 1,960 more lines" in panel.picture()["text/plain"]
    view.receive({"view": "p", "select": [0, 0, -1]})
    assert source.selected == [0]
    panel.close()
