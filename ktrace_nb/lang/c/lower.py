"""From a parsed C cell to a :class:`~ktrace_nb.ir.program.Program`.

Four things of bcc are mended on the way, each by an edit that keeps its line:

* ``table.increment()`` loses counts when CPUs collide, and does nothing for
  absent keys of per-CPU and LRU hashes; here it is atomic and always counts.
* Every program counts its hits, behind a guard: it may be switched off, and ``-x PID``
  and ``--max-cpu`` leave hits out.
* Reads that may fail or cut a string are counted where they do.
* Programs are attached by their names, as bcc does for most of its prefixes,
  and by ``--attach`` for the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ktrace_nb.errors import CellError, OptionError, UnsupportedError
from ktrace_nb.ir.probes import KINDS, by_name
from ktrace_nb.ir.program import LINEAR, LOG2, Output, ProbeRequest, Program
from ktrace_nb.lang.c.cell import EVENTS, HISTOGRAM, MAP, Call, CCell, Function, Table
from ktrace_nb.source import Edit, Edited, Source, Span

_ATOMIC = frozenset(
    (
        "u64", "u32", "s64", "s32", "int", "long", "size_t", "uint64_t", "uint32_t", "int64_t", "int32_t",
        "__u64", "__u32", "__s64", "__s32", "unsigned", "unsigned int", "unsigned long", "long long",
        "unsigned long long",
    )
)  # fmt: skip
"""Leaf types the processor can add to in one step, as far as their names tell."""

_USDT_HINT = "usdt probes fire, but their arguments are not read; a uprobe's are, by PT_REGS_PARM1"
_UNSUPPORTED = {"bpf_usdt_readarg": _USDT_HINT, "bpf_usdt_readarg_p": _USDT_HINT}
"""What bcc's Python side would have written code for, and what to do without it."""

_COUNTED_READS = {
    "bpf_probe_read_user": "ktrace_read_user_",
    "bpf_probe_read_user_str": "ktrace_read_user_str_",
    "bpf_probe_read_kernel_str": "ktrace_read_kernel_str_",
    "bpf_probe_read_str": "ktrace_read_str_",
}
"""What stands in for helpers that may fail or cut a string, and counts that; see ledger.h."""

_ARRAYS = frozenset(("BPF_ARRAY", "BPF_PERCPU_ARRAY"))
_SUBMITS = {"perf_submit": 1, "ringbuf_output": 0, "ringbuf_submit": 0, "perf_submit_skb": 2}
"""Methods that send an event, and which argument carries it."""


def lower(
    cell: CCell,
    *,
    attach: Iterable[str] = (),
    pid: int | None = None,
    capped: bool = False,
    throttled: bool = False,
) -> Program:
    """Lower a cell.

    Args:
        cell: The parsed cell.
        attach: ``--attach`` options, ``KIND:TARGET:FUNCTION``.
        pid: Run the programs for this process only.
        capped: Events are admitted at a rate that is set while they run.
        throttled: So is the share of time that programs run.

    Raises:
        CellError: A program that goes nowhere, or no program at all.
        OptionError: An ``--attach`` that cannot be read.
    """
    programs = [f for f in cell.functions if not f.is_static]
    if not programs:
        raise CellError(
            "this cell defines no probe",
            cell.source,
            _first_line(cell.source),
            hint="define a function named after its probe, e.g. int kprobe__vfs_read(struct pt_regs *ctx)",
        )
    requests = [request for option in attach for request in _attach_option(option, programs)]
    taken = {request.function for request in requests}
    # A function may be defined twice, once for either branch of an #if.
    fresh = {function.name: function for function in programs if function.name not in taken}
    requests += [_by_name(cell, function) for function in fresh.values()]
    _refuse_unsupported(cell)
    edits = [*_counting(cell), *_reading(cell), *_beginnings(programs, pid, throttled)]
    return Program(
        source=cell.source,
        code=Edited(cell.source, edits),
        probes=tuple(requests),
        outputs=tuple(_output(cell, table) for table in cell.tables),
        structs=cell.structs if any(t.kind == EVENTS for t in cell.tables) else (),
        functions=tuple((f.name, f.span) for f in programs),
        bodies=tuple(f.body for f in cell.functions),
        pid=pid,
        capped=capped,
        throttled=throttled,
    )


