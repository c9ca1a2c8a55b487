"""Event streams: records appended as they arrive, a frame at any moment.

Columns grow by doubling, so appending costs what the new rows cost and a frame
is a view of what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream import layout as kinds
from ktrace_nb.stream.decode import categories, distinct, finish, look_at
from ktrace_nb.stream.layout import Column, Layout
from ktrace_nb.stream.records import Cut, Payloads
from ktrace_nb.stream.window import Events

KEEP_BYTES = 1 << 30
"""What the records a stream keeps may take; what comes later is counted, not kept."""

_FIRST_CAPACITY = 1024


class EventStream:
    """The records of one output table.

    Args:
        layouts: What a record may be, best guess first. A record is read as the
            first layout it has the size of (its buffer may pad it to 8 bytes).
        keep_bytes: How much the records kept may take.
    """

    def __init__(self, layouts: Sequence[Layout], *, keep_bytes: int = KEEP_BYTES) -> None:
        self.layouts = tuple(layouts)
        self.tables = [_Table(layout) for layout in layouts]
        self._keep_bytes = self._room = keep_bytes
        self._before = 0
        self.arrived = 0
        """Records that arrived here."""
        self.discarded = 0
        """Records the program gave up after reserving them."""
        self.unread = 0
        """Records of a size no layout has."""
        self.not_kept = 0
        """Records that came when there was no room left."""

    @property
    def generation(self) -> int:
        """Changes with every record, and when they are forgotten."""
        return self._before + self.arrived

    def forget(self) -> None:
        """Begin anew, as if nothing had come; what was handed out stays as it is."""
        self._before += self.arrived + 1
        self.tables = [_Table(layout) for layout in self.layouts]
        self._room = self._keep_bytes
        self.arrived = self.discarded = self.unread = self.not_kept = 0

    def add(self, cut: Cut) -> None:
        """Append what was in a span."""
        self.discarded += cut.discarded
        for payloads in cut.batches:
            self.arrived += len(payloads)
            self._add_batch(payloads)

    def _add_batch(self, payloads: Payloads) -> None:
        size = payloads.shape[1]
        table = next((t for t in self.tables if t.layout.size <= size < t.layout.size + 8), None)
        if table is None:
            self.unread += len(payloads)
            return
        kept = payloads[: max(0, self._room // max(1, size))]
        self._room -= kept.size
        self.not_kept += len(payloads) - len(kept)
        table.append(kept)

    def events(self) -> Events:
        """Everything so far, in the order of arrival."""
        filled = [table for table in self.tables if table.rows]
        return Events([(table.layout.type_name, table.frame()) for table in filled or self.tables[:1]])


class _Table:
    """Growing columns of one layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.rows = 0
        self._columns = [_growing(column) for column in layout.columns]

    def append(self, payloads: Payloads) -> None:
        if not len(payloads):
            return
        for column in self._columns:
            column.append(payloads, self.rows)
        self.rows += len(payloads)

    def frame(self) -> pd.DataFrame:
        values = {column.name: column.values(self.rows) for column in self._columns}
        return pd.DataFrame(values, index=pd.RangeIndex(self.rows), copy=False)


class _Growing:
    """One column; the stored form is the shown one."""

    def __init__(self, column: Column) -> None:
        self.name = column.name
        self._column = column
        self._store: NDArray[Any] | None = None

    def append(self, payloads: Payloads, rows: int) -> None:
        self._put(self._stored(look_at(payloads, self._column)), rows)

    def _stored(self, raw: NDArray[Any]) -> NDArray[Any]:
        return raw

    def _put(self, values: NDArray[Any], rows: int) -> None:
        needed = rows + len(values)
        if self._store is None:
            self._store = np.empty((max(_FIRST_CAPACITY, needed), *values.shape[1:]), values.dtype)
        wider = np.promote_types(self._store.dtype, values.dtype)
        if needed > len(self._store) or wider != self._store.dtype:
            room = len(self._store) if needed <= len(self._store) else max(2 * len(self._store), needed)
            grown = np.empty((room, *values.shape[1:]), wider)
            grown[:rows] = self._store[:rows]
            self._store = grown
        self._store[rows:needed] = values

    def _filled(self, rows: int, dtype: Any) -> NDArray[Any]:
        return np.empty(0, dtype) if self._store is None else self._store[:rows]

    def values(self, rows: int) -> Any:
        # The rows handed out never change; later ones are written behind them.
        view = self._filled(rows, np.dtype(self._column.dtype).newbyteorder("="))
        view.flags.writeable = False
        return view


class _GrowingCategorical(_Growing):
    """Codes grow; each distinct value is written out once."""

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        write = categories(column)
        assert write is not None
        self._write = write
        self._codes: dict[bytes, int] = {}
        self._texts: dict[str, int] = {}

    def _stored(self, raw: NDArray[Any]) -> NDArray[Any]:
        codes, values = distinct(raw)
        for value in values:
            if value not in self._codes:
                self._codes[value] = self._texts.setdefault(self._write(value), len(self._texts))
        chosen = [self._codes[value] for value in values]
        return np.array(chosen, _code_type(len(self._texts)))[codes]

    def values(self, rows: int) -> Any:
        names = pd.Index(list(self._texts), dtype=object).astype(str)
        return pd.Categorical.from_codes(self._filled(rows, np.int8), categories=names, validate=False)


def _code_type(count: int) -> type[np.signedinteger[Any]]:
    """The integer that pandas keeps the codes of so many categories in: no copy is made of ours."""
    return next(t for t in (np.int8, np.int16, np.int32, np.int64) if count < np.iinfo(t).max)


class _GrowingObjects(_Growing):
    """Wide integers and lists: kept as bytes, made into objects when shown."""

    def values(self, rows: int) -> Any:
        return finish(self._filled(rows, np.dtype(self._column.dtype)), self._column)


def _growing(column: Column) -> _Growing:
    if column.kind in (kinds.TEXT, kinds.ENUM, kinds.IPV4, kinds.IPV6):
        return _GrowingCategorical(column)
    if column.kind in (kinds.WIDE, kinds.ARRAY):
        return _GrowingObjects(column)
    return _Growing(column)
