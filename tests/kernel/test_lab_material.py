"""What the lab brings for lessons: file systems, a slow disk, commands."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ktrace_nb.cli import main
from ktrace_nb.errors import OptionError
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.image import Image, describe
from ktrace_nb.lab.machine import LabMachine
from ktrace_nb.lab.start import start_machine
from tests.kernel.conftest import shell
from tests.kernel.function_graph import Call, graph_of

pytestmark = pytest.mark.kernel

LESSONS = {
    "lesson-cold": "",
    "lesson-copy": "",
    "lesson-deep": "5",
    "lesson-ls": "",
    "lesson-many-readers": "3",
    "lesson-open-missing": "3",
    "lesson-sync": "2",
}
"""With arguments that are quick."""


@pytest.fixture(params=["image", "image_61"])
def each(request: pytest.FixtureRequest) -> Image:
    """Both labs, one after the other."""
    found: Image = request.getfixturevalue(request.param)
    return found


@contextmanager
def session(image: Image) -> Iterator[tuple[LabMachine, Caller]]:
    """A lab of one's own, fresh from its template."""
    with start_machine(image) as machine, Caller(machine.connect()) as caller:
        yield machine, caller


def seconds(caller: Caller, command: str) -> float:
    """How long a command takes, by the host's clock."""
    begin = time.monotonic()
    shell(caller, command)
    return time.monotonic() - begin


def test_the_same_files_lie_on_ext3_and_ext4_and_on_a_slow_disk(each: Image) -> None:
    with session(each) as (_, caller):
        mounts = [line.split()[:3] for line in shell(caller, "cat /proc/mounts").splitlines()]
        assert [mount for mount in mounts if mount[1].startswith("/mnt")] == [
            ["/dev/vdb", "/mnt/ext3", "ext3"],
            ["/dev/vdc", "/mnt/ext4", "ext4"],
            ["/dev/vdd", "/mnt/slow", "ext4"],
        ]
        features = {disk: shell(caller, f"dumpe2fs -h /dev/{disk} 2>/dev/null") for disk in ("vdb", "vdc")}
        assert "extent" in features["vdc"] and "extent" not in features["vdb"]
        assert all("has_journal" in text for text in features.values())
        sums = [
            shell(caller, f"cd /mnt/{disk} && find . -type f | sort | xargs md5sum")
            for disk in ("ext3", "ext4")
        ]
        assert sums[0] == sums[1] and sums[0].count("\n") == 42
        assert shell(caller, "cat /mnt/ext4/docs/note39.txt | head -1") == "note 39, a line to be read\n"


def test_what_a_session_writes_is_gone_with_it_and_leaves_no_damage(each: Image) -> None:
    with session(each) as (_, caller):
        for disk in ("ext3", "ext4", "slow"):
            shell(caller, f"echo changed >/mnt/{disk}/README; cp /mnt/{disk}/docs/note39.txt /mnt/{disk}/new")
        # The memory of the template is that of mounted file systems, its disks are those before the mounting.
        shell(caller, "umount /mnt/ext3 /mnt/ext4 /mnt/slow")
        for disk in ("vdb", "vdc", "vdd"):
            shell(caller, f"e2fsck -fn /dev/{disk}")
        shell(caller, "mount -t ext3 /dev/vdb /mnt/ext3")
        assert shell(caller, "cat /mnt/ext3/README") == "changed\n"
        shell(caller, "cmp /mnt/ext3/new /mnt/ext3/docs/note39.txt")
    with session(each) as (_, caller):
        assert shell(caller, "ls /mnt/ext3 /mnt/ext4 /mnt/slow | grep -c new || true") == "0\n"
        assert shell(caller, "grep -l changed /mnt/*/README || true") == ""
    for part in ("course.ext3", "course.ext4"):
        assert describe(each.path(part)) == each.parts[part]


