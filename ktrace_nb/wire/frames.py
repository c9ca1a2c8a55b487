"""Messages over a byte stream.

One message is a fixed header, a JSON object and an optional blob::

    offset size field
         0    4 magic, b"KTNB"
         4    1 protocol version
         5    1 kind: 0 request, 1 reply, 2 event
         6    2 reserved, 0
         8    4 length of the JSON text in bytes
        12    4 length of the blob in bytes

all little-endian. Blobs carry what would be wasteful as JSON: instructions,
BTF, map snapshots, ring spans. Nothing is ever pickled.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

PROTOCOL_VERSION = 2
MAGIC = b"KTNB"
HEADER = struct.Struct("<4sBBHII")
MAX_HEAD = 16 << 20
MAX_BLOB = 1 << 30

SMALL = 1 << 15
"""A message of fewer bytes is written in one piece."""

REQUEST, REPLY, EVENT = 0, 1, 2

PEEK = struct.Struct("<QII")
"""A read of the kernel's memory in the blob of ``peek``: address, bytes at most, whether it ends at a NUL."""


class WireError(Exception):
    """The other side does not speak this protocol."""


class ChannelClosed(Exception):  # noqa: N818 (the ordinary end of a stream, not a fault)
    """The stream ended, between two messages or in the middle of one."""


@dataclass(frozen=True)
class Message:
    """One request, reply or event."""

    kind: int
    head: dict[str, Any]
    blob: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """The message as bytes."""
        return b"".join(encode_parts(self.kind, self.head, [self.blob]))


Call = Callable[..., Message]
"""Asks the agent and gives its reply: operation, blob, then the head's fields by name."""


def encode_parts(kind: int, head: dict[str, Any], blobs: Sequence[bytes]) -> list[bytes]:
    """A message whose blob comes in pieces, as pieces to be written one after the other.

    Large pieces are not copied.
    """
    text = json.dumps(head, separators=(",", ":")).encode()
    size = sum(map(len, blobs))
    start = HEADER.pack(MAGIC, PROTOCOL_VERSION, kind, 0, len(text), size) + text
    return [start + b"".join(blobs)] if size < SMALL else [start, *blobs]


def read_message(read_exactly: Callable[[int], bytes]) -> Message:
    """Read one message.

    Args:
        read_exactly: Returns as many bytes as asked for, or raises
            :class:`ChannelClosed`.

    Raises:
        WireError: Not a message of this protocol version.
        ChannelClosed: The stream ended.
    """
    magic, version, kind, _, head_length, blob_length = HEADER.unpack(read_exactly(HEADER.size))
    if magic != MAGIC:
        raise WireError(f"expected a ktrace_nb message, found {magic!r}")
    if version != PROTOCOL_VERSION:
        raise WireError(f"the other side speaks protocol {version}, this one {PROTOCOL_VERSION}")
    if kind not in (REQUEST, REPLY, EVENT) or head_length > MAX_HEAD or blob_length > MAX_BLOB:
        raise WireError("malformed message header")
    try:
        head = json.loads(read_exactly(head_length))
    except ValueError as error:
        raise WireError(f"malformed message: {error}") from None
    if not isinstance(head, dict):
        raise WireError("malformed message: expected an object")
    return Message(kind, head, read_exactly(blob_length) if blob_length else b"")
