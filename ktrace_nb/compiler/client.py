"""The notebook's end of the compiler worker."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ktrace_nb.errors import KTraceError, MissingError
from ktrace_nb.packing import archive
from ktrace_nb.system import system_pythons
from ktrace_nb.wire.bundle import Bundle, decode_bundle
from ktrace_nb.wire.frames import REQUEST, ChannelClosed, Message, read_message

INSTALL = "sudo apt-get install python3-bpfcc"
_MODULES = ("wire.frames", "wire.bundle", "compiler.plt", "compiler.libbcc", "compiler.worker")


@dataclass(frozen=True)
class WorkerResult:
    """What the worker made of one text."""

    ok: bool
    diagnostics: str
    """Everything clang, LLVM and bcc printed."""
    bundle: Bundle | None = None
    tables: tuple[str, ...] = ()
    events: Mapping[str, Sequence[tuple[str, str]]] | None = None


class WorkerDied(KTraceError):  # noqa: N818 (named for what happened)
    """The compiler's process ended in the middle of a request."""

    def __init__(self, status: int, printed: str) -> None:
        cause = f"ended with status {status}" if status >= 0 else f"was killed by signal {-status}"
        super().__init__(f"the compiler {cause}" + (f":\n{printed}" if printed else ""))
        self.status = status
        """Exit status, negative for a signal."""
        self.printed = printed


class CompilerWorker:
    """A process that compiles; started when first needed, and again if it died.

    Requests come from any thread, one at a time. An interrupted request kills
    the process: nothing of it can be left half done.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._diagnostics = -1
        self._hello: dict[str, Any] = {}
        self._headers: tuple[str, ...] = ()

    def start(self) -> None:
        """Start the process now rather than with the first cell.

        Raises:
            MissingError: No Python with bcc.
        """
        with self._lock:
            self._ensure()

    @property
    def version(self) -> str:
        """Identity of bcc, for keys of the cache."""
        self.start()
        return str(self._hello["version"])

    @property
    def builtin_headers(self) -> tuple[str, ...]:
        """The headers inside libbcc."""
        self.start()
        return self._headers

    def compile(self, text: str, files: Mapping[str, str], cflags: Sequence[str]) -> WorkerResult:
        """Compile one translation unit against a tree of headers.

        Raises:
            MissingError: No Python with bcc.
            KTraceError: The worker died; the message carries LLVM's last words.
        """
        with self._lock:
            self._ensure()
            head = {"op": "compile", "text": text, "files": dict(files), "cflags": list(cflags)}
            try:
                reply, printed = self._request(head)
            except WorkerDied as death:
                # LLVM ends the process over some mistakes of the cell, having said which.
                if not death.printed or death.status < 0:
                    raise
                return WorkerResult(False, death.printed)
        if not reply.head["ok"]:
            return WorkerResult(False, printed)
        events = {name: [(f, t) for f, t in fields] for name, fields in reply.head["events"].items()}
        return WorkerResult(True, printed, decode_bundle(reply.blob), tuple(reply.head["tables"]), events)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    # --- the process ---------------------------------------------------------------

    def _ensure(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._end()
        reasons = []
        for python in system_pythons():
            reason = self._start(python)
            if not reason:
                return
            reasons.append(f"{python}: {reason}")
        found = "; ".join(reasons) or "no system Python at all"
        raise MissingError(f"no Python that can import bcc ({found})", fix=INSTALL)

    def _start(self, python: str) -> str:
        """Start one candidate; gives the reason if it cannot be used."""
        code = os.memfd_create("ktrace_nb compiler worker")
        os.write(code, archive(_MODULES, main="compiler.worker"))
        self._diagnostics = os.memfd_create("diagnostics")
        try:
            self._process = subprocess.Popen(
                [python, "-I", f"/proc/self/fd/{code}", str(self._diagnostics)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._diagnostics,
                pass_fds=(code, self._diagnostics),
                start_new_session=True,  # a Ctrl-C in the terminal is ours to handle
            )
            hello, _ = self._request({"op": "hello"})
        except KTraceError as error:
            return error.message.splitlines()[-1]
        finally:
            os.close(code)
        self._hello = hello.head
        self._headers = tuple(hello.blob.decode().split("\0"))
        return ""

    def _request(self, head: dict[str, Any]) -> tuple[Message, str]:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        stdout = process.stdout
        try:
            process.stdin.write(Message(REQUEST, head).encode())
            process.stdin.flush()
            reply = read_message(lambda count: _read(stdout.fileno(), count))
        except (ChannelClosed, BrokenPipeError):
            status = process.wait()
            words = self._printed().strip()
            self._end()
            raise WorkerDied(status, words) from None
        except BaseException:
            self._end()
            raise
        return reply, self._printed()

    def _printed(self) -> str:
        size = os.fstat(self._diagnostics).st_size
        return os.pread(self._diagnostics, size, 0).decode("utf-8", "replace")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            process.kill()
            process.wait()
            if "tree" in self._hello:
                shutil.rmtree(self._hello["tree"], ignore_errors=True)
        if self._diagnostics >= 0:
            os.close(self._diagnostics)
            self._diagnostics = -1
        self._hello = {}


def _read(fd: int, count: int) -> bytes:
    """Read exactly; in slices, so that a KeyboardInterrupt gets through."""
    data = bytearray()
    while len(data) < count:
        select.select([fd], [], [])
        chunk = os.read(fd, count - len(data))
        if not chunk:
            raise ChannelClosed
        data += chunk
    return bytes(data)
