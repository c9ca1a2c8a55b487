"""What a script means, where it matters: sums over CPUs, limits, orders, ends and printed text.

dd writes 1009 times 64 bytes, so every number can be told beforehand.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator

import pytest

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.lab.image import Image
from ktrace_nb.lab.start import start_machine
from ktrace_nb.session import Session
from ktrace_nb.source import Source
from ktrace_nb.targets import lab as lab_targets
from ktrace_nb.targets.base import close_targets, get_target
from tests.kernel.trace.kit import WRITES, Trace

pytestmark = pytest.mark.kernel

WRITE = 'probe kernel.function("vfs_write") { if (pid() != target() || $count != 64) next;'


@pytest.fixture
def script(trace: Trace) -> Trace:
    """Run a script to its end with dd."""
    return functools.partial(trace, language="stap", command=WRITES)


def failed(cell: str, **limits: int) -> Session:
    """Run a script with dd that ends by an error."""
    options = Options(target="lab", language="stap", command=WRITES, script_limits=tuple(limits.items()))
    session = engine.start(Source(cell), options)
    assert session.wait(60)
    assert session.state == "failed", session.text
    return session


# --- several CPUs ----------------------------------------------------------------------------

CALLS = 20_011
ON_BOTH = f"""
import os
for cpu in (0, 1):
    if not os.fork():
        os.sched_setaffinity(0, [cpu])
        for _ in range({CALLS}):
            os.getppid()
        os._exit(0)
os.wait(), os.wait()
"""


@pytest.fixture
def two_cpus(image: Image, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a lab of two CPUs."""
    monkeypatch.setattr(lab_targets, "start_machine", functools.partial(start_machine, cpus=2))
    target = get_target("lab:lab")
    assert target.hello.cpus_possible == 2
    yield "lab:lab"
    target.close()


def again_if_tcg_trips(run: Callable[[], Session]) -> Session:
    """Run something on two CPUs; once more if the lab trips over a fault of QEMU's.

    Its translator, run by a thread for each CPU, now and then executes an int3 that the
    kernel has patched away meanwhile (static keys), and the kernel panics.
    """
    for _ in range(2):
        try:
            return run()
        except AssertionError as problem:
            if "int3" not in str(problem):
                raise
            close_targets()
    return run()


def test_two_cpus_count_into_one_global_and_lose_nothing(two_cpus: str, trace: Trace) -> None:
    run = functools.partial(
        trace,
        """
        global all, by_cpu, sum, total, table
        probe kernel.trace("sys_enter") {
            if ($id != 110 || execname() != "python3") next  // getppid(2)
            all++
            by_cpu[cpu()]++
            sum += 3
            total <<< cpu() + 1
            table["both"] <<< cpu() + 1
        }
        probe end {
            printf("%d %d %d %d\\n", @count(total), @sum(total), @min(total), @max(total))
            printf("%d %d\\n", @count(table["both"]), @sum(table["both"]))
        }
        """,
        target=two_cpus,
        language="stap",
        command=f"python3 -c '{ON_BOTH}'",
    )
    session = again_if_tcg_trips(run)
    assert session["all"]["value"].tolist() == [2 * CALLS]
    assert session["by_cpu"]["value"].to_dict() == {0: CALLS, 1: CALLS}
    assert session["sum"]["value"].tolist() == [6 * CALLS]
    assert session.text == f"{2 * CALLS} {3 * CALLS} 1 2\n{2 * CALLS} {3 * CALLS}\n"


# --- values ----------------------------------------------------------------------------------


def test_division_truncates_in_the_kernel_and_beside_it(script: Trace) -> None:
    """As C has it: -7 / 2 is -3 and leaves -1."""
    session = script(
        f"""
        global n, a, b, c, d
        {WRITE} n++; a = (n - 1016) / 2; b = (n - 1016) % 2; c = (1016 - n) / -2; d = (1016 - n) % -2 }}
        probe end {{
            printf("%d %d %d %d\\n", a, b, c, d)
            printf("%d %d %d %d\\n", -7 / 2, -7 % 2, 7 / -2, 7 % -2)
        }}
        """
    )
    assert session.text == "-3 -1 -3 1\n" * 2


@pytest.mark.parametrize(("limit", "cut"), [(128, 2), (256, 1), (512, 0)])
def test_strings_are_cut_at_their_limit_and_each_cut_is_counted(script: Trace, limit: int, cut: int) -> None:
    """Ten characters doubled five times are 20, 40, 80, 160 and 320."""
    session = script(
        f"""
        global s
        {WRITE} s = "0123456789"; for (i = 0; i < 5; i++) s = s . s }}
        probe end {{ println(strlen(s)) }}
        """,
        script_limits=(("MAXSTRINGLEN", limit),),
    )
    assert session.text == f"{min(limit - 1, 320)}\n"
    assert session.ledger.loc["session", "truncated"] == cut * 1009


