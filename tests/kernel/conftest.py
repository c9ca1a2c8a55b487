"""Fixtures of the tests that run a real lab."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ktrace_nb.errors import MissingError
from ktrace_nb.lab.build import build_image, recipe_digest
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.image import Image, find_image
from ktrace_nb.lab.machine import LabMachine
from ktrace_nb.lab.start import start_machine


def _current(name: str, kernel: str) -> Image:
    """The lab as this code builds it; it is built if it is not there."""
    try:
        image = find_image(name)
    except MissingError:
        return build_image(name, kernel=kernel)
    return image if image.recipe == recipe_digest() else build_image(name, kernel=kernel)


@pytest.fixture(scope="session")
def image() -> Image:
    """The lab with the default kernel."""
    return _current("lab", "6.12")


@pytest.fixture(scope="session")
def image_61() -> Image:
    """The lab whose kernel has no multi-kprobes."""
    return _current("lab-6.1", "6.1")


@pytest.fixture(scope="session")
def machine(image: Image) -> Iterator[LabMachine]:
    """A running lab that tests share and do not break."""
    with start_machine(image) as running:
        yield running


@pytest.fixture
def caller(machine: LabMachine) -> Iterator[Caller]:
    """A connection to the shared lab's agent."""
    with Caller(machine.connect()) as connection:
        yield connection


@pytest.fixture
def own_runtime(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Running machines of one test apart from those of this user."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    return short_path


@pytest.fixture
def own_cache(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without templates and without a verdict on KVM."""
    path = short_path / "cache"
    path.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    return path


def shell(caller: Caller, command: str, *, timeout_s: float = 60.0) -> str:
    """Run a command in the guest; what it printed. It must succeed."""
    head, output = caller.call("exec", argv=["sh", "-c", command], timeout_s=timeout_s)
    assert head["status"] == 0, output.decode(errors="replace")
    return output[: head["stdout"]].decode()


def python(code: str, *arguments: str, as_user: int | None = None) -> subprocess.Popen[str]:
    """Another process of this Python that can import this package."""
    command = [sys.executable, "-c", code, *arguments]
    if as_user is not None and os.getuid() == 0:
        # The tests' own Python may be in root's home; the lab needs nothing but a Python.
        command[0] = "/usr/bin/python3"
        command = ["setpriv", f"--reuid={as_user}", f"--regid={as_user}", "--clear-groups", *command]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def wait_until(condition: Callable[[], object], timeout_s: float = 5.0) -> float:
    """Wait for something to become true; how many seconds it took."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < timeout_s, "it did not happen in time"
        time.sleep(0.005)
    return time.monotonic() - begin
