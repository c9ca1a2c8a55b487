"""What never changes about an image's kernel, kept beside its template.

A session would otherwise fetch some 20 MB through a serial port and have the
guest spend seconds on writing symbols out. They stay right because a kernel
that QEMU starts directly (PVH) does not move to a random address.

What depends on loaded modules (:data:`OF_MODULES`) is as it was when the template was
made; ``modules`` tells which those were.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from ktrace_nb.lab.calls import Caller
from ktrace_nb.progress import Progress

NAMES = ("blacklist", "btf", "build_id", "config", "functions", "kallsyms", "modules", "tracepoints")
"""Facts by the names that ``ktrace_nb.agent.host.fact`` knows; formats are apart."""

OF_MODULES = ("blacklist", "functions", "kallsyms", "tracepoints")
"""Those that change when a module is loaded or removed."""

_FORMATS = "formats"


class Facts(Mapping[str, bytes]):
    """Facts by name, each read when asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> bytes:
        if name not in NAMES:
            raise KeyError(name)
        return (self._folder / name).read_bytes()

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)

    @cached_property
    def formats(self) -> Mapping[str, str]:
        """The format file of every tracepoint, by ``category/event``."""
        found: dict[str, str] = json.loads((self._folder / _FORMATS).read_bytes())
        return found


def fetch_facts(caller: Caller, config: bytes, folder: Path, progress: Progress) -> Facts:
    """Ask the agent for every fact and write it down.

    Args:
        caller: A connection to the agent.
        config: The kernel's configuration, which the guest itself does not have.
        folder: Where to; it is created.
        progress: Told of each.
    """
    folder.mkdir()
    (folder / "config").write_bytes(config)
    asked = [name for name in NAMES if name != "config"]
    total = len(asked) + 1
    for number, name in enumerate(asked):
        progress("reading facts about the kernel", number, total, "facts")
        _, content = caller.call("fact", name=name)
        (folder / name).write_bytes(content)
    progress("reading facts about the kernel", total - 1, total, "facts")
    # available_events lists category:event, the folders are category/event.
    events = [line.replace(":", "/", 1) for line in (folder / "tracepoints").read_text().split()]
    _, content = caller.call("fact", name="formats", names=events)
    texts = dict(zip(events, content.decode().split("\0"), strict=True))
    (folder / _FORMATS).write_text(json.dumps({name: text for name, text in texts.items() if text}))
    return Facts(folder)
