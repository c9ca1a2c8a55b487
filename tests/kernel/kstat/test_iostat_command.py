"""``iostat -xn`` on a disk whose queue is known, and as a process."""

from __future__ import annotations

import io
import subprocess
import sys
import threading

import pytest

from ktrace_nb import engine
from ktrace_nb.errors import OptionError
from ktrace_nb.kstat.disk_account import io_account, kept
from ktrace_nb.kstat.iostat import parse, run
from ktrace_nb.lab.image import Image
from ktrace_nb.targets.base import get_target
from tests.kernel.conftest import wait_until
from tests.kernel.kstat.io_kit import MS, WORK, Disks, near

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("image")]

assert engine  # registers the kinds of targets

COLUMNS = "r/s w/s kr/s kw/s wait actv wsvc_t asvc_t %w %b device"


def iostat(words: str) -> list[dict[str, str]]:
    """One line of each report, by column."""
    out, err = io.StringIO(), io.StringIO()
    run(parse(words.split()), "lab", out=out, err=err)
    assert err.getvalue() == ""
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert {" ".join(line) for line in lines[0::3]} == {"extended device statistics"}
    assert {" ".join(line) for line in lines[1::3]} == {COLUMNS}
    return [dict(zip(COLUMNS.split(), line, strict=True)) for line in lines[2::3]]


def test_a_busy_disk_shows_the_queue_it_has() -> None:
    disks = Disks(get_target("lab"))
    with disks.null(scheduler="mq-deadline", completion_nsec=250 * MS, hw_queue_depth=4) as disk:
        load = threading.Thread(target=disks.python, args=(WORK, f"/dev/{disk}", "write", 8, 28, 8192))
        load.start()
        inflight = f"cat /sys/block/{disk}/inflight"
        # Linux counts here what has been issued.
        wait_until(lambda: disks.shell(inflight).split()[1] == "4", 60)
        with io_account("lab"):
            # Those under way when it began are not in it: let them go, and the next be there.
            iostat(f"-xn {disk} 1 2")
            (first, second) = iostat(f"-xn {disk} 4 2")
        load.join()
    # The first report is of all the time of the account, the second of four seconds: 64 requests that
    # leave by fours, so that four more or less are seen, and service times with them.
    assert float(first["w/s"]) > 0
    assert float(second["asvc_t"]) == near(250, 8)
    assert float(second["wsvc_t"]) == near(250, 8)
    # One decimal is shown.
    assert float(second["actv"]) == pytest.approx(4, abs=0.15)
    assert float(second["wait"]) == pytest.approx(4, abs=0.15)
    assert float(second["w/s"]) == near(16, 8)
    assert float(second["kw/s"]) == near(16 * 8, 8)
    assert (second["r/s"], second["kr/s"]) == ("0.0", "0.0")
    assert {second["%w"], second["%b"]} <= {"99", "100"}
    assert kept("lab") is None


def test_without_an_account_it_is_what_linux_tells_since_boot() -> None:
    (line,) = iostat("-xn vda")
    assert (line["wait"], line["wsvc_t"], line["%w"]) == ("-", "-", "-")
    assert float(line["r/s"]) > 0


def test_a_disk_that_is_not_there_is_told_of() -> None:
    with pytest.raises(OptionError, match="no disk 'vdz'"):
        iostat("-xn vdz")


def test_the_command_prints_so_many_reports(image: Image) -> None:
    command = [sys.executable, "-m", "ktrace_nb.cli", "iostat", "-xn", "--target", "lab", "1", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    words = [line.split() for line in done.stdout.splitlines()]
    assert [" ".join(line) for line in words].count(COLUMNS) == 2
    assert [line[-1] for line in words].count("vda") == 2


def test_words_that_make_no_sense_are_status_2() -> None:
    command = [sys.executable, "-m", "ktrace_nb.cli", "iostat", "-xn", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "invalid interval 0" in done.stderr
