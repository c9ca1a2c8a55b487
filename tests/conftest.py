"""Options of the test run.

``--kernel`` and ``--browser`` are promises, not filters: with them the tests
that need a kernel or a browser run and fail loudly where they cannot.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from ktrace_nb.compiler.client import CompilerWorker
from ktrace_nb.kernel.btf import Btf
from tests.kernel_facts.prove_layout import HOST_BTF

# A busy machine is no failure.
settings.register_profile("ktrace_nb", deadline=None)
settings.load_profile("ktrace_nb")

NEEDS = {"kernel": "--kernel", "browser": "--browser"}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ktrace_nb")
    group.addoption(
        "--kernel", action="store_true", help="run the tests that load programs into the lab's kernel"
    )
    group.addoption("--browser", action="store_true", help="run the tests that drive JupyterLab in Chromium")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for marker, option in NEEDS.items():
            if item.get_closest_marker(marker) and not config.getoption(option):
                item.add_marker(pytest.mark.skip(reason=f"needs {option}"))


@pytest.fixture(scope="session")
def btf() -> Btf:
    """The types of this machine's kernel."""
    return Btf(HOST_BTF.read_bytes())


@pytest.fixture(scope="module")
def worker() -> Iterator[CompilerWorker]:
    """A compiler."""
    worker = CompilerWorker()
    yield worker
    worker.close()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A temporary folder whose path leaves room for a socket's name."""
    path = Path(tempfile.mkdtemp(prefix="kt", dir="/tmp"))
    yield path
    shutil.rmtree(path)
