"""What goes wrong when a fact about a kernel is read."""

from __future__ import annotations

from ktrace_nb.errors import KTraceError


class FactError(KTraceError):
    """A fact about the kernel is damaged, or not of the form expected."""
