from __future__ import annotations

import io
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ktrace_nb.kernel import signatures as k
from ktrace_nb.kernel.signatures import Parameter, Reading, Signature
from ktrace_nb.stream.calls.lazy_text import ARGUMENTS, RESULT, LazyText
from ktrace_nb.stream.calls.values import Values

INT = Reading(k.SIGNED, 32)
VALUES = Values(
    [
        Signature((Parameter("fd", INT, (0,)),), INT, is_known=True),
        Signature(result=Reading(k.VOID), is_known=True),
    ]
)
TEXTS = ["fd=3", "fd=-1", pd.NA, "", "fd=3"]


def arguments() -> LazyText:
    registers = np.zeros((5, 6), np.uint64)
    registers[:, 0] = [3, (1 << 32) - 1, 9, 9, 3]
    function = np.array([0, 0, 0, 1, 0], np.uint16)
    return LazyText(VALUES, ARGUMENTS, function, registers, np.array([0, 0, 1, 0, 0], bool))


@pytest.fixture
def series() -> pd.Series:
    return pd.Series(arguments(), index=list("abcde"), name="arguments")


def same(found: object, wanted: list[object]) -> bool:
    texts = list(found)  # type: ignore[call-overload]
    return len(texts) == len(wanted) and all(
        (a is pd.NA and b is pd.NA) or a == b for a, b in zip(texts, wanted, strict=True)
    )


def test_texts_are_made_from_registers() -> None:
    assert same(arguments(), TEXTS)
    results = LazyText(
        VALUES,
        RESULT,
        np.array([0, 1], np.uint16),
        np.array([(1 << 32) - 2, 5], np.uint64),
        np.zeros(2, bool),
    )
    assert same(results, ["-ENOENT", ""])


def test_no_text_is_made_for_rows_nobody_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = Values.arguments

    def counted(self: Values, function: int, registers: list[int]) -> str:
        made.append(registers[0])
        return real(self, function, registers)

    monkeypatch.setattr(Values, "arguments", counted)
    frame = pd.DataFrame({"arguments": arguments(), "n": range(5)})
    twice = pd.concat([frame, frame])
    chosen = twice[twice["n"] < 2].sort_values(by="n").copy().iloc[1:]
    assert made == []
    assert chosen["arguments"].iloc[0] == "fd=3"
    assert made == [3]


def test_rows_are_chosen_by_places_labels_masks_and_slices(series: pd.Series) -> None:
    assert series.iloc[1] == series["b"] == "fd=-1"
    assert same(series.iloc[[4, 0, 3]], ["fd=3", "fd=3", ""])
    assert same(series.loc["b":"d"], ["fd=-1", pd.NA, ""])
    assert same(series[[True, False, True, False, True]], ["fd=3", pd.NA, "fd=3"])
    assert same(series.head(1), ["fd=3"])
    assert same(series.reindex(list("ax")), ["fd=3", pd.NA])
    assert same(series[::-1], TEXTS[::-1])


def test_it_compares_with_texts(series: pd.Series) -> None:
    assert (series == "fd=3").fillna(False).tolist() == [True, False, False, False, True]
    assert (series != "fd=3").fillna(False).tolist() == [False, True, False, True, False]
    assert (series == series).fillna(False).tolist() == [True, True, False, True, True]
    assert series.isna().tolist() == [False, False, True, False, False]
    assert series.isin(["fd=3"]).tolist() == [True, False, False, False, True]


def test_it_has_string_methods(series: pd.Series) -> None:
    assert series.str.contains("-1").fillna(False).tolist() == [False, True, False, False, False]
    assert same(series.str.upper(), ["FD=3", "FD=-1", pd.NA, "", "FD=3"])
    assert series.str.len().fillna(-1).tolist() == [4, 5, -1, 0, 4]
    assert series.str.startswith("fd").fillna(False).tolist() == [True, True, False, False, True]


def test_it_groups_counts_and_sorts(series: pd.Series) -> None:
    assert series.value_counts().to_dict() == {"fd=3": 2, "fd=-1": 1, "": 1}
    assert same(series.unique(), ["fd=3", "fd=-1", pd.NA, ""])
    frame = pd.DataFrame({"arguments": series, "n": 1})
    assert frame.groupby("arguments")["n"].sum().to_dict() == {"": 1, "fd=-1": 1, "fd=3": 2}
    assert same(series.sort_values(), ["", "fd=-1", "fd=3", "fd=3", pd.NA])
    assert series.describe()["unique"] == 3


def test_parts_are_put_together_and_texts_of_others_too(series: pd.Series) -> None:
    twice = pd.concat([series, series])
    assert twice.dtype == "lazy_text"
    assert same(twice, TEXTS * 2)
    given = pd.Series(["x", None], dtype="lazy_text")
    mixed = pd.concat([series, given])
    assert mixed.dtype == "lazy_text"
    assert same(mixed, [*TEXTS, "x", pd.NA])
    assert same(series.fillna("?"), ["fd=3", "fd=-1", "?", "", "fd=3"])
    assert same(series.where(np.array([True] * 4 + [False]), "gone"), [*TEXTS[:4], "gone"])


def test_writing_to_a_copy_leaves_the_original_alone(series: pd.Series) -> None:
    copy = series.copy()
    copy["a"] = "changed"
    assert same(copy, ["changed", *TEXTS[1:]])
    assert same(series, TEXTS)


def test_it_becomes_strings_csv_arrow_and_parquet(series: pd.Series) -> None:
    assert same(series.astype("string"), TEXTS)
    assert series.astype(object).tolist()[:2] == ["fd=3", "fd=-1"]
    frame = pd.DataFrame({"arguments": series})
    assert frame.to_csv() == ",arguments\na,fd=3\nb,fd=-1\nc,\nd,\ne,fd=3\n"
    wanted = [None if text is pd.NA else text for text in TEXTS]
    assert pa.Table.from_pandas(frame)["arguments"].to_pylist() == wanted
    file = io.BytesIO()
    frame.to_parquet(file)
    assert pd.read_parquet(file)["arguments"].isna().tolist() == series.isna().tolist()
    assert frame.to_json(orient="values") == '[["fd=3"],["fd=-1"],[null],[""],["fd=3"]]'


def test_it_is_pickled_and_shown(series: pd.Series) -> None:
    again = pickle.loads(pickle.dumps(series))
    assert same(again, TEXTS)
    assert pd.Series(again).equals(series)
    assert "fd=-1" in repr(series)
    assert "fd=-1" in repr(series.array)
    assert "fd=-1" in pd.DataFrame({"arguments": series}).to_html()


def test_it_is_empty_where_nothing_was_recorded() -> None:
    empty = pd.Series([], dtype="lazy_text")
    assert len(empty) == 0
    assert empty.reindex([0, 1]).isna().all()
    assert pd.concat([empty, pd.Series(arguments())]).tolist()[0] == "fd=3"
