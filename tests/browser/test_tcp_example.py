"""The example notebook of TCP's states: a kernel in the lab, a diagram that is drawn while it talks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.browser import kit

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/tcp/tcp-states.ipynb"
LABELS = ".ktrace-states-label .ktrace-states-count"
COUNTS = 'import json; print(json.dumps(transitions_of(tcp.changes, machine="tcp")["count"].tolist()))'


def test_the_example_notebook_draws_what_its_frame_says(page: kit.LabPage, path: str) -> None:
    page.page.set_viewport_size({"width": 1280, "height": 1700})
    shutil.copy(EXAMPLE, page.server.root / path)
    page.open(path)
    page.command("notebook:run-all-cells", wait=False)
    page.page.wait_for_selector(".ktrace-states-hot", state="attached", timeout=60_000)
    page.screenshot("tcp-example-live", index=3)
    page.page.wait_for_selector('.ktrace-header[data-state="done"]', timeout=60_000)
    counts = sorted(f"{count:,}" for count in json.loads(page.ask(COUNTS)))
    page.page.wait_for_function(
        """([labels, counts]) => {
            const shown = [...document.querySelectorAll(labels)].map((e) => e.textContent).filter(Boolean);
            return JSON.stringify(shown.sort()) === JSON.stringify(counts);
        }""",
        arg=[LABELS, counts],
    )
    page.screenshot("tcp-example", index=3)
    waiting = page.outputs(7)[0]["data"]["text/plain"]
    # A closed connection waits for a minute, and this takes a quarter of one.
    fetched = int(page.ask('print(((tcp.changes["oldstate"] == 5) & (tcp.changes["newstate"] == 7)).sum())'))
    assert int("".join(waiting)) == fetched > 10
