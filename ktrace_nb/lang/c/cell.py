"""What a bcc C cell declares: tables, functions, structures, calls of tables.

This reads the cell's own text only. Tables and functions that come out of a
``#define`` are found all the same, after the compilation, in its result; they
just have no place in the cell to point at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

from ktrace_nb.ctokens import (
    DIRECTIVE,
    IDENTIFIER,
    PUNCTUATION,
    Token,
    arguments,
    conditional_words,
    joined,
    matching,
    tokenize,
    variants,
)
from ktrace_nb.source import Source, Span

HISTOGRAM, EVENTS, STACKS, MAP = "histogram", "events", "stacks", "map"

_KINDS = {
    "BPF_HISTOGRAM": HISTOGRAM,
    "BPF_PERF_OUTPUT": EVENTS,
    "BPF_RINGBUF_OUTPUT": EVENTS,
    "BPF_STACK_TRACE": STACKS,
    "BPF_STACK_TRACE_BUILDID": STACKS,
}
# Table-declaring macros whose first argument is not the name.
_NAME_POSITION = {
    "BPF_TABLE": 3,
    "BPF_F_TABLE": 3,
    "BPF_TABLE_PUBLIC": 3,
    "BPF_TABLE_SHARED": 3,
    "BPF_TABLE_PINNED": 3,
    "BPF_QUEUESTACK": 1,
    "BPF_XDP_REDIRECT_MAP": 2,
}
_NO_TABLES = re.compile(r"BPF_(PROG|RET_ON|ANY|NOEXIST|EXIST|FUNC_\w+|F_(?!TABLE)\w+|RB_\w+|SK_LOOKUP)$")

# Macros that open a program: the function's name from the arguments.
_PROBE_MACROS = {
    "TRACEPOINT_PROBE": "tracepoint__{0}__{1}",
    "RAW_TRACEPOINT_PROBE": "raw_tracepoint__{0}",
    "KFUNC_PROBE": "kfunc__{0}",
    "KRETFUNC_PROBE": "kretfunc__{0}",
    "MODULE_KFUNC_PROBE": "kfunc__{0}__{1}",
    "MODULE_KRETFUNC_PROBE": "kretfunc__{0}__{1}",
    "KMOD_RET": "kmod_ret__{0}",
    "LSM_PROBE": "lsm__{0}",
    "BPF_PROG": "{0}",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table the cell declares."""

    name: str
    macro: str
    kind: str
    arguments: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Function:
    """A function the cell defines; a program if it is not static."""

    name: str
    is_static: bool
    span: Span
    """Of the name, or of the macro and its arguments."""
    body: int
    """Offset just behind the opening brace."""
    conditional: bool = False
    """Whether it stands in an ``#if``, so that it may turn out not to be there."""
    is_void: bool = False
    """Whether it returns nothing."""


@dataclass(frozen=True, slots=True)
class Call:
    """``table.method(...)``."""

    table: str
    method: str
    arguments: tuple[str, ...]
    span: Span
    """The whole call."""
    method_span: Span
    argument_spans: tuple[Span, ...]


@dataclass(frozen=True)
class CCell:
    """A cell in C."""

    source: Source
    tables: tuple[Table, ...]
    functions: tuple[Function, ...]
    calls: tuple[Call, ...]
    structs: tuple[str, ...]
    """C types of the structures defined outside any ``#if``: ``struct data_t``, ``data_t``."""
    words: frozenset[str] = field(repr=False)
    """Every identifier of the text, directives included."""
    reads: tuple[tuple[str, Span], ...] = field(repr=False)
    """Calls of ``bpf_probe_read...``: the function and the place of its name."""
    assignments: tuple[tuple[str, str], ...] = field(repr=False)
    """Names assigned to (the last member of ``a.b.c``), with the text assigned."""


def parse(source: Source) -> CCell:
    """Read a cell."""
    tokens = tokenize(source.text)
    code = [token for token in tokens if token.kind != DIRECTIVE]
    tables = _tables(code)
    words = {token.text for token in code if token.kind == IDENTIFIER}
    for token in tokens:
        if token.kind == DIRECTIVE:
            words.update(re.findall(r"[A-Za-z_]\w*", token.text))
    return CCell(
        source,
        tuple(tables),
        tuple(_all_functions(tokens)),
        tuple(_calls(code)),
        tuple(_structs(tokens)),
        frozenset(words),
        tuple(_reads(code)),
        tuple(_assignments(code)),
    )


def _is(token: Token, text: str) -> bool:
    return token.kind == PUNCTUATION and token.text == text


def _tables(tokens: list[Token]) -> list[Table]:
    found = []
    for index, token in enumerate(tokens[:-1]):
        if token.kind != IDENTIFIER or not token.text.startswith("BPF_") or not _is(tokens[index + 1], "("):
            continue
        if _NO_TABLES.match(token.text):
            continue
        args = arguments(tokens, index + 1)
        position = _NAME_POSITION.get(token.text, 0)
        if len(args) <= position or len(args[position]) != 1 or args[position][0].kind != IDENTIFIER:
            continue
        name = args[position][0]
        kind = _KINDS.get(token.text, MAP)
        if position == 3 and joined(args[0]) == '"histogram"':
            kind = HISTOGRAM
        found.append(Table(name.text, token.text, kind, tuple(joined(a) for a in args), name.span))
    return found


