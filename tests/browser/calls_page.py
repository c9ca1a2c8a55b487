"""What the tests of views of calls share: a notebook that shows one."""

from __future__ import annotations

from tests.browser import kit
from tests.notebooks import write_notebook

START = """
from ktrace_nb import compare
from ktrace_nb.widgets import callgraph, comparison, flame, indent, show
from tests.widgets.calls import synthetic_calls
from tests.widgets.made_calls import LiveWalk, call, edges_of, frame_of, workload
"""


def show(page: kit.LabPage, path: str, source: str, *more: str) -> None:
    """Open a notebook and run a cell that shows something."""
    write_notebook(page.server.root / path, [START, source, *more])
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
