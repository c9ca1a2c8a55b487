"""Placed scripts run in a lab without the notebook's part of them."""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from ktrace_nb.codegen.script import ScriptOptions, generate, program_of
from ktrace_nb.compiler.build import Built, build
from ktrace_nb.compiler.client import CompilerWorker
from ktrace_nb.compiler.verifier import verifier_error
from ktrace_nb.errors import RemoteError
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import script_layout as layout
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.targets.base import Target
from ktrace_nb.wire import bundle as b

_numbers = itertools.count(1)


@dataclass
class Record:
    """A record of the ring."""

    number: int
    handler: int
    ktime: int
    faults: int
    values: bytes

    def numbers(self) -> tuple[int, ...]:
        """The values as integers."""
        return struct.unpack(f"<{len(self.values) // 8}q", self.values)


@dataclass
class Ran:
    """What a script left in the kernel."""

    built: Built
    sites: tuple[layout.Site, ...]
    cpus: int
    maps: dict[str, dict[bytes, bytes]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    hits: dict[str, int] = field(default_factory=dict)
    ledger: dict[int, dict[str, int]] = field(default_factory=dict)
    stdout: str = ""

    def scalar(self, name: str) -> int:
        """An integer global."""
        (value,) = self.maps[layout.map_name(name)].values()
        return int.from_bytes(value, "little", signed=True)

    def text(self, name: str) -> bytes:
        """A string global, all bytes of its slot."""
        (value,) = self.maps[layout.map_name(name)].values()
        return value

    def array(self, name: str) -> dict[bytes, int]:
        """An array of integers."""
        return {
            key: int.from_bytes(value, "little", signed=True)
            for key, value in self.maps[layout.map_name(name)].items()
        }

    def per_cpu(self, name: str, key: bytes = bytes(4)) -> list[tuple[int, ...]]:
        """The words of a per-CPU value, signed, of each CPU."""
        value = self.maps[name].get(key, b"")
        size = len(value) // self.cpus
        return [struct.unpack(f"<{size // 8}q", value[i : i + size]) for i in range(0, len(value), size or 1)]

    def errors(self) -> list[tuple[layout.Site, int]]:
        """The error records: site and detail."""
        found = []
        for record in self.records:
            if record.number == layout.ERROR:
                site, _, detail = struct.unpack("<IIQ", record.values)
                found.append((self.sites[site], detail))
        return found


def run(
    target: Target,
    facts: KernelFacts,
    worker: CompilerWorker,
    placed: ir.Placed,
    command: str,
    *,
    state: Mapping[str, int] | None = None,
    **options: object,
) -> Ran:
    """Load a script, attach it, run a command, and take everything out."""
    made = ScriptOptions(**options)  # type: ignore[arg-type]
    built = build(program_of(placed, made), facts, worker, None)
    assert [p.message for p in built.problems if p.severity == "warning"] == []
    ran = Ran(built, generate(placed, made).sites, target.hello.cpus_possible)
    with _session(target) as session:
        _load(target, session, built)
        call = target.connection.call
        if state:
            words = _state(**state)
            call("change", bytes(4) + words, session=session, steps=[["update", layout.STATE, 1]])
        call("attach", session=session, timeout_s=120)
        call("run", session=session, command=command, user=None, group=None)
        deadline = time.monotonic() + 60
        while _collect(target, session, ran):
            assert time.monotonic() < deadline, "the command did not end"
        # Probes are let go one after the other; nothing shall be counted while they are.
        call(
            "change",
            bytes(4) + _state(stopping=1),
            session=session,
            steps=[["update", layout.STATE, 1]],
        )
        call("detach", session=session, timeout_s=60)
        while _collect(target, session, ran, over=True):
            pass
    return ran


def _state(**fields: int) -> bytes:
    """What the notebook tells programs."""
    return b"".join(fields.get(name, 0).to_bytes(8, "little") for name in layout.STATE_FIELDS)


@contextmanager
def _session(target: Target) -> Iterator[str]:
    name = f"script.{next(_numbers)}"
    target.connection.call("open", session=name)
    try:
        yield name
    finally:
        target.connection.call("close", session=name)


def _load(target: Target, session: str, built: Built) -> None:
    try:
        target.connection.call("load", b.encode_bundle(built.bundle), session=session, timeout_s=120)
    except RemoteError as error:
        if error.code != "verifier":
            raise
        definition = next(p for p in built.bundle.programs if p.name == error.fields["program"])
        log = str(error.fields.get("log", ""))
        raise verifier_error(log, error.message, built.program, definition) from AssertionError(log[-3000:])


def _collect(target: Target, session: str, ran: Ran, *, over: bool = False) -> bool:
    """Collect once; gives whether there is more to come."""
    definitions = {m.name: m for m in ran.built.bundle.maps}
    reply = target.connection.call(
        "collect",
        session=session,
        maps=[*definitions, b.LEDGER],
        bytes=1 << 23,
        wait_ms=0 if over else 100,
        timeout_s=20,
    )
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        return bytes(reply.blob[at - size : at])

    for _, _, size in reply.head["spans"]:
        ran.records += _records(take(size))
    for name, count, stride, _ in reply.head["maps"]:
        key_size = 4 if name == b.LEDGER else definitions[name].key_size
        keys, values = take(count * key_size), take(count * stride)
        if name == b.LEDGER:
            _read_ledger(ran, values, stride)
            continue
        ran.maps[name] = {
            keys[i * key_size : (i + 1) * key_size]: values[i * stride : (i + 1) * stride]
            for i in range(count)
        }
    ran.hits = {name: counts[0] for name, counts in reply.head["programs"].items()}
    workload = reply.head["workload"]
    ran.stdout += take(workload["stdout"]).decode()
    return bool(reply.head["more"]) or (not over and workload["status"] is None)


def _records(span: bytes) -> Iterator[Record]:
    at = 0
    while at < len(span):
        (length,) = struct.unpack_from("<I", span, at)
        size = length & ((1 << 30) - 1)
        if not length >> 30:
            data = span[at + 8 : at + 8 + size]
            number, row, ktime, faults = struct.unpack_from("<IIQQ", data)
            yield Record(number, row, ktime, faults, data[layout.HEAD_SIZE :])
        at += (size + 15) & ~7


def _read_ledger(ran: Ran, values: bytes, stride: int) -> None:
    width = len(b.LEDGER_FIELDS)
    for row in range(len(values) // stride):
        words = struct.unpack_from(f"<{stride // 8}Q", values, row * stride)
        ran.ledger[row] = {name: sum(words[i::width]) for i, name in enumerate(b.LEDGER_FIELDS)}
