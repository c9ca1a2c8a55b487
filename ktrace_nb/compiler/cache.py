"""Compiled cells on disk, by content.

An entry is what the worker made of exactly this text, these headers and flags,
with exactly this bcc. Entries are written beside and renamed into place; the
oldest go when the folder grows over its limit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ktrace_nb.compiler.client import WorkerResult
from ktrace_nb.paths import cache_home
from ktrace_nb.wire.bundle import decode_bundle, encode_bundle
from ktrace_nb.wire.frames import WireError

LIMIT_BYTES = 64 << 20


class CompileCache:
    """Results of the compiler worker.

    Args:
        folder: Where; by default in the user's cache.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or cache_home() / "compiled"

    @staticmethod
    def key(parts: Iterable[str]) -> str:
        """A name for a compilation: what goes in decides what comes out."""
        digest = hashlib.sha256()
        for part in parts:
            data = part.encode()
            digest.update(struct.pack("<Q", len(data)) + data)
        return digest.hexdigest()

    def load(self, key: str) -> WorkerResult | None:
        """An entry, None if it is not there or cannot be read."""
        path = self._folder / key
        try:
            data = path.read_bytes()
            (length,) = struct.unpack_from("<I", data)
            head = json.loads(data[4 : 4 + length])
            bundle = decode_bundle(data[4 + length :])
            events = {name: [(f, t) for f, t in fields] for name, fields in head["events"].items()}
            result = WorkerResult(True, str(head["diagnostics"]), bundle, tuple(head["tables"]), events)
        except (OSError, ValueError, KeyError, TypeError, struct.error, WireError):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the entry used last goes last
        return result

    def store(self, key: str, result: WorkerResult) -> None:
        """Keep a successful result; a full or read-only disk is no reason to fail a cell."""
        assert result.bundle is not None
        head = json.dumps(
            {"diagnostics": result.diagnostics, "tables": result.tables, "events": dict(result.events or {})}
        ).encode()
        data = struct.pack("<I", len(head)) + head + encode_bundle(result.bundle)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", delete=False) as file:
                file.write(data)
            Path(file.name).replace(self._folder / key)
            self._prune()
        except OSError:
            pass

    def _prune(self) -> None:
        entries = sorted((p.stat().st_mtime, p.stat().st_size, p) for p in self._folder.iterdir())
        excess = sum(size for _, size, _ in entries) - LIMIT_BYTES
        for _, size, path in entries:
            if excess <= 0:
                break
            path.unlink(missing_ok=True)
            excess -= size
