"""Notebook files, written and read as the JSON they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write_notebook(path: Path, cells: Sequence[str]) -> Path:
    """Write a notebook of code cells without outputs."""
    empty: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    notebook = {
        "cells": [{**empty, "id": f"cell-{number}", "source": text} for number, text in enumerate(cells)],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(notebook))
    return path


def saved_data(path: Path) -> list[dict[str, str]]:
    """What every output of a notebook shows, by MIME type."""
    outputs = [o for cell in json.loads(path.read_text())["cells"] for o in cell.get("outputs", [])]
    return [{kind: "".join(text) for kind, text in o.get("data", {}).items()} for o in outputs]
