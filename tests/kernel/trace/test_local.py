"""This machine's own kernel, and what somebody without the privilege for it is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ktrace_nb.errors import MissingError
from ktrace_nb.targets.base import get_target
from ktrace_nb.targets.local import privilege
from tests.kernel.trace.kit import Trace

pytestmark = pytest.mark.kernel

CALLS = """
BPF_HASH(calls, u32, u64);
RAW_TRACEPOINT_PROBE(sys_enter) {
    u32 number = ctx->args[1];
    calls.increment(number);
    return 0;
}
"""
GETPPID = 110  # arch/x86/entry/syscalls/syscall_64.tbl


@pytest.fixture
def without_privilege(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("PATH", str(tmp_path))  # no sudo there
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65534)
    yield
    if mine == 0:
        os.seteuid(mine)


def test_without_privilege_the_way_out_is_named(without_privilege: None) -> None:
    with pytest.raises(MissingError, match="no privilege to trace this machine's kernel") as caught:
        get_target("local")
    assert "--target lab" in caught.value.fix


@pytest.mark.skipif(privilege() is None, reason="no privilege to trace this machine's kernel")
def test_a_process_of_ones_own_is_counted_on_this_machine(trace: Trace) -> None:
    code = "import os, sys; sys.stdin.readline(); [os.getppid() for _ in range(1009)]"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    session = trace(CALLS, target="local", pid=process.pid, wait=False)
    process.communicate(b"\n")
    session.stop()
    assert session.calls.loc[GETPPID, "value"] == 1009
