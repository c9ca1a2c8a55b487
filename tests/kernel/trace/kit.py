"""Cells and helpers that several tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ktrace_nb.session import Session
from ktrace_nb.targets.base import Target

Trace: TypeAlias = Callable[..., Session]

# 1009 is a prime: no count comes out right by a factor.
WRITES = "dd if=/dev/zero of=/dev/null bs=64 count=1009"

# The default lab, and one with a kernel that lacks fprobe and newer link information.
KERNELS = ("lab", "lab:lab-6.1")

PID = "bpf_get_current_pid_tgid() >> 32"

ONLY_DD = """
static inline int is_dd(void) {
    char comm[16] = {};
    bpf_get_current_comm(&comm, sizeof(comm));
    return comm[0] == 'd' && comm[1] == 'd' && comm[2] == 0;
}
"""


class Guest:
    """The guest's own view: the second source of a count."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def run(self, *argv: str) -> str:
        """Run a command and give its output."""
        reply = self._target.connection.call("exec", argv=list(argv))
        assert reply.head["status"] == 0, reply.blob.decode()
        return reply.blob[: reply.head["stdout"]].decode()

    def attached(self) -> list[str]:
        """What is attached in the guest's kernel: kprobes, and BPF objects held by any process."""
        kprobes = self.run("cat", "/sys/kernel/debug/kprobes/list").splitlines()
        held = self.run("sh", "-c", "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -o 'anon_inode:bpf.*' || true")
        return kprobes + held.splitlines()
