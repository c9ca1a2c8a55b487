"""What the built-in kstats make of text that no kernel has written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrace_nb.agent.files import read_files
from ktrace_nb.kstat.builtin import cgroups, cpu, interrupts, memory, pressure, processes
from ktrace_nb.kstat.builtin.parse import decimal, integers, is_number, number, numbers
from ktrace_nb.kstat.files import Snapshot

PARTS = (cpu, memory, interrupts, processes, pressure, cgroups)
PATHS = sorted({path for part in PARTS for path in part.SOURCES if "*" not in path})
REAL = {path: Path(path).read_text() for path in read_files(PATHS)[0]["paths"] if not path.endswith("/")}


def make(files: dict[str, str]) -> None:
    snapshot = Snapshot(files=files)
    for part in PARTS:
        for kstat in part.kstats(snapshot):
            assert kstat.data and kstat.id.name


@given(st.dictionaries(st.sampled_from(PATHS), st.text(max_size=200)))
def test_no_text_whatsoever_makes_them_fail(files: dict[str, str]) -> None:
    make(files)


@settings(max_examples=200)
@given(st.data())
def test_nor_does_a_kernels_own_text_that_is_cut_and_put_together_anew(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(REAL)))
    text = REAL[path][:4000]
    at, to = (data.draw(st.integers(0, len(text))) for _ in range(2))
    make({**REAL, path: text[:at] + data.draw(st.text(" :\n0123456789abc.=-/", max_size=9)) + text[to:]})


@given(st.integers(-(2**63), 2**64 - 1))
def test_every_integer_of_the_kernel_is_a_number(value: int) -> None:
    assert is_number(str(value))
    assert numbers(f"a: {value} kB\nb {value}\n") == {"a": value, "b": value}
    assert number(f"{value}\n") == value
    assert integers(["7", str(value), "x", "8"]) == [7, value]


@pytest.mark.parametrize("text", ["", "-", "max", "1.5", "0x10", "1_000", "٣", "+1", "9" * 5000, " 1 2"])
def test_what_is_none_is_not(text: str) -> None:
    assert not is_number(text)
    assert number(text) is None


@pytest.mark.parametrize(
    ("text", "value"), [("0.23", 0.23), ("63396.18", 63396.18), ("nan", None), ("1", None), ("1.", None)]
)
def test_what_has_a_point_is_a_decimal(text: str, value: float | None) -> None:
    assert decimal(text) == value
