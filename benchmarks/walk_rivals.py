"""bcc and bpftrace of this machine, taken into the lab on a disk of their own.

The lab's own file system has neither: both carry LLVM. Their programs and every
library they need go onto an ext4 image, which is plugged into the running lab.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.disks import root_image
from ktrace_nb.lab.machine import LabMachine
from ktrace_nb.source import Source
from ktrace_nb.targets.base import Target

PLACE = "/mnt/rivals"
_BPFTRACE = Path("/usr/bin/bpftrace")
_BCC = Path("/usr/lib/python3/dist-packages/bcc")
_LIBBCC = Path("/usr/lib/x86_64-linux-gnu/libbcc.so.0")


@dataclass(frozen=True, slots=True)
class Attached:
    """One tool's attaching and letting go of a pattern."""

    functions: int
    attach_s: float
    detach_s: float
    single: int = 0
    """Of bpftrace: kprobes in the kernel's list meanwhile; few where it attached many at once."""


class Rivals:
    """The tools in one running lab."""

    def __init__(self, machine: LabMachine) -> None:
        self._machine = machine

    def attach(self, tool: str, pattern: str) -> Attached | None:
        """Let ``bcc`` or ``bpftrace`` attach to entries and returns of a pattern; None if it cannot."""
        command = f"LD_LIBRARY_PATH={PLACE}/lib python3 {PLACE}/walk_guest.py {tool} {PLACE} '{pattern}'"
        # The agent lets a command run for a minute; one function after the other may take longer.
        behind = f"rm -f /tmp/status; ({command} >/tmp/answer 2>&1; echo $? >/tmp/status) >/dev/null 2>&1 &"
        with Caller(self._machine.connect()) as caller:
            caller.call("exec", argv=["sh", "-c", behind])
            while caller.call("exec", argv=["test", "-s", "/tmp/status"])[0]["status"]:
                time.sleep(0.5)
            status = caller.call("get", path="/tmp/status")[1].strip()
            said = caller.call("get", path="/tmp/answer")[1].decode(errors="replace")
        if status != b"0":
            print(f"{tool} failed: {said[-1500:]}")
            return None
        answer: dict[str, Any] = json.loads(said.splitlines()[-1])
        return Attached(**answer)


def _libraries(program: Path) -> set[Path]:
    """Shared libraries that a program or a library needs."""
    text = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {Path(found) for found in re.findall(r"=> (/\S+)", text)}


def _pack(folder: Path, headers: Mapping[str, str]) -> None:
    for name in ("bin", "lib", "python"):
        (folder / name).mkdir()
    shutil.copy(_BPFTRACE, folder / "bin")
    shutil.copytree(_BCC, folder / "python/bcc", ignore=shutil.ignore_patterns("__pycache__"))
    for library in {_LIBBCC, *_libraries(_BPFTRACE), *_libraries(_LIBBCC)}:
        # The C library is that of the lab's Python, which is of the same distribution.
        if not re.match(r"(libc|libm|libpthread|libdl|ld-linux.*)\.so", library.name):
            shutil.copy(library, folder / "lib")
    for name, text in headers.items():
        path = folder / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shutil.copy(Path(__file__).with_name("walk_guest.py"), folder)


@contextmanager
def rivals_in(target: Target, machine: LabMachine) -> Iterator[Rivals | None]:
    """Plug the tools into a running lab; None if this machine has them not."""
    if not all(path.exists() for path in (_BPFTRACE, _BCC, _LIBBCC)):
        yield None
        return
    options = Options(target=target.name)
    text = "int kprobe__vfs_read(struct pt_regs *ctx) { return 0; }"
    built = engine.compile_for(target, engine.lower(Source(text), options), options)
    with tempfile.TemporaryDirectory(prefix="rivals-") as scratch:
        folder, image = Path(scratch) / "files", Path(scratch) / "rivals.ext4"
        folder.mkdir()
        _pack(folder, built.files)
        root_image(image, folder)
        with machine.monitor() as qemu:
            file = {"driver": "file", "filename": str(image)}
            qemu.command(
                "blockdev-add", **{"driver": "raw", "node-name": "rivals", "read-only": True, "file": file}
            )
            qemu.command("device_add", driver="virtio-blk-pci", drive="rivals", id="rivals")
        with Caller(machine.connect()) as caller:
            wanted = f"mkdir -p {PLACE} && mount -t ext4 -o ro /dev/vde {PLACE}"
            for _ in range(50):
                if caller.call("exec", argv=["sh", "-c", wanted])[0]["status"] == 0:
                    break
                time.sleep(0.1)
            else:
                raise RuntimeError("the disk with the other tools did not come up")
        yield Rivals(machine)