def test_what_fits_exactly_is_not_counted_as_cut(script: Trace) -> None:
    session = script(
        f"""
        global s
        {WRITE} s = "0123456789abcde" . execname(); s = s . s . s . s . s . s . s . "12345678" }}
        probe end {{ println(strlen(s)) }}
        """
    )
    assert session.text == "127\n"  # 7 * 17 + 8
    assert session.ledger.loc["session", "truncated"] == 0


def test_statistics_of_the_kernel_are_those_of_the_same_numbers(script: Trace) -> None:
    """0 to 1008: the sum is n (n - 1) / 2, the sample variance n (n + 1) / 12."""
    session = script(
        f"""
        global s, n
        {WRITE} s <<< n++ }}
        probe end {{
            printf("%d %d %d %d %d %d\\n", @count(s), @sum(s), @min(s), @max(s), @avg(s), @variance(s))
        }}
        """
    )
    assert session.text == f"1009 {1009 * 1008 // 2} 0 1008 504 {1009 * 1010 // 12}\n"


def test_a_histogram_of_the_kernel_is_printed_as_one_of_the_same_values_beside_it(script: Trace) -> None:
    session = script(
        f"""
        global inside, table, beside, values, n
        {WRITE}
            v = n * n - 50
            values[n++] = v
            inside <<< v
            table[execname()] <<< v
        }}
        probe end {{
            foreach (i+ in values) beside <<< values[i]
            print(@hist_log(inside)); println("--"); print(@hist_log(table["dd"])); println("--")
            print(@hist_log(beside)); println("==")
            print(@hist_linear(inside, 0, 1000, 100)); println("--")
            print(@hist_linear(beside, 0, 1000, 100))
        }}
        """
    )
    logarithmic, linear = session.text.split("==\n")
    inside, table, beside = logarithmic.split("--\n")
    assert inside == table == beside
    # -63 to -32: -50, -49, -46, -41, -34; 524288 to 1048575: 725 to 1008.
    assert re.search(r"^ +-32 \| +5$", beside, re.MULTILINE)
    assert re.search(r"^ 524288 \|@{47} +284$", beside, re.MULTILINE)
    inside, beside = linear.split("--\n")
    assert inside == beside
    assert re.search(r"^>1000 \|@+ +975$", beside, re.MULTILINE)


# --- arrays ----------------------------------------------------------------------------------


def test_foreach_walks_in_the_order_that_is_asked_for(script: Trace) -> None:
    session = script(
        f"""
        global a, s, n
        {WRITE} if (n < 5) {{ a[n] = n * 3 % 5; s[n] <<< n * 2 % 5; s[n] <<< 1 }}; n++ }}
        probe end {{
            foreach (k+ in a) printf("%d=%d ", k, a[k]); println()
            foreach (k- in a) printf("%d=%d ", k, a[k]); println()
            foreach (k in a+) printf("%d=%d ", k, a[k]); println()
            foreach (k in a- limit 2) printf("%d=%d ", k, a[k]); println()
            foreach (k in s @sum-) printf("%d=%d ", k, @sum(s[k])); println()
        }}
        """
    )
    assert session.text.splitlines() == [
        "0=0 1=3 2=1 3=4 4=2 ",
        "4=2 3=4 2=1 1=3 0=0 ",
        "0=0 2=1 4=2 1=3 3=4 ",
        "3=4 1=3 ",
        "2=5 4=4 1=3 3=2 0=1 ",
    ]


def test_an_array_that_is_full_ends_the_script() -> None:
    session = failed(f'global a[10], n {WRITE} a[n++] = 1 }} probe error {{ println("error ", n) }}')
    assert session.message.startswith("error: Array overflow, check size limit (10) near identifier 'a'")
    assert session.text == "error 11\n"
    assert sorted(session["a"].index) == list(range(10))
    assert session.ledger.loc["a", "map_full"] == 1


def test_the_limit_of_arrays_without_a_size_can_be_set() -> None:
    session = failed(f"global a, n {WRITE} a[n++] = 1 }}", MAXMAPENTRIES=7)
    assert session.message.startswith("error: Array overflow, check MAXMAPENTRIES near identifier 'a'")
    assert len(session["a"]) == 7


