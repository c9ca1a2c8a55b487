"""Kstats as Prometheus reads them, by its official client library.

The statistic ``nread`` of ``sd:0:sda``, a counter in bytes, is told as

    # HELP kstat_sd_nread_bytes_total nread of kstats of module sd, in bytes.
    # TYPE kstat_sd_nread_bytes_total counter
    kstat_sd_nread_bytes_total{class="disk",instance="0",name="sda"} 1.048576e+06

What is no counter is a gauge. A text is a gauge ``..._info`` of 1 with the text as its label
``value``; a kstat that could not be read is one in ``kstat_error``. Numbers are floats there:
one of more than 53 bits loses its last digits, in any program that speaks Prometheus.

A server that scrapes has a label ``instance`` of its own and calls this one
``exported_instance``, unless it is told ``honor_labels: true``.

Written by the client library and not by hand: it knows the rules of escaping and of the
suffix of counters, and costs nothing more, since Jupyter's server needs it anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ktrace_nb.kstat.model import Kstat, Value

UNITS = {
    "": "",
    "ns": "nanoseconds",
    "us": "microseconds",
    "ms": "milliseconds",
    "s": "seconds",
    "KiB": "kibibytes",
}
"""What units are called in names and texts; others as they are."""

_WRONG = re.compile(r"[^a-zA-Z0-9_]")


def exposition(kstats: Iterable[Kstat]) -> str:
    """Kstats in Prometheus' text format 0.0.4.

    Args:
        kstats: What is to be told.

    Returns:
        The text; one family of metrics per module, statistic, unit and kind, in the order they first come.
    """
    registry = CollectorRegistry()
    registry.register(_Collector(kstats))
    return generate_latest(registry).decode()


class _Collector(Collector):
    def __init__(self, kstats: Iterable[Kstat]) -> None:
        self._kstats = list(kstats)

    def collect(self) -> Iterator[Metric]:
        families = _Families()
        for kstat in self._kstats:
            for statistic, value in kstat.data.items():
                families.add(kstat, statistic, value)
        yield from families.metrics.values()
        yield from self._errors()

    def _errors(self) -> Iterator[Metric]:
        labels = ("module", "instance", "name", "class", "error")
        family = GaugeMetricFamily("kstat_error", "Kstats that could not be read, and why.", labels=labels)
        for kstat in self._kstats:
            if kstat.error:
                family.add_metric([kstat.id.module, *_labels(kstat).values(), kstat.error], 1)
        if family.samples:
            yield family


def _labels(kstat: Kstat) -> dict[str, str]:
    return {"instance": str(kstat.id.instance), "name": kstat.id.name, "class": kstat.class_}


class _Families:
    """Metrics by their names."""

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}
        self._told: set[tuple[str, ...]] = set()

    def add(self, kstat: Kstat, statistic: str, value: Value) -> None:
        """Add a sample to its family."""
        module, is_text = kstat.id.module, isinstance(value.value, str)
        unit = UNITS.get(value.unit, value.unit)
        name = _metric(module, statistic, unit, is_text=is_text, counter=value.counter)
        sample = f"{name}_total" if value.counter else name
        labels = _labels(kstat) | ({"value": str(value.value)} if is_text else {})
        # Two names may have become one: then their labels tell them apart.
        if (
            _word(module) != module
            or _word(statistic) != statistic
            or (sample, *labels.values()) in self._told
        ):
            labels |= {"module": module, "statistic": statistic}
        self._told.add((sample, *labels.values()))
        if sample not in self.metrics:
            text = f"{statistic} of kstats of module {module}" + (f", in {unit}." if unit else ".")
            make = CounterMetricFamily if value.counter else GaugeMetricFamily
            self.metrics[sample] = make(name, text)
        self.metrics[sample].add_sample(sample, labels, 1 if is_text else float(value.value))


def _metric(module: str, statistic: str, unit: str, *, is_text: bool, counter: bool) -> str:
    """The name of a metric, without the suffix that the library gives to counters."""
    words = ["kstat", _word(module), _word(statistic)]
    unit = _word(unit)
    if unit and not words[-1].endswith(unit):
        words.append(unit)
    if is_text:
        words.append("info")
    name = "_".join(words)
    if counter:
        return name.removesuffix("_total")
    # A gauge of that name would be taken for a counter.
    return f"{name}_now" if name.endswith("_total") else name


def _word(text: str) -> str:
    return _WRONG.sub("_", text)
