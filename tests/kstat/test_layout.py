"""Layouts, held against what kstat(8) printed on other people's machines."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.kstat.layout import (
    EMPTY_JSON,
    blocks,
    colons,
    json_text,
    json_with_class,
    names,
    parsable,
    values,
)
from ktrace_nb.kstat.model import Id, Kind, Kstat, Scalar, Type, Value
from ktrace_nb.kstat.select import Selection, everything


def kstat(
    name: str,
    class_: str,
    data: dict[str, Scalar],
    *,
    crtime_ns: int = 0,
    snaptime_ns: int = 0,
    kind: Kind = Kind.NAMED,
    error: str = "",
) -> Kstat:
    """A kstat by ``module:instance:name``."""
    module, instance, own = name.split(":", 2)
    typed = {
        key: Value(value=value, type=Type.STRING if isinstance(value, str) else Type.UINT64)
        for key, value in data.items()
    }
    return Kstat(
        id=Id(module=module, instance=int(instance), name=own),
        class_=class_,
        kind=kind,
        crtime_ns=crtime_ns,
        snaptime_ns=snaptime_ns,
        data=typed,
        error=error,
    )


# kstat link:0:net0 on SmartOS joyent_20120713T005832Z, from github.com/TritonDataCenter/
# smartos-live/issues/102; its tabs had become blanks.
LINK = """\
module: link                            instance: 0     
name:   net0                            class:    net
\tbrdcstrcv                       1678
\tbrdcstxmt                       350
\tcollisions                      0
\tcrtime                          398003.781104495
\tierrors                         0
\tifspeed                         0
\tipackets                        185022
"""  # noqa: W291


def test_a_block_is_what_smartos_printed() -> None:
    data: dict[str, Scalar] = {"ipackets": 185022, "brdcstxmt": 350, "brdcstrcv": 1678}
    link = kstat(
        "link:0:net0",
        "net",
        data | {"ifspeed": 0, "collisions": 0, "ierrors": 0},
        crtime_ns=398003781104495,
    )
    # Its end, with snaptime, was not pasted there.
    assert blocks([link], Selection.of(statistic="[!s]*")) == LINK + "\n"


# kstat -p caps::cpucaps_zone_*, from github.com/TritonDataCenter/triton/issues/242; likewise.
CAPS = """\
caps:1:cpucaps_zone_1:above_base_sec\t28
caps:1:cpucaps_zone_1:above_sec\t0
caps:1:cpucaps_zone_1:baseline\t18
caps:1:cpucaps_zone_1:below_sec\t51942
caps:1:cpucaps_zone_1:burst_limit_sec\t0
caps:1:cpucaps_zone_1:bursting_sec\t0
caps:1:cpucaps_zone_1:class\tzone_caps
caps:1:cpucaps_zone_1:crtime\t24847.587211675
caps:1:cpucaps_zone_1:effective\t200
caps:1:cpucaps_zone_1:maxusage\t172
caps:1:cpucaps_zone_1:nwait\t0
caps:1:cpucaps_zone_1:snaptime\t76789.291701114
caps:1:cpucaps_zone_1:usage\t0
caps:1:cpucaps_zone_1:value\t200
caps:1:cpucaps_zone_1:zonename\t487b08a7-13ae-44be-82f8-2fdf59516a2f
caps:2:cpucaps_zone_2:above_base_sec\t174
"""


def caps() -> list[Kstat]:
    first: dict[str, Scalar] = {
        "zonename": "487b08a7-13ae-44be-82f8-2fdf59516a2f",
        **{"baseline": 18, "effective": 200, "burst_limit_sec": 0, "bursting_sec": 0, "usage": 0},
        **{"nwait": 0, "below_sec": 51942, "above_sec": 0, "above_base_sec": 28, "maxusage": 172},
        "value": 200,
    }
    return [
        kstat("caps:2:cpucaps_zone_2", "zone_caps", {"above_base_sec": 174}),
        kstat(
            "caps:1:cpucaps_zone_1",
            "zone_caps",
            first,
            crtime_ns=24847587211675,
            snaptime_ns=76789291701114,
        ),
    ]


def test_the_parsable_lines_are_what_smartos_printed() -> None:
    assert parsable(caps(), everything).startswith(CAPS)


def test_the_other_lines_are_parts_of_the_parsable_ones() -> None:
    lines = [line.split("\t") for line in CAPS.splitlines()]
    assert colons(caps(), everything).startswith("".join(f"{n}:{v}\n" for n, v in lines))
    assert names(caps(), everything).startswith("".join(f"{n}\n" for n, _ in lines))
    assert values(caps(), everything).startswith("".join(f"{v}\n" for _, v in lines))


# The source document: kstat cpu_stat:::/^intr/ and kstat -n system_pages; runs of blanks had
# become one, and kstat was a Perl script then, which wrote as many decimals as a double has.
INTERRUPTS = """\
module: cpu_stat instance: 0
name: cpu_stat0 class: misc
intr 879131909
intrblk 21608
intrthread 668490486

