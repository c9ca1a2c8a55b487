"""Many files in one answer, beside what opening them one by one gives."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from ktrace_nb.agent import files
from ktrace_nb.agent.errors import AgentError
from ktrace_nb.agent.files import read_files
from ktrace_nb.packing import modules_of


def contents(*paths: str) -> tuple[dict[str, bytes], dict[str, str]]:
    head, blob = read_files(list(paths))
    found, at = {}, 0
    for path, size in zip(head["paths"], head["sizes"], strict=True):
        found[path] = blob[at : at + size]
        at += size
    assert at == len(blob)
    return found, head["errors"]


def test_the_agent_that_is_carried_along_has_it() -> None:
    assert "agent.files" in modules_of("agent", without=["package"])


def test_files_come_as_they_are_and_in_order() -> None:
    paths = ["/proc/sys/kernel/ostype", "/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"]
    found, errors = contents(*paths)
    assert found == {path: Path(path).read_bytes() for path in paths}
    assert list(found) == paths
    assert errors == {}


def test_a_file_that_is_longer_than_one_read_comes_whole() -> None:
    found, _ = contents("/proc/kallsyms")
    names = [line.split()[2] for line in Path("/proc/kallsyms").read_bytes().splitlines()]
    assert len(found["/proc/kallsyms"]) > 1 << 20
    assert [line.split()[2] for line in found["/proc/kallsyms"].splitlines()] == names


def test_a_pattern_gives_what_the_shell_gives() -> None:
    for pattern in (
        "/sys/class/net/*/mtu",
        "/sys/devices/system/cpu/cpu[0-9]/topology/core_id",
        "/proc/sys/kernel/o?type",
    ):
        listed = subprocess.run(
            ["sh", "-c", f"ls {pattern}"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "LC_ALL": "C"},
        )
        assert list(contents(pattern)[0]) == listed.stdout.split()


def test_two_stars_go_down_real_folders_and_give_what_find_gives() -> None:
    found = subprocess.run(
        ["find", "/sys/kernel/mm", "-name", "enabled"], capture_output=True, text=True, check=True
    )
    assert sorted(contents("/sys/kernel/mm/**/enabled")[0]) == sorted(found.stdout.split())
    # /sys/block/loop0 is a link: with it, ways would lead in a circle.
    assert contents("/sys/block/**/queue/rotational")[0] == {}


def test_a_folder_gives_its_names() -> None:
    found, _ = contents("/sys/class/net/")
    assert sorted(found["/sys/class/net/"].decode().splitlines()) == sorted(
        entry.name for entry in Path("/sys/class/net").iterdir()
    )


def test_a_file_that_two_patterns_name_is_read_once() -> None:
    path = "/proc/sys/kernel/ostype"
    assert list(contents(path, "/proc/sys/kernel/ostyp*", path)[0]) == [path]


def test_what_is_not_there_is_told_and_does_not_keep_the_others_back() -> None:
    found, errors = contents("/proc/nothing", "/proc/version", "/proc/stat/cpu", "/sys/class/net/*/nothing")
    assert list(found) == ["/proc/version"]
    assert errors == {"/proc/nothing": "ENOENT", "/proc/stat/cpu": "ENOTDIR"}


def test_a_process_that_has_ended_is_told_of() -> None:
    with subprocess.Popen(["true"]) as child:
        pass
    path = f"/proc/{child.pid}/stat"
    assert contents(path) == ({}, {path: "ENOENT"})


def test_a_file_that_cannot_be_read_is_told_of() -> None:
    # Its file operations have no read: the kernel says so to root as well.
    path = "/sys/bus/cpu/uevent"
    assert contents(path)[1].keys() == {path}


def test_a_program_that_has_no_privilege_hears_of_it_file_by_file() -> None:
    script = "import sys; sys.path[:0] = ['.']; from ktrace_nb.agent.files import read_files; import json; "
    script += "print(json.dumps(read_files(['/proc/version', '/proc/1/io', '/proc/slabinfo'])[0]['errors']))"
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == '{"/proc/1/io": "EACCES", "/proc/slabinfo": "EACCES"}'


@pytest.mark.parametrize(
    "path",
    [
        "/proc/kmsg",  # whoever reads it takes the lines from others
        "/proc/kcore",
        "/proc/1/mem",
        "/proc/self/environ",
        "/proc/self/cwd/pyproject.toml",
        "/proc/self/fd/0",
        "/proc/self/fd/",
        "/proc/self/task/",
        "/sys/kernel/tracing/trace_pipe",
        "/sys/kernel/debug/tracing/trace_pipe",
        "/sys/kernel/debug/",
        "/sys/power/wakeup_count",
        "/proc/net/rpc/auth.unix.ip/channel",
        "/sys/class/net",
    ],
)
def test_what_blocks_or_is_no_text_or_not_ours_is_refused(path: str) -> None:
    assert contents(path)[1] in ({path: "refused"}, {path: "ENOENT"})


def test_a_link_to_another_place_is_not_followed(tmp_path: Path) -> None:
    # /proc/PID/exe leads out of /proc; a link in between as well as one at the end.
    for path in ("/proc/self/exe", "/proc/self/cwd/ktrace_nb", "/proc/self/root/etc/passwd"):
        assert contents(path)[1] == {path: "refused"}


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "proc/stat",
        "/proc/../etc/passwd",
        "/sys/./kernel",
        "/sys//kernel",
        "/proc",
        "/process/x",
        "",
        "/proc/a\0b",
        "/sys/**",
        "/sys/class/net/*/",
    ],
)
def test_a_path_elsewhere_is_an_error_of_whoever_asks(path: str) -> None:
    with pytest.raises(AgentError) as raised:
        read_files([path])
    assert raised.value.code == "bad_request"


def test_a_pattern_of_too_many_files_is_cut_and_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PATTERN_LIMIT", 3)
    pattern = "/proc/sys/kernel/**/[a-z]*"
    found, errors = contents(pattern, "/proc/version")
    assert errors[pattern] == "too_many_files"
    assert len(found) + len(errors) == 3 + 2
    assert all(path.count("/") == 4 for path in {**found, **errors}.keys() - {pattern, "/proc/version"})


def test_too_much_for_one_request_has_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BYTES_LIMIT", 1 << 16)
    with pytest.raises(AgentError) as raised:
        read_files(["/proc/kallsyms"])
    assert raised.value.code == "too_many_bytes"
    monkeypatch.setattr(files, "FILES_LIMIT", 5)
    with pytest.raises(AgentError) as raised:
        read_files(["/proc/sys/kernel/*"])
    assert raised.value.code == "too_many_files"
    monkeypatch.setattr(files, "FOLDERS_LIMIT", 5)
    with pytest.raises(AgentError) as raised:
        read_files(["/sys/devices/**/nothing"])
    assert raised.value.code == "too_many_files"


def test_the_clock_is_read_on_both_sides_of_the_reading() -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    head, blob = read_files(["/proc/uptime"])
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert before <= head["before_ns"] <= head["after_ns"] <= after
    # /proc/uptime is CLOCK_BOOTTIME in hundredths, rounded down.
    asleep = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    uptime = int(float(blob.split()[0]) * 100) * 10_000_000 - asleep
    assert head["before_ns"] - 20_000_000 <= uptime <= head["after_ns"] + 10_000_000
    assert (head["page_size"], head["hertz"]) == (os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK"))
