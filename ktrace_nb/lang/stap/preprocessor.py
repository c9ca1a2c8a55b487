"""Words after the preprocessor: macros replaced, conditions decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ktrace_nb.diagnostics import Problem, near
from ktrace_nb.errors import CellError
from ktrace_nb.lang.stap.lexer import Token
from ktrace_nb.lang.stap.versions import holds

if TYPE_CHECKING:
    from ktrace_nb.lang.stap.macros import Settings

MARKS = frozenset(("%(", "%?", "%:", "%)"))
_OPEN, _CLOSE = frozenset("(["), frozenset(")]")
# What no script needs: macros within macros, and words that macros make of a script.
_MAX_DEPTH = 50
_MAX_STEPS = 300_000
_PARAMETERS = "@define name(a, b) %( @a + @b %)"
_CONDITION = "%( condition %? then %: otherwise %)"


@dataclass(frozen=True, slots=True)
class Macro:
    """``@define name(parameters) %( body %)``."""

    name: str
    parameters: tuple[str, ...]
    body: tuple[Token, ...]
    token: Token
    library: bool = False
    """Whether it is the tapset's: it then sees no macros of the script, and errors show where it is used."""


class _Frame:
    """Words being read: the text, a macro's body or an argument of one."""

    __slots__ = ("index", "library", "parameters", "place", "tokens")

    def __init__(self, tokens: list[Token] | tuple[Token, ...]) -> None:
        self.tokens = tokens
        self.index = 0
        self.parameters: Mapping[str, tuple[tuple[Token, ...], _Frame]] = {}
        """Arguments by parameter, with the frame whose parameters they may name."""
        self.library = False
        self.place: Token | None = None
        """Where its words are said to stand; None: where they do."""


class _Condition:
    """A ``%(`` that is still open."""

    __slots__ = ("otherwise", "start")

    def __init__(self, start: Token) -> None:
        self.start = start
        self.otherwise = False


