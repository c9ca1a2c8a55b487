"""Notebooks run by a real kernel without a browser."""

from __future__ import annotations

import io
from pathlib import Path

import nbformat
import pytest

from ktrace_nb.errors import OptionError
from ktrace_nb.notebook import run_notebook


def write(path: Path, *cells: str) -> Path:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, path)
    return path


def test_source_and_output_are_printed_and_saved(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ipynb", "x = 6\nprint('six')", "x * 7")
    out = io.StringIO()
    assert run_notebook(path, save=tmp_path / "b.ipynb", out=out)
    assert out.getvalue() == "\n>>> x = 6\n... print('six')\nsix\n\n>>> x * 7\n42\n"
    assert nbformat.read(tmp_path / "b.ipynb", as_version=4).cells[1].outputs[0].data["text/plain"] == "42"


def test_the_first_cell_that_fails_is_the_last_that_runs(tmp_path: Path) -> None:
    out = io.StringIO()
    assert not run_notebook(write(tmp_path / "a.ipynb", "1 / 0", "print('never')"), out=out)
    assert "ZeroDivisionError" in out.getvalue()
    assert "never" not in out.getvalue()


def test_what_is_no_notebook_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{")
    for path in (tmp_path / "a.ipynb", tmp_path / "none.ipynb"):
        with pytest.raises(OptionError, match=f"cannot read notebook {path}"):
            run_notebook(path)
