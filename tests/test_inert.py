"""Notebooks that show views are run by what runs notebooks without a page.

Each tool is the real one, in a process of its own. A panel whose trace would run for ever
must not keep it from ending, and what it saves must show the trace to a reader.
"""

from __future__ import annotations

import html
import json
import os
import pickle
import re
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bleach
import pytest

from ktrace_nb.widgets.panel import Panel
from tests.notebooks import write_notebook
from tests.widgets.synthetic import Synthetic

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
LIMIT_S = 300.0
"""A tool that takes longer hangs; it needs some 5 s on an idle machine."""

SETUP = """
import threading
import pandas as pd
from ktrace_nb.widgets import histogram, show, table
from tests.widgets.synthetic import Synthetic
counts = pd.DataFrame({"comm": ["ls", "<b>cat"], "hits": pd.Series([7, 2**64 - 1], dtype="uint64")})
endless = Synthetic(["latency", "by process", "printed"], hertz=50)
buckets = endless.view("latency", 1).frame
"""
PANEL = "panel = show(endless)"
BARS = "bars = histogram(buckets, title='latency')\nbars"
ROWS = "rows = table(counts, title='counts', sort='hits')\nrows"
CHANGE = "rows.update(counts.assign(hits=counts['hits'] - 1))\nbars.update(endless.view('latency', 2).frame)"
ANSWER = "total = int(buckets['count'].sum())"
THREADS = """
import time
deadline = time.monotonic() + 30
def ours():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ktrace")]
while ours() and time.monotonic() < deadline:
    time.sleep(0.05)
print("ktrace threads:", ours(), endless.status().state)
"""
CELLS = [SETUP, PANEL, BARS, ROWS, CHANGE, ANSWER, THREADS]
LARGEST = "18,446,744,073,709,551,614"
"""In the table that stands alone after a cell has changed it; no float holds it."""


def total() -> int:
    """What the notebook counts, from the definition of the synthetic histogram."""
    return int(Synthetic(["latency"]).view("latency", 1).frame["count"].sum())


def run(*command: str | Path, folder: Path) -> str:
    """Run a tool to its end; return what it printed."""
    environment = os.environ | {
        "HOME": str(folder),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "PATH": os.pathsep.join([str(TOOLS), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])),
    }
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        check=False,
        env=environment,
        text=True,
        capture_output=True,
        timeout=LIMIT_S,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def outputs(notebook: dict[str, Any], cell: str) -> list[dict[str, Any]]:
    """What a cell left, by the beginning of its text."""
    (found,) = (c for c in notebook["cells"] if "".join(c["source"]).startswith(cell))
    return list(found["outputs"])


def kept(notebook: dict[str, Any], cell: str) -> dict[str, str]:
    """The picture below a live view."""
    bundles = [output["data"] for output in outputs(notebook, cell) if "data" in output]
    (bundle,) = (data for data in bundles if "text/html" in data)
    return {kind: "".join(text) for kind, text in bundle.items()}


def check(notebook: dict[str, Any]) -> None:
    """The notebook ended, nothing of ours still runs, and every view can be seen in it."""
    kinds = {output["output_type"] for cell in notebook["cells"] for output in cell.get("outputs", [])}
    assert "error" not in kinds
    said = "".join("".join(output["text"]) for output in outputs(notebook, THREADS))
    assert "ktrace threads: [] running" in said

    panel = kept(notebook, PANEL)
    assert panel["text/html"].count("<img ") == 1
    assert panel["text/html"].count("<table") >= 1
    for shown in panel.values():
        assert "vfs_read" in shown
        assert "proc-38" in shown
    assert '<img src="data:image/' in kept(notebook, BARS)["text/html"]
    assert "latency" in kept(notebook, BARS)["text/plain"]
    assert LARGEST in kept(notebook, ROWS)["text/html"]
    assert LARGEST in kept(notebook, ROWS)["text/plain"]


def test_jupyter_execute_ends_and_saves_every_view(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "a.ipynb", CELLS)
    run(TOOLS / "jupyter-execute", "--inplace", path, folder=tmp_path)
    check(json.loads(path.read_text()))


def test_papermill_ends_and_saves_every_view(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "a.ipynb", CELLS)
    run(TOOLS / "papermill", "--no-progress-bar", path, tmp_path / "b.ipynb", folder=tmp_path)
    check(json.loads((tmp_path / "b.ipynb").read_text()))


def mark(path: Path, cell: str, **how: Any) -> None:
    """Make a cell one that nbgrader knows."""
    notebook = json.loads(path.read_text())
    (found,) = (c for c in notebook["cells"] if c["source"].startswith(cell))
    plain = {"schema_version": 3, "grade": False, "locked": False, "solution": False, "task": False}
    found["metadata"]["nbgrader"] = {**plain, **how}
    path.write_text(json.dumps(notebook))


