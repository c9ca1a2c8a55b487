"""Probe names against the facts of a kernel, small but in the kernel's own formats."""

from __future__ import annotations

import pytest

from ktrace_nb.errors import CellError, ProbeNotFoundError
from ktrace_nb.ir.probes import resolve
from ktrace_nb.ir.program import ProbeRequest, Program
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.source import Edited, Source, Span
from ktrace_nb.wire import bundle as b
from tests.facts_kit import StoredFacts

KALLSYMS = """\
ffffffff81000000 T _text
ffffffff81001000 T vfs_read
ffffffff81002000 T vfs_write
ffffffff81003000 t do_work.isra.0
ffffffff81003500 t do_work.cold
ffffffff81004000 T __x64_sys_openat
ffffffff81004100 T __x64_sys_bpf
ffffffff81005000 t secret
ffffffffc0001000 t nfs_open\t[nfs]
"""
FACTS = {
    "kallsyms": KALLSYMS,
    "functions": "vfs_read\nvfs_write\nvfs_open\n__x64_sys_openat\n__x64_sys_bpf\nsecret\nnfs_open [nfs]\n",
    "blacklist": "0xffffffff81005000-0xffffffff81005100\tsecret\n",
    "tracepoints": "sched:sched_switch\nsched:sched_wakeup\nraw_syscalls:sys_enter\n",
}
KERNEL = StoredFacts({name: text.encode() for name, text in FACTS.items()})


def resolved(kind: str, target: str):  # type: ignore[no-untyped-def]
    facts = KernelFacts(KERNEL, release="6.12.0", machine="x86_64", cpus=2)
    source = Source(f"{kind}:{target}")
    request = ProbeRequest("f", kind, target, source, Span(0, len(source.text)))
    return resolve(Program(source, Edited(source, []), (request,), ()), facts)


def test_a_function_is_checked_and_may_have_an_offset() -> None:
    (point,) = resolved("kprobe", "vfs_read+0x10").points
    assert point == b.AttachPoint("f", "kprobe", "vfs_read", 16)


def test_an_unknown_function_gets_its_near_matches() -> None:
    with pytest.raises(ProbeNotFoundError) as caught:
        resolved("kprobe", "vfs_reed")
    assert caught.value.hint is not None
    assert "vfs_read" in caught.value.hint


def test_a_function_on_the_blacklist_is_refused() -> None:
    with pytest.raises(CellError, match="does not let 'secret' be probed"):
        resolved("kprobe", "secret")


def test_a_clone_stands_in_for_its_function_and_it_is_said() -> None:
    plan = resolved("kprobe", "do_work")
    assert plan.points[0].target == "do_work.isra.0"
    assert "exists only as do_work.isra.0" in plan.problems[0].message


def test_a_glob_takes_what_can_be_probed_and_says_what_not() -> None:
    plan = resolved("kprobe", "*e*")
    names = [p.target for p in plan.points]
    assert names == ["__x64_sys_openat", "nfs_open", "vfs_open", "vfs_read", "vfs_write"]
    assert "1 of 6 functions cannot be probed: secret" in plan.problems[0].message


def test_a_glob_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(ProbeNotFoundError):
        resolved("kprobe", "btrfs_*")


def test_a_system_call_goes_to_its_kernel_function() -> None:
    assert resolved("syscall", "openat").points[0].target == "__x64_sys_openat"
    with pytest.raises(ProbeNotFoundError, match="no system call 'opanat'"):
        resolved("syscall", "opanat")


def test_tracepoints_are_checked_and_globbed() -> None:
    plan = resolved("tracepoint", "sched/sched_*")
    assert [p.target for p in plan.points] == ["sched/sched_switch", "sched/sched_wakeup"]
    assert plan.kinds["f"].type == b.TRACEPOINT
    with pytest.raises(ProbeNotFoundError) as caught:
        resolved("tracepoint", "sched/sched_swich")
    assert "sched/sched_switch" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("kind", "target", "expected"),
    [
        ("profile", "hz:99", {"frequency": 99, "cpu": -1, "perf_type": 1}),
        ("interval", "ms:100", {"period": 100_000_000, "cpu": 0, "perf_type": 1}),
        ("software", "page-faults:10", {"perf_config": 2, "period": 10, "perf_type": 1}),
        ("hardware", "cycles", {"perf_config": 0, "period": 1_000_000, "perf_type": 0}),
    ],
)
def test_clocks_and_counters(kind: str, target: str, expected: dict[str, int]) -> None:
    plan = resolved(kind, target)
    assert {name: getattr(plan.points[0], name) for name in expected} == expected
    assert plan.kinds["f"].type == b.PERF_EVENT


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("profile", "99"),
        ("profile", "hz:0"),
        ("profile", "hz:many"),
        ("profile", "hz:99999"),
        ("software", "moons"),
        ("uprobe", "nopath"),
        ("usdt", "onlypath"),
        ("kprobe", "vfs_read+x"),
        ("kretprobe", "vfs_read+4"),
    ],
)
def test_targets_that_cannot_be_read_are_errors_with_their_place(kind: str, target: str) -> None:
    with pytest.raises(CellError) as caught:
        resolved(kind, target)
    assert caught.value.span is not None


def test_user_space_targets_are_left_to_the_agent() -> None:
    (point,) = resolved("uprobe", "/usr/bin/python3:main+4").points
    assert (point.path, point.target, point.offset) == ("/usr/bin/python3", "main", 4)
    (point,) = resolved("uretprobe", "c:0x1234").points
    assert (point.path, point.target, point.offset) == ("c", "", 0x1234)
    (point,) = resolved("usdt", "python3:python:gc__start").points
    assert (point.path, point.target) == ("python3", "python:gc__start")


def test_one_program_cannot_be_two_kinds() -> None:
    facts = KernelFacts(KERNEL, release="6.12.0", machine="x86_64", cpus=2)
    source = Source("x")
    requests = (
        ProbeRequest("f", "kprobe", "vfs_read"),
        ProbeRequest("f", "tracepoint", "sched/sched_switch"),
    )
    with pytest.raises(CellError, match="cannot be attached both"):
        resolve(Program(source, Edited(source, []), requests, ()), facts)
