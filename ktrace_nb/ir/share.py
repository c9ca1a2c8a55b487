"""Handlers of many system calls made into few programs.

A probe at every system call is some 370 handlers, which differ in little but what the
notebook does with the arguments. As many programs would take long to compile and to
load, and every one of them would run at every call. Handlers that read the same memory
and are alike in the rest become one program: it sends the call's number and raw
arguments, and the notebook computes each call's values from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk
from ktrace_nb.ir.script import Shape, Type
from ktrace_nb.ir.simplify import is_pure

_CONTEXTS = ("sys_enter", "sys_exit")
_ARITHMETIC = ("+", "-", "*", "<<", ">>", "&", "|", "^")
"""What cannot fail: division can."""
_NUMBER = ir.Intrinsic("__syscall_nr")


def share_programs(placed: ir.Placed) -> ir.Placed:
    """A placed script in which handlers of system calls that are alike have one program."""
    records = {record.number: record for record in placed.records}
    groups: dict[object, list[list[_Member]]] = {}
    handlers: dict[int, ir.KernelHandler] = {}
    for handler in map(_without_unread, placed.kernel_handlers):
        handlers[handler.handler.number] = handler
        if handler.handler.context in _CONTEXTS and handler.handler.syscalls and not handler.entry:
            member = _Member(handler, [_Sent(ship, records[ship.record]) for ship in _ships(handler.body)])
            _join(groups.setdefault(member.key, []), member)
    numbers = count(max(records, default=0) + 1)
    sites = _Sites()
    for group in (g for alike in groups.values() for g in alike if len(g) > 1):
        shared, made = _shared(group, numbers, sites)
        records.update({record.number: record for record in made})
        for member in group:
            del handlers[member.handler.handler.number]
            for sent in member.sent:
                del records[sent.record.number]
        handlers[shared.handler.number] = shared
    return _replaced(placed, handlers, records)


def _replaced(
    placed: ir.Placed, handlers: Mapping[int, ir.KernelHandler], records: Mapping[int, ir.Record]
) -> ir.Placed:
    whole = {h.number: h for h in placed.script.handlers}
    gone = {h.handler.number for h in placed.kernel_handlers} - handlers.keys()
    whole = {number: h for number, h in whole.items() if number not in gone}
    whole.update({number: replace(h.handler, body=whole[number].body) for number, h in handlers.items()})
    return replace(
        placed,
        script=replace(placed.script, handlers=tuple(whole.values())),
        kernel_handlers=tuple(handlers[number] for number in sorted(handlers)),
        records=tuple(records[number] for number in sorted(records)),
    )


def _ships(body: ir.Body) -> list[ir.Ship]:
    return [s for s in walk.statements(body) if isinstance(s, ir.Ship)]


# --- variables nobody reads ----------------------------------------------------------------


def _without_unread(handler: ir.KernelHandler) -> ir.KernelHandler:
    """A handler without the setting of variables that nothing reads, which aliases leave behind."""
    body = handler.body
    while True:
        read = _read(body)

        def change(statement: ir.Stmt, read: set[str] = read) -> ir.Body | ir.Stmt:
            match statement:
                case ir.Evaluate(expr=ir.Assign(target=ir.Local(name=name), value=value)):
                    return () if name not in read and is_pure(value) else statement
            return statement

        made = walk.changed_body(body, change)
        if made == body:
            break
        body = made
    names = walk.locals_read(body)
    return replace(handler, body=body, locals=tuple(v for v in handler.locals if v.name in names))


def _read(body: ir.Body) -> set[str]:
    """Locals of which more is wanted than that they be set."""
    found: set[str] = set()
    for statement in walk.statements(body):
        if isinstance(statement, ir.Evaluate) and isinstance(statement.expr, ir.Assign):
            assign = statement.expr
            if isinstance(assign.target, ir.Local):
                found |= walk.locals_read(assign.value)
                continue
        own: list[ir.Expr] = []
        walk.with_children(statement, lambda e, own=own: own.append(e) or e)  # type: ignore[misc]
        for expr in own:
            found |= walk.locals_read(expr)
    return found


# --- what is alike --------------------------------------------------------------------------


class _Sent:
    """What a handler sends, as raw values and what the notebook makes of them."""

    def __init__(self, ship: ir.Ship, record: ir.Record) -> None:
        self.record = record
        self.arguments: list[ir.Expr] = []
        """Arguments and results: which of them does not matter, they are cheap to send."""
        self.reads: dict[ir.Expr, Shape] = {}
        """The rest: memory and what is known of the task."""
        self.values = [
            self._raw(value, shape) for value, shape in zip(ship.values, record.values, strict=True)
        ]
        """The values, where nothing is captured yet."""

    def _raw(self, expr: ir.Expr, shape: Shape) -> ir.Expr:
        """Note what must be sent for a value; gives the value."""
        match expr:
            case ir.Number() | ir.Text():
                return expr
            case ir.Argument() | ir.Result():
                if expr not in self.arguments:
                    self.arguments.append(expr)
                return expr
        if _is_arithmetic(expr):
            return walk.with_children(expr, lambda child: self._raw(child, ir.LONG))
        self.reads.setdefault(expr, shape)
        return expr


def _is_arithmetic(expr: ir.Expr) -> bool:
    """Whether a node only computes with integers, as the notebook can as well."""
    if expr.type is not Type.LONG or any(child.type is not Type.LONG for child in walk.children(expr)):
        return False
    match expr:
        case ir.Binary(op=op):
            return op in _ARITHMETIC
        case ir.Unary() | ir.Compare() | ir.Logical() | ir.Choose() | ir.Extend():
            return True
    return False


@dataclass
class _Member:
    """A handler that may share its program."""

    handler: ir.KernelHandler
    sent: list[_Sent]

    @property
    def key(self) -> object:
        """Equal for handlers that can share a program."""
        handler = self.handler.handler
        where = (handler.context, handler.at, tuple((r.kind, r.target) for r in handler.requests))
        body = walk.changed_body(
            self.handler.body, lambda s: replace(s, record=0, values=()) if isinstance(s, ir.Ship) else s
        )
        return where, body, self.handler.locals, tuple(frozenset(sent.reads.items()) for sent in self.sent)


def _join(groups: list[list[_Member]], member: _Member) -> None:
    """Put a member into the first group that it fits into."""
    for group in groups:
        if all(_fits(member, other) for other in group):
            group.append(member)
            return
    groups.append([member])


def _fits(a: _Member, b: _Member) -> bool:
    """Whether no call is for both, and variables of one name have one type."""
    if set(a.handler.handler.syscalls) & set(b.handler.handler.syscalls):
        return False
    types = {v.name: v.type for sent in a.sent for v in sent.record.locals}
    return all(types.get(v.name, v.type) is v.type for sent in b.sent for v in sent.record.locals)


# --- what they become -----------------------------------------------------------------------


@dataclass
class _Sites:
    """Numbers of places that print: what was one ``printf`` in the script is one again."""

    _known: dict[object, int] = field(default_factory=dict)

    def of(self, statement: ir.Print) -> int:
        """The number of the first like it."""
        types = tuple(argument.type for argument in statement.arguments)
        key = (statement.at, statement.pieces, types, statement.names)
        return self._known.setdefault(key, statement.site)


def _shared(
    group: Sequence[_Member], numbers: count[int], sites: _Sites
) -> tuple[ir.KernelHandler, list[ir.Record]]:
    """One handler for several, and the records it sends."""
    first = group[0].handler
    syscalls = sorted(n for m in group for n in m.handler.handler.syscalls)
    names = [m.handler.handler.name for m in group]
    start = _common(names)
    end = _common([name[len(start) :][::-1] for name in names])[::-1]
    handler = replace(first.handler, syscalls=tuple(syscalls), name=f"{start}*{end}")
    records: list[ir.Record] = []
    ships: list[ir.Ship] = []
    for index, ship in enumerate(_ships(first.body)):
        sent = [member.sent[index] for member in group]
        arguments = list(dict.fromkeys(a for s in sent for a in s.arguments))
        values = [_NUMBER, *arguments, *sent[0].reads]
        shapes = [ir.LONG] * (1 + len(arguments)) + list(sent[0].reads.values())
        where = {value: place for place, value in enumerate(values)}
        bodies = {
            number: _beside(s, where, sites)
            for member, s in zip(group, sent, strict=True)
            for number in member.handler.handler.syscalls
        }
        locals_ = {v.name: v for s in sent for v in s.record.locals}
        number = next(numbers)
        body = _chosen(sorted(bodies.items()))
        records.append(ir.Record(number, handler.number, tuple(shapes), body, tuple(locals_.values())))
        ships.append(replace(ship, record=number, values=tuple(values)))
    waiting = iter(ships)
    body = walk.changed_body(first.body, lambda s: next(waiting) if isinstance(s, ir.Ship) else s)
    return replace(first, handler=handler, body=body), records


def _common(names: Sequence[str]) -> str:
    """What names begin with."""
    first, last = min(names), max(names)
    return first[
        : next((i for i, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), len(first))
    ]


def _beside(sent: _Sent, where: Mapping[ir.Expr, int], sites: _Sites) -> ir.Body:
    """What the notebook does with one call's record."""

    def captured(expr: ir.Expr) -> ir.Expr:
        if expr in where:
            return ir.Captured(where[expr], type=expr.type, at=expr.at)
        return walk.with_children(expr, captured)

    values = [captured(value) for value in sent.values]

    def change(expr: ir.Expr) -> ir.Expr:
        if isinstance(expr, ir.Captured):
            return values[expr.index]
        return walk.with_children(expr, change)

    def numbered(statement: ir.Stmt) -> ir.Stmt:
        return replace(statement, site=sites.of(statement)) if isinstance(statement, ir.Print) else statement

    return walk.changed_body(walk.changed_expressions(sent.record.body, change), numbered)


def _chosen(bodies: Sequence[tuple[int, ir.Body]]) -> ir.Body:
    """The body of the call whose number was sent, found by halving."""
    if all(body == bodies[0][1] for _, body in bodies):
        return bodies[0][1]
    middle = len(bodies) // 2
    below = ir.Compare("<", ir.Captured(0), ir.Number(bodies[middle][0]))
    return (ir.If(below, _chosen(bodies[:middle]), _chosen(bodies[middle:])),)
