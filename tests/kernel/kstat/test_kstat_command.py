"""``ktrace-nb kstat`` as a process, on the kernel of a lab."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from ktrace_nb.lab.image import Image

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("image")]

COMMAND = [sys.executable, "-m", "ktrace_nb.cli", "kstat", "--target", "lab"]


def kstat(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)


def test_reports_of_a_kernel_follow_each_other(image: Image) -> None:
    done = kstat("-p", "cpu_stat:0::/^(intr|snaptime|class)$/", "1", "3")
    assert (done.returncode, done.stderr) == (0, "")
    reports = [dict(line.split("\t") for line in report.splitlines()) for report in done.stdout.split("\n\n")]
    assert len(reports) == 3
    assert {frozenset(report) for report in reports} == {
        frozenset(f"cpu_stat:0:cpu_stat0:{name}" for name in ("class", "intr", "snaptime"))
    }
    interrupts = [int(report["cpu_stat:0:cpu_stat0:intr"]) for report in reports]
    moments = [float(report["cpu_stat:0:cpu_stat0:snaptime"]) for report in reports]
    assert interrupts == sorted(interrupts)
    assert interrupts[0] < interrupts[-1]
    assert moments == sorted(set(moments))


def test_every_layout_tells_of_everything() -> None:
    text = kstat("-j")
    assert (text.returncode, text.stderr) == (0, "")
    kstats = json.loads(text.stdout)
    names = {f"{k['module']}:{k['instance']}:{k['name']}:{stat}" for k in kstats for stat in k["data"]}
    assert len({name.partition(":")[0] for name in names}) > 5
    # What lives and dies meanwhile, such as processes, is left out.
    lasting = ("unix", "cpu_stat", "cpu", "cpu_info")
    wanted = {name for name in names if name.split(":")[0] in lasting}
    listed = set(kstat("-l").stdout.splitlines())
    assert wanted <= listed
    assert {name for name in listed - wanted if name.split(":")[0] in lasting} == {
        f"{name.rpartition(':')[0]}:class" for name in wanted
    }


def test_what_there_is_none_of_is_status_1_without_a_word() -> None:
    done = kstat("-m", "zfs")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_reports_without_end_end_with_an_interrupt() -> None:
    with subprocess.Popen(
        [*COMMAND, "-l", "cpu_stat:0::intr", "1"], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "cpu_stat:0:cpu_stat0:intr\n"
        assert run.stdout.readline() == "\n"
        run.send_signal(signal.SIGINT)
        rest = run.stdout.read()
        assert run.wait(60) == 0
    assert set(rest.split()) <= {"cpu_stat:0:cpu_stat0:intr"}
