"""Statements."""

from __future__ import annotations

from typing import NoReturn

from ktrace_nb.diagnostics import Problem
from ktrace_nb.errors import CellError
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.lexer import Token
from ktrace_nb.lang.stap.parser_loops import LoopParser
from ktrace_nb.lang.stap.parser_tokens import error, shown, unsupported
from ktrace_nb.lang.stap.parser_values import keyword_meant

_CHAIN = 20
_DECLARATIONS = ("probe", "function", "global", "private")


class StatementParser(LoopParser):
    """Parses statements."""

    def block(self, where: str) -> tree.Block:
        """``{ … }``."""
        if not self.at_op("{"):
            self.unexpected(f"'{{' {where}")
        opening = self.advance()
        self.blocks.append(opening)
        body: list[tree.Statement] = []
        self.enter()
        while not self.at_op("}"):
            body.append(self.statement())
        self.depth -= 1
        self.advance()
        self.blocks.pop()
        return tree.Block(opening.at.to(self.before), tuple(body))

    def statement(self) -> tree.Statement:
        """One statement; a ``;`` behind it belongs to it."""
        token = self.token
        if token.kind == "keyword":
            return self._keyword(token)
        if token.kind == "op":
            if token.text == "{":
                return self.block("")
            if token.text == ";":
                self.advance()
                return tree.Block(token.at, ())
        elif token.kind == "end":
            self._end()
        expression = self.expression()
        if isinstance(expression, tree.Call) and self.at_op("{"):
            meant = keyword_meant(expression.name)
            if meant:
                raise error(f"no statement {expression.name!r}", token.at, f"did you mean {meant}?")
        self.take_op(";")
        return tree.Evaluate(expression.at, expression)

    def _end(self) -> NoReturn:
        if self.blocks:
            self.not_closed(self.blocks[-1])
        self.unexpected("a statement")

    def _keyword(self, token: Token) -> tree.Statement:
        match token.text:
            case "if":
                return self._if()
            case "while":
                return self.while_loop()
            case "for":
                return self.for_loop()
            case "foreach":
                return self.foreach_loop()
            case "try":
                return self._try()
            case "return":
                return self._return()
            case "delete":
                return self._delete()
            case "next":
                self.advance()
                self.take_op(";")
                return tree.Next(token.at)
            case "break" | "continue":
                if not self.loops:
                    hint = "next leaves a probe's handler, return a function"
                    raise error(f"'{token.text}' outside a loop", token.at, hint)
                self.advance()
                self.take_op(";")
                return tree.Break(token.at) if token.text == "break" else tree.Continue(token.at)
            case "else":
                hint = "if (condition) statement else statement: braces make one statement of several"
                raise error("'else' without 'if'", token.at, hint)
            case "catch":
                raise error("'catch' without 'try'", token.at, "try { … } catch (message) { … }")
            case text if text in _DECLARATIONS:
                self._declaration_inside(token)
        self.unexpected(
            "a statement", f"{token.text!r} is a word of the language, and no name for a variable"
        )

    def _declaration_inside(self, token: Token) -> NoReturn:
        opening = self.blocks[-1]
        note = Problem("the block begins here", opening.source, opening.at.span, severity="note")
        hint = f"a '}}' is missing in front, or {token.text!r} belongs outside the block"
        raise CellError(
            f"{shown(token)} within a block", token.source, token.at.span, hint=hint, others=[note]
        )

    def _if(self) -> tree.Statement:
        # Chains of else if are read without recursion.
        parts: list[tuple[Token, tree.Expression, tree.Statement]] = []
        otherwise: tree.Statement | None = None
        while True:
            start = self.advance()
            condition = self.condition("if")
            with self.nested():
                parts.append((start, condition, self.statement()))
            if not self.at_keyword("else"):
                break
            self.advance()
            if not self.at_keyword("if"):
                with self.nested():
                    otherwise = self.statement()
                break
        self.long_chains |= len(parts) > _CHAIN
        end = self.before
        for start, condition, then in reversed(parts):
            otherwise = tree.If(start.at.to(end), condition, then, otherwise)
        assert otherwise is not None
        return otherwise

    def _try(self) -> tree.Try:
        start = self.advance()
        body = self.block("behind try")
        if not self.at_keyword("catch"):
            self.unexpected("'catch' behind the block of try", "try { … } catch (message) { … }")
        self.advance()
        variable = None
        if self.at_op("("):
            opening = self.advance()
            if self.token.kind != "name" or "$" in self.token.text:
                self.unexpected("a name for the error's message", "catch (message) { … }, or catch { … }")
            token = self.advance()
            variable = tree.Name(token.at, token.text)
            self.close(")", opening)
        handler = self.block("behind catch")
        return tree.Try(start.at.to(self.before), body, variable, handler)

    def _return(self) -> tree.Return:
        token = self.advance()
        if not self.in_function:
            raise error("'return' in a probe", token.at, "next leaves a probe's handler")
        value = None
        if not self.at_op(";") and not self.at_op("}"):
            value = self.expression()
        at = token.at.to(self.before)
        self.take_op(";")
        return tree.Return(at, value)

    def _delete(self) -> tree.Delete:
        token = self.advance()
        target = self.expression()
        if isinstance(target, tree.Target | tree.Cast | tree.Var):
            hint = "variables of the script and their elements can be deleted"
            raise unsupported("delete would write kernel memory, which cannot be written", target.at, hint)
        if not isinstance(target, tree.Name | tree.Index) or (
            isinstance(target, tree.Index) and not isinstance(target.base, tree.Name)
        ):
            raise error(
                "only variables and elements of arrays can be deleted",
                target.at,
                "delete x, or delete x[key]",
            )
        self.take_op(";")
        return tree.Delete(token.at.to(target.at), target)
