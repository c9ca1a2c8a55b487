"""Recorded calls as files that other programs open; the file's name says which."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from ktrace_nb.diagnostics import near_hint
from ktrace_nb.errors import KTraceError, MissingError, OptionError
from ktrace_nb.stream.calls.chrome import chrome
from ktrace_nb.stream.calls.dot import dot
from ktrace_nb.stream.calls.folded import Weight, folded
from ktrace_nb.stream.calls.text import tree_lines

COLUMNS = (
    *("tid", "pid", "comm", "cpu", "function", "depth", "parent", "start_ns", "duration_ns", "self_ns"),
    *("arguments", "return", "error", "state"),
)
"""What a frame must have to be written."""

_DRAW_S = 60.0
"""How long Graphviz may take: its time grows faster than the graph."""

SUFFIXES = (".json", ".json.gz", ".folded", ".dot", ".svg", ".txt")
"""Ends of file names that are understood, see :func:`write_calls`."""


def write_calls(
    calls: pd.DataFrame,
    path: str | Path,
    *,
    weight: Weight = "ns",
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Write calls to a file, in the form that the end of its name asks for.

    ============= ======================================================================
    ``.json``     Chrome trace, which https://ui.perfetto.dev opens, see :mod:`.chrome`
    ``.json.gz``  the same, compressed
    ``.folded``   folded stacks for flame graphs, see :mod:`.folded`
    ``.dot``      call graph for Graphviz, see :mod:`.dot`
    ``.svg``      call graph drawn by Graphviz, which must be installed
    ``.txt``      a tree with results and durations, see :mod:`.text`
    ============= ======================================================================

    Args:
        calls: ``session.calls``, or some rows of it, in order of entry.
        path: Where to; a file there is replaced once everything has been written.
        weight: Of folded stacks: ``"ns"``, self time, or ``"count"``, calls.
        about: What a Chrome trace tells of its origin; by default the frame's ``attrs["ktrace"]``.

    Returns:
        The file written.

    Raises:
        OptionError: No such form, or not a frame of calls.
        MissingError: Graphviz is not installed.
        KTraceError: The file cannot be written.
    """
    path = Path(path)
    write = _writer(path.name, weight, about if about is not None else calls.attrs.get("ktrace", {}))
    missing = [name for name in COLUMNS if name not in calls.columns]
    if missing:
        raise OptionError(
            f"not a frame of calls: it has no column {', '.join(missing)}", hint="e.g. session.calls"
        )
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            write(calls, file)
        part.replace(path)
    except OSError as error:
        raise KTraceError(f"cannot write {path}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    return path


def check_file(path: str | Path) -> None:
    """Make sure that a file's name says in which form calls are to be written, and that its folder exists.

    Raises:
        OptionError: It does not.
    """
    path = Path(path)
    _writer(path.name, "ns", {})
    if not path.parent.is_dir():
        raise OptionError(f"cannot write {path}: there is no folder {path.parent}")


_Write = Callable[[pd.DataFrame, BinaryIO], None]


def _writer(name: str, weight: Weight, about: Mapping[str, Any]) -> _Write:
    if weight not in ("ns", "count"):
        raise OptionError(f"no weight {weight!r}", hint="ns or count")
    writers: dict[str, _Write] = {
        ".json.gz": lambda calls, file: _compress(chrome(calls, about), file),
        ".json": lambda calls, file: file.writelines(chrome(calls, about)),
        ".folded": lambda calls, file: file.writelines(_encoded(folded(calls, weight=weight))),
        ".dot": lambda calls, file: file.writelines(_encoded(dot(calls))),
        ".svg": _draw,
        ".txt": lambda calls, file: file.writelines(_encoded(f"{line}\n" for line in tree_lines(calls))),
    }
    for suffix, write in writers.items():
        if name.lower().endswith(suffix):
            return write
    raise OptionError(
        f"no form of calls is named {name!r}",
        hint=near_hint(Path(name).suffix, SUFFIXES) or f"one of {', '.join(f'*{s}' for s in SUFFIXES)}",
    )


def _compress(pieces: Iterable[bytes], file: BinaryIO) -> None:
    # No name and no time, so that the same calls give the same file.
    with gzip.GzipFile("", "wb", compresslevel=5, fileobj=file, mtime=0) as packed:
        for piece in pieces:
            packed.write(piece)


def _encoded(lines: Iterable[str]) -> Iterator[bytes]:
    return (line.encode("utf-8", "replace") for line in lines)


def _draw(calls: pd.DataFrame, file: BinaryIO) -> None:
    program = shutil.which("dot")
    if program is None:
        raise MissingError("no Graphviz to draw the call graph with", fix="apt-get install graphviz")
    text = b"".join(_encoded(dot(calls)))
    try:
        done = subprocess.run(
            [program, "-Tsvg"], input=text, stdout=file, stderr=subprocess.PIPE, check=False, timeout=_DRAW_S
        )
    except subprocess.TimeoutExpired:
        raise KTraceError(
            f"Graphviz did not finish within {_DRAW_S:g} s: the graph is large",
            hint="export *.dot and draw a part of it",
        ) from None
    if done.returncode:
        raise KTraceError(f"Graphviz failed: {done.stderr.decode(errors='replace').strip()}")
