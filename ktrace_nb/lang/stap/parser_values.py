"""Values: names, calls, ``$targets`` and what follows them."""

from __future__ import annotations

import re
from typing import NoReturn

from ktrace_nb.diagnostics import near
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.lexer import Token
from ktrace_nb.lang.stap.numerals import number_of
from ktrace_nb.lang.stap.parser_operators import HISTOGRAMS, OperatorParser, closing_hint
from ktrace_nb.lang.stap.parser_tokens import error, unsupported
from ktrace_nb.source import Place

PRINTS = frozenset(start + end for start in ("print", "sprint") for end in ("", "ln", "f", "d", "dln"))
_HISTOGRAM_PRINTS = frozenset(("print", "println", "sprint", "sprintln"))
_LITERAL_FIRST = {**dict.fromkeys(("printf", "sprintf"), "format"),
                  **dict.fromkeys(("printd", "printdln", "sprintd", "sprintdln"), "delimiter")}  # fmt: skip
_TARGET = re.compile(r"\$(?P<name>\$?[A-Za-z0-9_]+)(?P<pretty>\${0,2})")
_ONE_AMPERSAND = "one & gives the address of what follows"
_MEMBER = re.compile(r"(?P<name>[A-Za-z0-9_]*)(?P<pretty>\${0,2})")


class ValueParser(OperatorParser):
    """Parses what stands between operators."""

    def value(self) -> tree.Expression:
        """A value with everything that follows its name."""
        address = self.advance() if self.at_op("&") else None
        start = address.at if address else self.token.at
        if self.at_op("&"):
            raise error("an address has no address", self.token.at, _ONE_AMPERSAND)
        parenthesised = self.at_op("(")
        value = self.plain_value()
        if isinstance(value, tree.Target | tree.Cast | tree.Var) and not parenthesised:
            return self._with_accessors(value, start, bool(address))
        if address is None and not self._at_accessor(value, parenthesised):
            return value
        return self._with_accessors(tree.Cast(start, value, ""), start, bool(address))

    def plain_value(self) -> tree.Expression:
        """A value without members."""
        token = self.token
        kind = token.kind
        if kind == "name":
            return self._target() if token.text[0] == "$" else self._name()
        if kind == "number":
            self.advance()
            return tree.Number(token.at, number_of(token))
        if kind == "string":
            return self.string()
        if kind == "at":
            return self.operator()
        if token.is_op("("):
            return self._parenthesised()
        if kind == "embedded":
            self.refuse_embedded(token)
        hint = None
        if token.is_op("["):
            hint = "[a, b] in array tells whether the array has these keys; put it in parentheses"
        elif token.is_op("{"):
            hint = "a block cannot stand within an expression"
        elif token.is_op("'"):
            hint = 'strings stand in double quotes: "text"'
        elif token.is_op("&&"):
            hint = _ONE_AMPERSAND
        elif token.is_op("="):
            hint = "= assigns, == compares, there is no ==="
        elif self.index and self.tokens[self.index - 1].kind == "op":
            hint = f"{self.tokens[self.index - 1].text!r} has nothing behind it"
        self.unexpected("a value", hint)

    def _parenthesised(self) -> tree.Expression:
        opening = self.advance()
        expression = self.expression()
        self.close(")", opening)
        return expression

    # --- names -----------------------------------------------------------------------------

    def _name(self) -> tree.Expression:
        token = self.advance()
        if "$" in token.text:
            hint = f"{token.text.replace('$', '_')} would do"
            raise unsupported(f"the name {token.text!r} has a '$' in it", token.at, hint)
        if self.at_op("("):
            return self._call(token)
        name = tree.Name(token.at, token.text)
        return self.index_of(name) if self.at_op("[") else name

    def index_of(self, base: tree.Name | tree.Operator) -> tree.Index:
        """``base[keys]``."""
        keys = self.keys("an array has at least one key")
        return tree.Index(base.at.to(self.before), base, keys)

    def keys(self, hint: str) -> tuple[tree.Expression | None, ...]:
        """``[a, *, b]``."""
        opening = self.advance()
        if self.at_op("]"):
            raise error("nothing between the brackets", opening.at.to(self.token.at), hint)
        keys: list[tree.Expression | None] = []
        while True:
            if self.at_op("*") and self.following.kind == "op" and self.following.text in ",]":
                self.advance()
                keys.append(None)
            else:
                keys.append(self.expression())
            if self.take_op(","):
                continue
            self.close("]", opening)
            return tuple(keys)

    def _call(self, name: Token) -> tree.Call:
        opening = self.advance()
        arguments: list[tree.Expression] = []
        if not self.at_op(")"):
            while True:
                arguments.append(self._argument(name.text, first=not arguments))
                if not self.take_op(","):
                    break
                if self.at_op(")"):
                    raise error("a ',' and no argument behind it", self.before, "leave the comma out")
            if not self.at_op(")") and self.token.kind != "end":
                self._in_call(name)
        self.close(")", opening)
        call = tree.Call(name.at.to(self.before), name.text, tuple(arguments))
        if name.text in PRINTS:
            _check_print(call, name.at)
        return call

    def _in_call(self, name: Token) -> NoReturn:
        meant = keyword_meant(name.text)
        if meant and (self.at_op(";") or self.at_keyword("in")):
            raise error(f"no statement {name.text!r}", name.at, f"did you mean {meant}?")
        self.unexpected("',' or ')'", closing_hint(self.token))

    def _argument(self, function: str, *, first: bool) -> tree.Expression:
        if first and function in _HISTOGRAM_PRINTS and self.token.text[1:] in HISTOGRAMS:
            # Only here may a histogram stand for itself; @hist_log(x)[3] is a number like any other.
            mark = self.index
            histogram = self.histogram()
            if self.at_op(")"):
                return histogram
            self.index, self.token = mark, self.tokens[mark]
        return self.expression()

    # --- target variables --------------------------------------------------------------------

    def _target(self) -> tree.Target:
        token = self.advance()
        match = _TARGET.fullmatch(token.text)
        if match is None:
            hint = "$name is a variable of what is probed, $$parms all parameters, $name$ a structure as text"
            raise error(f"no target variable: {token.text!r}", token.at, hint)
        pretty = match["pretty"]
        accessors = (tree.Pretty(token.at, len(pretty) == 2),) if pretty else ()
        return tree.Target(token.at, match["name"], accessors)

    def _at_accessor(self, value: tree.Expression, parenthesised: bool) -> bool:
        if self.at_op("->"):
            return True
        if self.at_op("["):
            if isinstance(value, tree.Index) and not parenthesised:
                hint = "several keys stand in one pair of brackets: array[a, b]"
                raise error("an array's element has no elements", self.token.at, hint)
            return parenthesised or isinstance(value, tree.Call | tree.Entry)
        return _is_pretty(self.token) and parenthesised

    def _with_accessors(
        self, value: tree.Target | tree.Cast | tree.Var, start: Place, address: bool
    ) -> tree.Target | tree.Cast | tree.Var:
        accessors: list[tree.Accessor] = list(value.accessors)
        pretty = bool(accessors)
        while not pretty:
            if self.at_op("->"):
                arrow = self.advance()
                if self.token.kind not in ("name", "keyword", "number"):
                    self.unexpected("the name of a member behind '->'")
                token = self.advance()
                match = _MEMBER.fullmatch(token.text)
                if match is None:
                    raise error(
                        f"no member: {token.text!r}", token.at, "->name, or ->name$ for a structure as text"
                    )
                if match["name"]:
                    accessors.append(tree.Member(arrow.at.to(token.at), match["name"]))
                pretty = bool(match["pretty"])
                if pretty:
                    accessors.append(tree.Pretty(token.at, match["pretty"] == "$$"))
            elif self.at_op("["):
                opening = self.advance()
                index = self.expression()
                self.close("]", opening)
                accessors.append(tree.Subscript(opening.at.to(self.before), index))
            elif _is_pretty(self.token):
                token = self.advance()
                accessors.append(tree.Pretty(token.at, token.text == "$$"))
                pretty = True
            else:
                break
        if pretty and (self.at_op("->") or self.at_op("[")):
            hint = "leave the $ before it out, or put it at the end"
            raise error("text has no members", self.token.at, hint)
        if pretty and address:
            raise error("text has no address", start, "leave the & or the $ at the end out")
        at = start.to(self.before)
        match value:
            case tree.Target():
                return tree.Target(at, value.name, tuple(accessors), address)
            case tree.Cast():
                return tree.Cast(at, value.operand, value.type_name, value.module, tuple(accessors), address)
            case tree.Var():
                return tree.Var(at, value.name, value.module, tuple(accessors), address)


