"""Fixtures for tests in a real JupyterLab: one server per module, one page per test."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import kit


@pytest.fixture(scope="module")
def lab_server() -> Iterator[kit.LabServer]:
    with kit.lab_server() as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with kit.chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser, lab_server: kit.LabServer) -> Iterator[kit.LabPage]:
    context = browser.new_context(viewport={"width": 1280, "height": 960}, device_scale_factor=1)
    context.set_default_timeout(30_000)
    try:
        yield kit.LabPage(context.new_page(), lab_server)
    finally:
        context.close()


@pytest.fixture
def path(page: kit.LabPage) -> Iterator[str]:
    """A notebook's name; the page must not have complained in the end."""
    complaints: list[str] = []
    page.page.on("pageerror", lambda error: complaints.append(str(error)))
    page.page.on(
        "console", lambda message: complaints.append(message.text) if message.type == "error" else None
    )
    yield f"trace-{time.monotonic_ns()}.ipynb"
    assert complaints == []
