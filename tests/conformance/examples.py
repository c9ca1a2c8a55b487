"""SystemTap's example scripts, and how their authors run them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path("/usr/share/systemtap/examples")
_WITH_VALUE = ("-c", "-x", "-T", "-D", "-G", "-d", "-I", "-S", "-s", "-o", "-m", "-r", "-B", "-a")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One script."""

    name: str
    """Path below the folder of all examples."""
    text: str
    title: str = ""
    arguments: tuple[str, ...] = ()
    command: str | None = None
    """What ``-c`` runs."""
    wants_pid: bool = False
    """Whether ``-x`` is given."""
    guru: bool = False
    values: tuple[tuple[str, str], ...] = field(default=())
    """``-G NAME=VALUE``."""
    limits: tuple[tuple[str, int], ...] = ()
    """``-D NAME=VALUE``."""


def examples(folder: Path = FOLDER) -> Iterator[Example]:
    """All examples that have a description, sorted by name."""
    for meta in sorted(folder.rglob("*.meta")):
        lines = (line.partition(":") for line in meta.read_text().splitlines())
        described = {key.strip(): value.strip() for key, colon, value in lines if colon}
        script = meta.with_name(described.get("name", meta.stem + ".stp"))
        if script.suffix != ".stp":
            # A shell script around one.
            script = meta.with_suffix(".stp")
        if not script.is_file():
            continue
        command = described.get("test_installcheck") or described.get("test_check") or ""
        name = str(script.relative_to(folder))
        text = script.read_text(encoding="utf-8", errors="surrogateescape")
        yield _example(name, text, described.get("title", ""), command)


def _example(name: str, text: str, title: str, command: str) -> Example:
    arguments: list[str] = []
    given: dict[str, list[str]] = {}
    match = re.search(r"\bstap\s+(.*)", command)
    try:
        words = shlex.split(match[1]) if match else []
    except ValueError:
        words = []
    after = False
    position = 0
    while position < len(words):
        word = words[position]
        if word in _WITH_VALUE:
            position += 1
            given.setdefault(word, []).append(words[position] if position < len(words) else "")
        elif word in ("||", "&&", "|", ";", ">", "2>&1"):
            break
        elif word.startswith("--"):
            pass
        elif word.startswith("-") and not after:
            glued = word[:2]
            if glued in _WITH_VALUE and len(word) > 2 and word[1] != "-":
                given.setdefault(glued, []).append(word[2:])
            else:
                given.setdefault(word, []).append("")
        elif word.endswith(".stp"):
            after = True
        else:
            arguments.append(word)
        position += 1
    limits = [value.partition("=") for value in given.get("-D", ())]
    values = [value.partition("=") for value in given.get("-G", ())]
    return Example(
        name=name,
        text=text,
        title=title,
        arguments=tuple(arguments),
        command=(given.get("-c") or [None])[0],  # type: ignore[list-item]
        wants_pid="-x" in given,
        guru="-g" in given,
        values=tuple((key, value) for key, _, value in values),
        limits=tuple((key, int(value)) for key, _, value in limits if value.isdigit()),
    )
