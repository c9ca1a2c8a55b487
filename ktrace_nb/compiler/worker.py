"""The compiler worker: one request at a time on standard input, answers on standard output.

Runs under the system's Python. What clang prints goes to the descriptor given
as the first argument, which belongs to the client: it can read the reason even
when LLVM took this process down.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from typing import Any

from ktrace_nb.compiler.libbcc import CompileFailed, Compiler
from ktrace_nb.wire.bundle import encode_bundle
from ktrace_nb.wire.frames import REPLY, ChannelClosed, Message, read_message

NOBODY = 65534


class Worker:
    """bcc and the folder that stands for a kernel's source tree."""

    def __init__(self) -> None:
        self.compiler = Compiler()
        self._tree = tempfile.mkdtemp(prefix="ktrace_nb.")
        self._files: dict[str, str] = {}

    def hello(self, _: Message) -> tuple[dict[str, Any], bytes]:
        """Version of bcc, and the headers it carries with a NUL between them."""
        return {
            "version": self.compiler.version(),
            "python": platform.python_version(),
            "uid": os.geteuid(),
            "tree": self._tree,
        }, "\0".join(self.compiler.builtin_headers()).encode()

    def compile(self, message: Message) -> tuple[dict[str, Any], bytes]:
        """Compile ``text`` with ``files`` as the kernel's headers and ``cflags``."""
        self._lay_out(message.head["files"])
        try:
            done = self.compiler.compile(message.head["text"], self._tree, message.head["cflags"])
        except CompileFailed:
            return {"ok": False}, b""
        return {"ok": True, "tables": done.tables, "events": done.events}, encode_bundle(done.bundle)

    def _lay_out(self, files: dict[str, str]) -> None:
        for path in set(self._files) - set(files):
            os.unlink(os.path.join(self._tree, path))
        for path, text in files.items():
            if self._files.get(path) != text:
                full = os.path.normpath(os.path.join(self._tree, path))
                if not full.startswith(self._tree + os.sep):
                    raise ValueError(f"a header outside the tree: {path!r}")
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w") as file:
                    file.write(text)
        self._files = dict(files)

    def close(self) -> None:
        """Remove the tree."""
        shutil.rmtree(self._tree, ignore_errors=True)


def _drop_privileges() -> None:
    # bcc as root reads this machine's tracefs, which is not the target's.
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def main() -> None:
    """Serve until standard input ends."""
    stream_in, stream_out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    diagnostics = int(sys.argv[1])
    os.dup2(diagnostics, 1)
    os.dup2(diagnostics, 2)
    _drop_privileges()
    os.chdir("/")
    worker = Worker()

    def read_exactly(count: int) -> bytes:
        data = stream_in.read(count)
        if len(data) < count:
            raise ChannelClosed
        return data

    operations = {"hello": worker.hello, "compile": worker.compile}
    try:
        while True:
            message = read_message(read_exactly)
            os.ftruncate(diagnostics, 0)
            os.lseek(diagnostics, 0, os.SEEK_SET)
            head, blob = operations[message.head["op"]](message)
            stream_out.write(Message(REPLY, head, blob).encode())
            stream_out.flush()
    except ChannelClosed:
        pass
    finally:
        worker.close()


if __name__ == "__main__":
    main()
