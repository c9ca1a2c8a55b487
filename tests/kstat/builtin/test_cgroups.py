"""Control groups, out of the kernel's text."""

from __future__ import annotations

from ktrace_nb.kstat.builtin import cgroups
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat

ROOT = "/sys/fs/cgroup"
CPU = "usage_usec 500\nuser_usec 300\nsystem_usec 200\nnr_periods 7\nnr_throttled 2\nthrottled_usec 90\n"
MEMORY = "anon 10534912\nfile 17195008\nkernel 4096\nsock 0\nzswap 5\npgfault 9086\npgscan 17\n"
IO = """\
8:0 rbytes=1000 wbytes=20 rios=3 wios=4 dbytes=0 dios=0
259:1 rbytes=500 wbytes=1 rios=1 wios=1 dbytes=7 dios=1 cost.vrate=100.00
7:0
"""


def read(files: dict[str, str]) -> dict[str, Kstat]:
    return {one.id.name: one for one in cgroups.kstats(Snapshot(files=files))}


def values(kstat: Kstat) -> dict[str, object]:
    return {name: value.value for name, value in kstat.data.items()}


def test_a_group_has_what_its_files_say() -> None:
    folder = f"{ROOT}/system.slice/ssh.service"
    texts = {
        "cpu.stat": CPU,
        "memory.current": "27729920\n",
        "memory.stat": MEMORY,
        "io.stat": IO,
        "pids.current": "3\n",
    }
    kstats = read(
        {f"{ROOT}/cgroup.controllers": "cpu\n", **{f"{folder}/{name}": text for name, text in texts.items()}}
    )
    group = kstats["system.slice/ssh.service"]
    assert (group.id.module, group.id.instance, group.class_) == ("cgroup", 0, "cgroup")
    assert values(group) == {
        "cpu.usage_usec": 500,
        "cpu.user_usec": 300,
        "cpu.system_usec": 200,
        "cpu.nr_periods": 7,
        "cpu.nr_throttled": 2,
        "cpu.throttled_usec": 90,
        "memory.current": 27729920,
        "memory.anon": 10534912,
        "memory.file": 17195008,
        "memory.kernel": 4096,
        "memory.sock": 0,
        "memory.pgfault": 9086,
        "memory.pgscan": 17,
        "io.rbytes": 1500,
        "io.wbytes": 21,
        "io.rios": 4,
        "io.wios": 5,
        "io.dbytes": 7,
        "io.dios": 1,
        "pids.current": 3,
    }
    gauges = {name for name, value in group.data.items() if not value.counter}
    assert gauges == {
        "memory.current",
        "pids.current",
        *(f"memory.{name}" for name in ("anon", "file", "kernel", "sock")),
    }
    units = {
        name: group.data[name].unit
        for name in ("cpu.usage_usec", "cpu.nr_periods", "memory.anon", "io.rbytes", "io.rios")
    }
    assert list(units.values()) == ["us", "", "bytes", "bytes", ""]


def test_the_root_is_a_dot_and_groups_come_sorted() -> None:
    files = {f"{ROOT}/{path}cpu.stat": CPU for path in ("", "b/", "a/", "a/c/")}
    assert list(read({f"{ROOT}/cgroup.controllers": "", **files})) == [".", "a", "a/c", "b"]


def test_version_1_beside_version_2_is_left_out() -> None:
    files = {f"{ROOT}/cpu/x/cpu.stat": "nr_periods 0\n", f"{ROOT}/unified/x/cpu.stat": CPU}
    assert list(read({f"{ROOT}/unified/cgroup.controllers": "", **files})) == ["x"]


def test_a_machine_with_version_1_only_has_none() -> None:
    assert read({f"{ROOT}/cpu/x/cpu.stat": "nr_periods 0\n"}) == {}


def test_a_group_that_went_while_it_was_read_has_what_was_read() -> None:
    files = {f"{ROOT}/cgroup.controllers": "", f"{ROOT}/x/pids.current": "1\n", f"{ROOT}/y/memory.stat": ""}
    assert {name: values(one) for name, one in read(files).items()} == {"x": {"pids.current": 1}}


def test_a_name_is_printable_and_has_no_colon() -> None:
    files = {f"{ROOT}/cgroup.controllers": "", f"{ROOT}/a:b\x1b\udcff/pids.current": "1\n"}
    assert list(read(files)) == [r"a\x3ab\x1b\xff"]


def test_a_group_is_not_another_whose_name_begins_alike() -> None:
    files = {f"{ROOT}/cgroup.controllers": "", "/sys/fs/cgroups/x/pids.current": "1\n"}
    assert read(files) == {}
