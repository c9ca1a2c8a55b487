"""Run a notebook without a browser and print it: the main job on a machine without a display."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from ktrace_nb.errors import KTraceError, MissingError, OptionError

TIMEOUT_S = 600


def run_notebook(path: Path, *, save: Path | None = None, out: TextIO = sys.stdout) -> bool:
    """Run every cell and print source and output as they come.

    Args:
        path: The notebook.
        save: Where the notebook with its outputs is written.
        out: Where to print.

    Returns:
        Whether every cell succeeded; the first that does not is the last that runs.

    Raises:
        OptionError: No such notebook, or none that can be read.
        MissingError: nbclient is not installed.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
    except ImportError as error:
        raise MissingError(f"cannot run notebooks: {error}", fix="pip install 'ktrace_nb[lab]'") from None
    try:
        notebook = nbformat.read(path, as_version=4)
    except (OSError, ValueError) as error:
        raise OptionError(f"cannot read notebook {path}: {error}") from None
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_S,
        # Widgets have no browser here; their state would only make the file larger.
        store_widget_state=False,
        resources={"metadata": {"path": str(path.resolve().parent)}},
        on_cell_executed=lambda cell, **_: _print(cell, out),
        on_cell_error=lambda cell, **_: None,
    )
    client.on_cell_start = lambda cell, **_: _print_source(cell, out)
    try:
        client.execute()
        succeeded = True
    except CellExecutionError:
        succeeded = False
    except RuntimeError as error:
        raise KTraceError(f"the notebook's kernel failed: {error}") from None
    if save is not None:
        nbformat.write(notebook, save)
    return succeeded


def _print_source(cell: Any, out: TextIO) -> None:
    if cell.cell_type == "code":
        lines = cell.source.splitlines()
        out.write(
            "\n" + "".join(f">>> {line}\n" for line in lines[:1]) + "".join(f"... {x}\n" for x in lines[1:])
        )
        out.flush()


def _print(cell: Any, out: TextIO) -> None:
    for text in _texts(cell.outputs):
        out.write(text if text.endswith("\n") else text + "\n")
    out.flush()


def _texts(outputs: list[Any]) -> Iterator[str]:
    for output in outputs:
        if output.output_type == "stream":
            yield output.text
        elif output.output_type == "error":
            yield "\n".join(output.traceback)
        elif "application/vnd.jupyter.widget-view+json" not in output.data:
            yield output.data.get("text/plain", "")
