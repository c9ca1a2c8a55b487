"""The preprocessor: ``@define`` and ``%( condition %? words %: words %)``.

Words go through two steps at once: macros are replaced, then conditions decided. A
part that is left out is not looked at: macros in it are not defined, and missing
arguments or broken words in it are no errors. Source: man stap, "Preprocessing" and
"Preprocessor macros".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources

from ktrace_nb.errors import CellError
from ktrace_nb.lang.stap.lexer import Token, words
from ktrace_nb.lang.stap.preprocessor import MARKS, Macro, Preprocessor
from ktrace_nb.source import Source


@cache
def tapset_macros() -> Mapping[str, Macro]:
    """The macros of the tapset."""
    folder = resources.files("ktrace_nb.lang.stap") / "tapset"
    found: dict[str, Macro] = {}
    for file in sorted((f for f in folder.iterdir() if f.name.endswith(".stpm")), key=lambda f: f.name):
        found |= load_macros(Source(file.read_text(encoding="utf-8"), f"tapset/{file.name}"))
    return found


@dataclass(frozen=True)
class Settings:
    """What the preprocessor is told.

    ``runtime`` is ``kernel``, which is what SystemTap's default runtime says of
    itself: scripts ask ``runtime == "bpf"`` to do without what SystemTap's own BPF
    backend lacks (arrays of strings, ``printf`` widths, ``@entry``), which we have.
    """

    arguments: tuple[str, ...] = ()
    """What ``$1`` and ``@1`` stand for."""
    release: str = "6.12.0"
    """The kernel's, for ``kernel_v`` and ``kernel_vr``."""
    machine: str = "x86_64"
    """As uname has it, for ``arch``."""
    config: Mapping[str, str] = field(default_factory=dict)
    """``CONFIG_`` settings as ``.config`` or ``autoconf.h`` have them; what is not there is not set."""
    library: bool = False
    """Whether the text is a file of the tapset: intrinsic functions may be declared."""
    macros: Mapping[str, Macro] = field(default_factory=tapset_macros)
    """Macros of the tapset, by name."""
    systemtap: str = "5.2"
    """The release of SystemTap whose language this is, for ``systemtap_v``."""
    privilege: str = "stapdev"
    runtime: str = "kernel"


def preprocess(source: Source, settings: Settings) -> tuple[list[Token], Mapping[str, Macro]]:
    """The words that are left of a text, and the macros it defines.

    Raises:
        CellError: A macro or a condition is wrong.
    """
    tokens = words(source, settings.arguments)
    if not any(t.kind == "at" or t.text in MARKS for t in tokens):
        return tokens, {}
    run = Preprocessor(tokens, settings)
    return run.run(), run.defined


def load_macros(source: Source, settings: Settings | None = None) -> Mapping[str, Macro]:
    """The macros that a ``.stpm`` file defines.

    Raises:
        CellError: It has anything else in it.
    """
    left, defined = preprocess(source, settings or Settings(macros={}))
    if left[0].kind != "end":
        hint = "such a file has @define only"
        raise CellError(f"unexpected {left[0].text!r}", left[0].source, left[0].at.span, hint=hint)
    return {name: replace(macro, library=True) for name, macro in defined.items()}
