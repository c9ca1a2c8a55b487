"""A session's results as files: ``ktrace-nb run --frames DIR``, and the button *Export* of a panel."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from itertools import count
from pathlib import Path
from typing import IO, Any, TypeAlias

import pandas as pd

from ktrace_nb import __version__
from ktrace_nb.diagnostics import near_hint
from ktrace_nb.errors import KTraceError, OptionError
from ktrace_nb.results import Results
from ktrace_nb.session import Session
from ktrace_nb.snapshots import Snapshot
from ktrace_nb.stream.forms import WRITERS, write_parquet

_Writer: TypeAlias = Callable[[IO[bytes]], object]

_HINTS = {
    errno.ENOSPC: "free some space, or export to a folder on another disk",
    errno.EDQUOT: "free some space, or export to a folder on another disk",
    errno.EACCES: "export to a folder of yours; %cd changes the notebook's",
    errno.EPERM: "export to a folder of yours; %cd changes the notebook's",
    errno.EROFS: "export to a folder of yours; %cd changes the notebook's",
    errno.ENOENT: "make the folder first",
}


def write_frames(session: Session, folder: Path) -> list[Path]:
    """Write every frame as ``NAME.parquet``, besides ``ledger.parquet`` and ``session.json``.

    Column types survive: unsigned 64-bit integers, categoricals, indexes,
    ``attrs``. Integers of more than 64 bits become strings.

    Args:
        session: A session, best one that is over.
        folder: Where to; it is created.

    Returns:
        The files written.

    Raises:
        KTraceError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [_write(frame, folder / f"{name}.parquet") for name, frame in session.frames.items()]
        written.append(_write(session.ledger, folder / "ledger.parquet"))
        about = folder / "session.json"
        about.write_text(json.dumps(describe(session), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise KTraceError(f"cannot write {folder}: {error.strerror}") from None
    return [*written, about]


def export_frames(results: Results | Snapshot, where: str | Path, form: str) -> list[Path]:
    """Write every frame and the ledger to files of their own; none that is there is replaced.

    =========== ==========================================================================
    ``csv``     text with commas, the index in the first columns; NaN is empty
    ``json``    a list of rows, the index among their fields; NaN is ``null``; every integer
                with all its digits, of which JavaScript's ``JSON.parse`` keeps 53 bits
    ``parquet`` with dtypes, index and ``attrs``; integers of more than 64 bits as strings
    =========== ==========================================================================

    Texts are written as they are: a spreadsheet may take one that begins with ``=`` for a formula.

    Args:
        results: A session, or a snapshot of one.
        where: A folder that exists, for files such as ``NAME-latency.csv`` by the session's
            name; or else what their names begin with, e.g. ``out/monday`` for
            ``out/monday-latency.csv``. If any of them exists, all get a number:
            ``monday-latency-2.csv``.
        form: One of these.

    Returns:
        The files written, the ledger last.

    Raises:
        OptionError: There is no such form.
        KTraceError: A file cannot be written; none is left behind.
    """
    write = WRITERS.get(form)
    if write is None:
        hint = near_hint(form, WRITERS) or f"there are {', '.join(WRITERS)}"
        raise OptionError(f"cannot export as {form!r}", hint=hint)
    writers: dict[str, _Writer] = {}
    for title, frame in [*results.frames.items(), ("ledger", results.ledger)]:
        part = f"-{_file_name(title)}"
        while part in writers:  # e.g. a table of the cell that is called ledger
            part += "_"
        writers[part] = partial(write, frame)
    return _write_new(_stem(where, _name_of(results)), f".{form}", writers)


def export_page(html: str, where: str | Path, name: str) -> Path:
    """Write a picture, as it stays in a notebook, to a page of its own; none is replaced.

    Args:
        html: The picture: ``text/html`` of :func:`ktrace_nb.widgets.static_bundle`.
        where: As of :func:`export_frames`.
        name: What it is called.

    Raises:
        KTraceError: The file cannot be written.
    """
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{escape(name)}</title>'
        "<style>body { font: 14px/1.6 system-ui, sans-serif; margin: 2em; } td, th { padding: 0 1em 0 0; }"
        f"</style></head>\n<body>\n{html}\n</body>\n</html>\n"
    )
    written = page.encode(errors="backslashreplace")
    (path,) = _write_new(_stem(where, name), ".html", {"": lambda file: file.write(written)})
    return path


def export_action(
    results: Results | Snapshot,
    form: str,
    picture: Callable[[], Mapping[str, str]],
    *,
    where: str | Path = ".",
) -> str:
    """What the button *Export* of a panel does: write files into the notebook's folder.

    Args:
        results: A session, or a snapshot of one.
        form: As of :func:`export_frames`, or ``html`` for its picture.
        picture: Draws it, as a MIME bundle.
        where: Another folder.

    Returns:
        What was written, one line.

    Raises:
        OptionError: There is no such form.
        KTraceError: A file cannot be written.
    """
    if form == "html":
        paths = [export_page(picture()["text/html"], where, _name_of(results))]
    else:
        paths = export_frames(results, where, form)
    names = [path.name for path in paths]
    shown = ", ".join(names) if len(names) < 4 else f"{len(names)} files, {names[0]} to {names[-1]},"
    return f"wrote {shown} in {_short(paths[0].parent.resolve())}"


def _name_of(results: Results | Snapshot) -> str:
    return f"{results.session}-{results.number}" if isinstance(results, Snapshot) else results.name


def _short(folder: Path) -> str:
    try:
        inside = folder.relative_to(Path.home())
    except (ValueError, RuntimeError):
        return str(folder)
    return str(Path("~") / inside)


def _stem(where: str | Path, name: str) -> Path:
    path = Path(where)
    return path / _file_name(name) if path.is_dir() else path


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)


