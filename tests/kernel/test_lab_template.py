"""Templates are made once, by one process, and made anew when they are of no use."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktrace_nb.lab import accel, qemu, store
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.image import Image
from ktrace_nb.lab.start import start_machine
from tests.kernel.conftest import python

pytestmark = pytest.mark.kernel


class Stages:
    """The stages of a start, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, stage: str, done: float = 0, total: float = 0, unit: str = "") -> None:
        if stage not in self.seen:
            self.seen.append(stage)


def templates() -> list[Path]:
    return sorted(path for path in store.cache("templates", "lab").iterdir() if path.is_dir())


def test_processes_that_start_at_once_make_one_template(
    image: Image, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accel.remember("tcg")
    code = """
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.image import find_image
from ktrace_nb.lab.start import start_machine
seen = []
def report(stage, done=0, total=0, unit=""):
    if stage not in seen:
        seen.append(stage)
with start_machine(find_image("lab"), progress=report) as machine, Caller(machine.connect()) as caller:
    caller.hello()
print(seen)
"""
    processes = [python(code) for _ in range(3)]
    outputs = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        outputs.append(out)
    assert sum("booting the lab" in out for out in outputs) == 1
    assert sum("waiting for another process" in out for out in outputs) == 2
    assert len(templates()) == 1
    assert not [path for path in store.cache("templates", "lab").iterdir() if ".making" in path.name]


def test_a_spoilt_template_is_made_anew(image: Image, own_cache: Path) -> None:
    accel.remember("tcg")
    start_machine(image).stop()
    (template,) = templates()
    (template / "state").write_bytes((template / "state").read_bytes()[:1000])
    stages = Stages()
    with start_machine(image, progress=stages) as machine, Caller(machine.connect()) as caller:
        caller.hello()
    assert "booting the lab" in stages.seen
    again = Stages()
    start_machine(image, progress=again).stop()
    assert again.seen == []


def test_kvm_is_used_only_where_it_works(
    image: Image, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Asks for a processor that every KVM has, so that QEMU starts even where
    # KVM then hangs; the plain case is that QEMU refuses at once.
    for processor in ("host", "qemu64"):
        monkeypatch.setitem(qemu.PROCESSORS, "kvm", processor)
        store.cache("accel").unlink(missing_ok=True)
        stages = Stages()
        with start_machine(image, progress=stages) as machine, Caller(machine.connect()) as caller:
            caller.hello()
            used = machine.status().accelerator
        assert accel.choose_accelerator() == (used, True)
        assert (used == "kvm") <= Path("/dev/kvm").exists()
        again = Stages()
        with start_machine(image, progress=again) as machine:
            assert machine.status().accelerator == used
        assert again.seen == []
