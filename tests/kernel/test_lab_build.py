"""What is built, and that the same comes out again."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ktrace_nb.errors import MissingError
from ktrace_nb.lab import packages, store
from ktrace_nb.lab.build import build_image
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.image import PARTS, Image, describe, find_image
from ktrace_nb.lab.start import start_machine
from ktrace_nb.lab.tools import require_tools
from ktrace_nb.lab.vmlinux import check_bootable, section
from ktrace_nb.progress import silent
from tests.kernel.conftest import python, shell

pytestmark = pytest.mark.kernel

LESSON_MODULES = (
    *("null_blk", "scsi_debug", "dm-delay", "dm-flakey", "loop"),
    *("nfsd", "nfsv4", "xfs", "btrfs"),
    *("veth", "sch_netem", "bridge"),
)


class Stages:
    """What a build reports, by stage."""

    def __init__(self) -> None:
        self.bytes: dict[str, float] = {}

    def __call__(self, stage: str, done: float = 0, total: float = 0, unit: str = "") -> None:
        self.bytes[stage] = total if unit == "B" else 0


@pytest.mark.parametrize("fixture", ["image", "image_61"])
def test_an_image_is_complete_and_small(fixture: str, request: pytest.FixtureRequest) -> None:
    image: Image = request.getfixturevalue(fixture)
    assert {part: describe(image.path(part)) for part in PARTS} == image.parts
    assert image.parts["root.ext4"].size <= 100e6
    kernel = image.path("vmlinux").read_bytes()
    check_bootable(kernel)
    assert section(kernel, ".BTF")[:2] == b"\x9f\xeb"
    config = image.path("config").read_text()
    for option in ("KPROBES", "DEBUG_INFO_BTF", "BPF_SYSCALL", "KALLSYMS_ALL", "EXT4_FS"):
        assert f"CONFIG_{option}=y" in config
    assert ("CONFIG_FPROBE=y" in config) == (fixture == "image")
    assert any(name.startswith("linux-image-") for name in image.packages)
    check = require_tools("debugfs")["debugfs"].with_name("e2fsck")
    for disk in ("root.ext4", "course.ext3", "course.ext4"):
        subprocess.run([check, "-fn", image.path(disk)], check=True, capture_output=True)


def test_building_again_downloads_nothing_and_leaves_the_image_alone(image: Image) -> None:
    stages = Stages()
    before = image.path("root.ext4").stat()
    assert build_image(progress=stages) == image
    assert set(stages.bytes) == {"resolving packages"}
    assert image.path("root.ext4").stat().st_ino == before.st_ino


def test_the_same_packages_give_the_same_bytes(
    image: Image, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(short_path))
    # Another cache, or this build would clear the archives of the real images away.
    packages = store.cache("packages")
    monkeypatch.setenv("XDG_CACHE_HOME", str(short_path / "cache"))
    shutil.copytree(packages, store.cache("packages"))
    stages = Stages()
    again = build_image(progress=stages)
    assert "downloading packages" not in stages.bytes
    assert again.parts == image.parts
    assert again.packages == image.packages
    assert {path.name for path in again.folder.iterdir()} == {"manifest.json", *PARTS}
    assert again.folder == short_path / "ktrace_nb/labs/lab"


def test_an_ordinary_user_builds_and_starts_the_same_lab(image: Image, short_path: Path) -> None:
    nobody = 65534 if os.getuid() == 0 else os.getuid()
    home = short_path / "home"
    shutil.copytree(store.cache("packages"), home / ".cache/ktrace_nb/packages")
    code = """
import os, sys
for variable in list(os.environ):
    if variable.startswith("XDG_"):
        del os.environ[variable]
os.environ["HOME"] = sys.argv[1]
from ktrace_nb.lab.build import build_image
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.start import start_machine
image = build_image()
with start_machine(image) as machine, Caller(machine.connect()) as caller:
    print(image.digest, caller.hello()["uid"], os.getuid(), machine.folder.parent.name)
"""
    for path in (short_path, *short_path.rglob("*")):
        os.chown(path, nobody, -1)
    with python(code, str(home), as_user=nobody) as process:
        out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert out.split() == [image.digest, "0", str(nobody), f"ktrace_nb-{nobody}"]


def test_the_guest_has_what_lessons_need(image: Image) -> None:
    with start_machine(image) as machine, Caller(machine.connect()) as caller:
        for module in LESSON_MODULES:
            shell(caller, f"modprobe {module}")
        assert shell(caller, "python3 -c 'import ctypes, json, select; print(1 + 1)'") == "2\n"
        for command in ("ip", "tc", "mkfs.ext4", "dmsetup", "exportfs", "httpd", "wget", "ping", "vi"):
            shell(caller, f"which {command}")
        assert shell(caller, "readlink -f $(which ls) $(which sh)") == "/usr/bin/ls\n/usr/bin/dash\n"
        assert shell(caller, "find / -xdev -perm /6000") == ""
        assert shell(caller, "find / -xdev ! -user root") == ""


def test_the_course_disk_is_served_as_ext3_and_can_be_made_slow(image: Image) -> None:
    with start_machine(image) as machine, Caller(machine.connect()) as caller:
        assert shell(caller, "grep /mnt/ext3 /proc/mounts").split()[2] == "ext3"
        assert shell(caller, "cat /mnt/ext3/docs/note39.txt | head -1") == "note 39, a line to be read\n"
        assert shell(caller, "stat -c %s /mnt/ext3/big.bin") == f"{8 << 20}\n"
        read = "echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/vdb of=/dev/null bs=4k count=20 iflag=direct"
        fast = float(shell(caller, timed(read)))
        machine.throttle_disk(20, disk="ext3")
        slow = float(shell(caller, timed(read)))
        machine.throttle_disk(0, disk="ext3")
        assert slow > fast + 0.5  # 20 requests, 20 a second
        shell(caller, "echo changed > /mnt/ext3/README; sync")
    assert describe(find_image("lab").path("course.ext3")) == image.parts["course.ext3"]


def timed(command: str) -> str:
    """A command whose output is the seconds that another takes."""
    stamp = "$(date +%s.%N)"
    return f"begin={stamp}; ({command}) 2>/dev/null; echo {stamp} $begin | awk '{{print $1 - $2}}'"


def test_an_nfs_share_can_be_mounted_over_the_loopback(image: Image) -> None:
    with start_machine(image) as machine, Caller(machine.connect()) as caller:
        shell(
            caller,
            """
            mount -t tmpfs share /srv && echo shared > /srv/file
            echo '/srv *(rw,fsid=0,no_root_squash,insecure,no_subtree_check)' > /etc/exports
            modprobe nfsd && mount -t nfsd nfsd /proc/fs/nfsd
            exportfs -ra && rpc.nfsd -N 3 1 && rpc.mountd -N 3 -u
            # No client of an earlier life is waited for.
            echo Y > /proc/fs/nfsd/v4_end_grace
            mount -t nfs4 localhost:/ /mnt
            """,
        )
        assert shell(caller, "cat /mnt/file") == "shared\n"
        assert "vers=4.2" in shell(caller, "grep /mnt /proc/mounts")


def test_a_kernel_that_no_package_source_has_is_named(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(packages.KERNELS, "6.99", ("linux-image-6.99-cloud-amd64", "linux-image-cloud-amd64"))
    with pytest.raises(MissingError, match=r"package sources have no Linux 6\.99") as caught:
        packages.fetch_packages("6.99", silent)
    assert "security updates" in caught.value.fix
