"""Expressions: operators, how close they bind, and what may be assigned to.

Operators from loose to close: ``= += … <<<`` (right to left), ``?:`` (right to
left), ``||``, ``&&``, ``|``, ``^``, ``&``, ``in``, comparisons and ``=~``, shifts,
``.``, ``+ -``, ``* / %``, signs, ``++ --``. Source: man stap, "Expressions", and for
what it does not say the order in which SystemTap reads them.
"""

from __future__ import annotations

from dataclasses import fields

from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.parser_tokens import error, unsupported
from ktrace_nb.lang.stap.parser_values import ValueParser
from ktrace_nb.source import Place

ASSIGNMENTS = frozenset(("=", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "^=", "|=", ".=", "<<<"))
LEVELS = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "in": 6,
    "<": 7, "<=": 7, "==": 7, "!=": 7, ">": 7, ">=": 7, "=~": 7, "!~": 7,
    "<<": 8, ">>": 8, ">>>": 8, ".": 9, "+": 10, "-": 10, "*": 11, "/": 11, "%": 11,
}  # fmt: skip
"""How close binary operators bind."""
IN, COMPARISON = LEVELS["in"], LEVELS["=="]
MAX_HEIGHT = 150
"""How many nodes may stand above each other: what walks a tree by recursion has room for it."""
_CHAIN = 20


class ExpressionParser(ValueParser):
    """Parses expressions."""

    long_chains = False
    """Whether a chain of operators was met that could make the tree too high."""

    def expression(self) -> tree.Expression:
        """An expression, assignments included."""
        self.enter()
        left = self._conditional()
        if self.token.kind == "op" and self.token.text in ASSIGNMENTS:
            left = self._assignment(left)
        elif self.at_op("=="):
            self.unexpected("the end of the expression", "comparisons with 'in' need parentheses")
        self.depth -= 1
        return left

    def _assignment(self, left: tree.Expression) -> tree.Expression:
        op = self.token
        check_writable(left, op.text)
        if isinstance(left, tree.Index) and None in left.keys:
            raise error(
                "one element is written to, by its keys", left.at, "delete a[*] and foreach take any key"
            )
        self.advance()
        value = self.expression()
        return tree.Assign(left.at.to(value.at), op.text, left, value)

    def _conditional(self) -> tree.Expression:
        first = self.binary(1)
        if not self.at_op("?"):
            return first
        # Chains a ? b : c ? d : e are read without recursion.
        parts: list[tuple[tree.Expression, tree.Expression]] = []
        last = first
        while self.at_op("?"):
            mark = self.advance()
            then = self.expression()
            if not self.at_op(":"):
                line = mark.source.position(mark.start)[0]
                self.unexpected("':'", f"condition ? then : otherwise; the '?' stands in line {line}")
            self.advance()
            parts.append((last, then))
            last = self.binary(1)
        self.long_chains |= len(parts) > _CHAIN
        for condition, then in reversed(parts):
            last = tree.Conditional(condition.at.to(last.at), condition, then, last)
        return last

    def binary(self, lowest: int) -> tree.Expression:
        """Binary operators that bind as close as ``lowest`` or closer."""
        if lowest <= IN and self.at_op("["):
            left, ceiling = self._tuple(), IN - 1
        else:
            left, ceiling = self._unary(), 99
        length = 0
        while True:
            token = self.token
            kind = token.kind
            if kind != "op" and not (kind == "keyword" and token.text == "in"):
                return left
            level = LEVELS.get(token.text, 0)
            if level < lowest or level > ceiling or not level:
                return left
            if token.text == "." and self._is_fraction():
                hint = "numbers are whole: count in thousandths, or print a / 1000 and a % 1000 apart"
                raise error("there are no fractions", left.at.to(self.following.at), hint)
            self.advance()
            length += 1
            if length == _CHAIN:
                self.long_chains = True
            if level == IN:
                left = self._membership(left.at, (left,))
                ceiling = IN - 1
            elif token.text in ("=~", "!~"):
                hint = f'x {token.text} "^a.*z$": the expression is compiled before the script runs'
                right: tree.Expression = self.string_literal("a regular expression, a string literal", hint)
                left = tree.Binary(left.at.to(right.at), token.text, left, right)
                ceiling = IN
            else:
                if token.text == ">>>":
                    hint = "(x >> n) & ((1 << (64 - n)) - 1), for n above 0"
                    raise unsupported("'>>>' is no operator of the language reference", token.at, hint)
                right = self.binary(level + 1)
                left = tree.Binary(left.at.to(right.at), token.text, left, right)

    def _is_fraction(self) -> bool:
        """Whether the next word is the ``.`` of 1.5, which would else be two numbers joined as strings."""
        before, after = self.tokens[self.index - 1], self.following
        return self.token.glued and after.glued and before.kind == after.kind == "number"

    def _tuple(self) -> tree.Expression:
        """``[a, b] in array``; one key alone may stand in brackets without ``in``."""
        opening = self.token
        keys = self.keys("[a, b] in array has at least one key")
        if self.at_keyword("in"):
            self.advance()
            return self._membership(opening.at, keys)
        if len(keys) == 1 and keys[0] is not None:
            return keys[0]
        self.unexpected("'in' behind the keys", "[a, b] in array")

    def _membership(self, start: Place, keys: tuple[tree.Expression | None, ...]) -> tree.Membership:
        if self.token.kind != "name" or self.token.text[0] == "$":
            self.unexpected("the name of an array behind 'in'", "key in array, or [key, key] in array")
        token = self.advance()
        if self.at_op("["):
            hint = "[key, *] in array: the keys stand in front, * for any"
            raise error("an array's element has no keys", self.token.at, hint)
        return tree.Membership(start.to(token.at), keys, tree.Name(token.at, token.text))

    def _unary(self) -> tree.Expression:
        token = self.token
        if token.kind != "op":
            return self._step_behind()
        if token.text in ("++", "--"):
            self.advance()
            target = self.value()
            return self._step(token.at.to(target.at), token.text, target, prefix=True)
        if token.text not in ("-", "+", "!", "~"):
            return self._step_behind()
        self.advance()
        self.enter()
        operand = self._unary()
        self.depth -= 1
        return tree.Unary(token.at.to(operand.at), token.text, operand)

    def _step_behind(self) -> tree.Expression:
        value = self.value()
        token = self.token
        if token.kind == "op" and token.text in ("++", "--"):
            self.advance()
            return self._step(value.at.to(token.at), token.text, value, prefix=False)
        return value

    def _step(self, at: Place, op: str, target: tree.Expression, *, prefix: bool) -> tree.Step:
        check_writable(target, op)
        return tree.Step(at, op, target, prefix)


