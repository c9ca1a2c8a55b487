"""Remarks on variables that are read and never set: mostly words that are misspelt."""

from __future__ import annotations

from collections.abc import Iterable

from ktrace_nb.diagnostics import Problem, near_hint
from ktrace_nb.ir.script import Type
from ktrace_nb.lang.stap.infer import Inference
from ktrace_nb.lang.stap.symbols import Symbols


def unset_notes(inferences: Iterable[Inference], symbols: Symbols) -> list[Problem]:
    """The remarks on a script whose types are known.

    Args:
        inferences: Of all handlers and functions; those of the tapset are passed over.
        symbols: The script's.
    """
    notes: dict[tuple[int, str], Problem] = {}
    for inference in inferences:
        for name, at in inference.never_set():
            if at.source is not symbols.source or (at.span.start, name) in notes:
                continue
            empty = '""' if inference.locals[name].type is Type.STRING else "0"
            others = [other for other in inference.locals if other != name]
            if symbols.is_function(name, 0):
                hint = f"did you mean {name}()?"
            else:
                hint = (
                    near_hint(name, [*others, *symbols.globals]) or "give it a value, or declare it: global"
                )
            notes[at.span.start, name] = Problem(
                f"{name!r} is never set here, so it is {empty}", at.source, at.span, hint, "note"
            )
    for symbol in symbols.globals.values():
        at = symbol.declaration.at
        if symbol.read and not symbol.written and symbol.declaration.initial is None:
            notes[at.span.start, symbol.name] = Problem(
                f"the global {symbol.name!r} is read and never set", at.source, at.span, None, "note"
            )
    return list(notes.values())
