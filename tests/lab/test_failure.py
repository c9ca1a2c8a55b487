from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from ktrace_nb.lab.failure import console_text, end_cause, hang_cause, lives, panic_cause
from ktrace_nb.lab.supervisor import started_at

SYSRQ = """\
sysrq: Trigger a crash
Kernel panic - not syncing: sysrq triggered crash
CPU: 0 UID: 0 PID: 160 Comm: sh Tainted: G            E      6.12.117+deb12-cloud-amd64 #1  Debian
Call Trace:
 <TASK>
 panic+0x344/0x3a0
RIP: 0033:0x7f0ffb502350
 </TASK>
Kernel Offset: disabled
"""

OOPS = """\
BUG: kernel NULL pointer dereference, address: 0000000000000008
#PF: supervisor read access in kernel mode
Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI
CPU: 0 UID: 0 PID: 212 Comm: kworker/u4:2 Not tainted 6.12.117+deb12-cloud-amd64 #1
RIP: 0010:ext4_file_open+0x1c/0x230
Call Trace:
Kernel panic - not syncing: Fatal exception
Kernel Offset: disabled
"""

NMI_IN_KERNEL = """\
Uhhuh. NMI received for unknown reason 21 on CPU 0.
Kernel panic - not syncing: NMI: Not continuing
CPU: 0 UID: 0 PID: 162 Comm: cat Tainted: G            E      6.12.117+deb12-cloud-amd64 #1
RIP: 0010:queued_spin_lock_slowpath+0x5f/0x2d0
RIP: 0033:0x5026cb
"""


def test_a_panic_is_told_in_one_sentence() -> None:
    assert panic_cause(SYSRQ) == "the lab's kernel panicked: sysrq triggered crash, running 'sh'"
    assert panic_cause(OOPS) == (
        "the lab's kernel panicked: Fatal exception"
        " (BUG: kernel NULL pointer dereference, address: 0000000000000008)"
        " at ext4_file_open+0x1c/0x230, running 'kworker/u4:2'"
    )
    assert panic_cause("EXT4-fs (vda): mounted filesystem\n") is None


def test_a_hang_is_told_with_its_place() -> None:
    assert (
        hang_cause(NMI_IN_KERNEL)
        == "the lab's kernel hung at queued_spin_lock_slowpath+0x5f/0x2d0, running 'cat'"
    )
    in_program = NMI_IN_KERNEL.replace("RIP: 0010:queued_spin_lock_slowpath+0x5f/0x2d0\n", "")
    assert hang_cause(in_program) == "the lab hung: 'cat' lets nothing else run"
    assert hang_cause("nothing") is None


def test_the_console_is_read_without_time_stamps(tmp_path: Path) -> None:
    assert console_text(tmp_path) == ""
    (tmp_path / "console.log").write_bytes(
        b"[    2.128492] virtio_blk virtio1: [vda]\r\n[   11.9] a [1.5] b\r\n\xff"
    )
    assert console_text(tmp_path) == "virtio_blk virtio1: [vda]\na [1.5] b\n\N{REPLACEMENT CHARACTER}"


def machine(folder: Path, *, qemu_said: str = "", console: str = "", **exit_record: object) -> Path:
    """What is left of a machine whose QEMU has ended while its supervisor lives."""
    me = [os.getpid(), started_at(os.getpid())]
    (folder / "processes.json").write_text(json.dumps({"supervisor": me, "qemu": [2**22 + 1, 5]}))
    (folder / "exit.json").write_text(json.dumps(exit_record))
    (folder / "qemu.log").write_text(qemu_said)
    (folder / "console.log").write_text(console)
    return folder


@pytest.mark.parametrize(
    ("status", "said", "console", "cause"),
    [
        (0, "", SYSRQ, "the lab's kernel panicked: sysrq triggered crash, running 'sh'"),
        (-9, "qemu-system-x86_64: warning: of something\n", "", "qemu was killed by SIGKILL"),
        (
            1,
            "qemu-system-x86_64: load of migration failed: Invalid argument\n",
            "",
            "qemu ended with status 1: load of migration failed: Invalid argument",
        ),
        (
            0,
            "qemu-system-x86_64: terminating on signal 15 from pid 7 (kill)\n",
            "",
            "qemu ended with status 0: terminating on signal 15 from pid 7 (kill)",
        ),
        (0, "", "", "the lab was shut down or restarted from inside"),
    ],
)
def test_every_end_has_a_cause(status: int, said: str, console: str, cause: str, tmp_path: Path) -> None:
    assert end_cause(machine(tmp_path, qemu_said=said, console=console, status=status)) == cause


def test_a_machine_that_runs_has_no_cause(tmp_path: Path) -> None:
    assert end_cause(tmp_path) is None  # its supervisor has not got that far
    me = [os.getpid(), started_at(os.getpid())]
    (tmp_path / "processes.json").write_text(json.dumps({"supervisor": me, "qemu": me}))
    assert end_cause(tmp_path) is None


def test_a_folder_that_is_gone_was_stopped(tmp_path: Path) -> None:
    assert end_cause(tmp_path / "nosuch") == "the lab was stopped"


def test_a_process_is_known_by_number_and_start() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        named = [process.pid, started_at(process.pid)]
        assert named[1] > 0
        assert lives(named)
        assert not lives([process.pid, named[1] + 1])
        process.kill()
    assert not lives(named)
    assert not lives(None)
