"""Cells run in the lab's kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.session import Session
from ktrace_nb.source import Source
from ktrace_nb.targets import base
from ktrace_nb.targets.base import Target, close_targets, get_target
from ktrace_nb.targets.lab import LabTarget
from tests.kernel.trace.controls_kit import READS
from tests.kernel.trace.kit import Guest, Trace


@pytest.fixture(scope="session", autouse=True)
def _let_go() -> Iterator[None]:
    yield
    close_targets()


@pytest.fixture
def kernel() -> str:
    """Which lab; modules whose tests shall run on both kernels say so."""
    return "lab"


@pytest.fixture
def lab(kernel: str, request: pytest.FixtureRequest) -> Target:
    """A lab, private to this test run; a new one if a test broke the last."""
    request.getfixturevalue("image" if kernel == "lab" else "image_61")
    return get_target(kernel)


@pytest.fixture
def trace(lab: Target, kernel: str) -> Iterator[Trace]:
    """Run a cell to its end and give the session; stops what a test leaves running."""
    sessions: list[Session] = []

    def run(cell: str, *, wait: bool = True, **options: Any) -> Session:
        session = engine.start(Source(cell), Options(**{"target": kernel, **options}))
        sessions.append(session)
        if wait:
            assert session.wait(60), "the session did not end"
            assert session.state == "done", session.message
        return session

    yield run
    for session in sessions:
        if session.running:
            session.stop()


@pytest.fixture
def guest(lab: Target) -> Guest:
    """The lab's own view."""
    return Guest(lab)


@pytest.fixture
def read(guest: Guest) -> Callable[[], None]:
    """Read /dev/zero :data:`READS` times."""

    def dd() -> None:
        guest.run("dd", "if=/dev/zero", "of=/dev/null", "bs=64", f"count={READS}")

    return dd


@pytest.fixture
def doomed(image: object) -> Iterator[LabTarget]:
    """A private lab that a test may break."""
    target = LabTarget("lab", lambda *_: None)
    base._open["doomed"] = target
    yield target
    target.close()
    base._open.pop("doomed", None)