def keyword_meant(name: str) -> str | None:
    """The keyword that a name is a misspelling of."""
    if name in ("elif", "elseif", "elsif"):
        return "else if"
    if name in PRINTS or len(name) < 2:
        return None
    words = ("if", "while", "for", "foreach", "try", "catch", "else", "return", "delete")
    found = near(name.lower(), words) or [word for word in words if sorted(word) == sorted(name.lower())]
    return found[0] if found else None


def _is_pretty(token: Token) -> bool:
    return token.kind == "name" and token.text in ("$", "$$")


def _check_print(call: tree.Call, at: Place) -> None:
    wanted = _LITERAL_FIRST.get(call.name)
    if wanted is not None:
        if not call.arguments or not isinstance(call.arguments[0], tree.String):
            place = call.arguments[0].at if call.arguments else at
            form = {"format": f'{call.name}("%s\\n", x)', "delimiter": f'{call.name}(", ", a, b)'}[wanted]
            raise error(f"{call.name} begins with its {wanted}, a string literal", place, form)
        if wanted == "delimiter" and len(call.arguments) < 3:
            raise error(f"{call.name} needs two values or more", at, f'{call.name}(", ", a, b)')
    elif call.name in ("print", "sprint") and not call.arguments:
        raise error(f"{call.name} needs a value", at, f"{call.name}(x)")
