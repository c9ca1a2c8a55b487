"""A kernel's facts that a test has at hand."""

from __future__ import annotations

from collections.abc import Mapping

from ktrace_nb.errors import RemoteError


class StoredFacts:
    """A :class:`~ktrace_nb.kernel.facts.FactSource`; what is not there is what the kernel does not tell.

    Args:
        facts: By name.
        formats: Format files of tracepoints, by ``category/event``.
    """

    def __init__(self, facts: Mapping[str, bytes], formats: Mapping[str, str] | None = None) -> None:
        self.known = dict(facts)
        self._formats = formats or {}

    def fact(self, name: str) -> bytes:
        if name not in self.known:
            raise RemoteError("os", f"no {name}", {})
        return self.known[name]

    def formats(self, names: list[str]) -> Mapping[str, str]:
        return {name: self._formats[name] for name in names if name in self._formats}
