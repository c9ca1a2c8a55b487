"""Kstats in Prometheus' text, read back by the parser of its own client library and by its grammar."""

from __future__ import annotations

import math
import re

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from ktrace_nb.kstat import Id, Kstat, Type, Value, exposition

# Prometheus, "Exposition formats", text format 0.0.4.
_LINE = re.compile(
    r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\\\|\\"|\\n)*",?)*\})? \S+\n'
)


def kstat(
    data: dict[str, Value], *, module: str = "sd", name: str = "sda", instance: int = 0, error: str = ""
) -> Kstat:
    return Kstat(id=Id(module=module, instance=instance, name=name), class_="disk", data=data, error=error)


def samples(*kstats: Kstat) -> list[Sample]:
    text = exposition(kstats)
    for line in text.splitlines(keepends=True):
        assert line.startswith(("# HELP ", "# TYPE ")) or _LINE.fullmatch(line)
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def test_a_counter_is_told_as_the_documentation_shows() -> None:
    read = Value(value=1 << 20, counter=True, unit="bytes")
    assert exposition([kstat({"nread": read})]) == (
        "# HELP kstat_sd_nread_bytes_total nread of kstats of module sd, in bytes.\n"
        "# TYPE kstat_sd_nread_bytes_total counter\n"
        'kstat_sd_nread_bytes_total{class="disk",instance="0",name="sda"} 1.048576e+06\n'
    )


def test_counters_gauges_texts_and_errors_are_metrics_of_their_kinds() -> None:
    data = {
        "reads": Value(value=5, counter=True),
        "rtime": Value(value=9, counter=True, unit="ns"),
        "wait_ms": Value(value=3, unit="ms"),
        "share": Value(value=0.5, type=Type.DOUBLE, unit="percent"),
        "model": Value(value='a "b"\\c\nd', type=Type.STRING),
    }
    text = exposition([kstat(data), kstat({}, name="sdb", error="OSError: gone")])
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {name: family.type for name, family in families.items()} == {
        "kstat_sd_reads": "counter",
        "kstat_sd_rtime_nanoseconds": "counter",
        "kstat_sd_wait_ms_milliseconds": "gauge",
        "kstat_sd_share_percent": "gauge",
        "kstat_sd_model_info": "gauge",
        "kstat_error": "gauge",
    }
    labels = {"class": "disk", "instance": "0", "name": "sda"}
    assert families["kstat_sd_reads"].samples[0].labels == labels
    (model,) = families["kstat_sd_model_info"].samples
    assert model.labels == {**labels, "value": 'a "b"\\c\nd'} and model.value == 1
    (error,) = families["kstat_error"].samples
    assert error.labels == {
        **labels,
        "module": "sd",
        "name": "sdb",
        "error": "OSError: gone",
    }
    assert families["kstat_sd_share_percent"].documentation == "share of kstats of module sd, in percent."


def test_kstats_of_one_module_share_a_metric() -> None:
    text = exposition(
        [kstat({"reads": Value(value=n, counter=True)}, name=f"sd{n}", instance=n) for n in (0, 1)]
    )
    assert text.count("# TYPE") == 1
    assert [sample.labels["name"] for sample in samples(*[])] == []
    (family,) = text_string_to_metric_families(text)
    assert [(s.labels["instance"], s.labels["name"], s.value) for s in family.samples] == [
        ("0", "sd0", 0),
        ("1", "sd1", 1),
    ]


def test_a_name_ends_in_its_unit_once_and_a_counter_in_total_once() -> None:
    data = {
        "bytes": Value(value=1, counter=True, unit="bytes"),
        "hits_total": Value(value=2, counter=True),
        "size_total": Value(value=3),
    }
    assert [sample.name for sample in samples(kstat(data))] == [
        "kstat_sd_bytes_total",
        "kstat_sd_hits_total",
        "kstat_sd_size_total_now",
    ]


def test_names_that_become_one_are_told_apart_by_labels() -> None:
    data = {"a.b": Value(value=1), "a_b": Value(value=2), "a b": Value(value=3)}
    found = samples(
        kstat(data), kstat({"b_c": Value(value=4)}, module="a"), kstat({"c": Value(value=5)}, module="a_b")
    )
    assert len({(sample.name, *sorted(sample.labels.items())) for sample in found}) == 5
    assert {sample.labels.get("statistic", "a_b"): sample.value for sample in found[:3]} == {
        "a.b": 1,
        "a_b": 2,
        "a b": 3,
    }


def test_what_is_no_finite_number_is_told_as_such() -> None:
    data = {
        name: Value(value=value, type=Type.DOUBLE)
        for name, value in {"nan": math.nan, "up": math.inf, "down": -math.inf}.items()
    }
    found = {sample.name: sample.value for sample in samples(kstat(data))}
    assert math.isnan(found["kstat_sd_nan"])
    assert (found["kstat_sd_up"], found["kstat_sd_down"]) == (math.inf, -math.inf)


def test_nothing_is_no_text() -> None:
    assert exposition([]) == "" and exposition([kstat({})]) == ""


_WORDS = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters=":"), min_size=1, max_size=6)


@given(_WORDS, _WORDS, st.dictionaries(_WORDS, st.integers(0, 2**64 - 1), max_size=5), st.booleans())
def test_whatever_things_are_called_the_text_is_valid_and_the_values_are_those(
    module: str, name: str, data: dict[str, int], counter: bool
) -> None:
    given = kstat({key: Value(value=n, counter=counter) for key, n in data.items()}, module=module, name=name)
    found = samples(given)
    # A float has no more digits.
    assert sorted(sample.value for sample in found) == sorted(float(value) for value in data.values())
    assert len({(sample.name, *sorted(sample.labels.items())) for sample in found}) == len(data)
    assert {sample.labels["name"] for sample in found} <= {name}
