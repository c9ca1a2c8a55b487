"""``iostat -xn``: the columns of the source document, and the formulas of illumos."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ktrace_nb.errors import OptionError
from ktrace_nb.kstat.disk_rates import DiskRates, rates_between, rates_of, reading, table
from ktrace_nb.kstat.iostat import Request, parse, report
from ktrace_nb.kstat.kinds import Io
from ktrace_nb.kstat.model import IO, Id, Kstat

S, MS = 10**9, 10**6

# The document's line; its numbers do not follow from one another, nor need they.
FD0 = DiskRates(
    reads_per_s=1.2,
    writes_per_s=0.1,
    read_bytes_per_s=9.2 * 1024,
    written_bytes_per_s=1.1 * 1024,
    wait=0.1,
    actv=0.5,
    wsvc_ms=0.1,
    asvc_ms=10.4,
    wait_percent=1,
    busy_percent=1,
    seconds=10,
)
IDLE = replace(
    FD0,
    reads_per_s=0.0,
    writes_per_s=0.0,
    read_bytes_per_s=0.0,
    written_bytes_per_s=0.0,
    wait=0.0,
    actv=0.0,
    wsvc_ms=0.0,
    asvc_ms=0.0,
    wait_percent=0.0,
    busy_percent=0.0,
)
DOCUMENT = """\
extended device statistics
r/s w/s kr/s kw/s wait actv wsvc_t asvc_t %w %b device
1.2 0.1 9.2 1.1 0.1 0.5 0.1 10.4 1 1 fd0
"""
XN = Request(descriptive=True)


def disk(at_s: float, io: Io, *, name: str = "vda", created_s: float = 100) -> Kstat:
    return Kstat(
        id=Id(module="vd", instance=0, name=name),
        class_="disk",
        kind=IO,
        crtime_ns=round(created_s * S),
        snaptime_ns=round(at_s * S),
        data=dict(io.values()),
    )


def test_a_report_has_the_words_of_the_document() -> None:
    words = [line.split() for line in report({"fd0": FD0}, XN).splitlines()]
    assert words == [line.split() for line in DOCUMENT.splitlines()]


def test_a_report_stands_in_the_columns_of_illumos() -> None:
    # iostat.c: " %6.1f %6.1f %6.1f %6.1f %4.1f %4.1f %6.1f %6.1f %3.0f %3.0f ", the title in the
    # middle of the header and blanks behind it up to the device's name.
    title, header, line = report({"fd0": FD0}, XN).splitlines()
    assert title == " " * 20 + "extended device statistics" + " " * 14
    assert header == "    r/s    w/s   kr/s   kw/s wait actv wsvc_t asvc_t  %w  %b device"
    numbers = (1.2, 0.1, 9.2, 1.1, 0.1, 0.5, 0.1, 10.4, 1, 1)
    form = " %6.1f %6.1f %6.1f %6.1f %4.1f %4.1f %6.1f %6.1f %3.0f %3.0f "
    assert line == form % numbers + "fd0"


def test_without_n_the_name_is_first_and_there_is_one_service_time() -> None:
    text = report({"fd0": FD0, "nvme0n1p": FD0}, Request())
    title, header, *lines = text.splitlines()
    assert header == "device      r/s    w/s   kr/s   kw/s wait actv  svc_t  %w  %b "
    assert title.strip() == "extended device statistics"
    assert len(title) == len(header)
    form = " %6.1f %6.1f %6.1f %6.1f %4.1f %4.1f %6.1f %3.0f %3.0f "
    numbers = (1.2, 0.1, 9.2, 1.1, 0.1, 0.5, 10.5, 1, 1)
    assert lines == [f"{name:8}" + form % numbers for name in ("fd0", "nvme0n1p")]


def test_raw_is_separated_by_commas() -> None:
    assert report({"fd0": FD0}, replace(XN, raw=True)) == (
        "extended device statistics\n"
        "r/s,w/s,kr/s,kw/s,wait,actv,wsvc_t,asvc_t,%w,%b,device\n"
        "1.2,0.1,9.2,1.1,0.1,0.5,0.1,10.4,1,1,fd0\n"
    )


def test_counts_and_megabytes_have_their_headers_and_numbers() -> None:
    rates = replace(FD0, read_bytes_per_s=3 << 20, written_bytes_per_s=0)
    _, header, line = report({"fd0": rates}, replace(XN, counts=True, megabytes=True)).splitlines()
    assert header.split()[:4] == ["r/i", "w/i", "Mr/i", "Mw/i"]
    assert line.split()[:4] == ["12.0", "1.0", "30.0", "0.0"]


def test_idle_disks_are_left_out_if_asked_for() -> None:
    both = {"idle": IDLE, "fd0": FD0}
    assert [line.split()[-1] for line in report(both, XN).splitlines()[2:]] == ["idle", "fd0"]
    assert [line.split()[-1] for line in report(both, replace(XN, skip_idle=True)).splitlines()[2:]] == [
        "fd0"
    ]
    assert [line.split()[-1] for line in report(both, replace(XN, most=1)).splitlines()[2:]] == ["idle"]
    assert [line.split()[-1] for line in report(both, replace(XN, disks=("fd0",))).splitlines()[2:]] == [
        "fd0"
    ]


def test_numbers_follow_from_two_readings() -> None:
    # In 10 s: 40 reads and 10 writes; each waited 20 ms and was served 100 ms; 2.5 s were
    # without any request, and in 1 s of the rest some waited.
    before = disk(200, Io(reads=5, nread=50, rlentime=7, wtime=3))
    after = disk(
        210,
        Io(
            reads=45,
            writes=10,
            nread=50 + 40 * 4096,
            nwritten=10 * 8192,
            wlentime=50 * 20 * MS,
            rlentime=7 + 50 * 100 * MS,
            wtime=3 + S,
            rtime=round(7.5 * S),
        ),
    )
    rates = rates_of(after, before)
    assert (rates.reads_per_s, rates.writes_per_s) == (4, 1)
    assert (rates.read_bytes_per_s, rates.written_bytes_per_s) == (4 * 4096, 8192)
    queues = [rates.wait, rates.actv, rates.wsvc_ms, rates.asvc_ms, rates.wait_percent, rates.busy_percent]
    assert queues == pytest.approx([0.1, 0.5, 20, 100, 10, 75])


def test_a_single_reading_is_of_the_time_since_the_numbers_began() -> None:
    assert rates_of(disk(104, Io(reads=8, rtime=S), created_s=100)).reads_per_s == 2
    assert rates_of(disk(104, Io(reads=8, rtime=S), created_s=100)).busy_percent == 25


def test_no_operations_have_no_service_time() -> None:
    # One request has been served for all of the time, and has not come out.
    rates = rates_of(disk(210, Io(rlentime=10 * S, rtime=10 * S, rcnt=1)), disk(200, Io(rcnt=1)))
    assert (rates.actv, rates.busy_percent, rates.asvc_ms) == (1, 100, 0)


def test_what_a_kernel_does_not_tell_is_a_dash_and_no_number() -> None:
    kstat = disk(210, Io(reads=10, rlentime=S))
    partly = replace(kstat, data={n: v for n, v in kstat.data.items() if n not in ("wtime", "wlentime")})
    rates = rates_between(reading([partly]))
    line = report(rates, XN).splitlines()[2].split()
    assert (line[4], line[6], line[8]) == ("-", "-", "-")
    frame = table(rates)
    assert frame["wait"].isna().tolist() == [True]
    assert set(map(str, frame.dtypes)) == {"float64"}


def test_a_disk_that_came_anew_is_not_compared_with_the_one_before_it() -> None:
    old = reading([disk(200, Io(reads=1000), created_s=100)])
    new = reading([disk(210, Io(reads=10), created_s=205)])
    assert rates_between(new, old)["vda"].reads_per_s == 2


def test_only_disks_that_could_be_read_are_shown() -> None:
    failed = replace(disk(1, Io(), name="vdb"), error="gone", data={})
    partition = replace(disk(1, Io(), name="vda1"), class_="partition")
    assert [id.name for id in reading([disk(1, Io()), failed, partition])] == ["vda"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-xn 10", Request(descriptive=True, interval_s=10, count=None)),
        ("-xn 10 3", Request(descriptive=True, interval_s=10, count=3)),
        ("-x", Request()),
        ("-x -n -z -M -I -r -s -l 4 -T d vda vdb 5", Request(
            descriptive=True, skip_idle=True, megabytes=True, counts=True, raw=True, most=4, stamp="d",
            disks=("vda", "vdb"), interval_s=5, count=None)),
        ("-xn --target lab:x 1 1", Request(descriptive=True, target="lab:x", interval_s=1, count=1)),
        ("10 -xn", Request(descriptive=True, interval_s=10, count=None)),
        ("-h", Request(help=True)),
    ],
)  # fmt: skip
def test_words_mean_what_they_do_on_illumos(line: str, expected: Request) -> None:
    assert parse(line.split()) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("10", "only the extended statistics"),
        ("-x 0", "invalid interval 0"),
        ("-x 1 0", "invalid count 0"),
        ("-x 1.5", "invalid interval 1.5"),
        ("-x 1 2 3", "behind the count"),
        ("-x 1x", "invalid interval 1x"),
        ("-x -T z", "-T is u or d"),
        ("-x -l 0", "invalid limit 0"),
        ("-x -E", "option -E not recognized"),
        ("-x 99999999999", "invalid interval"),
    ],
)
def test_words_that_make_no_sense_are_told(line: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse(line.split())
