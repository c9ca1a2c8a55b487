"""The tapset: aliases, functions and globals that every script can use.

The files in ``tapset/`` are written in the language itself. Only what a script
names is parsed: each declaration begins at the start of a line and ends before the
next, so the files are cut into declarations by their first words alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache, cached_property
from importlib import resources

from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.macros import Settings
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.source import Source

_START = re.compile(
    r"^(?:private\s+)?(?:(?P<probe>probe)\s+(?P<points>(?:[\w.]+\s*=\s*)*[\w.]+)\s*\+?=(?!=)"
    r"|(?:intrinsic\s+)?function\s+(?P<function>\w+)"
    r"|global\s+(?P<globals>[^\n]+))",
    re.MULTILINE,
)
_COMMENT = re.compile(r"/\*\*(?:[^*]|\*(?!/))*\*/\s*\Z")


@dataclass(frozen=True, slots=True)
class _Chunk:
    """One declaration, not parsed yet."""

    file: str
    start: int
    end: int
    line: int


class Library:
    """What the files of a tapset declare.

    Args:
        files: Name and text of each.
        settings: What the preprocessor is told.
    """

    def __init__(self, files: Mapping[str, str], settings: Settings) -> None:
        self._files = files
        self._settings = replace(settings, library=True)
        self._parsed: dict[_Chunk, tree.Script] = {}
        self._functions: dict[str, list[_Chunk]] = {}
        self._globals: dict[tuple[str, str], _Chunk] = {}
        self._aliases: dict[tuple[str, ...], list[_Chunk]] = {}
        for name, text in files.items():
            self._index(name, text)

    def _index(self, file: str, text: str) -> None:
        starts = list(_START.finditer(text))
        for match, following in zip(starts, [*starts[1:], None], strict=True):
            end = following.start() if following else len(text)
            end = _without_comment(text, match.start(), end)
            start = _with_comment(text, match.start())
            chunk = _Chunk(file, start, end, text.count("\n", 0, start))
            if match["function"]:
                self._functions.setdefault(match["function"], []).append(chunk)
            elif match["globals"]:
                for name in re.findall(r"(?:^|,)\s*(\w+)", match["globals"]):
                    self._globals[file, name] = chunk
            else:
                for point in match["points"].split("="):
                    self._aliases.setdefault(tuple(point.strip().split(".")), []).append(chunk)

    def _declarations(self, chunk: _Chunk) -> tree.Script:
        parsed = self._parsed.get(chunk)
        if parsed is None:
            # Empty lines in front keep the places right.
            text = "\n" * chunk.line + self._files[chunk.file][chunk.start : chunk.end]
            parsed = self._parsed[chunk] = parse(Source(text, f"tapset/{chunk.file}"), self._settings)
        return parsed

    @cached_property
    def function_names(self) -> list[str]:
        """Names of all functions meant for scripts, sorted."""
        return sorted(name for name in self._functions if not name.startswith("_"))

    @cached_property
    def alias_names(self) -> list[str]:
        """All aliases meant for scripts, with dots, sorted."""
        return sorted(".".join(name) for name in self._aliases if not name[0].startswith("_"))

    def functions(self, name: str) -> list[tree.Function]:
        """The functions of that name, in the order they are declared; none if there is none."""
        return [
            function
            for chunk in self._functions.get(name, ())
            for function in self._declarations(chunk).functions
            if function.name == name
        ]

    def global_variable(self, name: str, file: str) -> tree.Global | None:
        """The global of that name that a file of the tapset declares for itself."""
        chunk = self._globals.get((file.removeprefix("tapset/"), name))
        if chunk is None:
            return None
        return next(g for g in self._declarations(chunk).globals if g.name == name)

    def public_global(self, name: str) -> tree.Global | None:
        """The global of that name that any file of the tapset has for scripts."""
        return next((self.global_variable(n, file) for file, n in self._globals if n == name), None)

    def aliases(self, components: tuple[str, ...]) -> Iterator[tuple[str, tree.Alias]]:
        """The aliases that a pattern names: each with the name it goes by.

        Args:
            components: Names of a probe point's components, which may have ``*`` and ``?``.
        """
        if not any("*" in c or "?" in c for c in components):
            names = [components] if components in self._aliases else []
        else:
            names = [name for name in self._aliases if _matches(name, components)]
        for name in names:
            for chunk in self._aliases[name]:
                for alias in self._declarations(chunk).aliases:
                    yield ".".join(name), alias


def _matches(name: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    return len(name) == len(pattern) and all(map(fnmatchcase, name, pattern))


def _with_comment(text: str, start: int) -> int:
    """Where a declaration begins if the comment in front of it is part of it."""
    comment = _COMMENT.search(text, text.rfind("/**", 0, start), start) if "/**" in text[:start] else None
    return comment.start() if comment else start


def _without_comment(text: str, start: int, end: int) -> int:
    """Where a declaration ends if what stands in front of the next is not part of it."""
    comment = text.rfind("/**", start, end)
    return comment if comment >= 0 and _COMMENT.search(text, comment, end) else end


@cache
def tapset_files() -> dict[str, str]:
    """The files of the tapset, name and text."""
    folder = resources.files("ktrace_nb.lang.stap") / "tapset"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".stp")), key=lambda f: f.name)
    return {f.name: f.read_text(encoding="utf-8") for f in files}
