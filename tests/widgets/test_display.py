"""What a notebook that nobody watches holds in the end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from ktrace_nb.widgets import show
from tests.widgets.conftest import Kernel
from tests.widgets.synthetic import Synthetic

REPOSITORY = Path(__file__).resolve().parents[2]
WIDGET = "application/vnd.jupyter.widget-view+json"

START = """
import threading, time
from ktrace_nb.widgets import show
from tests.widgets.conftest import Kernel
from tests.widgets.synthetic import Synthetic
"""
THREADS = "print([thread.name for thread in threading.enumerate() if 'ktrace' in thread.name])"


def run(*cells: str) -> Any:
    """Execute a notebook as papermill or a grader does, and return it."""
    notebook: Any = nbformat.from_dict(  # type: ignore[no-untyped-call]
        {
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"cell-{number}",
                    "metadata": {},
                    "outputs": [],
                    "execution_count": None,
                    "source": cell,
                }
                for number, cell in enumerate(cells)
            ],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )
    client = NotebookClient(notebook, timeout=60, kernel_name="python3", store_widget_state=False)
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    client.execute(env=os.environ | {"PYTHONPATH": path})
    return notebook


def test_an_unwatched_notebook_ends_with_the_final_picture_and_no_thread() -> None:
    notebook = run(
        f"{START}\nsource = Synthetic(hertz=100); panel = show(source)",
        f"time.sleep(0.5); {THREADS}",
        "asked = source.asked; time.sleep(0.5); print(source.asked - asked)",
        "source.request_stop(); panel.finish()",
        f"{THREADS}; print(panel.problem)",
    )
    live, saved = notebook.cells[0].outputs
    assert set(live["data"]) == {WIDGET, "text/plain"}
    assert "done: stopped" in saved["data"]["text/plain"]
    assert saved["data"]["text/html"].count('<img src="data:image/svg+xml;base64,') == 2
    printed = ["".join(output.text for output in cell.outputs) for cell in notebook.cells[1:]]
    assert printed == ["[]\n", "0\n", "", "[]\nNone\n"]


def test_a_trace_that_is_over_is_shown_in_its_final_state_at_once() -> None:
    notebook = run(f"{START}\npanel = show(Synthetic(age=40, hertz=0, seconds=0))")
    (saved,) = (output for output in notebook.cells[0].outputs if "text/html" in output["data"])
    assert "| done |" in saved["data"]["text/plain"]
    page, _ = HTMLExporter().from_notebook_node(notebook)  # type: ignore[no-untyped-call]
    assert page.count('src="data:image/svg+xml;base64,') == 2
    assert "18,446,744,073,709,551,615" in page
    assert not re.search(r"<img src=x", page)


def test_a_cell_that_runs_again_closes_the_panels_of_its_last_run(kernel: Kernel) -> None:
    kernel.run(f"{START}\nimport comm")
    panel = "show(Synthetic(['latency']));"
    count = "print(len(comm.get_comm_manager().comms))"
    once = int(kernel.run(f"a = {panel} {count}", cell="one"))
    assert once > 10
    for _ in range(3):
        assert int(kernel.run(f"a = {panel} {count}", cell="one")) == once
    assert int(kernel.run(f"b = {panel} c = {panel} {count}", cell="two")) == 3 * once
    assert int(kernel.run(f"b = {panel} {count}", cell="two")) == 2 * once
    assert int(kernel.run(f"d = {panel} {count}")) == 3 * once, "a request without a cell closes nothing"


def test_a_frame_that_a_later_cell_replaces_is_in_the_picture_of_an_unwatched_notebook() -> None:
    notebook = run(
        "import pandas as pd\nfrom ktrace_nb.widgets import table\n"
        "view = table(pd.DataFrame({'n': [1111]})); view",
        "view.update(pd.DataFrame({'n': [2222]}))",
        "view.update(pd.DataFrame({'n': [3333]}))",
        f"import threading; {THREADS}",
    )
    live, saved = notebook.cells[0].outputs
    assert WIDGET in live["data"]
    assert "3,333" in saved["data"]["text/plain"]
    assert "3,333" in saved["data"]["text/html"]
    assert notebook.cells[3].outputs[0].text == "[]\n"


def test_a_terminal_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    panel = show(Synthetic(["latency"], hertz=0, age=7))
    assert re.fullmatch(
        r"vfs_read \| running \| 0\.\d s \| complete \| 7,000 hits \| 85\.3 ns per hit\n",
        capsys.readouterr().out,
    )
    panel.finish()
    panel.close()
    assert capsys.readouterr().out == ""


def test_the_package_has_one_name() -> None:
    command = [sys.executable, "-c", "import widgets"]
    ended = subprocess.run(command, check=False, cwd=REPOSITORY, capture_output=True, text=True)
    assert "import ktrace_nb.widgets, not widgets" in ended.stderr