def check_writable(target: tree.Expression, op: str) -> None:
    """Refuse to write where nothing can be written.

    ``$value`` is what a ``procfs`` or ``prometheus`` probe answers; whether the probe
    is one is not known here.

    Raises:
        CellError: It is no variable.
        UnsupportedError: It is memory of the kernel or of a program.
    """
    match target:
        case tree.Name() | tree.Index(base=tree.Name()):
            return
        case tree.Target(name="value", accessors=(), address=False):
            return
        case tree.Target() | tree.Cast() | tree.Var():
            hint = "copy it to a variable and change that; guru mode, which changes the kernel, is not here"
            raise unsupported(f"'{op}' writes kernel memory, which cannot be written", target.at, hint)
        case tree.Operator() | tree.Index():
            raise error(f"'{op}' cannot change statistics", target.at, "x <<< value adds to them")
        case _:
            hint = "x, or an array's element: x[key]" + ("; == compares" if op == "=" else "")
            raise error(f"'{op}' needs a variable", target.at, hint)


def check_height(root: object) -> None:
    """Refuse a tree that is too high to be walked by recursion.

    Raises:
        CellError: It is.
    """
    waiting: list[tuple[object, int]] = [(root, 0)]
    while waiting:
        item, height = waiting.pop()
        if isinstance(item, tuple):
            waiting += [(part, height) for part in item]
        elif isinstance(item, tree.Node):
            if height > MAX_HEIGHT:
                raise error("this expression or chain is too long", item.at, "make several statements of it")
            waiting += [(getattr(item, f.name), height + 1) for f in fields(item) if f.name != "at"]
