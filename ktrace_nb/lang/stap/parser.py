"""The parser: a script's text to its tree.

``parser_tokens`` has the words, ``parser_values``, ``parser_expressions`` and
``parser_statements`` what stands in bodies, ``parser_points`` probe points, this
module declarations. Errors name the place and what to write instead; the first ends
the parse, because what follows a wrong word is seldom meant as it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

from ktrace_nb.diagnostics import near_hint
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.comments import Comments
from ktrace_nb.lang.stap.lexer import Token
from ktrace_nb.lang.stap.macros import Settings, preprocess
from ktrace_nb.lang.stap.parser_expressions import check_height
from ktrace_nb.lang.stap.parser_points import PointParser
from ktrace_nb.lang.stap.parser_tokens import EMBEDDED_HINT, error, unsupported
from ktrace_nb.lang.stap.preprocessor import Macro
from ktrace_nb.source import Place, Source

_DECLARATIONS = ("probe", "function", "global", "private")
_TYPES = ("long", "string")
# Arrays of the macros @this1 to @this8, which need no declaration.
_THREAD_VALUES = tuple(f"__this_var{n}" for n in range(1, 9))


def parse(source: Source, settings: Settings | None = None) -> tree.Script:
    """The tree of a script.

    Args:
        source: Its text.
        settings: What the preprocessor is told.

    Raises:
        CellError: The text is wrong.
        UnsupportedError: It has embedded C, writes to the kernel or the like.
    """
    settings = settings or Settings()
    tokens, defined = preprocess(source, settings)
    return _Parser(source, tokens, settings, defined).script()


class _Parser(PointParser):
    def __init__(
        self, source: Source, tokens: list[Token], settings: Settings, defined: Mapping[str, Macro]
    ) -> None:
        super().__init__(tokens, settings, defined)
        self.source = source
        self.comments = Comments(source.text)
        self.globals: list[tree.Global] = []
        self.functions: list[tuple[int, tree.Function]] = []
        self.probes: list[tree.Probe] = []
        self.aliases: list[tree.Alias] = []

    def script(self) -> tree.Script:
        """All declarations."""
        while self.token.kind != "end":
            self.long_chains = False
            self._declaration()
        self._declare_thread_values()
        # The overload with the lowest priority number is tried first; a script's own have 0.
        functions = [function for _, function in sorted(self.functions, key=lambda pair: pair[0])]
        return tree.Script(
            self.source, tuple(self.globals), tuple(functions), tuple(self.probes), tuple(self.aliases)
        )

    def _declare_thread_values(self) -> None:
        declared = {declaration.name for declaration in self.globals}
        for token in self.tokens:
            if token.kind == "name" and token.text in _THREAD_VALUES and token.text not in declared:
                declared.add(token.text)
                self.globals.append(tree.Global(token.at, token.text))

    def _declaration(self) -> None:
        token = self.token
        start = token.at
        private = self.at_keyword("private")
        if private:
            self.advance()
        word = self.token
        if word.kind == "keyword" and word.text == "probe":
            self._probe(start, private)
        elif word.kind == "keyword" and word.text == "function":
            self._function(start, private, intrinsic=False)
        elif word.kind == "keyword" and word.text == "global":
            self.advance()
            self._globals(private)
        elif private and word.kind == "name":
            self._globals(private)
        elif self.settings.library and word.text == "intrinsic" and self.following.text == "function":
            self.advance()
            self._function(start, private, intrinsic=True)
        else:
            self._no_declaration(word, private)

    def _no_declaration(self, word: Token, private: bool) -> NoReturn:
        if word.is_op(";") and not private:
            raise error("a ';' between declarations", word.at, "leave it out")
        expected = "'function', 'global', 'probe' or a name" if private else "'probe', 'function' or 'global'"
        hint = None
        if word.kind == "name":
            hint = near_hint(word.text, _DECLARATIONS) or (
                "statements stand in a probe: probe begin { … }" if not private else None
            )
        elif word.is_op("}"):
            hint = "there is a '}' too many, here or before"
        elif word.kind == "keyword" or word.is_op("{"):
            hint = "statements stand in a probe: probe begin { … }"
        elif word.kind == "at" and word.text[1:] not in self.macros:
            hint = near_hint(word.text[1:], [*self.macros, "define"])
        self.unexpected(expected, hint)

    # --- globals -------------------------------------------------------------------------------

    def _globals(self, private: bool) -> None:
        while True:
            self.globals.append(self._global(private))
            if not self.take_op(","):
                break
        self.take_op(";")

    def _global(self, private: bool) -> tree.Global:
        if self.token.kind != "name" or "$" in self.token.text:
            hint = "global a, b[100], c = 1"
            if self.index and self.tokens[self.index - 1].is_op(","):
                hint = "the ',' in front has nothing behind it"
            self.unexpected("a name for a global", hint)
        name = self.advance()
        if any(declared.name == name.text for declared in self.globals):
            raise error(f"the global {name.text!r} is declared twice", name.at, "one of the two is enough")
        if self.at_op(":"):
            hint = "leave the type out: what is assigned to it tells"
            raise error("a global is declared without its type", self.token.at, hint)
        wraps = self.take_op("%")
        size: int | None = None
        if self.at_op("["):
            opening = self.advance()
            number = self.signed_number("how many elements the array may have, a number")
            # The largest int of the C that SystemTap makes of it.
            if not 1 <= number.value <= 0x7FFFFFFF:
                raise error(f"an array of {number.value} elements", number.at, "1 to 2147483647")
            size = number.value
            self.close("]", opening)
            wraps = self.take_op("%") or wraps
        initial: tree.Number | tree.String | None = None
        if self.at_op("="):
            self.advance()
            if size is not None or wraps:
                raise error(
                    "an array has no first value", name.at.to(self.before), "fill it in probe begin { … }"
                )
            if self.token.kind == "string":
                initial = self.string()
            else:
                hint = "the first value is a literal; probe begin { … } can compute one"
                if self.token.kind != "number" and not self.at_op("-"):
                    self.unexpected("a number or a string", hint)
                initial = self.signed_number("a number")
        return tree.Global(name.at.to(self.before), name.text, size, wraps, initial, private)

    # --- functions -----------------------------------------------------------------------------

    def _function(self, start: Place, private: bool, *, intrinsic: bool) -> None:
        self.advance()
        token = self.token
        if (token.kind == "keyword" and token.text not in _TYPES) or token.kind not in ("name", "keyword"):
            self.unexpected("a name for the function", "function name:long (a, b:string) { … }")
        name = self.advance()
        if "$" in name.text:
            raise unsupported(
                f"the name {name.text!r} has a '$' in it", name.at, f"{name.text.replace('$', '_')} would do"
            )
        type_ = self._type()
        opening = self.expect_op("(", "and parameters", f"function {name.text} () {{ … }}")
        parameters = self._parameters(opening)
        if self.at_op(":") and self.following.kind == "keyword":
            hint = f"function {name.text}:{self.following.text} (…)"
            raise error("the type of a result stands behind the function's name", self.token.at, hint)
        priority = self._priority()
        doc = self.comments.before(start)
        body: tree.Block | None = None
        if self.token.kind == "embedded":
            raise unsupported(
                f"the function {name.text!r} is embedded C, which is code for a kernel module",
                self.token.at, EMBEDDED_HINT,
            )  # fmt: skip
        if not intrinsic:
            self.in_function = True
            body = self.block("and the function's body")
            self.in_function = False
        at = start.to(self.before)
        function = tree.Function(at, name.text, parameters, type_, body, private, doc)
        if self.long_chains:
            check_height(function)
        self.functions.append((priority, function))

    def _type(self) -> str:
        if not self.take_op(":"):
            return ""
        if self.token.kind != "keyword" or self.token.text not in _TYPES:
            hint = near_hint(self.token.text, _TYPES)
            if self.token.text in ("int", "int64", "int64_t", "u64", "uint64_t", "number", "integer"):
                hint = "numbers are long"
            elif self.token.text in ("char", "str", "text"):
                hint = "text is string"
            self.unexpected("'long' or 'string'", hint)
        return self.advance().text

    def _parameters(self, opening: Token) -> tuple[tree.Parameter, ...]:
        parameters: list[tree.Parameter] = []
        while not self.at_op(")"):
            if self.token.kind != "name" or "$" in self.token.text:
                hint = None
                if self.token.text in _TYPES and self.following.kind == "name":
                    hint = f"the type stands behind: {self.following.text}:{self.token.text}"
                self.unexpected("a name for a parameter", hint)
            name = self.advance()
            if any(parameter.name == name.text for parameter in parameters):
                raise error(f"two parameters named {name.text!r}", name.at, "choose another name")
            parameters.append(tree.Parameter(name.at, name.text, self._type()))
            if not self.take_op(","):
                break
        self.close(")", opening)
        return tuple(parameters)

    def _priority(self) -> int:
        if not self.take_op(":"):
            return 1 if self.settings.library else 0
        number = self.signed_number("a priority, a number")
        if number.value < 1:
            raise error(f"a priority of {number.value}", number.at, "1 or more; lower ones come first")
        return number.value

    # --- probes --------------------------------------------------------------------------------

    def _probe(self, start: Place, private: bool) -> None:
        self.advance()
        if self.at_op("{") and self._is_body():
            self.unexpected("a probe point", "probe begin { … }: a probe has points in front of its body")
        doc = self.comments.before(start)
        names: list[tree.Point] = []
        epilogue = False
        while True:
            points = self.points()
            if not self.at_op("=") and not self.at_op("+="):
                break
            names.append(self._alias_name(points))
            epilogue = self.advance().text == "+="
        if not self.at_op("{"):
            self._no_body(points)
        self.in_function = False
        body = self.block("and the probe's body")
        at = start.to(self.before)
        if not names:
            if private:
                raise error("only aliases of probes are private", start, "leave 'private' out")
            self.probes.append(tree.Probe(at, tuple(points), body))
            root: tree.Node = self.probes[-1]
        else:
            alias = tree.Alias(at, tuple(names), epilogue, tuple(points), body, private, doc)
            if self.at_op(","):
                alias = self._with_epilogue(alias)
            self.aliases.append(alias)
            root = alias
        if self.long_chains:
            check_height(root)

    def _is_body(self) -> bool:
        """Whether what is in braces are statements rather than points."""
        words = self.tokens[self.index + 1 : self.index + 4]
        if len(words) < 3 or words[0].kind not in ("name", "keyword"):
            return not (words and (words[0].is_op("*") or words[0].is_op("{")))
        if words[1].is_op("("):
            return words[2].kind not in ("string", "number")
        return words[1].kind != "op" or words[1].text not in (",", ".", "}", "?", "!", "*")

    def _no_body(self, points: list[tree.Point]) -> NoReturn:
        hint = "probe point, point { … }"
        if self.token.kind == "embedded":
            self.refuse_embedded(self.token)
        if self.token.kind in ("name", "keyword"):
            hint = "points stand apart with commas, and in front of the body in braces"
        elif self.at_op("("):
            hint = "an argument stands directly behind its name: timer.s(5)"
        expected = "'{' and the probe's body" if points else "a probe point"
        self.unexpected(expected, hint)

    def _alias_name(self, points: list[tree.Point]) -> tree.Point:
        point = points[0]
        if len(points) != 1:
            raise error(
                "an alias has one name", point.at.to(points[-1].at), "probe name = point, point { … }"
            )
        if point.optional or point.condition is not None:
            hint = "'?', '!' and 'if' stand behind the points it is for"
            raise error("the name of an alias is nothing but a name", point.at, hint)
        for component in point.components:
            if "*" in component.name:
                raise error("the name of an alias has no wildcards", component.at, "probe name = point { … }")
        return point

    def _with_epilogue(self, alias: tree.Alias) -> tree.Alias:
        """``probe a = b { … }, { … }``: an alias of an alias that has the second block."""
        comma = self.advance()
        if alias.epilogue:
            raise error(
                "'+=' has one block, which is the epilogue",
                comma.at,
                "probe name = point { prologue }, { epilogue }",
            )
        if self.settings.library:
            raise unsupported(
                "two blocks in the tapset", comma.at, "write an alias with += and one of it with ="
            )
        body = self.block("and the epilogue")
        inner = tree.Point(alias.at, (tree.Component(alias.at, f"__epilogue_{len(self.aliases) + 1}"),))
        self.aliases.append(tree.Alias(alias.at, (inner,), True, alias.points, body, private=True))
        return replace(alias, points=(inner,))