def _refuse_unsupported(cell: CCell) -> None:
    for word in sorted(_UNSUPPORTED.keys() & cell.words):
        at = re.search(rf"\b{word}\b", cell.source.text)
        if at:
            raise UnsupportedError(
                f"{word} cannot be used here", cell.source, Span(*at.span()), hint=_UNSUPPORTED[word]
            )


def _first_line(source: Source) -> Span:
    number = next((n for n in range(1, source.line_count + 1) if source.line(n).strip()), 1)
    return source.line_span(number)


# --- probes ------------------------------------------------------------------------


def _by_name(cell: CCell, function: Function) -> ProbeRequest:
    request = by_name(function.name, cell.source, function.span)
    if request is None:
        raise CellError(
            f"program {function.name!r} is attached to nothing",
            cell.source,
            function.span,
            hint=f"name it kprobe__FUNCTION, or say --attach kprobe:FUNCTION:{function.name}; "
            "make it static if it is a helper",
        )
    return replace(request, conditional=function.conditional)


def _attach_option(option: str, programs: list[Function]) -> Iterator[ProbeRequest]:
    source = Source(option, "--attach")
    kind, _, rest = option.partition(":")
    target, _, function = rest.rpartition(":")
    if not (kind and target and function):
        raise OptionError(
            f"--attach {option!r}: expected KIND:TARGET:FUNCTION", hint="e.g. kprobe:vfs_*:on_vfs"
        )
    if kind not in KINDS:
        raise OptionError(f"--attach {option!r}: no kind {kind!r}", hint=f"one of {', '.join(sorted(KINDS))}")
    if function not in {f.name for f in programs}:
        raise OptionError(
            f"--attach {option!r}: the cell has no program {function!r}",
            hint=f"it has {', '.join(f.name for f in programs)}",
        )
    if kind in ("tracepoint",):
        target = target.replace(":", "/", 1)
    place = Span(len(kind) + 1, len(option) - len(function) - 1)
    yield ProbeRequest(function, kind, target, source, place)


# --- edits ---------------------------------------------------------------------------


def _counting(cell: CCell) -> Iterator[Edit]:
    tables = {table.name: table for table in cell.tables}
    for call in cell.calls:
        table = tables.get(call.table)
        if table is None or call.method not in ("increment", "atomic_increment") or not call.arguments:
            continue
        if _leaf(table) not in _ATOMIC:
            continue
        if _is_array(table):
            yield Edit(call.method_span, "atomic_increment")
        else:
            yield from _exact_increment(call)


def _exact_increment(call: Call) -> Iterator[Edit]:
    """``t.increment(key, by)`` as a look-up that makes the entry, and an atomic addition.

    The arguments stay where they are, so that bcc's own rewriting of what they
    contain, and the places in its messages, are undisturbed.
    """
    key, *rest = call.argument_spans
    by = rest[0] if rest else None
    name = call.table
    yield Edit(
        Span(call.span.start, key.start),
        f"({{ typeof({name}.leaf) *ktrace_leaf_, ktrace_zero_ = 0; typeof({name}.key) ktrace_key_ = ",
    )
    if by:
        yield Edit(Span(key.end, by.start), f"; typeof({name}.leaf) ktrace_by_ = ")
    yield Edit(
        Span((by or key).end, call.span.end),
        f"; ktrace_leaf_ = {name}.lookup_or_try_init(&ktrace_key_, &ktrace_zero_);"
        f" if (ktrace_leaf_) lock_xadd(ktrace_leaf_, {'ktrace_by_' if by else 1}); }})",
    )


