"""The agent as one file, to be carried to the machine that is traced."""

from __future__ import annotations

import hashlib

from ktrace_nb.packing import archive, modules_of


def agent_archive() -> bytes:
    """A zip that ``python3 -I FILE`` runs; the same bytes for the same code."""
    return archive(modules_of("agent", without=["package"]) + modules_of("wire"), main="agent.__main__")


def agent_digest() -> str:
    """A short name for exactly this agent."""
    return hashlib.sha256(agent_archive()).hexdigest()[:16]
