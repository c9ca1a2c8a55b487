"""Kstats as frames: dtypes that hold every value exactly, and rates that never lie."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.kstat import Id, Kstat, Type, Value, frame, rates, wide
from ktrace_nb.kstat.model import LIMITS, Scalar

SECOND = 1_000_000_000


def kstat(
    data: Mapping[str, Value],
    *,
    name: str = "q",
    instance: int = 0,
    at_s: float = 1,
    made_s: float = 0,
    **other: Any,
) -> Kstat:
    id = Id(module="m", instance=instance, name=name)
    return Kstat(
        id=id,
        class_="misc",
        crtime_ns=round(made_s * SECOND),
        snaptime_ns=round(at_s * SECOND),
        data=data,
        **other,
    )


def values(*given: Scalar, type: Type) -> dict[str, Value]:
    return {f"s{number}": Value(value=value, type=type) for number, value in enumerate(given)}


# --- the long form ------------------------------------------------------------------------


def test_a_frame_has_a_row_per_statistic_and_the_four_words_as_index() -> None:
    count = Value(value=7, type=Type.UINT32, counter=True, unit="bytes")
    found = frame([kstat({"b": count, "a": Value(value=1)}, instance=3, at_s=2.5, made_s=0.25)])
    assert found.index.names == ["module", "instance", "name", "statistic"]
    assert found.index.tolist() == [("m", 3, "q", "b"), ("m", 3, "q", "a")]
    assert [str(found.index.get_level_values(n).dtype) for n in range(4)] == ["str", "int64", "str", "str"]
    assert found.dtypes.astype(str).to_dict() == {
        "value": "uint64",
        "type": "str",
        "counter": "bool",
        "unit": "str",
        "class": "str",
        "crtime_ns": "int64",
        "snaptime_ns": "int64",
    }
    assert found.iloc[0].tolist() == [7, "uint32", True, "bytes", "misc", 250_000_000, 2_500_000_000]


def test_a_frame_without_rows_has_the_same_columns() -> None:
    empty, full = frame([]), frame([kstat({"a": Value(value=1)})])
    assert len(empty) == 0
    assert empty.columns.tolist() == full.columns.tolist()
    assert empty.dtypes.tolist() == full.dtypes.tolist()
    assert empty.index.names == full.index.names


def test_a_kstat_that_could_not_be_read_is_told_beside_the_rows() -> None:
    found = frame([kstat({}, error="OSError: gone"), kstat({"a": Value(value=1)}, name="r")])
    assert found.attrs["kstat"] == {"errors": {"m:0:q": "OSError: gone"}}
    assert len(found) == 1


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (values(0, 2**64 - 1, type=Type.UINT64), "uint64"),
        (values(0, 5, type=Type.INT64), "int64"),
        (values(-(2**63), 2**63 - 1, type=Type.INT64), "int64"),
        ({**values(7, type=Type.UINT64), "x": Value(value=-1, type=Type.INT32)}, "int64"),
        ({**values(2**63, type=Type.UINT64), "x": Value(value=-1, type=Type.INT32)}, "object"),
        (values(0.5, math.inf, type=Type.DOUBLE), "float64"),
        ({**values(2**53, type=Type.UINT64), "x": Value(value=0.5, type=Type.DOUBLE)}, "float64"),
        ({**values(2**53 + 1, type=Type.UINT64), "x": Value(value=0.5, type=Type.DOUBLE)}, "object"),
        (values("a", "b", type=Type.STRING), "str"),
        ({**values(1, type=Type.UINT64), "x": Value(value="a", type=Type.CHAR)}, "object"),
    ],
)
def test_values_have_the_dtype_that_holds_all_of_them_exactly(data: dict[str, Value], dtype: str) -> None:
    found = frame([kstat(data)])["value"]
    assert str(found.dtype) == dtype
    assert found.tolist() == [value.value for value in data.values()]


INTEGERS = st.one_of(
    *(
        st.builds(Value, value=st.integers(*limits), type=st.just(type_), counter=st.booleans())
        for type_, limits in LIMITS.items()
    )
)
VALUES = st.one_of(
    INTEGERS,
    st.builds(Value, value=st.floats(allow_nan=False), type=st.just(Type.DOUBLE)),
    st.builds(Value, value=st.text(max_size=5), type=st.just(Type.STRING)),
)
NAMES = st.sampled_from(["a", "b", "c", "value", "class"])


@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=4))
def test_no_value_changes_on_its_way_into_a_frame_long_or_wide(all_data: list[dict[str, Value]]) -> None:
    kstats = [kstat(data, instance=number) for number, data in enumerate(all_data)]
    long = frame(kstats)
    given = [value for data in all_data for value in data.values()]
    assert long["value"].tolist() == [value.value for value in given]
    assert long["type"].tolist() == [value.type.value for value in given]
    broad = wide(long)
    cells = {
        (number, name): value.value for number, data in enumerate(all_data) for name, value in data.items()
    }
    assert set(broad.columns) == {name for _, name in cells}
    for name in broad.columns:
        for (_, number, _), cell in zip(broad.index, broad[name].tolist(), strict=True):
            if (number, name) in cells:
                assert cell == cells[number, name]
            else:
                assert pd.isna(cell)


def test_the_wide_form_has_a_row_per_kstat_and_types_of_its_columns() -> None:
    kstats = [
        kstat({"reads": Value(value=2**64 - 1), "state": Value(value="up", type=Type.STRING)}, name="a"),
        kstat({"reads": Value(value=3), "share": Value(value=0.5, type=Type.DOUBLE)}, name="b"),
        kstat({"reads": Value(value=4), "some": Value(value=2**64 - 1)}, name="b", instance=1),
    ]
    found = wide(frame(kstats))
    assert found.index.tolist() == [("m", 0, "a"), ("m", 0, "b"), ("m", 1, "b")]
    assert found.index.names == ["module", "instance", "name"]
    assert found.dtypes.astype(str).to_dict() == {
        "reads": "uint64",
        "state": "str",
        "share": "float64",
        "some": "UInt64",
    }
    assert found["reads"].tolist() == [2**64 - 1, 3, 4]
    assert found["some"].tolist() == [pd.NA, pd.NA, 2**64 - 1]


def test_only_frames_of_kstats_have_a_wide_form_and_rates() -> None:
    other = pd.DataFrame({"value": [1]})
    assert not hasattr(other, "kstat")
    given: Any = frame([kstat({"a": Value(value=1)})])
    assert given.kstat.wide().equals(wide(given))
    with pytest.raises(ValueError, match="no frame of kstats"):
        wide(other)
    with pytest.raises(ValueError, match="no frame of kstats"):
        rates(given, other)


# --- rates -------------------------------------------------------------------------------------


def counter(value: Scalar, type: Type = Type.UINT64, unit: str = "") -> dict[str, Value]:
    return {"n": Value(value=value, type=type, counter=True, unit=unit)}


def between(before: Kstat, after: Kstat) -> tuple[float, Any, float, str]:
    """Rate, delta, seconds and note of one counter."""
    (row,) = rates(frame([before]), frame([after])).to_dict("records")
    return row["rate"], row["delta"], row["seconds"], row["note"]


def test_a_rate_is_per_second_between_the_times_the_values_were_taken() -> None:
    before = kstat({**counter(100, unit="bytes"), "gauge": Value(value=1)}, at_s=10)
    after = kstat({**counter(350, unit="bytes"), "gauge": Value(value=9)}, at_s=12.5)
    found = frame([after]).kstat.rates(frame([before]))
    assert found.index.tolist() == [("m", 0, "q", "n")]
    assert found.iloc[0].tolist() == [100.0, 250, 2.5, "bytes", ""]
    assert found.dtypes.astype(str).to_dict() == {
        "rate": "float64",
        "delta": "UInt64",
        "seconds": "float64",
        "unit": "str",
        "note": "str",
    }
    assert found.attrs["kstat"] == {"notes": {}}
    assert rates(frame([]), frame([])).dtypes.tolist() == found.dtypes.tolist()


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(1, 2**62))
def test_a_rate_is_exact_to_a_floats_last_digit(low: int, high: int, ns: int) -> None:
    low, high = sorted((low, high))
    before, after = kstat(counter(low)), kstat(counter(high))
    object.__setattr__(before, "snaptime_ns", 5)
    object.__setattr__(after, "snaptime_ns", 5 + ns)
    rate, delta, _, note = between(before, after)
    assert delta == high - low and note == ""
    assert rate == pytest.approx(float(Fraction(high - low) * SECOND / ns), rel=1e-15)


@pytest.mark.parametrize(("type", "bits"), [(Type.UINT32, 32), (Type.UINT64, 64)])
def test_a_counter_that_came_to_its_end_goes_on_and_says_so(type: Type, bits: int) -> None:
    before, after = kstat(counter(2**bits - 10, type), at_s=1), kstat(counter(90, type), at_s=3)
    assert between(before, after) == (50.0, 100, 2.0, "wrapped")


@given(st.sampled_from([(Type.UINT32, 2**32), (Type.UINT64, 2**64)]), st.data())
def test_a_wrap_is_believed_only_from_the_last_quarter_to_the_first(
    kind: tuple[Type, int], data: st.DataObject
) -> None:
    type_, range_ = kind
    high = data.draw(st.integers(1, range_ - 1))
    low = data.draw(st.integers(0, high - 1))
    rate, delta, _, note = between(kstat(counter(high, type_)), kstat(counter(low, type_), at_s=2))
    if 4 * high >= 3 * range_ and 4 * low < range_:
        # As C subtracts.
        assert delta == (low - high) % range_ and note == "wrapped" and delta <= range_ // 2
    else:
        assert math.isnan(rate) and pd.isna(delta) and note == "fell"


@pytest.mark.parametrize("type", [Type.INT32, Type.INT64, Type.DOUBLE])
def test_a_counter_of_a_type_that_does_not_wrap_fell(type: Type) -> None:
    rate, delta, seconds, note = between(kstat(counter(2**31 - 1, type)), kstat(counter(1, type), at_s=2))
    assert math.isnan(rate) and pd.isna(delta) and (seconds, note) == (1.0, "fell")


def test_a_counter_of_floats_has_a_rate() -> None:
    before, after = kstat(counter(0.5, Type.DOUBLE)), kstat(counter(2.0, Type.DOUBLE), at_s=3)
    assert between(before, after) == (0.75, 1.5, 2.0, "")


@pytest.mark.parametrize("later", [5, 500])
def test_a_kstat_that_was_made_anew_has_no_rate_whatever_its_counters(later: int) -> None:
    rate, delta, _, note = between(
        kstat(counter(100), made_s=0, at_s=10), kstat(counter(later), made_s=11, at_s=12)
    )
    assert math.isnan(rate) and pd.isna(delta) and note == "created anew"


@pytest.mark.parametrize("at_s", [1, 0.5])
def test_where_no_time_passed_there_is_no_rate(at_s: float) -> None:
    rate, delta, _, note = between(kstat(counter(1)), kstat(counter(5), at_s=at_s))
    assert math.isnan(rate) and pd.isna(delta) and note == "no time passed"


def test_a_counter_that_has_another_type_now_has_no_rate() -> None:
    rate, _, _, note = between(kstat(counter(1, Type.UINT32)), kstat(counter(5), at_s=2))
    assert math.isnan(rate) and note == "another type"
    rate, _, _, note = between(kstat(counter(1)), kstat({"n": Value(value=5)}, at_s=2))
    assert math.isnan(rate) and note == "another type"


def test_what_came_and_what_went_is_told_and_has_no_rate() -> None:
    before = frame([kstat(counter(1), name="goes"), kstat(counter(1), name="stays")])
    after = frame([kstat(counter(9), name="comes", at_s=2), kstat(counter(2), name="stays", at_s=2)])
    found = rates(before, after)
    assert [key[2] for key in found.index] == ["comes", "stays", "goes"]
    assert found["note"].tolist() == ["new", "", "gone"]
    assert np.isnan(found["rate"].to_numpy()).tolist() == [True, False, True]
    assert np.isnan(found["seconds"].to_numpy()).tolist() == [True, False, True]
    assert found.attrs["kstat"]["notes"] == {"new": ["m:0:comes:n"], "gone": ["m:0:goes:n"]}


def test_counters_that_exist_from_boot_on_have_no_rate_over_a_reboot() -> None:
    before, after = frame([kstat(counter(5), at_s=10)]), frame([kstat(counter(900), at_s=20)])
    assert rates(before, after)["rate"].tolist() == [89.5]
    before.attrs["kstat"]["boot_id"], after.attrs["kstat"]["boot_id"] = "one", "one"
    assert rates(before, after)["rate"].tolist() == [89.5]
    after.attrs["kstat"]["boot_id"] = "other"
    found = rates(before, after)
    assert found["note"].tolist() == ["created anew"] and found["rate"].isna().all()
