"""A session as it stood at one moment, kept while it goes on."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from ktrace_nb.diagnostics import near_hint


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Snapshot:
    """What :meth:`ktrace_nb.session.Session.snapshot` gives.

    Frames are attributes (``snapshot.bytes``), items (``snapshot["bytes"]``) and
    entries of :attr:`frames`, as they are of a session.
    """

    session: str
    """Name of the session."""

    number: int
    """1 for the session's first."""

    taken_at: datetime.datetime
    frames: Mapping[str, pd.DataFrame]
    ledger: pd.DataFrame
    probes: pd.DataFrame
    text: str

    def __getitem__(self, name: str) -> pd.DataFrame:
        try:
            return self.frames[name]
        except KeyError:
            hint = near_hint(name, self.frames)
            raise KeyError(
                f"snapshot {self.number} of {self.session!r} has no frame {name!r}"
                + (f"; {hint}" if hint else "")
            ) from None

    def __getattr__(self, name: str) -> pd.DataFrame:
        # Only reached for what the class does not have, and by pickle before anything is set.
        if name.startswith("_") or name in Snapshot.__slots__:
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(str(error.args[0])) from None

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self.frames]

    def __repr__(self) -> str:
        rows = ", ".join(f"{name} ({len(frame)} rows)" for name, frame in self.frames.items())
        when = f"{self.taken_at:%H:%M:%S}"
        return f"<Snapshot {self.number} of {self.session} at {when}: {rows or 'no frames'}>"