def _write_new(stem: Path, suffix: str, writers: Mapping[str, _Writer]) -> list[Path]:
    """Write files that share a stem and a number, all or none."""
    written: list[Path] = []
    for number in count(1):
        end = suffix if number == 1 else f"-{number}{suffix}"
        paths = [stem.with_name(f"{stem.name}{middle}{end}") for middle in writers]
        if any(path.exists() for path in paths):
            continue
        path = stem
        try:
            for path, write in zip(paths, writers.values(), strict=True):
                with path.open("xb") as file:
                    written.append(path)
                    write(file)
        except FileExistsError:
            _remove(written)  # somebody else exports at the same moment
            continue
        except OSError as error:
            _remove(written)
            why = (error.strerror or str(error)).lower()
            raise KTraceError(f"cannot write {path}: {why}", hint=_HINTS.get(error.errno or 0)) from None
        except BaseException:
            _remove(written)
            raise
        return written
    raise AssertionError("there is no end of numbers")


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
    paths.clear()


def _write(frame: pd.DataFrame, path: Path) -> Path:
    with path.open("wb") as file:
        write_parquet(frame, file)
    return path


def describe(session: Session) -> dict[str, Any]:
    """What there is to know about a session besides its frames, as plain data."""
    hello = session.target.hello
    return {
        "format": 1,
        "ktrace_nb": __version__,
        "name": session.name,
        "cell": session.built.program.source.text,
        "target": session.target.name,
        "kernel": hello.kernel,
        "machine": hello.machine,
        "cpus": hello.cpus_possible,
        "started_at": session.started_at.isoformat(),
        "elapsed_s": round(session.elapsed, 3),
        "state": session.state,
        "message": session.message,
        "command": session.limits.command,
        "workload_status": session.workload_status,
        "lost": session.losses,
        "notes": session.notes,
        "text": session.text,
        "stdout": session.stdout,
        "stderr": session.stderr,
        "frames": {
            name: {
                "kind": session.outputs.kind(name),
                "rows": len(frame),
                "index": [str(n) for n in frame.index.names],
                "columns": {str(n): str(t) for n, t in frame.dtypes.items()},
            }
            for name, frame in session.frames.items()
        },
        "probes": json.loads(session.probes.to_json(orient="index")),
    }
