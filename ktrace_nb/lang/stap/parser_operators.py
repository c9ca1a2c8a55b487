"""Literals and ``@operators``: ``@cast``, ``@var``, ``@entry``, statistics, histograms."""

from __future__ import annotations

from ktrace_nb.diagnostics import near
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.lexer import Token
from ktrace_nb.lang.stap.numerals import number_of
from ktrace_nb.lang.stap.parser_tokens import TokenStream, error, unsupported

STATISTICS = frozenset(("count", "sum", "min", "max", "avg", "variance"))
HISTOGRAMS = frozenset(("hist_log", "hist_linear"))
_OPERATORS = ("cast", "defined", "entry", "var", "probewrite", "define", *sorted(STATISTICS | HISTOGRAMS))
_REFUSED = {
    "const": (
        "@const reads a C header, which needs embedded C",
        "write the number itself",
    ),
    "perf": (
        "@perf reads a counter of the processor from within another probe",
        "count the event itself: probe perf.hw.instructions { … }",
    ),
    "kderef": (
        "@kderef reads memory at any address",
        "kernel_char, kernel_short, kernel_int and kernel_long do: kernel_int(address)",
    ),
    "uderef": (
        "@uderef reads memory at any address",
        "user_char, user_short, user_int and user_long do: user_int(address)",
    ),
    "kregister": (
        "@kregister names a register by its DWARF number",
        'register("rax") names it as the processor does',
    ),
    "uregister": (
        "@uregister names a register by its DWARF number",
        'u_register("rax") names it as the processor does',
    ),
}


