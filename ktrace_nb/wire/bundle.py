"""A bundle: everything needed to run one cell on one kernel.

The compiler writes it, the agent loads it, the cache keeps it. Numbers are the
kernel's own (``include/uapi/linux/bpf.h``).
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass, fields
from typing import Any

from ktrace_nb.wire.frames import WireError

FORMAT = 2

# enum bpf_map_type
HASH, ARRAY, PERF_EVENT_ARRAY, PERCPU_HASH, PERCPU_ARRAY, STACK_TRACE = 1, 2, 4, 5, 6, 7
LRU_HASH, LRU_PERCPU_HASH, LPM_TRIE, RINGBUF = 9, 10, 11, 27
PERCPU_TYPES = frozenset((PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH))
LISTABLE_TYPES = frozenset((HASH, ARRAY, LRU_HASH, STACK_TRACE, LPM_TRIE)) | PERCPU_TYPES
"""Map types whose entries the kernel lists."""
# enum bpf_prog_type
KPROBE, TRACEPOINT, PERF_EVENT, RAW_TRACEPOINT, TRACING, LSM = 2, 5, 7, 17, 26, 29
# enum bpf_attach_type
TRACE_FENTRY, TRACE_FEXIT, LSM_MAC, TRACE_KPROBE_MULTI = 24, 25, 27, 42

MULTI_KINDS = ("kprobe_multi", "kretprobe_multi")
"""Kinds of :class:`AttachPoint` that are at many functions."""

LEDGER = "ktrace_ledger"
"""The name under which the ledger map is collected."""

LEDGER_FD = 0x7FFFFFF0
"""The map "descriptor" that compiled code uses for the session's ledger map."""

CONTROL_FD = 0x7FFFFFF1
"""The same for the map that :class:`Control` is written to."""

HITS_FD = 0x7FFFFFF2
"""The same for the map that counts hits, one u64 per ``hits_row`` and CPU."""

SWITCH_FD = 0x7FFFFFF3
"""The same for the map that switches programs, one u64 per ``hits_row``."""

ON, PAUSED, SILENT = 0, 1, 2
"""Words of the switch map: the program runs; it returns at once and counts that it did; it
returns at once without a word."""

SESSION_FIELDS = ("faulted", "truncated", "skipped", "unmatched", "paused")
"""What of :data:`LEDGER_FIELDS` row 0 of the ledger map has, which is the session's own."""

LEDGER_FIELDS = (
    *("submitted", "dropped", "capped", "full", "no_memory", "busy", "other", "inserted", "deleted"),
    *SESSION_FIELDS,
)
"""What the ledger map counts per row and CPU, one u64 each.

Row 1 is that of the map whose ``slot`` is 0, and so on.
"""

PERIOD_NS = 1 << 27
"""Of every so many nanoseconds programs run for a part under ``--max-cpu``; a power of two."""
WINDOW_S = 0.1
"""Time over which ``--max-rate`` counts."""


@dataclass(frozen=True)
class Control:
    """What a running session tells its programs; ``struct ktrace_control_`` of ledger.h."""

    most: int
    """Events admitted per :data:`WINDOW_S`, over all CPUs."""
    on_ns: int
    """How much of each :data:`PERIOD_NS` the programs run."""

    def encode(self) -> bytes:
        """The map's value; the two words that programs count in start at 0."""
        return struct.pack("<4Q", self.most, self.on_ns, 0, 0)


@dataclass(frozen=True)
class MapDef:
    """A map to create."""

    fd: int
    """The number that stands for this map in the instructions."""
    name: str
    type: int
    key_size: int
    value_size: int
    max_entries: int
    """0 means one entry per possible CPU."""
    flags: int = 0
    btf_key: int = 0
    """Type id of the key in the bundle's BTF, 0 for none."""
    btf_value: int = 0
    inner_fd: int = 0
    slot: int = -1
    """This map's row in the session's ledger map, -1 for none."""
    role: str = "map"
    """``map``, ``ring`` (BPF ring buffer) or ``perf_output`` (per-CPU perf buffers)."""


@dataclass(frozen=True)
class ProgramDef:
    """A program to load; one function of the cell."""

    name: str
    type: int
    license: str
    insns: bytes
    """``struct bpf_insn``, 8 bytes each; map references carry :attr:`MapDef.fd`."""
    attach_type: int = 0
    attach_btf_id: int = 0
    attach_module: str = ""
    """The module whose BTF the id belongs to; empty for vmlinux."""
    hits_row: int = -1
    """Where the program counts its hits; -1 if it does not."""
    kern_version: int = 0
    flags: int = 0
    func_info: bytes = b""
    func_info_size: int = 0
    line_info: bytes = b""
    line_info_size: int = 0


