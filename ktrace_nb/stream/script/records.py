"""Records that a script's programs send: from a span of the ring to values.

A span is cut with one precompiled format per number of a record. Most spans hold
one kind of record, all in one stride; then the whole span is read by one call.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ktrace_nb.errors import StreamError
from ktrace_nb.ir import script_layout as layout
from ktrace_nb.ir.script import Record, Shape
from ktrace_nb.stream.records import DISCARD, LENGTH
from ktrace_nb.stream.script.errors import Fault

NameOf = Callable[[str, int], str]
"""Text for a number that stands for a string: the function's name, the number."""

_HEADER = struct.Struct("<II")
_NUMBER_AT = 8
_HEAD = struct.Struct("<IIQQ")
_ERROR = struct.Struct("<IIQ")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A record of one of the script's own kinds."""

    number: int
    ktime: int
    faults: int
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A handler in the kernel ended by an error."""

    handler: int
    site: int
    """Index of the :class:`~ktrace_nb.ir.script_layout.Site`; -1 if :attr:`text` tells."""
    detail: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Exited:
    """A handler in the kernel called ``exit()``."""

    handler: int


class _Form:
    """How the records of one number are read."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        slots = "".join(_slot(shape) for shape in shapes)
        self.size = layout.record_offsets(shapes)[-1]
        self.payload = struct.Struct("<IIQQ" + slots)
        # The ring's own header in front: a span of nothing else is one sequence of these.
        self.whole = struct.Struct("<8xIIQQ" + slots)
        self.texts = tuple(i for i, shape in enumerate(shapes) if layout.is_text(shape))
        self.symbols = tuple((i, shape.symbol) for i, shape in enumerate(shapes) if shape.symbol)


def _slot(shape: Shape) -> str:
    return f"{layout.slot_size(shape)}s" if layout.is_text(shape) else "q"


class RecordReader:
    """Reads the spans of a script's ring.

    Args:
        records: The script's kinds of records.
        name_of: Makes strings of numbers that stand for them.
    """

    def __init__(self, records: Sequence[Record], name_of: NameOf) -> None:
        self._forms = {record.number: _Form(record.values) for record in records}
        self._name_of = name_of
        self.arrived = 0
        """Records so far, of any kind."""
        self.discarded = 0
        """Records that a program gave up after it had reserved them."""
        self.unread = 0
        """Records of an unknown number or of the wrong size."""

    def forget(self) -> None:
        """Count from zero."""
        self.arrived = self.discarded = self.unread = 0

    def read(self, span: bytes) -> Iterator[Arrived | Failed | Exited]:
        """The records of a span, in order.

        Raises:
            StreamError: The span does not end where its last record does.
        """
        alike = self._alike(span)
        if alike is None:
            yield from self._walk(span)
            return
        form, number = alike
        for found in form.whole.iter_unpack(span):
            self.arrived += 1
            yield self._arrived(form, number, found)

    def _alike(self, span: bytes) -> tuple[_Form, int] | None:
        if len(span) % 8:
            raise StreamError(f"a span of {len(span)} bytes, wanted a multiple of 8")
        if len(span) < _NUMBER_AT + layout.HEAD_SIZE:
            return None
        length, _, number = struct.unpack_from("<III", span)
        form = self._forms.get(number)
        if form is None or length != form.size or len(span) % form.whole.size:
            return None
        stride = form.whole.size
        count = len(span) // stride
        words = memoryview(span).cast("I")
        lengths, numbers = words[:: stride // 4], words[2 :: stride // 4]
        same = lengths.tolist() == [length] * count and numbers.tolist() == [number] * count
        return (form, number) if same else None

    def _walk(self, span: bytes) -> Iterator[Arrived | Failed | Exited]:
        at = 0
        while at < len(span):
            (header, _) = _HEADER.unpack_from(span, at)
            size = header & LENGTH
            end = at + ((size + 15) & ~7)
            if end > len(span):
                raise StreamError("a span ends in the middle of a record")
            if header & DISCARD:
                self.discarded += 1
            else:
                self.arrived += 1
                record = self._read_one(span, at + _HEADER.size, size)
                if record is None:
                    self.unread += 1
                else:
                    yield record
            at = end

    def _read_one(self, span: bytes, at: int, size: int) -> Arrived | Failed | Exited | None:
        if size < layout.HEAD_SIZE:
            return None
        number, handler, _, _ = _HEAD.unpack_from(span, at)
        form = self._forms.get(number)
        if form is not None and form.size == size:
            return self._arrived(form, number, form.payload.unpack_from(span, at))
        if number == layout.EXIT:
            return Exited(handler)
        if number == layout.ERROR and size >= layout.ERROR_SIZE:
            site, _, detail = _ERROR.unpack_from(span, at + layout.HEAD_SIZE)
            return Failed(handler, site, detail)
        if number == layout.ERROR_TEXT:
            return Failed(handler, -1, text=text_in(span[at + layout.HEAD_SIZE : at + size]))
        return None

    def _arrived(self, form: _Form, number: int, found: tuple[Any, ...]) -> Arrived:
        values: tuple[Any, ...] = found[4:]
        faults = found[3]
        if form.texts or form.symbols or faults:
            values = self._finished(form, list(values), faults)
        return Arrived(number, found[2], faults, values)

    def _finished(self, form: _Form, values: list[Any], faults: int) -> tuple[Any, ...]:
        for i in form.texts:
            if faults >> i & 1:
                values[i] = int.from_bytes(values[i][:8], "little")
            else:
                values[i] = text_in(values[i])
        for i, symbol in form.symbols:
            values[i] = self._name_of(symbol, values[i])
        if faults:
            for i in range(len(values)):
                if faults >> i & 1:
                    values[i] = Fault(values[i])
        return tuple(values)


def text_in(slot: bytes) -> str:
    """The string in a slot, one character per byte."""
    return slot.split(b"\0", 1)[0].decode("latin-1")
