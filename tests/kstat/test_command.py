"""The command: its words against a table of what kstat(8) of illumos does, and its reports."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.errors import OptionError, TargetError
from ktrace_nb.kstat import layout
from ktrace_nb.kstat.command import run
from ktrace_nb.kstat.layout import Layout
from ktrace_nb.kstat.model import Id, Kstat, Type, Value
from ktrace_nb.kstat.request import Request, parse
from ktrace_nb.kstat.select import Selection


def kstat(module: str, name: str, class_: str = "misc", *, error: str = "", **data: int | str) -> Kstat:
    return Kstat(
        id=Id(module=module, instance=0, name=name),
        class_=class_,
        data={
            key: Value(value=value, type=Type.STRING if isinstance(value, str) else Type.UINT64)
            for key, value in data.items()
        },
        error=error,
    )


UNIX = [
    kstat("unix", "system_misc", avenrun_15min=12, avenrun_1min=0, avenrun_5min=11, ncpus=4),
    kstat("cpu_stat", "cpu_stat0", intr=5, intrblk=6, idle=7),
    kstat("sd", "sd0", "disk", nread=512),
]


@dataclass
class FakeTime:
    """A clock that goes on only while somebody sleeps."""

    at: float = 932668790.0
    slept: list[float] = field(default_factory=list)
    reading_s: float = 0.0
    interrupt_after: int | None = None

    def time(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at - 1000

    def sleep(self, seconds: float, /) -> None:
        if len(self.slept) == self.interrupt_after:
            raise KeyboardInterrupt
        self.slept.append(seconds)
        self.at += seconds


@dataclass
class Run:
    """What came of a command."""

    status: int
    out: str
    err: str
    clock: FakeTime


def kstat8(*words: str, kstats: list[Kstat] | None = None, clock: FakeTime | None = None) -> Run:
    """Run the command on some kstats."""
    out, err, clock = io.StringIO(), io.StringIO(), clock or FakeTime()

    def read(selection: Selection) -> list[Kstat]:
        clock.at += clock.reading_s
        return UNIX if kstats is None else kstats

    status = run(parse(words), read, out=out, err=err, clock=clock)
    return Run(status, out.getvalue(), err.getvalue(), clock)


# What the words of a line mean to kstat(8); from its page where it says so, else from what
# kstat.c does. One row: the line, then (layout, quiet, stamp, interval, count).
ONCE = (0, 1)
ACCEPTED: list[tuple[str, tuple[Layout, bool, str, int, int | None]]] = [
    ("", (layout.blocks, False, "", *ONCE)),
    ("-p", (layout.parsable, False, "", *ONCE)),
    ("-C", (layout.colons, False, "", *ONCE)),
    ("-l", (layout.names, False, "", *ONCE)),
    ("-j", (layout.json_text, False, "", *ONCE)),
    ("-q", (layout.blocks, True, "", *ONCE)),
    ("-p -V", (layout.values, False, "", *ONCE)),
    ("-Vp", (layout.values, False, "", *ONCE)),
    ("-pp", (layout.parsable, False, "", *ONCE)),
    ("-pC", (layout.colons, False, "", *ONCE)),
    ("-Cp", (layout.colons, False, "", *ONCE)),
    ("-pl", (layout.names, False, "", *ONCE)),
    ("-lC", (layout.names, False, "", *ONCE)),
    ("-jp", (layout.json_with_class, False, "", *ONCE)),
    ("-lj", (layout.json_with_class, False, "", *ONCE)),
    ("-Td", (layout.blocks, False, "d", *ONCE)),
    ("-pTu", (layout.parsable, False, "u", *ONCE)),
    ("-T d -T u", (layout.blocks, False, "u", *ONCE)),
    ("-qT u", (layout.blocks, True, "u", *ONCE)),
    ("1", (layout.blocks, False, "", 1, None)),
    ("1 3", (layout.blocks, False, "", 1, 3)),
    ("+5 007", (layout.blocks, False, "", 5, 7)),
    ("-p 2147483647 2147483647", (layout.parsable, False, "", 2**31 - 1, 2**31 - 1)),
    ("5 cpu_stat", (layout.blocks, False, "", 5, None)),
    ("5 cpu_stat 2", (layout.blocks, False, "", 5, 2)),
    ("cpu_stat sd 5 2", (layout.blocks, False, "", 5, 2)),
    # What is no whole number is a module.
    ("5s", (layout.blocks, False, "", *ONCE)),
    ("2.5", (layout.blocks, False, "", *ONCE)),
    ("0x10", (layout.blocks, False, "", *ONCE)),
    ("five 1e3", (layout.blocks, False, "", *ONCE)),
    ("5:", (layout.blocks, False, "", *ONCE)),
    # Options end with the first operand, or with two dashes.
    ("cpu_stat -p", (layout.blocks, False, "", *ONCE)),
    ("-p -- 3", (layout.parsable, False, "", 3, None)),
    ("-p -- -x", (layout.parsable, False, "", *ONCE)),
    ("-m cpu_stat -m sd 3", (layout.blocks, False, "", 3, None)),
    ("-c misc -p cpu_stat", (layout.parsable, False, "", *ONCE)),
]


@pytest.mark.parametrize(("line", "meaning"), ACCEPTED, ids=[line for line, _ in ACCEPTED])
def test_a_line_means_what_it_means_to_illumos(
    line: str, meaning: tuple[Layout, bool, str, int, int | None]
) -> None:
    found = parse(line.split())
    assert (found.layout, found.quiet, found.stamp, found.interval_s, found.count) == meaning
    assert not found.help


REFUSED: list[tuple[str, str]] = [
    ("-x", "option -x not recognized"),
    ("-pz", "option -z not recognized"),
    ("-1", "option -1 not recognized"),
    ("-m", "option -m requires argument"),
    ("-T", "option -T requires argument"),
    ("-T x", "-T 'x': expected u or d"),
    ("-T date", "-T 'date': expected u or d"),
    ("-q -p", "-q and -p are mutually exclusive"),
    ("-jq", "-q and -j are mutually exclusive"),
    ("-lqC", "-q and -C -l are mutually exclusive"),
    ("0", "interval must be an integer >= 1, not '0'"),
    ("1 0", "count must be an integer >= 1, not '0'"),
    ("0 1", "interval must be an integer >= 1, not '0'"),
    ("-- -5", "interval must be an integer >= 1, not '-5'"),
    ("cpu_stat -5", "interval must be an integer >= 1, not '-5'"),
    ("1 -1", "count must be an integer >= 1, not '-1'"),
    ("18446744073709551616", "interval is too large: '18446744073709551616'"),
    ("1 18446744073709551616", "count is too large: '18446744073709551616'"),
    ("2147483648", "interval is too large: '2147483648'"),
    ("9" * 5000, "interval is too large"),
    ("1 2 3", "an interval, a count, and then '3'"),
    ("a:b:c:d:e", "expected module:instance:name:statistic, found 'a:b:c:d:e'"),
    ("::::", "expected module:instance:name:statistic, found '::::'"),
    ("-m cpu_stat sd", "module:instance:name:statistic and -m are mutually exclusive"),
    ("-s intr -n x :::", "module:instance:name:statistic and -n -s are mutually exclusive"),
    ("-m /(/", "bad regular expression: missing ), unterminated subpattern"),
    ("-c /*/", "bad regular expression: nothing to repeat"),
    ("::/[/", "bad regular expression: unterminated character set"),
    # Ours, or without a source:
    ("-V", "-V goes with -p alone"),
    ("-plV", "-V goes with -p alone"),
    ("-jpV", "-V goes with -p alone"),
    ("--targte lab", "option --targte not recognized"),
    ("--prometheus -p", "--prometheus and -p are layouts: one of them at a time"),
    ("--prometheus -q", "-q and --prometheus are mutually exclusive"),
    ("--prometheus 5", "--prometheus is one report without a time stamp"),
    ("--prometheus -T u", "--prometheus is one report without a time stamp"),
]


@pytest.mark.parametrize(("line", "why"), REFUSED, ids=[line[:30] for line, _ in REFUSED])
def test_what_illumos_refuses_is_refused(line: str, why: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse(line.split())
    assert caught.value.message.startswith(why)


def test_an_empty_operand_is_the_number_nought_as_strtoul_reads_it() -> None:
    with pytest.raises(OptionError, match="interval must be an integer >= 1, not ''"):
        parse([""])


@pytest.mark.parametrize("line", ["-h", "-?", "--help", "-ph", "-h -T x", "--he"])
def test_help_is_given_whatever_else_is_asked(line: str) -> None:
    assert parse(line.split()).help


# --- the same by chance ---------------------------------------------------------------

flag = st.sampled_from("pCljq")
values = st.sampled_from(["cpu*", "/^sd/", "0", "", "-p", "a b", "d", "u"])
valued = st.tuples(st.sampled_from("minsc"), values)


@given(st.lists(st.one_of(flag, valued), max_size=6), st.data())
def test_options_mean_the_same_however_they_are_written(
    options: list[str | tuple[str, str]], data: st.DataObject
) -> None:
    """Clustered or apart, a value attached or behind, and of each kind the last counts."""
    line: list[str] = []
    clusters = False  # whether the last word can have another letter
    for option in options:
        letter, value = option if isinstance(option, tuple) else (option, None)
        if clusters and data.draw(st.booleans()):
            line[-1] += letter
        else:
            line.append(f"-{letter}")
        clusters = value is None
        if value and data.draw(st.booleans()):
            line[-1] += value
        elif value is not None:
            line.append(value)
    flags = {option for option in options if isinstance(option, str)}
    asked = dict(option for option in options if isinstance(option, tuple))
    if "q" in flags and flags & set("pClj"):
        with pytest.raises(OptionError, match="mutually exclusive"):
            parse(line)
        return
    found = parse(line)
    (selector,) = found.selection.selectors
    assert {
        "m": selector.module.text,
        "i": selector.instance.text,
        "n": selector.name.text,
        "s": selector.statistic.text,
        "c": found.selection.class_.text,
    } == {letter: asked.get(letter) or "*" for letter in "minsc"}
    assert found.quiet == ("q" in flags)
    for letters, wanted in (("j", (layout.json_text, layout.json_with_class)), ("l", (layout.names,))):
        if letters in flags:
            assert found.layout in wanted
            return
    assert found.layout == (
        layout.colons if "C" in flags else layout.parsable if "p" in flags else layout.blocks
    )


fields = st.lists(st.sampled_from(["", "cpu", "0", "*", "x y", "/^a/"]), min_size=2, max_size=4)
numbers = st.integers(1, 2**31 - 1)


@given(
    st.lists(fields, max_size=3),
    st.lists(numbers, max_size=2),
    st.data(),
)
def test_numbers_may_stand_anywhere_among_operands(
    operands: list[list[str]], given_numbers: list[int], data: st.DataObject
) -> None:
    words = [":".join(parts) for parts in operands]
    line: list[str] = []
    left, right = list(words), [str(number) for number in given_numbers]
    while left or right:
        operand_next = bool(left) and (not right or data.draw(st.booleans()))
        line.append((left if operand_next else right).pop(0))
    found = parse(["--", *line])
    assert found.interval_s == (given_numbers[0] if given_numbers else 0)
    assert found.count == (given_numbers[1] if len(given_numbers) == 2 else None if given_numbers else 1)
    texts = [
        (s.module.text, s.instance.text, s.name.text, s.statistic.text) for s in found.selection.selectors
    ]
    wanted = [tuple((part or "*") for part in [*parts, "", "", ""][:4]) for parts in operands]
    assert texts == (wanted or [("*", "*", "*", "*")])


ODD = ["-p", "-m", "-T", "d", ":", "/(", "[", "0", "1", "--", "--target"]


@given(st.lists(st.one_of(st.text(max_size=5), st.sampled_from(ODD))))
def test_any_line_has_a_meaning_or_is_refused(line: list[str]) -> None:
    try:
        found = parse(line)
    except OptionError as error:
        assert error.lines()
    else:
        assert isinstance(found, Request)


# --- reports --------------------------------------------------------------------------

AVENRUN = "".join(f"unix:0:system_misc:avenrun_{n}\n" for n in ("15min\t12", "1min\t0", "5min\t11"))


@pytest.fixture
def greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def test_reports_are_a_blank_line_apart() -> None:
    """kstat(8), example 4."""
    done = kstat8("-p", "unix:0:system_misc:avenrun*", "1", "3")
    assert (done.status, done.out, done.err) == (0, f"{AVENRUN}\n{AVENRUN}\n{AVENRUN}", "")
    assert done.clock.slept == [1, 1]


@pytest.mark.usefixtures("greenwich")
def test_each_report_begins_with_the_date() -> None:
    """kstat(8), example 5; 932672390 is that moment in UTC."""
    done = kstat8("-p", "-T", "d", "unix:0:system_misc:avenrun*", "5", "2", clock=FakeTime(932672390))
    assert done.out == f"Thu Jul 22 19:39:50 1999\n{AVENRUN}\nThu Jul 22 19:39:55 1999\n{AVENRUN}"


def test_or_with_the_seconds_since_1970() -> None:
    """kstat(8), example 6."""
    done = kstat8("-p", "-T", "u", "unix:0:system_misc:avenrun*", clock=FakeTime(932668656.9))
    assert done.out == f"932668656\n{AVENRUN}"


@pytest.mark.parametrize(
    ("line", "status", "out"),
    [
        ("-p sd:::nread", 0, "sd:0:sd0:nread\t512\n"),
        ("-p -c disk -s nread", 0, "sd:0:sd0:nread\t512\n"),
        ("-p nothing", 1, ""),
        ("nothing", 1, ""),
        ("-j nothing", 1, "[]\n"),
        ("-l :::nothing", 1, ""),
        ("-q sd", 0, ""),
        ("-q nothing", 1, ""),
        ("-q -s class", 1, ""),  # only layouts for programs have it
        ("-p -s class sd*", 2, ""),
        ("-q -T u sd", 0, ""),
        ("-p -c none sd", 1, ""),
        ("-pV sd:::nread", 0, "512\n"),
        ("-C sd:::nread", 0, "sd:0:sd0:nread:512\n"),
        ("-p nothing sd:::nread", 0, "sd:0:sd0:nread\t512\n"),
    ],
)
def test_the_status_tells_whether_anything_matched(line: str, status: int, out: str) -> None:
    if status == 2:
        with pytest.raises(OptionError):
            kstat8(*line.split())
        return
    done = kstat8(*line.split())
    assert (done.status, done.out, done.err) == (status, out, "")


def test_each_of_several_reports_is_json_of_its_own() -> None:
    done = kstat8("-j", "sd", "2", "2")
    first, second = done.out.split("\n\n")
    assert json.loads(first) == json.loads(second)


@pytest.mark.parametrize("count", ["", "9"])
def test_an_interrupt_ends_repeated_reports_as_their_end_would(count: str) -> None:
    done = kstat8("-p", "sd:::nread", "5", *count.split(), clock=FakeTime(interrupt_after=2))
    assert (done.status, done.out) == (0, "\n".join(["sd:0:sd0:nread\t512\n"] * 3))
    assert kstat8("nothing", "5", clock=FakeTime(interrupt_after=1)).status == 1


def test_an_interrupt_of_the_only_report_is_one() -> None:
    def read(_: Selection) -> list[Kstat]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(parse([]), read, out=io.StringIO(), err=io.StringIO())


def test_reading_takes_nothing_from_the_rhythm() -> None:
    assert kstat8("10", "4", clock=FakeTime(reading_s=2)).clock.slept == [8, 8, 8]


def test_after_a_report_that_is_late_the_rhythm_is_found_again() -> None:
    clock = FakeTime()
    delays = iter([9.0, 0.0, 0.0, 0.0])

    def read(_: Selection) -> list[Kstat]:
        clock.at += next(delays)
        return UNIX

    run(parse(["10", "4"]), read, out=io.StringIO(), err=io.StringIO(), clock=clock)
    # Due at 10, 20 and 30; the first was over 7.5 s late, so half an interval is waited.
    assert clock.slept == [5, 6, 10]


def test_after_a_long_sleep_of_the_machine_a_new_rhythm_begins() -> None:
    clock = FakeTime()
    delays = iter([3600.0, 0.0, 0.0])

    def read(_: Selection) -> list[Kstat]:
        clock.at += next(delays)
        return UNIX

    run(parse(["10", "3"]), read, out=io.StringIO(), err=io.StringIO(), clock=clock)
    assert clock.slept == [10, 10]


def test_what_cannot_be_read_is_told_and_the_others_are_printed() -> None:
    broken = kstat("zfs", "arc", error="OSError: it is gone")
    done = kstat8("-p", ":::/nread|hits/", kstats=[broken, *UNIX])
    assert done.err == "kstat: zfs:0:arc: OSError: it is gone\n"
    assert (done.status, done.out) == (0, "sd:0:sd0:nread\t512\n")
    # Who was not asked for is not told about either.
    assert kstat8("sd", kstats=[broken, *UNIX]).err == ""


def test_an_error_that_lasts_is_told_when_it_begins() -> None:
    broken = [kstat("zfs", "arc", error="OSError: it is gone")]
    answers = iter([broken, broken, [], broken, broken])
    err = io.StringIO()
    run(parse(["1", "5"]), lambda _: next(answers), out=io.StringIO(), err=err, clock=FakeTime())
    assert err.getvalue() == "kstat: zfs:0:arc: OSError: it is gone\n" * 2


def test_a_target_that_is_lost_is_the_caller_s_to_tell() -> None:
    def read(_: Selection) -> list[Kstat]:
        raise TargetError("gone")

    with pytest.raises(TargetError):
        run(parse(["1"]), read, out=io.StringIO(), err=io.StringIO(), clock=FakeTime())


# --- as a process ---------------------------------------------------------------------


def ktrace_nb(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = ["env", *(f"{name}={value}" for name, value in env.items()), sys.executable, "-m"]
    return subprocess.run(
        [*command, "ktrace_nb.cli", "kstat", *words], capture_output=True, text=True, check=False
    )


def test_bad_usage_is_status_2_with_the_place_on_stderr() -> None:
    done = ktrace_nb("-p", "cpu_stat:::/intr[/")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "PatternError: bad regular expression: unterminated character set",
        "operand:1:17",
        "    cpu_stat:::/intr[/",
        "                    ^",
    ]


def test_a_target_that_does_not_exist_is_bad_usage_and_one_out_of_reach_is_fatal(tmp_path: object) -> None:
    done = ktrace_nb("--target", "mars")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("OptionError: no target 'mars'\nhint: one of ")
    done = ktrace_nb("--target", "lab", XDG_DATA_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (3, "")
    assert "ktrace-nb lab build" in done.stderr


def test_help_names_every_option_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from ktrace_nb.cli import main; status = main(['kstat', '-h']);"
        "print(status, sorted({'pandas', 'numpy', 'IPython', 'bcc'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *text, last = done.stdout.splitlines()
    assert last == "0 []"
    listed = {line.split()[0] for line in text if line.startswith("  -")}
    assert listed == {f"-{letter}" for letter in "cminspVCljqT"} | {"--target", "--prometheus"}
