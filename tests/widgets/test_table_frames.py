"""Frames of every kind in a table."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.stream.calls.lazy_text import LazyText
from ktrace_nb.widgets.table import TableView, table_html, table_text
from tests.widgets.tables import EVIL, Cells, view_of

FRAMES = {
    "empty": pd.DataFrame(),
    "no rows": pd.DataFrame({"comm": pd.Categorical([]), "bytes": np.array([], dtype=np.uint64)}),
    "no columns": pd.DataFrame(index=[1, 2, 3]),
    "one row": pd.DataFrame({"n": [1]}),
    "multi index": pd.DataFrame(
        {"n": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), (None, 2)], names=["comm", "cpu"])
    ),
    "half-named index": pd.DataFrame(
        {"n": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=[None, "cpu"])
    ),
    "duplicate names": pd.DataFrame([[1, "a", 2.5]], columns=["x", "x", "x"]),
    "duplicate labels": pd.DataFrame({"n": [1, 2, 3]}, index=pd.Index(["a", "a", None], name="comm")),
    "other names": pd.DataFrame([[1, 2, 3]], columns=[7, None, ("a", "b")]),
    "columns of two levels": pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
    "lists": pd.DataFrame({"stack": pd.Series([["a", "b"], [], None], dtype=object), "n": [1, 2, 3]}),
    "arrays": pd.DataFrame({"a": pd.Series([np.array([1, 2]), np.array([])], dtype=object)}),
    "bytes": pd.DataFrame({"key": [b"\x00\xff", b""]}),
    "bool": pd.DataFrame({"ok": [True, False], "maybe": pd.array([True, None], dtype="boolean")}),
    "times": pd.DataFrame(
        {
            "at": pd.to_datetime(["2026-01-01", "NaT"]),
            "there": pd.to_datetime(["2026-01-01", "NaT"]).tz_localize("UTC"),
            "took": pd.to_timedelta([5, None], unit="ms"),
        }
    ),
    "nullable": pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="Int64"),
            "wait_ns": pd.array([2**63 - 1, None], dtype="Int64"),
            "f": pd.array([1.5, None], dtype="Float64"),
            "s": pd.array(["a", None], dtype="string"),
        }
    ),
    "arrow": pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="uint64[pyarrow]"),
            "s": pd.array(["a", None], dtype="string[pyarrow]"),
            "d": pd.array([1.5, None], dtype="double[pyarrow]"),
        }
    ),
    "arguments": pd.DataFrame({"arguments": LazyText._from_sequence(["dir=0x1", pd.NA]), "n": [1, 2]}),
    "not numbers": pd.DataFrame({"x_ns": [math.nan, math.inf, -math.inf, -3.2e6, 0.0]}),
    "complex": pd.DataFrame({"z": [1 + 2j, 3j]}),
    "mixed": pd.DataFrame({"x": pd.Series([1, "a", None, 2.5, b"x", (1, 2)], dtype=object)}),
    "large": pd.DataFrame({"bytes": np.array([2**64 - 1, 2**53 + 1], dtype=np.uint64)}),
    "huge": pd.DataFrame({"n": pd.Series([2**80, -(2**80)], dtype=object)}),
    "evil": pd.DataFrame(
        {
            EVIL: [EVIL, "a\tb\nc"],
            "comm": pd.Categorical.from_codes([0, 1], pd.Index([EVIL, "\ud800"], dtype=object)),
            "path": pd.Series([EVIL, "\udce9"], dtype=object),
        }
    ),
    "intervals": pd.DataFrame({"i": pd.interval_range(0, 2), "p": pd.period_range("2026", periods=2)}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_of_every_kind_are_shown_sorted_and_filtered(name: str) -> None:
    frame = FRAMES[name]
    view = view_of(frame)
    table = TableView(view, lambda: None)
    keys = list(table.table["keys"])
    for key in keys:
        for descending in (True, False):
            table.receive({"sort": key, "descending": descending})
            table.update(view)
            assert table.table["sort"] == key
            assert len(table.table["rows"]) == len(frame)
    for words in ("a", "1", "a=1", '"x"', *(f'"{key}"=1' for key in keys), *(f'"{key}">1' for key in keys)):
        table.receive({"words": words})
        table.update(view)
    for wish in ({"words": "", "exact": True}, {"bars": "all"}):
        table.receive(wish)
        table.update(view)
    state = json.loads(json.dumps(table.table, allow_nan=False))
    assert len(state["rows"]) == (len(frame) if len(frame.columns) else 0)
    sent = json.dumps(state, ensure_ascii=False)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202e\ud800-\udfff]", sent)
    page = table_html(view)
    assert set(Cells(page).tags) <= {"table", "thead", "tbody", "tr", "th", "td", "p"}
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", page)
    assert table_text(view)
    table.close()
