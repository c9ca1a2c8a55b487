"""Calls as a Chrome trace, which Perfetto (https://ui.perfetto.dev) opens.

Every call is a complete event (``X``); one that had not returned when recording ended is
a begin without end (``B``). Of a call whose return was missed the latest possible end is
known (when the thread did something outside of it), and its event ends there, with
``"state": "no return"`` among its arguments: left open it would swallow what came later.

Times are microseconds with three decimals, that is, exact nanoseconds of
``CLOCK_MONOTONIC``. Source of the format: "Trace Event Format", Google,
https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.

The text is put together column by column with Arrow, a piece of the calls at a time, so
that neither memory nor time grow with anything but the size of the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from json.encoder import encode_basestring_ascii
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ktrace_nb.stream.calls.paths import Numbers
from ktrace_nb.stream.calls.threads import IDLE_PID, Tracks, tracks_of
from ktrace_nb.stream.calls.unseen import latest_ends

PIECE = 1 << 16
"""Calls put into text at a time."""

_FRACTIONS = pa.array([f".{n:03}" for n in range(1000)])


def chrome(calls: pd.DataFrame, about: Mapping[str, Any] | None = None) -> Iterator[bytes]:
    """Write calls as a Chrome trace.

    Args:
        calls: A frame of calls, in order of entry.
        about: What else the file should tell, under ``otherData``; JSON data.
            Its ``lost``, reason to count, becomes a mark in the picture as well.

    Yields:
        Pieces of the file: JSON, all ASCII.
    """
    about = {"clock": "CLOCK_MONOTONIC", **(about or {})}
    yield f'{{"displayTimeUnit":"ns","otherData":{_json(about)},"traceEvents":[\n'.encode()
    tracks = tracks_of(calls)
    ends = latest_ends(calls)
    separator = ""
    for event in [*_names(tracks), *_losses(calls, about)]:
        yield f"{separator}{_json(event)}".encode()
        separator = ",\n"
    for start in range(0, len(calls), PIECE):
        piece = slice(start, start + PIECE)
        lines = _events(calls.iloc[piece], tracks, piece, ends[piece])
        yield separator.encode() + _bytes(lines)[: -len(",\n")]
        separator = ",\n"
    yield b"\n]}\n"


def _names(tracks: Tracks) -> Iterator[dict[str, Any]]:
    for pid, name in tracks.processes.items():
        yield {"ph": "M", "name": "process_name", "pid": pid, "tid": pid, "args": {"name": name}}
    for (pid, tid), name in tracks.threads.items():
        yield {"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": name}}


def _losses(calls: pd.DataFrame, about: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    lost = about.get("lost")
    if lost and len(calls):
        text = ", ".join(f"{count} {reason}" for reason, count in lost.items())
        at = int(calls["start_ns"].iloc[0]) / 1000
        yield {"ph": "i", "s": "g", "name": f"incomplete: {text}", "pid": IDLE_PID, "tid": IDLE_PID, "ts": at}


def _events(calls: pd.DataFrame, tracks: Tracks, piece: slice, ends: Numbers) -> pa.Array:
    start = calls["start_ns"].to_numpy(np.int64)
    seen = calls["duration_ns"].notna().to_numpy()
    duration = calls["duration_ns"].to_numpy(np.int64, na_value=0)
    duration = np.where(seen, duration, np.where(ends >= 0, ends - start, -1))
    open_ = pa.array(duration < 0)
    dur = pc.binary_join_element_wise(',"dur":', _microseconds(np.maximum(duration, 0)), "")
    return _join(
        pc.if_else(open_, '{"ph":"B","name":', '{"ph":"X","name":'),
        _dictionary(calls["function"]),
        ',"cat":"call","pid":',
        pc.cast(pa.array(tracks.pid[piece]), pa.string()),
        ',"tid":',
        pc.cast(pa.array(tracks.tid[piece]), pa.string()),
        ',"ts":',
        _microseconds(start),
        pc.if_else(open_, "", dur),
        ',"args":{"call":',
        pc.cast(pa.array(calls.index.to_numpy(np.int64)), pa.string()),
        *_told("arguments", _written(calls["arguments"])),
        *_told("return", _written(calls["return"])),
        *_told("error", _dictionary(calls["error"])),
        *_told("state", _unusual(calls["state"])),
        *_told("comm", _renamed(calls["comm"], tracks.comm[piece])),
        ',"cpu":',
        pc.cast(pa.array(calls["cpu"].to_numpy()), pa.string()),
        "}},\n",
    )


def _bytes(lines: pa.Array) -> bytes:
    """The text of all lines, which Arrow keeps in one piece."""
    _, offsets, text = lines.buffers()
    first, last = np.frombuffer(offsets, np.int32)[[lines.offset, lines.offset + len(lines)]]
    return bytes(text[int(first) : int(last)])


def _join(*parts: Any) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


def _microseconds(ns: Numbers) -> pa.Array:
    """Nanoseconds as microseconds with three decimals, without ever being a float."""
    whole = pc.cast(pa.array(ns // 1000), pa.string())
    return _join(whole, _FRACTIONS.take(pa.array(ns % 1000)))


def _told(name: str, values: pa.Array) -> list[Any]:
    """A member of ``args``, left out where there is no value."""
    return [pc.if_else(pc.is_null(values), "", f',"{name}":'), pc.fill_null(values, "")]


def _dictionary(column: pd.Series[Any]) -> pa.Array:
    """Names as JSON strings; each is written once, however often it occurs."""
    numbers, names = pd.factorize(column)
    written = pa.array([_json(str(name)) for name in names], pa.string())
    return written.take(pa.array(numbers, mask=numbers < 0))


def _unusual(states: pd.Series[Any]) -> pa.Array:
    return _dictionary(states.astype(object).where(states != "returned", None))


def _renamed(comm: pd.Series[Any], usual: np.ndarray[Any, Any]) -> pa.Array:
    """The thread's name where it is not the one its track is labelled with."""
    return _dictionary(comm.astype(object).where(comm.astype(object).to_numpy() != usual, None))


def _written(column: pd.Series[Any]) -> pa.Array:
    """Text of which every one may be different, as JSON strings."""
    texts = [text if isinstance(text, str) and text else None for text in column.tolist()]
    written = pa.array([text and encode_basestring_ascii(text) for text in texts], pa.string())
    if pc.any(pc.match_substring(written, "\\ud")).as_py():
        written = pa.array([text and _json(text) for text in texts], pa.string())
    return written


_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


def _json(value: Any) -> str:
    """JSON in ASCII, control characters and quotes escaped.

    A lone surrogate, what Python makes of a byte that is no UTF-8, becomes U+FFFD: Perfetto
    v55 never comes to an end with one.
    """
    text = _ENCODE(value)
    if "\\ud" in text:
        whole = json.dumps(value, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
        text = _ENCODE(json.loads(whole.decode("utf-16-le", "replace")))
    return text