def test_a_wrapping_array_goes_on_with_the_newest_entries(script: Trace) -> None:
    session = script(f"global a%[16], n {WRITE} a[n++] = n }}")
    kept = session["a"]["value"].to_dict()
    assert 0 < len(kept) <= 16
    assert 1008 in kept
    assert session.ledger.loc["a", "evicted"] == 1009 - len(kept)


# --- ends ------------------------------------------------------------------------------------


def test_end_runs_once_however_often_exit_is_called(script: Trace) -> None:
    session = script(
        f"""
        {WRITE} exit() }}
        probe kernel.function("vfs_read") {{ exit() }}
        probe timer.ms(1) {{ exit() }}
        probe end {{ println("end"); exit() }}
        probe end(1) {{ println("last") }}
        """
    )
    assert session.text == "end\nlast\n"


def test_an_error_with_words_of_the_scripts_own_stops_the_kernel_at_once() -> None:
    for words in ('"no more"', '"no " . "more" . execname()', 'sprintf("no %s", "more")'):
        session = failed(
            f"""
            global n
            {WRITE} if (++n == 10) error({words}); if (n > 10) n = 5000 }}
            probe end {{ println("end") }}
            probe error {{ println("error ", n) }}
            """
        )
        assert session.message.startswith("error: no more")
        assert session.text == "error 10\n"


@pytest.mark.parametrize("words", ['"each tenth"', '"each " . "tenth" . execname()'])
def test_errors_beyond_the_limit_end_the_script(words: str) -> None:
    """MAXERRORS of 5: the sixth is one too many."""
    session = failed(
        f'global n {WRITE} if (++n % 10 == 0) error({words}) }} probe error {{ println("error ", n) }}',
        MAXERRORS=5,
    )
    assert session.text == "error 60\n"


def test_errors_up_to_the_limit_are_survived(script: Trace) -> None:
    session = script(
        f'global n {WRITE} if (++n % 500 == 0) error("rare") }} probe end {{ println("end ", n) }}',
        script_limits=(("MAXERRORS", 2),),
    )
    assert session.text == "end 1009\n"


def test_a_handler_without_end_is_ended_by_maxaction() -> None:
    session = failed(f"global n {WRITE} while (1) n++ }}", MAXACTION=300)
    assert session.message.startswith("error: MAXACTION exceeded near identifier 'while'")
    assert session["n"]["value"].tolist() == [300]


def test_events_skipped_beyond_the_limit_end_the_script() -> None:
    """What the agent's bpf(2) calls run into is skipped (``bpf_disable_instrumentation()``)."""
    cell = 'global n probe kernel.function("bpf_percpu_array_copy") { n++ }'
    options = Options(target="lab", language="stap", seconds=20, script_limits=(("MAXSKIPPED", 3),))
    session = engine.start(Source(cell), options)
    assert session.wait(60)
    assert (session.state, session.message) == ("failed", "error: Skipped too many probes, check MAXSKIPPED")
    assert session.ledger["recursion"].max() > 3


# --- printed text ----------------------------------------------------------------------------


def test_thread_indent_is_printed_as_systemtap_prints_it(script: Trace) -> None:
    """Microseconds in six columns, name(tid): and one blank for each call around this one."""
    session = script(
        """
        probe kernel.function("vfs_write").call, kernel.function("write_null").call {
            if (pid() == target()) printf("%s -> %s\\n", thread_indent(1), ppfunc())
        }
        probe kernel.function("write_null").return, kernel.function("vfs_write").return {
            if (pid() == target()) printf("%s <- %s\\n", thread_indent(-1), ppfunc())
        }
        probe begin { printf("%d\\n", target()) }
        """
    )
    pid, _, text = session.text.partition("\n")
    one = rf"""     0 dd\({pid}\): -> vfs_write
( {{5}}\d| {{4}}\d\d| {{3}}\d{{3}}| {{2}}\d{{4}}| ?\d{{5}}|\d{{6,}}) dd\({pid}\):  -> write_null
( {{5}}\d| {{4}}\d\d| {{3}}\d{{3}}| {{2}}\d{{4}}| ?\d{{5}}|\d{{6,}}) dd\({pid}\):  <- write_null
( {{5}}\d| {{4}}\d\d| {{3}}\d{{3}}| {{2}}\d{{4}}| ?\d{{5}}|\d{{6,}}) dd\({pid}\): <- vfs_write
"""
    nested = re.findall(one, text)
    assert len(nested) == 1009, text[:1000]
    assert all(int(a) <= int(b) <= int(c) for a, b, c in nested)