@dataclass(frozen=True)
class AttachPoint:
    """Where one program is attached.

    ``kind`` decides which of the other fields count:

    ==================== =====================================================
    kprobe, kretprobe    ``target`` function, ``offset``, ``cookie``, ``optional``
    kprobe_multi,        ``places`` or else ``names``, ``cookies``, ``optional``;
    kretprobe_multi      ``target`` is for people
    fentry, fexit        ``cookie``, ``optional``: the program knows its function
    lsm                  nothing: the program knows its hook
    tracepoint           ``target`` as ``category/event``
    raw_tracepoint       ``target`` event
    uprobe, uretprobe    ``path``, ``target`` symbol or empty, ``offset``, ``pid``
    usdt                 ``path``, ``target`` as ``provider:name``, ``pid``
    perf                 ``perf_type``, ``perf_config``, ``period`` or
                         ``frequency`` (Hz), ``cpu`` (-1: every one), ``pid``
    ==================== =====================================================
    """

    program: str
    kind: str
    target: str = ""
    offset: int = 0
    path: str = ""
    pid: int = -1
    perf_type: int = 0
    perf_config: int = 0
    period: int = 0
    frequency: int = 0
    cpu: int = -1
    cookie: int = 0
    """What ``bpf_get_attach_cookie`` gives; 0 for none."""
    places: bytes = b""
    """Where functions begin, u64 each, little endian."""
    names: bytes = b""
    """Functions, newline between them: of each place its own, or in place of places."""
    cookies: bytes = b""
    """What ``bpf_get_attach_cookie`` gives at each of them, u64 each; empty for none."""
    optional: int = 0
    """1: what the kernel refuses is left out and told; 0: it is an error."""

    @property
    def functions(self) -> int:
        """How many functions the point is at."""
        if self.kind not in MULTI_KINDS:
            return 1
        return len(self.places) // 8 or len(self.names.splitlines())


@dataclass(frozen=True)
class GraphDef:
    """Functions whose calls ftrace's tracer ``function_graph`` writes down."""

    functions: str
    """As ``available_filter_functions`` has them, ``NAME`` or ``NAME [MODULE]``, newline between them."""
    roots: str = ""
    """Names of functions, newline between them: only what happens below these; empty for everything."""
    depth: int = 0
    """Only so many levels, 1 is the outermost; 0 for all."""
    buffer_kb: int = 4096
    """Room per CPU; the agent gives less where that is much for the machine."""
    tracked: int = 0
    """1: only processes that ``graph_track`` names and their children, nothing before the first."""


@dataclass(frozen=True)
class Bundle:
    """Maps, programs and where they go."""

    maps: tuple[MapDef, ...]
    programs: tuple[ProgramDef, ...]
    attach: tuple[AttachPoint, ...] = ()
    btf: bytes = b""
    """The programs' own BTF: the types of maps and events."""
    graph: GraphDef | None = None

    @property
    def own_maps(self) -> tuple[MapDef, ...]:
        """What compiled code uses besides the cell's maps: ledger, hits, control, switch."""
        rows = 2 + max((m.slot for m in self.maps), default=-1)
        programs = max(1, 1 + max((p.hits_row for p in self.programs), default=0))
        return (
            MapDef(LEDGER_FD, LEDGER, PERCPU_ARRAY, 4, 8 * len(LEDGER_FIELDS), rows),
            MapDef(HITS_FD, "ktrace_hits", PERCPU_ARRAY, 4, 8, programs),
            MapDef(CONTROL_FD, "ktrace_control", ARRAY, 4, len(Control(0, 0).encode()), 1),
            MapDef(SWITCH_FD, "ktrace_switch", ARRAY, 4, 8, programs),
        )


_BLOBS = ("insns", "func_info", "line_info")
_POINT_BLOBS = ("places", "names", "cookies")


def encode_bundle(bundle: Bundle) -> bytes:
    """The bundle as bytes: u32 length, JSON, then the blobs it points into."""
    blob = bytearray()

    def stow(data: bytes) -> list[int]:
        blob.extend(data)
        return [len(blob) - len(data), len(data)]

    programs = []
    for program in bundle.programs:
        plain = asdict(program)
        for name in _BLOBS:
            plain[name] = stow(plain[name])
        programs.append(plain)
    points = []
    for point in bundle.attach:
        plain = asdict(point)
        for name in _POINT_BLOBS:
            plain[name] = stow(plain[name])
        points.append(plain)
    head = {
        "format": FORMAT,
        "maps": [asdict(m) for m in bundle.maps],
        "programs": programs,
        "attach": points,
        "btf": stow(bundle.btf),
        "graph": asdict(bundle.graph) if bundle.graph else None,
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    return struct.pack("<I", len(text)) + text + bytes(blob)


def decode_bundle(data: bytes) -> Bundle:
    """Read a bundle back.

    Raises:
        WireError: Not a bundle of this format.
    """
    try:
        (length,) = struct.unpack_from("<I", data)
        head = json.loads(data[4 : 4 + length])
        if head["format"] != FORMAT:
            raise WireError(f"bundle format {head['format']!r}, expected {FORMAT}")
        blob = data[4 + length :]

        def fetch(place: list[int]) -> bytes:
            start, size = place
            if not (start >= 0 and size >= 0 and start + size <= len(blob)):
                raise WireError("malformed bundle: a blob lies outside")
            return blob[start : start + size]

        programs = []
        for plain in head["programs"]:
            programs.append(_checked(ProgramDef, {**plain, **{n: fetch(plain[n]) for n in _BLOBS}}))
        points = []
        for plain in head["attach"]:
            points.append(_checked(AttachPoint, {**plain, **{n: fetch(plain[n]) for n in _POINT_BLOBS}}))
        return Bundle(
            maps=tuple(_checked(MapDef, m) for m in head["maps"]),
            programs=tuple(programs),
            attach=tuple(points),
            btf=fetch(head["btf"]),
            graph=_checked(GraphDef, head["graph"]) if head.get("graph") is not None else None,
        )
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WireError(f"malformed bundle: {error}") from None


_TYPES: dict[str, type] = {"int": int, "str": str, "bytes": bytes}


def _checked(cls: Any, plain: dict[str, Any]) -> Any:
    """Build a record of ``cls``, every field of the declared type."""
    for item in fields(cls):
        if item.name in plain and type(plain[item.name]) is not _TYPES[str(item.type)]:
            raise WireError(f"malformed bundle: {cls.__name__}.{item.name}")
    return cls(**plain)