module: cpu_stat instance: 1
name: cpu_stat1 class: misc
intr 211084960
intrblk 280
intrthread 209923001
"""
PAGES = """\
module: unix instance: 0
name: system_pages class: pages
availrmem 343567
crtime 0
desfree 4001
desscan 25
econtig 4278190080
fastscan 256068
freemem 248309
kernelbase 3556769792
lotsfree 8002
minfree 2000
nalloc 11957763
nalloc_calls 9981
nfree 11856636
nfree_calls 6689
nscan 0
pagesfree 248309
pageslocked 168569
pagestotal 512136
physmem 522272
pp_kernel 64102
slowscan 100
snaptime 6573953.83957897
"""


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.strip().splitlines()]


def test_the_source_document_s_interrupts_are_laid_out_as_there() -> None:
    kstats = [
        kstat("cpu_stat:1:cpu_stat1", "misc", {"intrthread": 209923001, "intrblk": 280, "intr": 211084960}),
        kstat("cpu_stat:0:cpu_stat0", "misc", {"intrthread": 668490486, "intrblk": 21608, "idle": 1}),
        kstat("unix:0:system_misc", "misc", {"intr": 1}),
    ]
    kstats[1] = kstat(
        "cpu_stat:0:cpu_stat0",
        "misc",
        {"idle": 1, "intr": 879131909, "intrblk": 21608, "intrthread": 668490486},
    )
    assert words(blocks(kstats, Selection.of("cpu_stat:::/^intr/"))) == words(INTERRUPTS)


def test_the_source_document_s_pages_are_laid_out_as_there() -> None:
    lines = [line.split() for line in PAGES.splitlines()[2:]]
    data: dict[str, Scalar] = {
        name: int(value) for name, value in reversed(lines) if not name.endswith("time")
    }
    pages = kstat("unix:0:system_pages", "pages", data, snaptime_ns=6573953839578970)
    found = words(blocks([pages], Selection.of(name="system_pages")))
    assert found[:-1] == words(PAGES)[:-1]
    name, value = found[-1]
    assert (name, float(value), value) == ("snaptime", 6573953.83957897, "6573953.839578970")


# kstat(8), examples 1 and 3.
AVENRUN = """\
unix:0:system_misc:avenrun_15min\t3
unix:0:system_misc:avenrun_1min\t4
unix:0:system_misc:avenrun_5min\t2
"""
STATES = "".join(f"cpu_info:{n}:cpu_info{n}:state\ton-line\n" for n in range(4))
AVERAGES: dict[str, Scalar] = {"avenrun_1min": 4, "avenrun_5min": 2, "avenrun_15min": 3, "ncpus": 4}


@pytest.mark.parametrize(
    "selection",
    [
        Selection.of(module="unix", instance="0", name="system_misc", statistic="avenrun*"),
        Selection.of(statistic="avenrun*"),
        Selection.of("unix:0:system_misc:avenrun*"),
        Selection.of(":::avenrun*"),
        Selection.of(":::/^avenrun_[0-9]+min$/"),
    ],
)
def test_the_first_example_of_the_manual_page(selection: Selection) -> None:
    assert parsable([kstat("unix:0:system_misc", "misc", AVERAGES)], selection) == AVENRUN


@pytest.mark.parametrize("pattern", [":::avenrun*", ":::/^avenrun/"])
def test_operands_are_answered_in_their_order(pattern: str) -> None:
    kstats = [kstat(f"cpu_info:{n}:cpu_info{n}", "misc", {"state": "on-line"}) for n in (2, 0, 3, 1)]
    kstats.append(kstat("unix:0:system_misc", "misc", AVERAGES))
    assert parsable(kstats, Selection.of(":::state", pattern)) == STATES + AVENRUN
    assert parsable(kstats, Selection.of(pattern, ":::state")) == AVENRUN + STATES
    # Who is asked for twice is told twice.
    assert parsable(kstats, Selection.of(":::state", "cpu_info:[0-3]::st*")) == STATES + STATES


def test_order_does_not_regard_case_and_instances_are_numbers() -> None:
    kstats = [kstat(name, "misc", {"b": 1, "A": 2, "_": 3}) for name in ("sd:10:x", "sd:9:x", "Aa:0:x")]
    assert names(kstats, Selection.of(statistic="/^[bA_]$/")).split() == [
        f"{name}:{statistic}" for name in ("Aa:0:x", "sd:9:x", "sd:10:x") for statistic in ("_", "A", "b")
    ]


def test_heads_are_cut_after_thirty_characters_and_names_of_statistics_are_not() -> None:
    long = "".join(str(n % 10) for n in range(1, 41))
    text = blocks([kstat(f"{long}:123456789:{long}", long, {long: 1})], Selection.of(statistic="1*"))
    cut = "123456789012345678901234567890"
    assert text == (f"module: {cut}  instance: 123456789\nname:   {cut}  class:    {cut}\n\t{long}  1\n\n")


# By the formats of kstat.c, written out by hand.
JSON = """\
[{
	"module": "cpu_info",
	"instance": 0,
	"name": "cpu_info0",
	"class": "misc",
	"type": 1,
	"snaptime": 76789.291701114,
	"data": {
		"brand": "a \\"b\\"\\t\\\\\\u007f",
		"clock_MHz": 2400
	}
}, {
	"module": "sd",
	"instance": 1,
	"name": "sd1",
	"class": "disk",
	"type": 3,
	"snaptime": 0,
	"data": {
		"brand": "none"
	}
}]
"""


def test_json_is_as_kstat_writes_it() -> None:
    kstats = [
        kstat("sd:1:sd1", "disk", {"brand": "none"}, kind=Kind.IO),
        kstat(
            "cpu_info:0:cpu_info0",
            "misc",
            {"clock_MHz": 2400, "brand": 'a "b"\t\\\x7f'},
            snaptime_ns=76789291701114,
        ),
    ]
    assert json_text(kstats, Selection.of(statistic="/brand|clock/")) == JSON
    assert json_text(kstats, Selection.of(statistic="none")) == EMPTY_JSON == "[]\n"


def test_times_are_among_the_data_and_the_class_only_in_layouts_for_programs() -> None:
    one = [kstat("a:0:b", "misc", {"x": 1}, crtime_ns=5, snaptime_ns=1_500_000_000)]
    data = {"crtime": 0.000000005, "snaptime": 1.5, "x": 1}
    assert json.loads(json_text(one, everything))[0]["data"] == data
    assert json.loads(json_with_class(one, everything))[0]["data"] == {"class": "misc", **data}
    only_class = Selection.of(statistic="class")
    assert blocks(one, only_class) == ""
    assert json_text(one, only_class) == EMPTY_JSON
    assert parsable(one, only_class) == "a:0:b:class\tmisc\n"
    assert parsable(one, Selection.of(statistic="*time")) == (
        "a:0:b:crtime\t0.000000005\na:0:b:snaptime\t1.500000000\n"
    )


@given(
    st.dictionaries(st.text(min_size=1), st.one_of(st.text(), st.integers(0, 2**64 - 1)), max_size=5),
    st.text(st.characters(exclude_characters=":"), min_size=1),
)
def test_json_says_what_was_measured_whatever_the_names(data: dict[str, Scalar], name: str) -> None:
    text = json_text([kstat(f"a:7:{name}", "misc", data)], everything)
    assert text.isascii()
    (found,) = json.loads(text)
    assert (found["module"], found["instance"], found["name"]) == ("a", 7, name)
    assert found["data"] == {"crtime": 0, "snaptime": 0} | data


@given(st.floats())
def test_a_number_of_type_double_is_given_back_whole(number: float) -> None:
    one = Kstat(
        id=Id(module="a", instance=0, name="b"),
        class_="misc",
        data={"x": Value(value=number, type=Type.DOUBLE)},
    )
    (found,) = json.loads(json_text([one], Selection.of(statistic="x")))
    text = values([one], Selection.of(statistic="x"))
    if math.isfinite(number):
        assert found["data"]["x"] == number == float(text)
    else:
        assert found["data"]["x"] is None
        assert text.strip() in ("nan", "inf", "-inf")


@given(st.text(min_size=1))
def test_no_name_or_value_can_write_a_line_of_its_own(text: str) -> None:
    one = [kstat(f"a:0:{text}", text, {text: text})]
    assert len(parsable(one, everything).split("\n")) == 5
    assert blocks(one, everything).count("\n") == 6
    assert "\x1b" not in parsable(one, everything) + blocks(one, everything)


def test_of_a_kstat_that_could_not_be_read_its_birth_is_known() -> None:
    broken = kstat("a:0:b", "misc", {}, crtime_ns=2_000_000_000, snaptime_ns=9, error="OSError: gone")
    assert parsable([broken], everything) == "a:0:b:class\tmisc\na:0:b:crtime\t2.000000000\n"


def test_raw_data_without_a_type_are_left_out() -> None:
    assert parsable([kstat("a:0:b", "misc", {}, kind=Kind.RAW)], everything) == ""
    assert "x\t1\n" in parsable([kstat("a:0:b", "misc", {"x": 1}, kind=Kind.RAW)], everything)