def _leaf(table: Table) -> str:
    """The table's leaf type as written, bcc's default where it is left out."""
    args = table.arguments
    if table.macro in ("BPF_TABLE", "BPF_F_TABLE"):
        return args[2]
    if table.macro == "BPF_HISTOGRAM":
        return "u64"
    position = 1 if table.macro in _ARRAYS else 2
    return args[position] if len(args) > position else "u64"


def _is_array(table: Table) -> bool:
    if table.macro in ("BPF_TABLE", "BPF_F_TABLE"):
        return "array" in table.arguments[0] or (table.kind == HISTOGRAM and table.arguments[1] == "int")
    return table.macro in _ARRAYS or (
        table.kind == HISTOGRAM and (table.arguments[1:2] or ("int",))[0] == "int"
    )


def _reading(cell: CCell) -> Iterator[Edit]:
    for name, span in cell.reads:
        if name in _COUNTED_READS:
            yield Edit(span, _COUNTED_READS[name])


def _beginnings(programs: list[Function], pid: int | None, throttled: bool) -> Iterator[Edit]:
    others = [f"bpf_get_current_pid_tgid() >> 32 != {pid}"] if pid is not None else []
    skipped = ["ktrace_skip_()"] if throttled else []
    rows = {name: row for row, name in enumerate(dict.fromkeys(f.name for f in programs))}
    for function in programs:
        row = rows[function.name]
        conditions = [*others, f"ktrace_off_({row})", *skipped]
        here = Span(function.body, function.body)
        leave = "return" if function.is_void else "return 0"
        yield Edit(here, f" if ({' || '.join(conditions)}) {leave}; ktrace_hit_({row});")


# --- outputs --------------------------------------------------------------------------


def _output(cell: CCell, table: Table) -> Output:
    if table.kind == HISTOGRAM:
        return Output(table.name, HISTOGRAM, LOG2 if _is_log2(cell, table) else LINEAR)
    if table.kind == EVENTS:
        return Output(table.name, EVENTS, type_names=tuple(_event_types(cell, table)))
    kind = table.kind if table.macro.startswith("BPF_STACK_TRACE") else MAP
    lru = table.macro.startswith("BPF_LRU") or "lru" in table.arguments[0]
    return Output(table.name, kind, lru=lru)


def _is_log2(cell: CCell, table: Table) -> bool:
    """Whether a histogram's keys come from ``bpf_log2`` or ``bpf_log2l``.

    Followed through one assignment: ``slot = bpf_log2l(x)`` and ``key.slot = slot``.
    """
    keys = [call.arguments[0] for call in cell.calls if call.table == table.name and call.arguments]
    names = set(re.findall(r"[A-Za-z_]\w*", " ".join(keys)))
    seen: set[str] = set()
    while names - seen:
        if any(name.startswith("bpf_log2") for name in names):
            return True
        fresh = names - seen
        seen |= names
        texts = [text for name, text in cell.assignments if name in fresh or _is_member_of(cell, name, fresh)]
        names |= set(re.findall(r"[A-Za-z_]\w*", " ".join(texts)))
    return False


def _is_member_of(cell: CCell, member: str, variables: set[str]) -> bool:
    """Whether ``variable.member`` occurs in the text for one of the variables."""
    return any(re.search(rf"\b{name}\s*(?:\.|->)\s*{member}\b", cell.source.text) for name in variables)


def _event_types(cell: CCell, table: Table) -> Iterator[str]:
    """C types of what is submitted to an output table, as the variables are declared."""
    for call in cell.calls:
        position = _SUBMITS.get(call.method, 99)
        if call.table == table.name and len(call.arguments) > position:
            variable = call.arguments[position].lstrip("&")
            declared = re.search(
                rf"((?:struct\s+|union\s+|unsigned\s+|enum\s+)?[A-Za-z_]\w*)[\s*]+{re.escape(variable)}\s*[=;,\[]",
                cell.source.text,
            )
            if declared and declared[1] not in ("return", "else"):
                yield " ".join(declared[1].split())