class Preprocessor:
    """Replaces macros and decides conditions in one text."""

    def __init__(self, tokens: list[Token], settings: Settings) -> None:
        self.settings = settings
        self.defined: dict[str, Macro] = {}
        self.end = tokens[-1]
        self.frames = [_Frame(tokens[:-1])]
        self.steps = 0

    # --- words, macros replaced ----------------------------------------------------------

    def raw(self) -> Token | None:
        """The next word of the innermost frame; None at its end."""
        frame = self.frames[-1]
        if frame.index >= len(frame.tokens):
            return None
        token = frame.tokens[frame.index]
        frame.index += 1
        self.steps += 1
        if self.steps > _MAX_STEPS:
            hint = "a macro that names others twice doubles with each step"
            raise _error(frame.place or token, "the macros make too much of this script", hint)
        return token if frame.place is None else token.moved(frame.place)

    def next_word(self, *, skipping: bool = False) -> Token:
        """The next word, macros replaced unless it is skipped."""
        while True:
            token = self.raw()
            if token is None:
                if len(self.frames) == 1:
                    return self.end
                self.frames.pop()
            elif token.kind != "at" or skipping:
                return token
            elif token.text == "@define":
                self.define(token)
            elif not self.enter(token):
                if token.text != "@defined" and near(token.text, ["@define"]):
                    raise _error(token, f"no operator or macro {token.text!r}", "did you mean @define?")
                return token

    def define(self, start: Token) -> None:
        """``@define name(parameters) %( body %)``."""
        if len(self.frames) > 1:
            raise _error(start, "@define inside a macro", "define it outside, in front")
        name = self.raw()
        if name is None or name.kind not in ("name", "keyword"):
            raise _error(name or start, "@define needs a name", "@define name(parameters) %( words %)")
        if name.text in self.defined:
            raise _twice(name, self.defined[name.text])
        if name.text == "define":
            raise _error(name, "@define cannot be defined", "choose another name")
        parameters: list[str] = []
        token = self.raw()
        if token is not None and token.is_op("("):
            while True:
                parameter = self.raw()
                if parameter is None or parameter.kind not in ("name", "keyword"):
                    raise _error(
                        parameter or name,
                        "expected the name of a parameter",
                        _PARAMETERS,
                    )
                parameters.append(parameter.text)
                token = self.raw()
                if token is None or not (token.is_op(",") or token.is_op(")")):
                    raise _error(
                        token or name,
                        "expected ',' or ')' behind a parameter",
                        _PARAMETERS,
                    )
                if token.is_op(")"):
                    break
            token = self.raw()
        if token is None or not token.is_op("%("):
            raise _error(
                token or name, f"the body of @{name.text} is missing", f"@define {name.text} %( words %)"
            )
        self.defined[name.text] = Macro(name.text, tuple(parameters), self.body(name), name)

    def body(self, name: Token) -> tuple[Token, ...]:
        """The words up to the ``%)`` of a definition."""
        body: list[Token] = []
        depth = 1
        while True:
            token = self.raw()
            if token is None:
                raise _error(name, f"the body of @{name.text} does not end", "%) ends it")
            if token.kind == "op":
                depth += (token.text == "%(") - (token.text == "%)")
                if depth == 0:
                    return tuple(body)
            body.append(token)

    def enter(self, token: Token) -> bool:
        """Go on with what a word stands for; false if it stands for itself."""
        name, caller = token.text[1:], self.frames[-1]
        if len(self.frames) > _MAX_DEPTH:
            raise _error(token, f"@{name} goes too deep", "a macro cannot name itself")
        if name in caller.parameters:
            argument, home = caller.parameters[name]
            frame = _Frame(argument)
            frame.parameters, frame.library = home.parameters, home.library
            self.frames.append(frame)
            return True
        macro = None if caller.library else self.defined.get(name)
        macro = macro or self.settings.macros.get(name)
        if macro is None:
            return False
        frame = _Frame(macro.body)
        if macro.parameters:
            frame.parameters = self.arguments(token, macro, caller)
        frame.library = macro.library
        frame.place = caller.place or (token if macro.library else None)
        self.frames.append(frame)
        return True

    def arguments(
        self, call: Token, macro: Macro, caller: _Frame
    ) -> Mapping[str, tuple[tuple[Token, ...], _Frame]]:
        """What a macro is called with, by parameter, and the frame whose parameters it may name."""
        form = f"@{macro.name}({', '.join(macro.parameters)})"
        opening = self.raw()
        if opening is None or not opening.is_op("("):
            raise _error(opening or call, f"@{macro.name} needs arguments", form)
        found: list[tuple[Token, ...]] = []
        current: list[Token] = []
        depth = 0
        while True:
            token = self.raw()
            if token is None:
                raise _error(
                    call, f"the arguments of @{macro.name} do not end", f"{form}: the ')' is missing"
                )
            text = token.text if token.kind == "op" else ""
            if depth == 0 and text in (",", ")"):
                found.append(tuple(current))
                current = []
                if text == ")":
                    break
                continue
            depth += (text in _OPEN) - (text in _CLOSE)
            depth = max(depth, 0)
            current.append(token)
        if len(found) != len(macro.parameters):
            count = f"{len(macro.parameters)} argument{'s' if len(macro.parameters) != 1 else ''}"
            raise _error(call, f"@{macro.name} takes {count}, found {len(found)}", form)
        return {name: (tokens, caller) for name, tokens in zip(macro.parameters, found, strict=True)}

    # --- conditions ----------------------------------------------------------------------

    def run(self) -> list[Token]:
        """All words that are left."""
        out: list[Token] = []
        open_: list[_Condition] = []
        while True:
            token = self.next_word()
            if token.kind == "end":
                if open_:
                    raise _error(open_[-1].start, "this condition does not end", "%) ends it")
                out.append(token)
                return out
            mark = token.text if token.kind == "op" else ""
            if mark not in MARKS:
                out.append(token)
            elif mark == "%(":
                condition = _Condition(token)
                if self.condition(token) or self.skip(condition) == "%:":
                    open_.append(condition)
            elif not open_ or mark == "%?":
                raise _error(token, f"{mark!r} without '%('", '%( kernel_v >= "5.10" %? then %: otherwise %)')
            elif mark == "%)":
                open_.pop()
            elif open_[-1].otherwise:
                raise _error(
                    token,
                    "a second '%:' in one condition",
                    _CONDITION,
                )
            else:
                condition = open_.pop()
                condition.otherwise = True
                self.skip(condition)

    def skip(self, condition: _Condition) -> str:
        """Leave out a part; says which mark ended it."""
        depth = 0
        while True:
            token = self.next_word(skipping=True)
            if token.kind == "end":
                raise _error(condition.start, "this condition does not end", "%) ends it")
            if token.kind != "op" or token.text not in MARKS:
                continue
            if token.text == "%(":
                depth += 1
            elif depth:
                depth -= token.text == "%)"
            elif token.text == "%)":
                return "%)"
            elif condition.otherwise and token.text == "%:":
                raise _error(token, "a second '%:' in one condition", _CONDITION)
            elif token.text == "%?":
                raise _error(
                    token,
                    f"unexpected {token.text!r} in this condition",
                    _CONDITION,
                )
            else:
                condition.otherwise = True
                return "%:"

    def condition(self, start: Token) -> bool:
        """Whether a condition holds; ``&&`` binds closer than ``||``."""
        result, all_hold = False, True
        while True:
            left, op, right = self.next_word(), self.next_word(), self.next_word()
            if left.is_op("("):
                raise _error(left, "conditions have no parentheses", "&& binds closer than ||")
            all_hold &= holds(left, op, right, self.settings)
            token = self.next_word()
            if token.is_op("&&"):
                continue
            result |= all_hold
            all_hold = True
            if token.is_op("||"):
                continue
            if not token.is_op("%?"):
                raise _error(
                    token if token.kind != "end" else start,
                    "expected '%?' behind the condition",
                    _CONDITION,
                )
            return result


def _twice(name: Token, first: Macro) -> CellError:
    note = Problem("defined here before", first.token.source, first.token.at.span, severity="note")
    return CellError(
        f"@{name.text} is defined twice", name.source, name.at.span, hint="choose another name", others=[note]
    )


def _error(token: Token, message: str, hint: str) -> CellError:
    return CellError(message, token.source, token.at.span, hint=hint)
