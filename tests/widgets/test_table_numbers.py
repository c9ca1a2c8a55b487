from __future__ import annotations

import math

import pandas as pd

from ktrace_nb.widgets.table import TableView
from ktrace_nb.widgets.table_numbers import MOST_LABELS, RowNumbers
from tests.widgets.tables import view_of


def test_a_row_keeps_its_number() -> None:
    numbers = RowNumbers()
    first = numbers.told(["a", ("b", 1), 7])
    assert numbers.told([7, "a", "new"])[:2] == [first[2], first[0]]
    assert numbers.labels([*reversed(first), 999, None, "x", [1]]) == [7, ("b", 1), "a"]


def test_a_click_in_flight_means_its_row_however_many_come_after() -> None:
    numbers = RowNumbers()
    old = numbers.told(["gone"])
    clicked = numbers.told(["clicked"])
    for first in range(0, MOST_LABELS, 50):
        numbers.told(range(first, first + 50))
        numbers.told(["clicked"])
    assert numbers.labels(clicked) == ["clicked"]
    assert numbers.labels(old) == []
    assert numbers.labels(numbers.told(["gone"])) == ["gone"]


def test_a_row_without_a_label_is_the_same_at_every_look() -> None:
    numbers = RowNumbers()
    gone = [math.nan, float("nan"), pd.NA, ("a", float("nan"))]
    first = numbers.told(gone)
    assert numbers.told([float("nan"), float("nan"), pd.NA, ("a", float("nan"))]) == first
    frame = pd.DataFrame({"n": [1, 2]}, index=pd.Index([float("nan"), 3.0]))
    picks: list[list[float]] = []
    view = view_of(frame, pick=lambda labels: picks.append(list(labels)))
    table = TableView(view, lambda: None)
    assert not table.update(view)
    table.receive({"pick": [table.table["ids"][0]]})
    assert frame.index.isin(picks[0]).tolist() == [True, False]
    table.close()
