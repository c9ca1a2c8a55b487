"""Golden cases: a script and what is expected of it, in one file.

::

    # settings: arguments=eth0|5 release=5.10.0
    global x
    ----
    (Global x)

The first line is optional and part of the script. ``UPDATE_GOLDEN=1`` rewrites what
is expected; read the difference before it is believed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.macros import Settings

FOLDER = Path(__file__).parents[2] / "golden"
_LINE = "----\n"


@dataclass(frozen=True)
class Case:
    """One file."""

    path: Path
    text: str
    expected: str

    @property
    def settings(self) -> Settings:
        """What its first line says."""
        match = re.match(r"# settings: (.*)\n", self.text)
        given = dict(pair.split("=", 1) for pair in match[1].split()) if match else {}
        config = {key: value for key, value in given.items() if key.startswith("CONFIG_")}
        return Settings(
            arguments=tuple(given["arguments"].split("|")) if "arguments" in given else (),
            release=given.get("release", "6.12.0"),
            machine=given.get("machine", "x86_64"),
            library="library" in given,
            config=config,
        )

    def check(self, run: Callable[[Case], str]) -> None:
        """Compare, or rewrite what is expected."""
        found = run(self).rstrip("\n") + "\n"
        if os.environ.get("UPDATE_GOLDEN"):
            self.path.write_text(self.text + _LINE + found, encoding="utf-8")
        else:
            assert found == self.expected


def cases(folder: str) -> list[Case]:
    """The cases of a folder, e.g. ``stap/parse_ok``."""
    found = []
    for path in sorted((FOLDER / folder).glob("*.txt")):
        text, _, expected = path.read_text(encoding="utf-8").partition(_LINE)
        found.append(Case(path, text, expected))
    return found


def dump(node: object) -> str:
    """A tree with nothing left out that matters, one declaration a line."""
    match node:
        case tree.Script():
            parts = (*node.globals, *node.functions, *node.aliases, *node.probes)
            return "\n".join(dump(part) for part in parts)
        case tree.Name():
            return node.name
        case tree.Number():
            return str(node.value)
        case tree.String():
            return _quoted(node.value)
        case tree.Node():
            words = [type(node).__name__]
            for field in fields(node):
                value = getattr(node, field.name)
                if field.name == "at" or value == field.default:
                    continue
                shown = dump(value)
                words.append(shown if field.default is MISSING else f"{field.name}={shown}")
            return f"({' '.join(words)})"
        case tuple():
            return "[" + " ".join(dump(item) for item in node) + "]"
        case str():
            return node if re.fullmatch(r"[\w$*+-]+", node) else _quoted(node)
        case _:
            return str(node)


def _quoted(value: str) -> str:
    return ascii(value) if "'" in ascii(value)[1:-1] else '"' + ascii(value)[1:-1] + '"'
