"""Rates of a map, moment by moment."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ktrace_nb.stream.growth import Growth


def by_comm(**values: int) -> pd.DataFrame:
    index = pd.Index(list(values), name="comm")
    return pd.DataFrame({"bytes": np.array(list(values.values()), dtype=np.uint64)}, index=index)


def test_a_rate_is_the_difference_over_the_seconds_between() -> None:
    growth = Growth()
    growth.add(1.0, by_comm(cat=100))
    growth.add(3.0, by_comm(cat=160, ls=50))
    growth.add(4.0, by_comm(cat=160, ls=49))
    rates = growth.frame()
    assert list(rates.index.names) == ["at_s", "comm"]
    assert rates["bytes_per_s"].to_dict() == {
        (3.0, "cat"): 30.0,
        (3.0, "ls"): 25.0,
        (4.0, "cat"): 0.0,
        (4.0, "ls"): -1.0,
    }


def test_a_map_without_keys_has_one_row_per_moment() -> None:
    growth = Growth()
    for at in range(5):
        growth.add(float(at), pd.DataFrame({"value": [at * at]}))
    assert growth.frame()["value_per_s"].to_dict() == {1.0: 1.0, 2.0: 3.0, 3.0: 5.0, 4.0: 7.0}


def test_numbers_near_two_to_the_64_are_subtracted_exactly() -> None:
    growth = Growth()
    growth.add(0.0, by_comm(cat=2**64 - 5))
    growth.add(1.0, by_comm(cat=2**64 - 1))
    assert growth.frame()["bytes_per_s"].tolist() == [4.0]


def test_moments_stay_bounded_and_span_the_whole_time() -> None:
    growth = Growth(moments=10)
    for at in range(1000):
        growth.add(float(at), by_comm(cat=7 * at))
    rates = growth.frame()
    assert len(rates) <= 10
    assert rates.index.get_level_values("at_s")[-1] == 999.0
    assert (rates["bytes_per_s"] == 7.0).all()


def test_of_many_keys_the_ones_that_grow_most_are_kept() -> None:
    growth = Growth(keys=3)
    names = [f"p{n}" for n in range(1000)]
    index = pd.Index(names, name="comm")
    for at in range(3):
        values = np.arange(1000, dtype=np.uint64) * np.uint64(at)
        growth.add(float(at), pd.DataFrame({"hits": values}, index=index))
    keys = set(growth.frame().index.get_level_values("comm"))
    assert keys == {"p999", "p998", "p997"}


def test_a_moment_that_is_not_later_and_a_frame_without_numbers_are_passed_over() -> None:
    growth = Growth()
    growth.add(1.0, pd.DataFrame({"text": ["a"]}))
    growth.add(1.0, by_comm(cat=1))
    growth.add(1.0, by_comm(cat=5))
    growth.add(0.5, by_comm(cat=9))
    assert growth.frame().empty
    assert growth.at_s == 1.0


def test_a_key_that_goes_and_comes_back_begins_at_zero_and_has_no_row_in_between() -> None:
    growth = Growth()
    growth.add(0.0, by_comm(cat=5))
    growth.add(1.0, by_comm(cat=9))
    growth.add(2.0, by_comm(ls=2))
    growth.add(3.0, by_comm(cat=3, ls=2))
    assert growth.frame()["bytes_per_s"].to_dict() == {
        (1.0, "cat"): 4.0,
        (2.0, "ls"): 2.0,
        (3.0, "cat"): 3.0,
        (3.0, "ls"): 0.0,
    }


def test_a_key_that_was_there_and_not_kept_does_not_jump() -> None:
    growth = Growth(keys=1)
    growth.add(0.0, by_comm(cat=1000, ls=500))
    growth.add(1.0, by_comm(cat=1000, ls=1200))
    growth.add(2.0, by_comm(cat=1000, ls=1300))
    assert growth.frame()["bytes_per_s"].tolist() == [0.0, 100.0]


def test_a_map_that_outgrows_its_slots_does_not_jump() -> None:
    growth = Growth(keys=4)
    growth.add(0.0, by_comm(a=1_000_000, b=2_000_000, c=3_000_000, d=4_000_000))
    growth.add(1.0, by_comm(z=5_000_000, a=1_000_001, b=2_000_002, c=3_000_003, d=4_000_004))
    growth.add(2.0, by_comm(z=5_000_001, a=1_000_002, b=2_000_004, c=3_000_006, d=4_000_008))
    rates = growth.frame()["bytes_per_s"].drop("z", level="comm")
    assert rates.max() <= 8