def _all_functions(tokens: list[Token]) -> list[Function]:
    """Functions in every branch of every conditional."""
    found = {function.span: function for way in variants(tokens) for function in _functions(way)}
    depth, conditional = 0, set()
    for token in tokens:
        word = conditional_words(token)
        depth += (word == "if") - (word == "endif")
        if depth:
            conditional.add(token.span.start)
    functions = sorted(found.values(), key=lambda f: f.span.start)
    return [replace(f, conditional=f.span.start in conditional) for f in functions]


def _functions(tokens: list[Token]) -> list[Function]:
    found = []
    index = start = 0
    while index < len(tokens):
        token = tokens[index]
        if _is(token, "{"):
            index = start = matching(tokens, index) + 1
        elif _is(token, ";"):
            index = start = index + 1
        elif token.kind == IDENTIFIER and index + 1 < len(tokens) and _is(tokens[index + 1], "("):
            close = matching(tokens, index + 1)
            if close + 1 < len(tokens) and _is(tokens[close + 1], "{") and token.text != "__attribute__":
                found.append(_function(tokens, start, index, close))
            index = close + 1
        else:
            index += 1
    return found


def _function(tokens: list[Token], start: int, index: int, close: int) -> Function:
    token = tokens[index]
    name, span = token.text, token.span
    pattern = _PROBE_MACROS.get(token.text)
    if pattern:
        args = [joined(a) for a in arguments(tokens, index + 1)]
        name = pattern.format(*([*args, "", ""]))
        span = Span(token.span.start, tokens[close].span.end)
    before = {t.text for t in tokens[start:index]}
    is_void = "void" in before and "*" not in before
    is_static = bool(before & {"static", "inline"})
    return Function(name, is_static, span, tokens[close + 1].span.end, is_void=is_void)


def _calls(tokens: list[Token]) -> list[Call]:
    found = []
    for index in range(len(tokens) - 3):
        table, dot, method, opening = tokens[index : index + 4]
        if table.kind == method.kind == IDENTIFIER and _is(dot, ".") and _is(opening, "("):
            if index and tokens[index - 1].text in (".", "->"):
                continue
            close = matching(tokens, index + 3)
            if close == len(tokens):
                continue
            args = [a for a in arguments(tokens, index + 3) if a]
            found.append(
                Call(
                    table.text,
                    method.text,
                    tuple(joined(a) for a in args),
                    Span(table.span.start, tokens[close].span.end),
                    method.span,
                    tuple(Span(a[0].span.start, a[-1].span.end) for a in args),
                )
            )
    return found


def _reads(tokens: list[Token]) -> Iterator[tuple[str, Span]]:
    for token, following in pairwise(tokens):
        if token.kind == IDENTIFIER and token.text.startswith("bpf_probe_read") and _is(following, "("):
            yield token.text, token.span


def _structs(tokens: list[Token]) -> list[str]:
    """Structures at top level that no ``#if`` can take away."""
    found = []
    nesting = index = 0
    typedef = False
    while index < len(tokens):
        token = tokens[index]
        if token.kind == DIRECTIVE:
            word = conditional_words(token)
            nesting += (word == "if") - (word == "endif")
        elif _is(token, "{"):
            close = matching(tokens, index)
            tag = _tag(tokens, index)
            if tag and not nesting:
                if len(tag) > 1:
                    found.append(" ".join(tag))
                elif typedef and close + 1 < len(tokens) and tokens[close + 1].kind == IDENTIFIER:
                    found.append(tokens[close + 1].text)
            index = close
        elif _is(token, ";"):
            typedef = False
        elif token.text == "typedef":
            typedef = True
        index += 1
    return found


def _tag(tokens: list[Token], brace: int) -> tuple[str, ...]:
    """``("struct", "data_t")`` in front of a brace, ``("struct",)`` if it has no name."""
    if brace and tokens[brace - 1].text in ("struct", "union"):
        return (tokens[brace - 1].text,)
    if brace > 1 and tokens[brace - 2].text in ("struct", "union"):
        return (tokens[brace - 2].text, tokens[brace - 1].text)
    return ()


def _assignments(tokens: list[Token]) -> list[tuple[str, str]]:
    found = []
    for index in range(1, len(tokens)):
        if _is(tokens[index], "=") and tokens[index - 1].kind == IDENTIFIER:
            end = index + 1
            while end < len(tokens) and tokens[end].text not in (";", "}"):
                end = matching(tokens, end) + 1 if tokens[end].text in "([{" else end + 1
            found.append((tokens[index - 1].text, joined(tokens[index + 1 : end])))
    return found
