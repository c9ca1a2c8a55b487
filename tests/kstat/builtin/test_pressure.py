"""Pressure, out of the kernel's text."""

from __future__ import annotations

from ktrace_nb.kstat.builtin import pressure
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Type

IO = """\
some avg10=0.23 avg60=1.19 avg300=1.20 total=418058599
full avg10=0.00 avg60=0.12 avg300=0.40 total=257030325
"""


def test_averages_are_percent_and_the_total_is_a_counter_of_microseconds() -> None:
    (io,) = pressure.kstats(Snapshot(files={"/proc/pressure/io": IO}))
    assert (io.id.module, io.id.instance, io.id.name, io.class_) == ("psi", 0, "io", "pressure")
    assert {name: value.value for name, value in io.data.items()} == {
        "some_avg10": 0.23,
        "some_avg60": 1.19,
        "some_avg300": 1.20,
        "some_total": 418058599,
        "full_avg10": 0.0,
        "full_avg60": 0.12,
        "full_avg300": 0.40,
        "full_total": 257030325,
    }
    assert (io.data["some_total"].counter, io.data["some_total"].unit) == (True, "us")
    average = io.data["some_avg10"]
    assert (average.counter, average.unit, average.type) == (False, "percent", Type.DOUBLE)


def test_each_thing_that_can_be_wanting_has_one() -> None:
    irq = "full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"  # has no "some"
    files = {f"/proc/pressure/{name}": IO for name in ("cpu", "memory", "io")}
    kstats = list(pressure.kstats(Snapshot(files={**files, "/proc/pressure/irq": irq})))
    assert [one.id.name for one in kstats] == ["cpu", "memory", "io", "irq"]
    assert "some_total" not in kstats[-1].data


def test_a_kernel_without_it_has_none() -> None:
    disabled = {"/proc/pressure/cpu": "EOPNOTSUPP"}
    assert list(pressure.kstats(Snapshot(files={}, errors=disabled))) == []