def test_the_slow_disk_takes_its_time_and_can_be_set_while_it_runs(image: Image) -> None:
    requests = 20
    direct = f"dd if=/dev/DISK of=/dev/null bs=4k count={requests} iflag=direct 2>/dev/null"
    with session(image) as (machine, caller):
        slow, fast = direct.replace("DISK", "vdd"), direct.replace("DISK", "vdc")
        assert seconds(caller, fast) < 0.5
        # 25 a second; QEMU lets a tenth of a second's worth pass at once (docs/throttle.txt).
        assert seconds(caller, slow) > (requests - 3) / 25
        machine.throttle_disk(10)
        assert seconds(caller, slow) > (requests - 2) / 10
        machine.throttle_disk(0)
        assert seconds(caller, slow) < 0.5
        machine.throttle_disk(20, disk="ext4")
        assert seconds(caller, fast) > 0.5
        with pytest.raises(OptionError, match="no disk 'ext5'") as caught:
            machine.throttle_disk(5, disk="ext5")
        assert caught.value.hint == "its disks are ext3, ext4, slow"
        with pytest.raises(OptionError, match="cannot serve -1 a second"):
            machine.throttle_disk(-1)


def test_the_command_line_sets_the_disk_of_the_lab_that_was_started(
    image: Image, own_runtime: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", "slow", "10"]) != 0
    assert "no lab 'lab' is running" in capsys.readouterr().err
    with session(image) as (_, caller):
        assert main(["lab", "slow", "0"]) == 0
        assert capsys.readouterr().out == "/mnt/slow is as fast as it can be\n"
        shell(caller, "dd if=/dev/vdd of=/dev/null bs=4k count=50 iflag=direct", timeout_s=1)
        assert main(["lab", "slow", "5", "--disk", "ext3"]) == 0
        assert capsys.readouterr().out == "/mnt/ext3 serves 5 requests a second\n"
        assert seconds(caller, "dd if=/dev/vdb of=/dev/null bs=4k count=6 iflag=direct") > 0.7


def test_every_lesson_runs_and_explains_itself(each: Image) -> None:
    with session(each) as (_, caller):
        assert shell(caller, "ls /usr/local/bin").split() == ["lesson", *LESSONS]
        listed = shell(caller, "lesson").splitlines()
        assert [line.split()[0] for line in listed] == list(LESSONS)
        for lesson, arguments in LESSONS.items():
            help_text = shell(caller, f"{lesson} --help")
            assert help_text.startswith(lesson) and help_text.count("\n") > 1
            assert help_text.splitlines()[1] in "\n".join(listed)
            before = shell(caller, "find /mnt -xdev; find /mnt/ext4")
            shell(caller, f"{lesson} {arguments} {'' if lesson == 'lesson-cold' else '/mnt/ext4'}")
            left = set(shell(caller, "find /mnt -xdev; find /mnt/ext4").split()) - set(before.split())
            assert left == ({"/mnt/ext4/copy.bin"} if lesson == "lesson-copy" else set())
        shell(caller, "cmp /mnt/ext4/copy.bin /mnt/ext3/big.bin")


def test_the_first_look_takes_the_same_path_in_every_session(each: Image) -> None:
    paths = [first_look(each) for _ in range(2)]
    assert paths[0] == paths[1]
    names = [call.function for call in paths[0]]
    # Cold: directories are read from the disk, names looked up, inodes read.
    assert {"ext4_readdir", "ext4_lookup", "ext4_getattr"} <= set(names)
    assert any(name.startswith(("ext4_iget", "__ext4_iget")) for name in names)


def first_look(image: Image) -> list[Call]:
    """Calls of the first ``ls -l`` in a session."""
    with session(image) as (_, caller):
        threads = graph_of(lambda text: shell(caller, text), "exec ls -l /mnt/ext3", "ext4_* __ext4_*")
    (calls,) = threads.values()
    assert all(call.returned for call in calls)
    return calls
