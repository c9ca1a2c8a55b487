"""Patterns of functions, as ``--calls`` and the lines of a cell have them.

============================================ ===============================================
``ext4_*``, ``vfs_read``                      a name or a glob (``*``, ``?``, ``[...]``)
``!ext4_es_*``                                leaves out what another pattern chose
``ext4_*@fs/ext4/inode.c``                    of a source file, see :mod:`ktrace_nb.kernel.source_files`
``:mod:ext4``, ``ext4_get*:mod:ext4``         of a module, as ftrace's ``set_ftrace_filter`` has it
``kernel.function("ext4_*")``                 as SystemTap has it; ``.call`` and ``.return`` may follow
``module("ext3").function("*@fs/ext4/*.c")``  the same of a module
============================================ ===============================================

Source of ftrace's form: Linux ``Documentation/trace/ftrace.rst``, "Filter commands".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ktrace_nb.errors import CellError
from ktrace_nb.source import Place, Source, Span

OPTION = "--calls"
"""Name of the source that an option's text is."""

_GLOB = r"[\w.*?\[\]!^-]+"
_FILE = r"[\w.*?\[\]/+-]+"
_STAP = re.compile(
    rf'(?:kernel|module\s*\(\s*"(?P<module>[^"]+)"\s*\))\s*\.\s*function\s*'
    rf'\(\s*"(?P<names>{_GLOB})(?:@(?P<file>{_FILE}))?"\s*\)\s*(?:\.\s*(?:call|return|exported)\s*)?'
)
_PLAIN = re.compile(rf"(?P<names>{_GLOB})?(?::mod:(?P<module>[\w*?-]+))?(?:@(?P<file>{_FILE}))?")
_FORMS = "e.g. 'ext4_*', '!ext4_es_*', 'vfs_*@fs/open.c', ':mod:nfs', 'module(\"ext3\").function(\"*\")'"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Functions by their names, and by where they are."""

    at: Place
    names: str
    """A name or a glob."""
    module: str = ""
    """A module or a pattern of such; empty for any, the kernel itself included."""
    file: str = ""
    """The end of a source file's path; empty for any."""
    exclude: bool = False
    """Whether it leaves functions out."""
    kernel_only: bool = False
    """Whether modules are not meant: SystemTap's ``kernel.function``."""

    @property
    def is_glob(self) -> bool:
        """Whether it may stand for several functions."""
        return any(char in self.names for char in "*?[")

    @property
    def text(self) -> str:
        """As it was written."""
        return self.at.source.text[self.at.span.start : self.at.span.end]


def parse(source: Source, options: Sequence[str] = (), *, name: str = OPTION) -> list[Pattern]:
    """Read the patterns of options and of a cell.

    Args:
        source: The cell: a pattern or several with commas between them per line; ``#`` begins a comment.
        options: What ``--calls`` was given, once or several times.
        name: Of the option.

    Raises:
        CellError: A pattern of no form that there is, or none at all.
    """
    found = [_pattern(place) for text in options for place in _split(Source(text, name))]
    found += [_pattern(place) for place in _split(source)]
    if not found:
        raise CellError("no pattern of functions", hint=_FORMS)
    if all(pattern.exclude for pattern in found):
        at = found[0].at
        hint = f"say first of which functions, {_FORMS}"
        raise CellError("patterns that leave out, and none that chooses", at.source, at.span, hint=hint)
    return found


def _split(source: Source) -> Iterator[Place]:
    """The parts of a text between commas, line ends and comments."""
    start, quoted = 0, False
    text = source.text
    at = 0
    while at <= len(text):
        char = text[at] if at < len(text) else "\n"
        if char == '"':
            quoted = not quoted
        if char == "\n" or (char in ",#" and not quoted):
            piece = text[start:at]
            if piece.strip():
                begin = start + len(piece) - len(piece.lstrip())
                yield Place(source, Span(begin, begin + len(piece.strip())))
            if char == "#":
                at = text.find("\n", at) if "\n" in text[at:] else len(text)
            quoted = False
            start = at + 1
        at += 1


def _pattern(place: Place) -> Pattern:
    text = place.source.text[place.span.start : place.span.end]
    exclude = text.startswith("!")
    body = text.removeprefix("!").strip()
    if match := _STAP.fullmatch(body):
        module, names, file = match["module"] or "", match["names"], match["file"] or ""
        return Pattern(place, names, module, file, exclude, kernel_only=not module)
    match = _PLAIN.fullmatch(body)
    if match is None or not body or body.startswith("@"):
        raise CellError(
            f"expected a pattern of functions, found {text!r}", place.source, place.span, hint=_FORMS
        )
    return Pattern(place, match["names"] or "*", match["module"] or "", match["file"] or "", exclude)