def test_nbgrader_grades_a_submission_with_live_views(tmp_path: Path) -> None:
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'os'\n")
    wanted = f"assert total == {total()}"
    for place in ("source/lab1", "submitted/ada/lab1"):
        (tmp_path / place).mkdir(parents=True)
        path = write_notebook(tmp_path / place / "lab.ipynb", [*CELLS, wanted])
        mark(path, ANSWER, grade_id="answer", solution=True)
        mark(path, wanted, grade_id="test", grade=True, locked=True, points=2)
    run(TOOLS / "nbgrader", "generate_assignment", "lab1", "--create", folder=tmp_path)
    run(TOOLS / "nbgrader", "autograde", "lab1", "--create", folder=tmp_path)
    check(json.loads((tmp_path / "autograded/ada/lab1/lab.ipynb").read_text()))
    with sqlite3.connect(tmp_path / "gradebook.db") as gradebook:
        assert gradebook.execute("select auto_score from grade").fetchall() == [(2.0,)]
    run(TOOLS / "nbgrader", "generate_feedback", "lab1", folder=tmp_path)
    feedback = (tmp_path / "feedback/ada/lab1/lab.html").read_text()
    assert LARGEST in feedback
    assert 'src="data:image/' in feedback


def test_otter_grades_a_submission_with_live_views(tmp_path: Path) -> None:
    case = {"code": f">>> total == {total()}\nTrue", "hidden": False, "locked": False}
    suite = {"cases": [case], "scored": True, "setup": "", "teardown": "", "type": "doctest"}
    test = {"name": "q1", "points": 3, "suites": [suite]}
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "q1.py").write_text(f"OK_FORMAT = True\ntest = {test!r}\n")
    path = write_notebook(tmp_path / "lab.ipynb", CELLS)
    run(TOOLS / "otter", "generate", "-t", "tests", "-o", "grader.zip", folder=tmp_path)
    run(TOOLS / "otter", "run", "-a", "grader.zip", "--pickle-results", path, folder=tmp_path)
    graded = json.loads((tmp_path / "results.json").read_text())
    assert [(part["score"], part["max_score"]) for part in graded["tests"][1:]] == [(3.0, 3.0)]
    results = pickle.loads((tmp_path / "results.pkl").read_bytes())
    check(results.notebook)


# What GitHub lets through in a notebook's HTML: the elements of a README, no styles, no scripts, no
# inline SVG; images of ``data:`` addresses are shown (activeviam/atoti-notebooks#425).
# Source of the lists: GitHub's html-pipeline, lib/html_pipeline/sanitization_filter.rb.
ELEMENTS = """
h1 h2 h3 h4 h5 h6 br b i strong em a pre code img tt div ins del sup sub p picture ol ul
table thead tbody tfoot blockquote dl dt dd kbd q samp var hr ruby rt rp li tr td th s strike summary
details caption figure figcaption abbr bdo cite dfn mark small source span time wbr
"""
ATTRIBUTES = """
abbr align alt aria-describedby aria-hidden aria-label aria-labelledby axis border char
charoff cols colspan compact dir disabled height hspace ismap label lang nowrap open role rows rowspan
rules scope size span start summary tabindex title type valign value vspace width src href
"""


def on_github(page: str) -> str:
    """The page as a reader on GitHub gets it."""
    page = re.sub("<style>.*?</style>|<script.*?</script>", "", page, flags=re.DOTALL)
    return str(
        bleach.clean(
            page,
            tags=ELEMENTS.split(),
            attributes=ATTRIBUTES.split(),
            protocols=["https", "data"],
            strip=True,
        )
    )


@pytest.mark.parametrize("views", [["latency"], ["by process"], ["printed"], ["latency", "by device"]])
def test_picture_table_and_numbers_survive_a_page_without_styles(views: Sequence[str]) -> None:
    source = Synthetic(views, hertz=0, age=3, losses=(("ring full", 412),), seconds=0)
    saved = Panel(source).picture()["text/html"]
    seen = on_github(saved)
    pictures = sum(view not in ("by process", "printed") for view in views)
    assert seen.count('<img src="data:image/') == saved.count("<img ") == pictures
    assert seen.count("<table") == saved.count("<table")
    words = html.unescape(re.sub("<[^>]*>", " ", seen))
    assert "vfs_read" in words
    assert "412 lost: ring full" in words
    for view in views:
        assert view in words
    if "by process" in views:
        assert seen.count("<tr") >= 21
        assert "proc-38" in words
        assert "<img src=x onerror=alert(1)>" in words, "a process's name is text"
