"""What a session counts, as kstats: any map of a ``%%ktrace`` cell can be published.

    publish(trace, "bytes", module="lesson")      # lesson:0:bytes, one statistic per key

The kstat has the session's clock: ``crtime`` is when everything was attached, or when the
session was reset, ``snaptime`` when the map was read. So counters begin anew where the
session does, and between two reads of the map no time has passed.

A second kstat, ``NAME_ledger`` of class ``ledger``, tells what was lost, why, and whether the session
runs. When the session is over both stay as they were last, as the statistics of a device that
was closed do on Solaris, until they are removed; a session that failed says why in ``message``.

============ ==================================================================================
output        statistics
============ ==================================================================================
map           one per key, named by it; the parts of a key have a comma between them; where an
              entry has several numbers ``KEY.NUMBER``
scalar        ``value``; of a script's statistics ``count``, ``sum``, ``min``, ``max``, ``avg``
histogram     one per bucket, ``LOW..HIGH``, both inclusive; with keys ``KEY,LOW..HIGH``
events        ``submitted``, ``delivered``, ``discarded``: events themselves are no statistics
============ ==================================================================================

Keys come from the kernel and may hold anything: what no pattern could ask for is written as
an escape, and a name of more than 255 bytes is cut and ends in a checksum.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from ktrace_nb.errors import OptionError
from ktrace_nb.ir.program import EVENTS, HISTOGRAM, MAP
from ktrace_nb.kstat.builtin.names import printable
from ktrace_nb.kstat.chain import Chain
from ktrace_nb.kstat.chain import chain as chain_of
from ktrace_nb.kstat.entries import Providers
from ktrace_nb.kstat.model import Id, Kstat, Type, Value
from ktrace_nb.kstat.names import LONGEST_STATISTIC, check_id
from ktrace_nb.kstat.values import MOST_STATISTICS, plain
from ktrace_nb.stream.histogram import hist_columns
from ktrace_nb.stream.ledger import REASONS

if TYPE_CHECKING:
    from ktrace_nb.session import Session

LEDGER_CLASS = "ledger"

_TRIES = 5


def publish(
    session: Session,
    output: str,
    *,
    module: str = "ktrace",
    name: str = "",
    instance: int = 0,
    class_: str = "ktrace",
    counters: bool | None = None,
    replace: bool = False,
    chain: Chain | None = None,
) -> Providers:
    """Make an output of a session a kstat, and its losses another.

    Args:
        session: The session; it may be over.
        output: Its map, scalar, histogram or stream of events.
        module: Module of the kstats.
        name: Name of the kstat; the output's if empty.
        instance: Instance of both.
        class_: Class of the kstat; that of the losses is ``ledger``.
        counters: Whether its numbers only grow. By default those of histograms, those of a script that are
            called ``count``, and unsigned ones in maps of C.
        replace: Whether it takes the place of a provider of the same name.
        chain: To which it is added; by default that of the session's target.

    Returns:
        What ``chain.remove()`` takes.

    Raises:
        KeyError: No such output.
        OptionError: It cannot be a kstat, or not be called so.
        KstatError: ``EEXIST``, there is a provider of that name.
    """
    session.frame(output)  # tells what is wrong with the name
    kind = session.outputs.kind(output)
    if kind not in (MAP, HISTOGRAM, EVENTS):
        raise OptionError(
            f"{output!r} has {kind}, which are no statistics", hint="publish a map that counts them"
        )
    id = Id(module=module, instance=instance, name=name or output)
    ledger_id = Id(module=module, instance=instance, name=f"{id.name}_ledger")
    check_id(id, class_)
    check_id(ledger_id, LEDGER_CLASS)

    def published() -> Iterator[Kstat]:
        # First: what was counted before a reset must not be taken for something after it.
        created_ns = session.since_ns
        data, at_ns = _taken(session, output, kind, counters)
        yield Kstat(id=id, class_=class_, crtime_ns=created_ns, snaptime_ns=at_ns, data=data)
        losses = _ledger(session, output)
        yield Kstat(
            id=ledger_id,
            class_=LEDGER_CLASS,
            crtime_ns=created_ns,
            snaptime_ns=session.counted_ns,
            data=losses,
        )

    entry = Providers(published, module, (class_, LEDGER_CLASS), id=id)
    return (chain or chain_of(session.target)).add(entry, replace=replace)


def _taken(session: Session, output: str, kind: str, counters: bool | None) -> tuple[dict[str, Value], int]:
    """The statistics, and of when they are."""
    if kind == EVENTS:
        entry = next((entry for entry in session.outputs.entries_of(output) if entry.name == output), None)
        counts = ("submitted", "delivered", "discarded") if entry else ()
        return {name: _count(getattr(entry, name)) for name in counts}, session.counted_ns
    # The session goes on meanwhile: its time must be that of the frame.
    for _ in range(_TRIES):
        at_ns = session.outputs.snapshot_ns(output)
        frame = session.frame(output)
        if at_ns == session.outputs.snapshot_ns(output):
            break
    of_frame = _buckets if kind == HISTOGRAM else _entries
    return dict(of_frame(frame, counters)), at_ns or session.counted_ns


def _entries(frame: pd.DataFrame, counters: bool | None) -> Iterator[tuple[str, Value]]:
    """The numbers of a map, by its keys."""
    if frame.size > MOST_STATISTICS:
        raise OptionError(f"a kstat has at most {MOST_STATISTICS} statistics, the map has {frame.size}")
    keyed = frame.index.names != [None]
    for column, values in frame.items():
        unsigned = values.dtype.kind == "u"
        # As far as anybody can tell: a sum may fall, and a maximum does not count.
        counts = (unsigned if column == "value" else column == "count") if counters is None else counters
        for label, value in zip(frame.index, values.tolist(), strict=True):
            words = [key_name(label)] if keyed else []
            if len(frame.columns) > 1 or not keyed:
                words.append(str(column))
            yield _short(".".join(words)), _value(value, unsigned=unsigned, counts=counts)


def _buckets(frame: pd.DataFrame, counters: bool | None) -> Iterator[tuple[str, Value]]:
    """The counts of a histogram, by the bounds of its buckets."""
    if len(frame) > MOST_STATISTICS:
        raise OptionError(f"a kstat has at most {MOST_STATISTICS} statistics, the histogram has {len(frame)}")
    columns = hist_columns(frame)
    rows = zip(
        frame.index,
        frame[columns.low].tolist(),
        frame[columns.high].tolist(),
        frame["count"].tolist(),
        strict=True,
    )
    for label, low, high, count in rows:
        keys = [key_name(label[:-1])] if isinstance(label, tuple) else []
        name = _short(",".join([*keys, f"{low}..{high}"]))
        yield name, Value(value=int(count), counter=counters is not False)


def key_name(label: Any) -> str:
    """The key of an entry as the name of a statistic."""
    parts = label if isinstance(label, tuple) else (label,)
    also = ":\\," if len(parts) > 1 else ":\\"
    return ",".join(printable(str(part), also=also) or '""' for part in parts)


def _short(name: str) -> str:
    data = name.encode()
    if len(data) <= LONGEST_STATISTIC:
        return name
    end = f"~{hashlib.sha256(data).hexdigest()[:16]}"
    return data[: LONGEST_STATISTIC - len(end)].decode(errors="ignore") + end


def _value(value: Any, *, unsigned: bool, counts: bool) -> Value:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        # Also lists of numbers and bytes; texts are the kernel's.
        return Value(value=int(value)) if isinstance(value, bool) else _text(str(value))
    if unsigned:
        return Value(value=value, counter=counts)
    return dataclasses.replace(plain("number", value), counter=counts)


def _text(text: str) -> Value:
    return Value(value=printable(text), type=Type.STRING)


def _count(value: int) -> Value:
    return Value(value=value, counter=True)


def _ledger(session: Session, output: str) -> dict[str, Value]:
    entries = session.outputs.entries_of(output)
    reasons = {
        reason: _count(max(0, sum(entry.losses.get(reason, 0) for entry in entries))) for reason in REASONS
    }
    return {
        "lost": _count(max(0, sum(entry.lost for entry in entries))),
        **reasons,
        "state": _text(session.state),
        "message": _text(session.message),
    }
