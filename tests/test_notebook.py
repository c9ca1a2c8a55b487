"""Notebooks run by a real kernel without a browser."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ktrace_nb.errors import OptionError
from ktrace_nb.notebook import run_notebook
from tests.notebooks import saved_data, write_notebook


def test_source_and_output_are_printed_and_saved(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "a.ipynb", ["x = 6\nprint('six')", "x * 7"])
    out = io.StringIO()
    assert run_notebook(path, save=tmp_path / "b.ipynb", out=out)
    assert out.getvalue() == "\n>>> x = 6\n... print('six')\nsix\n\n>>> x * 7\n42\n"
    assert saved_data(tmp_path / "b.ipynb")[-1] == {"text/plain": "42"}


def test_the_first_cell_that_fails_is_the_last_that_runs(tmp_path: Path) -> None:
    out = io.StringIO()
    assert not run_notebook(write_notebook(tmp_path / "a.ipynb", ["1 / 0", "print('never')"]), out=out)
    assert "ZeroDivisionError" in out.getvalue()
    assert "never" not in out.getvalue()


def test_what_is_no_notebook_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{")
    for path in (tmp_path / "a.ipynb", tmp_path / "none.ipynb"):
        with pytest.raises(OptionError, match=f"cannot read notebook {path}"):
            run_notebook(path)