class OperatorParser(TokenStream):
    """Parses what begins with ``@``, and literals where no expression may stand."""

    def expression(self) -> tree.Expression:
        """An expression; :class:`~ktrace_nb.lang.stap.parser_expressions` knows operators."""
        raise NotImplementedError

    def index_of(self, base: tree.Name | tree.Operator) -> tree.Index:
        """``base[keys]``."""
        raise NotImplementedError

    def string(self) -> tree.String:
        """String literals; those side by side are one."""
        token = self.advance()
        if self.token.kind != "string":
            return tree.String(token.at, token.text)
        parts = [token.text]
        while self.token.kind == "string":
            parts.append(self.advance().text)
        return tree.String(token.at.to(self.before), "".join(parts))

    def string_literal(self, what: str, hint: str | None = None) -> tree.String:
        """A string literal that must come next."""
        if self.token.kind != "string":
            self.unexpected(what, hint)
        return self.string()

    def signed_number(self, what: str) -> tree.Number:
        """A number with its sign, where no expression may stand."""
        start = self.token.at
        negative = self.take_op("-")
        if self.token.kind != "number":
            self.unexpected(what, "a number is needed here, not an expression")
        token = self.advance()
        value = number_of(token)
        if negative:
            if value < 0 and value != -(1 << 63):
                raise error(
                    "this number does not fit 64 bits", token.at, "the smallest is -9223372036854775808"
                )
            value = value if value == -(1 << 63) else -value
        return tree.Number(start.to(token.at), value)

    def close(self, bracket: str, opening: Token) -> None:
        """Take a closing bracket."""
        if self.take_op(bracket):
            return
        if self.token.kind == "end":
            raise error(
                f"this {opening.text!r} is not closed", opening.at, f"the script ends before its {bracket!r}"
            )
        hint = closing_hint(self.token)
        if self.token.kind == "op" and self.token.text in ("{", "}", ";", ")", "]"):
            line = opening.source.position(opening.start)[0]
            hint = f"the {opening.text!r} in line {line} is not closed before"
        self.unexpected(f"{bracket!r}", hint)

    # --- @operators --------------------------------------------------------------------------

    def operator(self) -> tree.Expression:
        """A value that begins with ``@``."""
        token = self.token
        name = token.text[1:]
        if name in STATISTICS:
            return self._statistics()
        if name in HISTOGRAMS:
            histogram = self.histogram()
            if not self.at_op("["):
                hint = (
                    f"print({token.text}(x)) prints it, {token.text}(x)[3] is the count of one of its buckets"
                )
                raise error("a histogram is no value", histogram.at, hint)
            return self.index_of(histogram)
        match name:
            case "cast":
                return self._cast()
            case "var":
                return self._var()
            case "defined" | "entry" | "probewrite":
                return self._with_operand()
        if name in _REFUSED:
            raise unsupported(_REFUSED[name][0], token.at, _REFUSED[name][1])
        known = [*_OPERATORS, *self.macros]
        found = near(name, known)
        hint = "@define makes macros, @count(x) and the like read statistics, @1 is an argument as a string"
        if found:
            hint = f"did you mean {', '.join('@' + n for n in found)}?"
        raise error(f"no operator or macro {token.text!r}", token.at, hint)

    def _with_operand(self) -> tree.Expression:
        token = self.advance()
        opening = self.expect_op("(", f"behind {token.text}", f"{token.text}(…)")
        operand = self.expression()
        self.close(")", opening)
        at = token.at.to(self.before)
        match token.text:
            case "@defined":
                return tree.Defined(at, operand)
            case "@entry":
                return tree.Entry(at, operand)
            case _:
                if not isinstance(operand, tree.Name | tree.Target):
                    raise error("@probewrite asks for a variable", operand.at, "@probewrite(name)")
                return tree.ProbeWrite(at, operand)

    def _cast(self) -> tree.Cast:
        form = '@cast(pointer, "struct task_struct", "kernel")'
        token = self.advance()
        opening = self.expect_op("(", "behind @cast", form)
        operand = self.expression()
        self.expect_op(",", "and a type", form)
        type_name = self.string_literal("the name of a type, as a string", form)
        if not type_name.value.strip():
            raise error("the name of the type is empty", type_name.at, form)
        module = self._module(form)
        self.close(")", opening)
        return tree.Cast(token.at.to(self.before), operand, type_name.value, module)

    def _var(self) -> tree.Var:
        form = '@var("jiffies", "kernel")'
        token = self.advance()
        opening = self.expect_op("(", "behind @var", form)
        name = self.string_literal("the name of a variable, as a string", form)
        if not name.value.strip():
            raise error("the name of the variable is empty", name.at, form)
        module = self._module(form)
        self.close(")", opening)
        return tree.Var(token.at.to(self.before), name.value, module)

    def _module(self, form: str) -> str:
        if not self.take_op(","):
            return ""
        return self.string_literal("the name of a module, as a string", form).value

    def _statistics(self) -> tree.Operator:
        token = self.advance()
        opening = self.expect_op("(", f"behind {token.text}", f"{token.text}(x), where x <<< value fills x")
        operand = self._statistic(token)
        arguments: list[tree.Expression] = []
        if self.at_op(","):
            if token.text != "@variance":
                raise error(f"{token.text} takes one argument", self.token.at, f"{token.text}(x)")
            self.advance()
            shift = self.signed_number("the bit shift, a number")
            if not 0 <= shift.value <= 62:
                raise error(f"a bit shift of {shift.value}", shift.at, "0 to 62")
            arguments.append(shift)
        self.close(")", opening)
        return tree.Operator(token.at.to(self.before), token.text[1:], operand, tuple(arguments))

    def histogram(self) -> tree.Operator:
        """``@hist_log(x)`` or ``@hist_linear(x, low, high, width)``."""
        token = self.advance()
        linear = token.text == "@hist_linear"
        form = "@hist_linear(x, low, high, width)" if linear else "@hist_log(x)"
        opening = self.expect_op("(", f"behind {token.text}", form)
        operand = self._statistic(token)
        arguments: list[tree.Number] = []
        for what in ("its lowest value", "its highest value", "the width of its buckets") if linear else ():
            self.expect_op(",", f"and {what}", form)
            arguments.append(self.signed_number(f"{what}, a number"))
        self.close(")", opening)
        at = token.at.to(self.before)
        if linear:
            low, high, width = arguments
            if width.value <= 0:
                raise error("buckets need a width above 0", width.at, form)
            if low.value > high.value:
                raise error("the lowest value is above the highest", low.at.to(high.at), form)
        return tree.Operator(at, token.text[1:], operand, tuple(arguments))

    def _statistic(self, operator: Token) -> tree.Name | tree.Index:
        operand = self.expression()
        if isinstance(operand, tree.Name) or (
            isinstance(operand, tree.Index) and isinstance(operand.base, tree.Name)
        ):
            return operand
        hint = f"a global that is filled with x <<< value: {operator.text}(x) or {operator.text}(x[key])"
        raise error(f"{operator.text} asks for statistics", operand.at, hint)


def closing_hint(token: Token) -> str | None:
    """What is likely missing in front of a word."""
    if token.kind == "string":
        return 'strings are joined with ".": "a" . b; arguments stand apart with commas'
    if token.kind in ("name", "number", "at"):
        return "an operator or a comma is missing"
    return None
