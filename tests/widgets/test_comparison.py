from __future__ import annotations

from html.parser import HTMLParser

import pytest

from ktrace_nb.comparison import compare
from ktrace_nb.widgets import comparison, comparison_html, comparison_text
from ktrace_nb.widgets.comparison_picture import cut, halves
from ktrace_nb.widgets.sides import side_by_side
from tests.widgets.made_calls import call, frame_of

A = frame_of(call("read", 1000, call("map", 300)), call("old", 50))
B = frame_of(call("read", 2000, call("map", 500, error="EIO")), call("read", 100), call("new<b>", 4000))


class Rows(HTMLParser):
    """The cells of a table's body, row by row."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._inside = False
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data


def test_new_and_gone_rows_are_marked_and_differences_have_a_sign() -> None:
    side = side_by_side(compare(A, B))
    groups = [column.group for column in side.columns]
    assert groups == [group for group in ("calls", "self time", "total time", "errors") for _ in range(3)]
    rows = {
        name: (mark, *texts) for name, mark, texts in zip(side.names, side.marks, side.texts, strict=True)
    }
    # Of each measure a, b and change: calls, self time, total time, errors.
    assert rows == {
        "new<b>": ("new", "0", "1", "+1", "0", "4 µs", "+4 µs", "0", "4 µs", "+4 µs", "0", "0", "0"),
        "read": (
            "",
            "1",
            "2",
            "+1",
            "700 ns",
            "1.6 µs",
            "+900 ns",
            "1 µs",
            "2.1 µs",
            "+1.1 µs",
            "0",
            "0",
            "0",
        ),
        "map": (
            "",
            "1",
            "1",
            "0",
            "300 ns",
            "500 ns",
            "+200 ns",
            "300 ns",
            "500 ns",
            "+200 ns",
            "0",
            "1",
            "+1",
        ),
        "old": ("gone", "1", "0", "−1", "50 ns", "0", "−50 ns", "50 ns", "0", "−50 ns", "0", "0", "0"),
    }
    assert dict(zip(side.names, side.changes, strict=True)) == {
        "new<b>": 4000,
        "read": 900,
        "map": 200,
        "old": -50,
    }
    assert side.longest == 4000
    assert side.notes == ("4 rows, 1 new, 1 gone",)


def test_errors_have_columns_only_where_there_are_some() -> None:
    side = side_by_side(compare(A, A))
    assert {column.group for column in side.columns} == {"calls", "self time", "total time"}
    assert side.longest == 0
    assert comparison_html(compare(A, A)).count("█") == 0


def test_what_a_run_does_not_have_per_call_is_a_dash_and_still_drawn() -> None:
    side = side_by_side(compare(A, B, per="call"))
    place = [(column.group, column.side) for column in side.columns].index(("self time", "a"))
    row = side.names.index("new<b>")
    assert side.texts[row][place] == "-"
    assert side.numbers[row][place] is None
    assert side.changes[row] == 4000
    assert "numbers are per call" in side.notes


def test_edges_are_named_by_both_ends() -> None:
    side = side_by_side(compare(A, B, by="edges"))
    assert side.head == "caller → callee"
    assert "read → map" in side.names
    assert "(outermost) → read" in side.names


def test_losses_of_either_run_are_said() -> None:
    frame = compare(A, B)
    frame.attrs["ktrace"] = {"per": "run", "lost": {"a": {}, "b": {"ring full": 412}}}
    assert "⚠ b: 412 lost: ring full" in side_by_side(frame).notes


def test_the_html_holds_a_row_per_function_and_a_bar_to_its_side() -> None:
    page = Rows(comparison_html(compare(A, B)))
    assert page.tags <= {"table", "thead", "tbody", "tr", "th", "td", "font", "b", "p"}
    body = {row[0]: row for row in page.rows[2:]}
    assert set(body) == {"new<b>", "read", "map", "old"}
    assert body["new<b>"][1] == "new"
    assert body["old"][1] == "gone"
    # 4,000 ns are 12 letters; 900 are 2.7, so 2 and a half; 50 the least there is.
    assert body["new<b>"][2:4] == ["", "█" * 12]
    assert body["read"][2:4] == ["", "██▌"]
    assert body["old"][2:4] == ["▐", ""]


def test_the_text_has_both_runs_side_by_side() -> None:
    lines = comparison_text(compare(A, B), title="before and after").splitlines()
    assert lines[0] == "before and after"
    heads = "function calls a calls b calls change self time a self time b self time change"
    assert lines[1].split() == heads.split()
    assert lines[2].split() == ["new", "new<b>", "0", "1", "+1", "0", "4", "µs", "+4", "µs"]
    assert lines[-1] == "4 rows, 1 new, 1 gone"


def test_a_long_comparison_says_what_it_leaves_out() -> None:
    many = compare(frame_of(*(call(f"f{n}", n + 1) for n in range(600))), A)
    assert comparison_text(many).splitlines()[-1] == "... 573 more rows"
    view = comparison(many)
    assert len(view.table["names"]) == 500
    assert view.table["foot"].endswith("103 more rows not shown")


def test_a_frame_that_is_no_comparison_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no column 'status' in the frame, wanted what ktrace_nb.compare"):
        comparison(A)


def test_a_saved_notebook_has_the_table() -> None:
    data, _ = comparison(compare(A, B), title="x")._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "new&lt;b&gt;" in data["text/html"]
    assert "new<b>" in data["text/plain"]


def test_long_names_keep_their_end() -> None:
    assert cut("a" * 60 + ";end") == "…" + "a" * 43 + ";end"
    assert halves(0, 10) == ""
    assert halves(1, 1_000_000) == "▌"
