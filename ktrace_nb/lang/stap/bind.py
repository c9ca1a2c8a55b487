"""What functions ask of the probe that calls them: ``pp()``, ``ppfunc()``, ``is_return()``.

Each is a constant of the probe. A function that asks, or calls one that does, becomes
one function for each probe that calls it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk

Answers = Mapping[str, ir.Expr | tuple[ir.Expr, ...]]
"""By the name of the intrinsic. Of one that takes a number from 1, an answer for each."""


class Binder:
    """Gives functions the answers of the probes that call them.

    Args:
        functions: All functions of the script.
        everywhere: Answers that are the same for every probe.
    """

    def __init__(self, functions: Sequence[ir.Function], everywhere: Answers) -> None:
        self._everywhere = everywhere
        self._functions = {f.name: replace(f, body=_answered(f.body, everywhere)) for f in functions}
        self.made: dict[str, ir.Function] = {}
        """Functions for single probes."""
        self._asking = {name for name in self._functions if self._asks(name, frozenset())}

    def _asks(self, name: str, above: frozenset[str]) -> bool:
        if name in above:
            return False
        body = self._functions[name].body
        return any(
            isinstance(e, ir.Intrinsic) and e.name in QUESTIONS for e in walk.expressions(body)
        ) or any(self._asks(inner, above | {name}) for inner in walk.calls(body))

    @property
    def functions(self) -> tuple[ir.Function, ...]:
        """All functions, those that ask as what they are for each probe."""
        plain = (f for name, f in self._functions.items() if name not in self._asking)
        return (*plain, *self.made.values())

    def bind(self, handler: ir.Handler, answers: Answers) -> ir.Handler:
        """A handler that calls the functions made for it."""
        body = _answered(handler.body, {**self._everywhere, **answers})
        return replace(handler, body=self._calling(body, answers))

    def _calling(self, body: ir.Body, answers: Answers) -> ir.Body:
        def change(expr: ir.Expr) -> ir.Expr:
            expr = walk.with_children(expr, change)
            if isinstance(expr, ir.Call) and expr.function in self._asking:
                return replace(expr, function=self._bound(expr.function, answers))
            return expr

        return walk.changed_expressions(body, change)

    def _bound(self, name: str, answers: Answers) -> str:
        key = f"{name} in {answers['pp']}"
        if ARGUMENT in answers:
            key += f" with {answers[ARGUMENT]}"
        if key not in self.made:
            function = self._functions[name]
            self.made[key] = replace(function, name=key)  # found by a call of itself
            body = self._calling(_answered(function.body, answers), answers)
            self.made[key] = replace(function, name=key, body=body)
        return key


ARGUMENT = "__argument"
"""The argument of a number; of a system call that another stands for, as that one numbers them."""

QUESTIONS = ("pp", "pn", "ppfunc", "probefunc", "is_return", ARGUMENT)
"""Intrinsics that ask for the probe."""


def _answered(body: ir.Body, answers: Answers) -> ir.Body:
    def change(expr: ir.Expr) -> ir.Expr:
        expr = walk.with_children(expr, change)
        if isinstance(expr, ir.Intrinsic) and expr.name in answers:
            answer = answers[expr.name]
            if isinstance(answer, tuple):
                return _numbered(expr.arguments[0], answer)
            return replace(answer, at=expr.at)
        return expr

    return walk.changed_expressions(body, change)


def _numbered(number: ir.Expr, answers: tuple[ir.Expr, ...]) -> ir.Expr:
    made: ir.Expr = ir.Number(0, at=number.at)
    for index, answer in reversed(list(enumerate(answers, start=1))):
        asked = ir.Compare("==", number, ir.Number(index), at=number.at)
        made = ir.Choose(asked, replace(answer, at=number.at), made, at=number.at)
    return made
