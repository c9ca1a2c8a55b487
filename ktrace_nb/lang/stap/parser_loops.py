"""Loops."""

from __future__ import annotations

from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.parser_expressions import ExpressionParser
from ktrace_nb.lang.stap.parser_operators import HISTOGRAMS, STATISTICS
from ktrace_nb.lang.stap.parser_tokens import error
from ktrace_nb.source import Place

_FOREACH = "foreach (value = [key, key] in array limit 10)"


class LoopParser(ExpressionParser):
    """Parses loops."""

    def statement(self) -> tree.Statement:
        """A statement; :class:`~ktrace_nb.lang.stap.parser_statements.StatementParser` knows them."""
        raise NotImplementedError

    def condition(self, what: str) -> tree.Expression:
        """``(condition)``."""
        opening = self.expect_op("(", f"behind {what}", f"{what} (condition) statement")
        condition = self.expression()
        self.close(")", opening)
        return condition

    def _loop_body(self) -> tree.Statement:
        self.loops += 1
        with self.nested():
            body = self.statement()
        self.loops -= 1
        return body

    def while_loop(self) -> tree.While:
        """``while``."""
        start = self.advance()
        condition = self.condition("while")
        body = self._loop_body()
        return tree.While(start.at.to(self.before), condition, body)

    def for_loop(self) -> tree.For:
        """``for``."""
        form = "for (start; condition; step) statement"
        start = self.advance()
        opening = self.expect_op("(", "behind for", form)
        first = None if self.at_op(";") else self.expression()
        if isinstance(first, tree.Membership) and self.at_op(")"):
            raise error("'in' belongs to foreach", first.at, _FOREACH)
        self.expect_op(";", "behind the start", form)
        condition = None if self.at_op(";") else self.expression()
        self.expect_op(";", "behind the condition", form)
        step = None if self.at_op(")") else self.expression()
        self.close(")", opening)
        body = self._loop_body()
        return tree.For(start.at.to(self.before), first, condition, step, body)

    def foreach_loop(self) -> tree.Foreach:
        """``foreach`` in all its forms."""
        start = self.advance()
        opening = self.expect_op("(", "behind foreach", _FOREACH)
        sort: tuple[int, bool] | None = None
        value: tree.Name | None = None
        names: list[tree.Name] = []
        if self.token.kind == "name":
            first = self._variable()
            direction = self._direction()
            if self.take_op("="):
                value = first
                sort = None if direction is None else (0, direction)
            else:
                names.append(first)
                sort = None if direction is None else (1, direction)
        if not names:
            sort = self._keys(names, sort)
        if not self.at_keyword("in"):
            hint = _FOREACH
            if self.at_op(","):
                hint = "several keys stand in brackets: foreach ([a, b] in array)"
            self.unexpected("'in'", hint)
        self.advance()
        array, operator = self._array()
        slice_ = self.keys("array[*, 1] keeps to the elements with these keys") if self.at_op("[") else ()
        if slice_ and len(slice_) != len(names):
            count = f"{len(names)} key{'s' if len(names) != 1 else ''}"
            raise error(
                f"{count} in front of 'in' and {len(slice_)} behind the array",
                array.at.to(self.before),
                _FOREACH,
            )
        if self.token.kind == "at":
            operator = self._sort_operator()
        at = self.token.at
        direction = self._direction()
        if direction is not None:
            sort = self._sorted_once(sort, (0, direction), at)
        elif operator:
            self.unexpected("'+' or '-' behind what to sort by", f"array @{operator}-: the largest first")
        limit = None
        if self.at_keyword("limit"):
            self.advance()
            limit = self.expression()
        self.close(")", opening)
        body = self._loop_body()
        return tree.Foreach(
            start.at.to(self.before), value, tuple(names), array, slice_,
            sort[0] if sort else None, operator, bool(sort and sort[1]), limit, body,
        )  # fmt: skip

    def _keys(self, names: list[tree.Name], sort: tuple[int, bool] | None) -> tuple[int, bool] | None:
        """Fill in the names of the keys; says what to sort by."""
        bracket = self.advance() if self.at_op("[") else None
        while True:
            names.append(self._variable())
            at = self.token.at
            direction = self._direction()
            if direction is not None:
                sort = self._sorted_once(sort, (len(names), direction), at)
            if bracket is None:
                return sort
            if not self.take_op(","):
                self.close("]", bracket)
                return sort

    def _sorted_once(
        self, sort: tuple[int, bool] | None, by: tuple[int, bool], at: Place
    ) -> tuple[int, bool]:
        if sort is not None:
            raise error("sorted by two things", at, "one + or - in a foreach, behind a key or the array")
        return by

    def _variable(self) -> tree.Name:
        if self.token.kind != "name" or "$" in self.token.text:
            self.unexpected("a name for a key", _FOREACH)
        token = self.advance()
        return tree.Name(token.at, token.text)

    def _direction(self) -> bool | None:
        """Whether ``-`` (True) or ``+`` comes next."""
        if self.take_op("-"):
            return True
        return False if self.take_op("+") else None

    def _array(self) -> tuple[tree.Name | tree.Operator, str]:
        """What a foreach walks, and the operator around it: ``@sum(array)-`` is ``array @sum-``."""
        token = self.token
        if token.kind == "at" and token.text[1:] in HISTOGRAMS:
            return self.histogram(), ""
        if token.kind == "at" and token.text[1:] in STATISTICS:
            self.advance()
            opening = self.expect_op("(", f"behind {token.text}", f"array {token.text}-")
            name = self._array_name()
            self.close(")", opening)
            return name, token.text[1:]
        return self._array_name(), ""

    def _array_name(self) -> tree.Name:
        if self.token.kind != "name" or "$" in self.token.text:
            self.unexpected("the name of an array", _FOREACH)
        token = self.advance()
        if self.at_op("("):
            raise error("foreach walks an array, and functions give none", token.at, _FOREACH)
        return tree.Name(token.at, token.text)

    def _sort_operator(self) -> str:
        token = self.advance()
        name = token.text[1:]
        if name not in STATISTICS:
            hint = f"one of {', '.join('@' + n for n in sorted(STATISTICS))}"
            raise error(f"{token.text} is nothing to sort by", token.at, hint)
        return name
