"""A session's results as files: ``ktrace-nb run --frames DIR``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from ktrace_nb import __version__
from ktrace_nb.errors import KTraceError
from ktrace_nb.session import Session

_INT64 = range(-(1 << 63), 1 << 63)


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


def _write(frame: pd.DataFrame, path: Path) -> Path:
    wide = {str(name): column.map(str) for name, column in frame.items() if _is_wide(column)}
    frame.assign(**wide).to_parquet(path)
    return path


def _is_wide(column: pd.Series[Any]) -> bool:
    return column.dtype == object and any(isinstance(v, int) and v not in _INT64 for v in column)


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
