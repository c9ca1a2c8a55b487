"""Snapshots: made of an agent's answer, and asked for files."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.agent import host
from ktrace_nb.errors import StreamError
from ktrace_nb.kstat.files import ONLINE, Files, Snapshot, cpu_list
from ktrace_nb.wire.frames import REPLY, REQUEST, Message


def ask(op: str, **fields: Any) -> Message:
    """The agent, without a channel in between."""
    head, blob = host.OPERATIONS[op](Message(REQUEST, {"op": op, **fields}))
    return Message(REPLY, head, blob)


def test_files_are_read_by_one_request() -> None:
    requests = []

    def call(op: str, **fields: Any) -> Message:
        requests.append(fields)
        return ask(op, **fields)

    snapshot = Files(call).read(["/proc/version", "/proc/sys/kernel/os*", "/proc/nothing", "/proc/version"])
    assert len(requests) == 1
    assert snapshot.text("/proc/version") == Path("/proc/version").read_text()
    assert snapshot.text("/proc/nothing") is None
    assert snapshot.errors == {"/proc/nothing": "ENOENT"}
    assert list(snapshot.matching("/proc/sys/kernel/os*")) == [
        "/proc/sys/kernel/osrelease",
        "/proc/sys/kernel/ostype",
    ]


def test_the_cpus_that_are_on_come_along() -> None:
    snapshot = Files(ask).read([])
    nproc = subprocess.run(["nproc", "--all"], capture_output=True, text=True, check=True)
    assert 0 < len(snapshot.cpus) <= int(nproc.stdout)
    assert snapshot.text(ONLINE) == Path(ONLINE).read_text()


@pytest.mark.parametrize("sizes", [[3], [1], [2, 2], []])
def test_an_answer_that_contradicts_itself_is_an_error(sizes: list[int]) -> None:
    def call(op: str, **fields: Any) -> Message:
        return Message(REPLY, {"paths": ["/proc/x"], "sizes": sizes, "errors": {}}, b"ab")

    with pytest.raises(StreamError):
        Files(call).read(["/proc/x"])


def test_bytes_that_are_no_text_can_be_told_back() -> None:
    raw = b"disk\xff\xc3\xa9\n"

    def call(op: str, **fields: Any) -> Message:
        times = {"before_ns": 10, "after_ns": 20, "page_size": 65536, "hertz": 250}
        return Message(REPLY, {"paths": ["/proc/x"], "sizes": [len(raw)], "errors": {}, **times}, raw)

    snapshot = Files(call).read(["/proc/x"])
    text = snapshot.text("/proc/x")
    assert text is not None and text.encode("utf-8", "surrogateescape") == raw
    assert (snapshot.monotonic_ns, snapshot.took_ns) == (15, 10)
    assert (snapshot.page_size, snapshot.hertz) == (65536, 250)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("/sys/block/*/stat", ["/sys/block/sda/stat"]),
        ("/sys/block/sd[a-c]/stat", ["/sys/block/sda/stat"]),
        ("/sys/block/sd[!a]/stat", []),
        ("/sys/block/sd?/stat", ["/sys/block/sda/stat"]),
        ("/sys/block/sda/stat", ["/sys/block/sda/stat"]),
        ("/sys/block/**/stat", ["/sys/block/sda/stat", "/sys/block/sda/sda1/stat"]),
        ("/sys/**/s*", ["/sys/block/sda/stat", "/sys/block/sda/sda1/stat"]),
        ("/sys/block/*", []),
        ("/sys/block/sda.stat", []),
        ("/sys/cpu(0)/[", ["/sys/cpu(0)/["]),
    ],
)
def test_patterns_match_as_the_agents_do(pattern: str, matches: list[str]) -> None:
    paths = ["/sys/block/sda/stat", "/sys/block/sda/sda1/stat", "/sys/cpu(0)/["]
    assert list(Snapshot(files=dict.fromkeys(paths, "")).matching(pattern)) == matches


def test_every_file_the_agent_finds_by_a_pattern_matches_it() -> None:
    for pattern in (
        "/proc/sys/net/**/mtu",
        "/sys/class/net/[!x]*/statistics/?x_bytes",
        "/sys/kernel/mm/**/[a-e]*",
    ):
        snapshot = Files(ask).read([pattern])
        assert [*snapshot.matching(pattern)] == [path for path in snapshot.files if path != ONLINE] != []


@given(st.sets(st.integers(0, 300)))
def test_a_list_of_cpus_is_read_as_it_was_written(cpus: set[int]) -> None:
    parts: list[list[int]] = []
    for number in sorted(cpus):
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    text = ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
    assert cpu_list(text + "\n") == tuple(sorted(cpus))


def test_a_kernel_that_does_not_tell_has_one_cpu() -> None:
    assert Snapshot(files={}).cpus == (0,)
