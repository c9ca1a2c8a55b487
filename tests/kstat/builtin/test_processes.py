"""Processes and the machine as a whole, out of the kernel's text and beside what the C library says."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ktrace_nb.kstat.builtin import processes
from ktrace_nb.kstat.builtin.processes import LOAD, PROC, STAT, UPTIME
from ktrace_nb.kstat.files import ONLINE, Snapshot
from ktrace_nb.kstat.model import Kstat, Type

FILES = {
    STAT: "cpu  1 2 3 4\nctxt 7\nbtime 1795246792\nprocesses 726381\nprocs_running 3\nprocs_blocked 1\n",
    LOAD: "7.12 3.56 0.01 5/557 6814\n",
    UPTIME: "63396.18 62222.95\n",
    PROC: "1\n2\nself\n77\n1x\nsys\nthread-self\n",
    ONLINE: "0,2-3\n",
}


def read(files: dict[str, str], hertz: int = 100) -> dict[str, Kstat]:
    return {one.id.name: one for one in processes.kstats(Snapshot(files=files, hertz=hertz))}


def values(kstat: Kstat) -> dict[str, object]:
    return {name: value.value for name, value in kstat.data.items()}


def test_processes_are_counted_and_told() -> None:
    proc = read(FILES)["proc"]
    assert (proc.id.module, proc.id.instance, proc.class_) == ("linux", 0, "misc")
    assert values(proc) == {
        "forks": 726381,
        "running": 3,
        "blocked": 1,
        "threads": 557,
        "last_pid": 6814,
        "processes": 3,
    }
    assert [name for name, value in proc.data.items() if value.counter] == ["forks"]


def test_the_machine_has_the_statistics_and_types_of_illumos() -> None:
    misc = read(FILES)["system_misc"]
    assert (misc.id.module, misc.class_) == ("unix", "misc")
    assert values(misc) == {
        "ncpus": 3,
        "nproc": 3,
        "lbolt": 6339618,
        "clk_intr": 6339618,
        "nsec_per_tick": 10_000_000,
        # Fixed point with eight bits behind it: 7.12 * 256 = 1822.72.
        "avenrun_1min": 1822,
        "avenrun_5min": 911,
        "avenrun_15min": 2,
        "boot_time": 1795246792,
    }
    assert {value.type for value in misc.data.values()} == {Type.UINT32}


def test_ticks_since_boot_wrap_after_32_bits() -> None:
    # 497 days of 100 ticks a second are one more than 32 bits hold.
    misc = read({**FILES, UPTIME: "42949672.99 1.0\n"})["system_misc"].data
    assert misc["lbolt"].value == 3
    assert misc["lbolt"].counter


def test_missing_files_leave_their_statistics_out() -> None:
    assert values(read({ONLINE: "0-1\n"})["system_misc"]) == {"ncpus": 2, "nsec_per_tick": 10_000_000}
    assert "proc" not in read({ONLINE: "0-1\n"})
    assert "threads" not in read({STAT: FILES[STAT]})["proc"].data


def test_this_machine_is_as_the_c_library_says() -> None:
    names = "\n".join(entry.name for entry in Path(PROC).iterdir())
    kstats = read({path: Path(path).read_text() for path in (STAT, LOAD, UPTIME, ONLINE)} | {PROC: names})
    misc = kstats["system_misc"].data
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    assert abs(int(misc["boot_time"].value) - boot) <= 2
    assert abs(int(misc["avenrun_15min"].value) / 256 - os.getloadavg()[2]) < 0.1
    assert misc["ncpus"].value == os.sysconf("SC_NPROCESSORS_ONLN")
    assert int(kstats["proc"].data["threads"].value) >= int(misc["nproc"].value) > 0
