"""The lab's claims, measured: ``python -m benchmarks.lab``.

Prints each figure, its goal and their ratio; below 1 is better than the goal.
Needs what ``ktrace-nb lab build`` needs; downloads only what is not there yet.
Builds, boots and templates go to a temporary folder, the real ones stay.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ktrace_nb.lab import accel, store
from ktrace_nb.lab.build import build_image
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.handout import export_image, import_image
from ktrace_nb.lab.image import Image
from ktrace_nb.lab.machine import LabMachine
from ktrace_nb.lab.start import start_machine
from ktrace_nb.lab.tools import require_tools
from ktrace_nb.wire.frames import EVENT, REPLY

ROUNDS = 5
TRANSFER = 32 << 20


class Stages:
    """When each stage of some work began."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.downloaded = 0.0

    def __call__(self, stage: str, done: float = 0, total: float = 0, unit: str = "") -> None:
        self.began.setdefault(stage, time.monotonic())
        if stage == "downloading packages":
            self.downloaded = total


def show(
    what: str, figure: float, unit: str, goal: float | None = None, *, more_is_better: bool = False
) -> None:
    """Print one figure, with its goal if there is one."""
    text = f"{what:<52} {figure:8.2f} {unit:<5}"
    if goal is not None:
        text += f" goal {goal:g}, ratio {goal / figure if more_is_better else figure / goal:.2f}"
    print(text, flush=True)


@contextmanager
def own_store() -> Iterator[Path]:
    """Images and templates in a temporary folder; the downloaded packages are taken along."""
    packages = store.cache("packages")
    with tempfile.TemporaryDirectory(prefix="ktrace-bench-") as folder:
        os.environ["XDG_DATA_HOME"] = f"{folder}/data"
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        shutil.copytree(packages, store.cache("packages"))
        yield Path(folder)


def measure_build() -> Image:
    """Set-up: from packages to an image."""
    build_image(progress=Stages())  # whatever has to be downloaded is, now
    stages = Stages()
    begin = time.monotonic()
    image = build_image(force=True, progress=stages)
    show("set-up without downloads", time.monotonic() - begin, "s", 60)
    assert not stages.downloaded
    show("root image", image.parts["root.ext4"].size / 1e6, "MB", 100)
    show("whole image", image.size / 1e6, "MB")
    return image


def measure_boot(image: Image) -> None:
    """A first start, with its stages."""
    accel.remember(accel.choose_accelerator()[0] if accel.choose_accelerator()[1] else "tcg")
    stages = Stages()
    begin = time.monotonic()
    with start_machine(image, progress=stages) as machine:
        whole = time.monotonic() - begin
        booted = stages.began["reading facts about the kernel"] - stages.began["booting the lab"]
        show(f"cold boot until the agent answers ({machine.record.accelerator})", booted, "s", 8)
        show("first start, template included", whole, "s")
        show("template on the disk", machine.status().template_mb * 1.048576, "MB")


def measure_resume(image: Image) -> None:
    """Later starts."""
    times, private = [], []
    for _ in range(ROUNDS):
        begin = time.monotonic()
        with start_machine(image) as machine, Caller(machine.connect()) as caller:
            caller.hello()
            times.append(time.monotonic() - begin)
            private.append(machine.status().private_mb * 1.048576)
    show(f"template until the agent answers, median of {ROUNDS}", statistics.median(times), "s", 0.5)
    show("the slowest of them", max(times), "s")
    show("memory of its own, then", statistics.median(private), "MB")


def measure_stop(image: Image) -> None:
    """How fast a machine is gone."""
    times = []
    for _ in range(ROUNDS):
        machine = start_machine(image)
        begin = time.monotonic()
        machine.stop()
        times.append(time.monotonic() - begin)
    show(f"stop until nothing is left, median of {ROUNDS}", statistics.median(times), "s", 1)


def measure_transport(machine: LabMachine) -> None:
    """Requests and bulk data through one port."""
    with Caller(machine.connect()) as caller:
        times = []
        for _ in range(200):
            begin = time.monotonic()
            caller.call("ping")
            times.append(time.monotonic() - begin)
        show("one request and its reply, median of 200", statistics.median(times) * 1e3, "ms")
        script = f"head -c {TRANSFER} /dev/zero > /tmp/bulk"
        caller.call("exec", argv=["sh", "-c", script])
        rates = []
        for _ in range(ROUNDS):
            begin = time.monotonic()
            _, data = caller.call("get", path="/tmp/bulk")
            rates.append(len(data) / (time.monotonic() - begin) / 1e6)
        show(
            f"out of the guest, one message of {TRANSFER >> 20} MiB",
            statistics.median(rates),
            "MB/s",
            20,
            more_is_better=True,
        )
        caller.send("shell_open", shell="x", argv=["sh", "-c", "stty raw; cat /tmp/bulk"])
        begin, got = time.monotonic(), 0
        while True:
            message = caller.receive(60)
            if message.kind == REPLY:
                continue
            assert message.kind == EVENT
            got += len(message.blob)
            if "status" in message.head:
                break
        show("out of the guest, many small messages", got / (time.monotonic() - begin) / 1e6, "MB/s")
        begin = time.monotonic()
        caller.call("put", bytes(TRANSFER // 2), path="/tmp/bulk")
        show("into the guest, one message", TRANSFER / 2 / (time.monotonic() - begin) / 1e6, "MB/s")


def measure_connect(machine: LabMachine) -> None:
    """New connections."""
    times = []
    for _ in range(40):
        begin = time.monotonic()
        connection = machine.connect()
        times.append(time.monotonic() - begin)
        connection.close()
    show("a connection, median of 40", statistics.median(times) * 1e3, "ms")
    show("the slowest of them", max(times) * 1e3, "ms")


def measure_handout(image: Image, folder: Path) -> None:
    """Export and import."""
    file = folder / "lab.tar.xz"
    begin = time.monotonic()
    size = export_image(image, file)
    show("export", time.monotonic() - begin, "s")
    show("hand-out", size / 1e6, "MB", 50)
    begin = time.monotonic()
    import_image(file, name="imported")
    show("import", time.monotonic() - begin, "s")


def main() -> None:
    """Measure everything."""
    qemu = require_tools("qemu-system-x86_64")["qemu-system-x86_64"]
    version = subprocess.run([qemu, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    print(f"{os.cpu_count()} CPUs, Linux {platform.release()}, {version.splitlines()[0]}")
    build_image()  # the real one, so that its packages are in the cache
    with own_store() as folder:
        image = measure_build()
        measure_boot(image)
        measure_resume(image)
        measure_stop(image)
        with start_machine(image) as machine:
            measure_connect(machine)
            measure_transport(machine)
        measure_handout(image, folder)


if __name__ == "__main__":
    main()
