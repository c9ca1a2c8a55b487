"""The ``%%ktrace`` magics. Import as ``ktrace_nb.magics``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if __name__ != "ktrace_nb.magics":
    raise ImportError(f"import ktrace_nb.magics, not {__name__}")

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load(shell: InteractiveShell) -> None:
    """Register the magics, their completion, and how a session is shown."""
    from ktrace_nb.magics.bodiless import register as register_bodiless
    from ktrace_nb.magics.cell import KTraceMagics
    from ktrace_nb.magics.completion import register
    from ktrace_nb.magics.health import HealthMagics
    from ktrace_nb.magics.iostat import IostatMagics
    from ktrace_nb.magics.kstat import KstatMagics
    from ktrace_nb.magics.snapshot_picture import snapshot_picture
    from ktrace_nb.magics.source import picture
    from ktrace_nb.session import Session
    from ktrace_nb.snapshots import Snapshot

    shell.register_magics(KTraceMagics, KstatMagics, IostatMagics, HealthMagics)
    register(shell)
    register_bodiless(shell)
    assert shell.display_formatter is not None
    formatter = shell.display_formatter.mimebundle_formatter
    formatter.for_type(Session, lambda session, **_: picture(session))
    formatter.for_type(Snapshot, lambda snapshot, **_: snapshot_picture(snapshot))
