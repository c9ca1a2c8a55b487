"""Scripts in the lab's kernel: texts that are asked for, silent probes, modules that come later."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.kernel.trace.kit import Trace

pytestmark = pytest.mark.kernel

METRICS = """
global opened
probe syscall.openat { if (pid() == target() && execname() == "cat") opened[execname(), "x\\"y"]++ }
probe prometheus { @prometheus_dump_array2(opened, "opens", "comm", "other") }
probe json_data {
  @json_output_data_start
  foreach ([comm, other] in opened)
    @json_output_array_numeric_value("opens", comm, "count", opened[comm, other])
  @json_output_string_value("unit", "files")
  @json_output_data_end
}
probe procfs("long").read { for (i = 0; i < 100; i++) $value .= "0123456789" }
"""


def test_a_text_is_made_when_it_is_asked_for_and_can_be_read_after_the_end(trace: Trace) -> None:
    session = trace(METRICS, language="stap", command="cat /etc/hostname /etc/passwd", wait=False)
    assert session.wait(30)
    session_text = session.read("__prometheus")
    match = re.fullmatch(r'opens\{comm="cat",other="x\\"y"\} (\d+)\n', session_text)
    assert match, session_text
    # The two files, and whatever the loader opens.
    assert int(match[1]) >= 2
    data = json.loads(session.read("data.json"))
    assert data == {"opens": [{"__id": "cat", "count": int(match[1])}], "unit": "files"}
    assert session.read("long") == "0123456789" * 100
    with pytest.raises(KeyError, match=r"makes no text 'x'; it makes __prometheus, data\.json, long"):
        session.read("x")


def test_a_text_tells_how_things_stand_while_the_script_runs(trace: Trace) -> None:
    session = trace(
        'global ticks\nprobe timer.ms(20) { ticks++ }\nprobe procfs("ticks").read { $value = sprint(ticks) }',
        language="stap",
        wait=False,
    )
    first = int(session.read("ticks"))
    time.sleep(0.3)
    assert int(session.read("ticks")) > first
    session.stop()


def test_probes_begin_all_at_once_however_many_there_are(trace: Trace) -> None:
    # Something reads all the time: were entries attached before returns, they would be more.
    session = trace(
        """
        global entered, left
        probe kernel.function("vfs_*").call { entered[ppfunc()]++ }
        probe kernel.function("vfs_*").return { left[ppfunc()]++ }
        probe timer.ms(500) { exit() }
        """,
        language="stap",
    )
    entered, left = session.entered["value"], session.left["value"]
    assert entered.sum() > 0
    # What was under way at the end has not returned, what was under way at the beginning not been entered.
    assert abs(int(entered.sum()) - int(left.sum())) <= 4


def test_a_probe_that_may_never_happen_is_explained_after_two_seconds(trace: Trace) -> None:
    session = trace(
        'probe kernel.function("sys_gettimeofday") { println("never") }\nprobe syscall.getppid { next }',
        language="stap",
        wait=False,
    )
    assert session.remark == ""
    deadline = time.monotonic() + 4
    while not session.remark and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "the C library answers it in the process (vDSO)" in session.remark
    assert session.elapsed < 3
    session.stop()
    assert any("never hit: programs do not make the system call" in note for note in session.notes)


def test_functions_of_a_module_that_was_loaded_later_can_be_probed(trace: Trace) -> None:
    trace("probe begin { next }", language="stap", command="modprobe dm-delay")
    session = trace(
        'probe module("dm_delay").function("delay_ctr").call { printf("%s %d\\n", probefunc(), $argc) }',
        language="stap",
        command="umount /mnt/ext3; echo 0 20480 delay /dev/vdb 0 1 | dmsetup create slow; "
        "dmsetup remove slow; mount /dev/vdb /mnt/ext3",
    )
    assert session.text == "delay_ctr 3\n"


def test_names_of_globals_may_be_long(trace: Trace) -> None:
    session = trace(
        "global a_name_longer_than_fifteen_characters\n"
        "probe syscall.openat { a_name_longer_than_fifteen_characters++ }\n"
        "probe end { println(a_name_longer_than_fifteen_characters > 0) }",
        language="stap",
        command="cat /etc/hostname",
    )
    assert session.text == "1\n"
    assert session["a_name_longer_than_fifteen_characters"]["value"][0] > 0
