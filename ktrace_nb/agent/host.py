"""Operations on the machine: who it is, facts about its kernel, files, commands."""

from __future__ import annotations

import errno
import json
import os
import platform
import pty
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from fcntl import ioctl
from termios import TIOCSWINSZ
from typing import Any, Callable

from ktrace_nb.agent.errors import AgentError
from ktrace_nb.agent.files import read_files
from ktrace_nb.agent.mounts import DEBUGFS, TRACEFS
from ktrace_nb.agent.threads import threads
from ktrace_nb.wire.frames import PROTOCOL_VERSION, Message

Answer = tuple[dict[str, Any], bytes]

OUTPUT_LIMIT = 1 << 20
"""Bytes of a command's output that are kept; the rest is counted."""


def read_file(path: str) -> bytes:
    """The whole of a file, also of one in a virtual file system."""
    with open(path, "rb") as file:
        return file.read()


def possible_cpus() -> int:
    """How many CPUs the kernel sizes its per-CPU data for."""
    # "0-3" or "0,2-5": the highest number counts, gaps included.
    return (
        int(read_file("/sys/devices/system/cpu/possible").decode().strip().replace(",", "-").split("-")[-1])
        + 1
    )


def online_cpus() -> list[int]:
    """The CPUs that are on."""
    cpus: list[int] = []
    for part in read_file("/sys/devices/system/cpu/online").decode().strip().split(","):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return cpus


def clocks() -> dict[str, int]:
    """Monotonic, boot and wall clock in nanoseconds, read together."""
    return {
        "monotonic_ns": time.clock_gettime_ns(time.CLOCK_MONOTONIC),
        "boottime_ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME),
        "realtime_ns": time.time_ns(),
    }


def ping(_: Message) -> Answer:
    """The clocks; answered by the reading thread itself."""
    return clocks(), b""


def hello(message: Message) -> Answer:
    """Who this is. ``nonce`` comes back, so that a stale answer is recognised."""
    uname = os.uname()
    return {
        "nonce": message.head.get("nonce"),
        "protocol": PROTOCOL_VERSION,
        "host": uname.nodename,
        "kernel": uname.release,
        "version": uname.version,
        "machine": uname.machine,
        "cpus_possible": possible_cpus(),
        "cpus_online": online_cpus(),
        "boot_id": read_file("/proc/sys/kernel/random/boot_id").decode().strip(),
        "python": platform.python_version(),
        "byte_order": sys.byteorder,
        "page_size": os.sysconf("SC_PAGESIZE"),
        "pid": os.getpid(),
        "uid": os.geteuid(),
        **clocks(),
    }, b""


def _kernel_config() -> bytes:
    for path in ("/proc/config.gz", "/boot/config-" + os.uname().release):
        try:
            return read_file(path)
        except OSError:
            continue
    return b""


def _formats(names: list[str]) -> bytes:
    """Format files of tracepoints ``category/event``, NUL between them; empty where there is none."""
    texts = []
    for name in names:
        if name.count("/") != 1 or name.startswith(".") or "/." in name:
            raise AgentError("bad_request", f"malformed tracepoint name {name!r}")
        try:
            texts.append(read_file(f"{TRACEFS}/events/{name}/format"))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
            texts.append(b"")
    return b"\0".join(texts)


def _module_btf(name: str) -> bytes:
    if "/" in name or name.startswith("."):
        raise AgentError("bad_request", f"malformed module name {name!r}")
    return read_file("/sys/kernel/btf/" + name)


def fact(message: Message) -> Answer:
    """One fact about the kernel, as the bytes it gives.

    ======================= =================================================
    ``build_id``            ``/sys/kernel/notes``
    ``btf``, ``btf:MODULE``  types of the kernel, of a module
    ``kallsyms``            symbols and addresses
    ``functions``           ``available_filter_functions``
    ``tracepoints``         ``available_events``
    ``formats``             format files of the tracepoints in ``names``
    ``blacklist``           functions that kprobes refuse
    ``modules``             ``/proc/modules``
    ``config``              the kernel's configuration, gzipped or not
    ``pmus``                name and type of every perf event source, as JSON
    ======================= =================================================
    """
    name = message.head.get("name")
    if name == "formats":
        return {}, _formats(list(message.head["names"]))
    if name == "btf" or str(name).startswith("btf:"):
        return {}, _module_btf(str(name)[4:] or "vmlinux")
    if name == "config":
        return {}, _kernel_config()
    if name == "pmus":
        root = "/sys/bus/event_source/devices"
        types = {pmu: int(read_file(f"{root}/{pmu}/type")) for pmu in sorted(os.listdir(root))}
        return {}, json.dumps(types).encode()
    path = {
        "build_id": "/sys/kernel/notes",
        "kallsyms": "/proc/kallsyms",
        "functions": TRACEFS + "/available_filter_functions",
        "tracepoints": TRACEFS + "/available_events",
        "blacklist": DEBUGFS + "/kprobes/blacklist",
        "modules": "/proc/modules",
    }.get(str(name))
    if path is None:
        raise AgentError("bad_request", f"no fact {name!r}")
    return {}, read_file(path)


def execute(message: Message) -> Answer:
    """Run a command to its end: ``argv``, ``timeout_s``; output in the blob, stderr after stdout."""
    with subprocess.Popen(
        [str(word) for word in message.head["argv"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(message.blob, timeout=message.head.get("timeout_s", 60))
        except subprocess.TimeoutExpired:
            # What it started would otherwise live on, without anybody's knowing.
            os.killpg(process.pid, signal.SIGKILL)
            raise AgentError("timeout", "the command did not end in time") from None
    out, err = out[:OUTPUT_LIMIT], err[:OUTPUT_LIMIT]
    return {"status": process.returncode, "stdout": len(out), "stderr": len(err)}, out + err


def environment() -> dict[str, str]:
    """What commands started by the agent see."""
    keep = {name: os.environ[name] for name in ("HOME", "LANG", "TERM", "USER") if name in os.environ}
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **keep}


def put_file(message: Message) -> Answer:
    """Write the blob to ``path`` with ``mode``."""
    path = str(message.head["path"])
    with open(path, "wb") as file:
        file.write(message.blob)
        os.fchmod(file.fileno(), int(message.head.get("mode", 0o644)))
    return {}, b""


def get_file(message: Message) -> Answer:
    """The content of ``path``."""
    return {}, read_file(str(message.head["path"]))


def set_clock(message: Message) -> Answer:
    """Set the wall clock; a guest resumed from a snapshot wakes up in the past."""
    time.clock_settime_ns(time.CLOCK_REALTIME, int(message.head["realtime_ns"]))
    return clocks(), b""


OPERATIONS: dict[str, Callable[[Message], Answer]] = {
    "hello": hello,
    "fact": fact,
    "exec": execute,
    "put": put_file,
    "get": get_file,
    "set_clock": set_clock,
    "threads": lambda _: ({}, threads()),
    "files": lambda message: read_files([str(path) for path in message.head["paths"]]),
}


class Shell:
    """A command on a pseudo terminal; its output travels as events."""

    def __init__(self, head: dict[str, Any], emit: Callable[[dict[str, Any], bytes], None]) -> None:
        self._emit = emit
        self._lock = threading.Lock()  # held to use the descriptor outside the pump
        argv = [str(word) for word in head.get("argv") or ["/bin/sh", "-l"]]
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            try:
                os.chdir(environment()["HOME"])
            except OSError:
                pass
            try:
                os.execvpe(argv[0], argv, {**environment(), "TERM": str(head.get("term", "linux"))})
            finally:
                os._exit(127)
        self._resize(head)
        threading.Thread(target=self._pump, name="shell", daemon=True).start()

    def _resize(self, head: dict[str, Any]) -> None:
        if "rows" in head:
            ioctl(self._fd, TIOCSWINSZ, struct.pack("<HHHH", int(head["rows"]), int(head["columns"]), 0, 0))

    def _pump(self) -> None:
        """Pass output on to its end, then bury the command and close its terminal."""
        try:
            while True:
                try:
                    data = os.read(self._fd, 1 << 16)
                except OSError:
                    break
                if not data:
                    break
                self._emit({}, data)
        except Exception:
            self.close()  # the connection is gone
        _, status = os.waitpid(self._pid, 0)
        with self._lock:
            fd, self._fd, self._pid = self._fd, -1, 0
            os.close(fd)
        try:
            self._emit({"status": exit_status(status)}, b"")
        except Exception:
            pass

    def control(self, message: Message) -> None:
        """Type the blob, or change the size of the terminal."""
        with self._lock:
            self._resize(message.head)
            data = message.blob
            while data:
                if not select.select([], [self._fd], [], 1)[1]:
                    raise AgentError("busy", "the program does not read what is typed")
                data = data[os.write(self._fd, data[:512]) :]

    def close(self) -> None:
        """End the command and whatever runs in its foreground; the pump clears up."""
        with self._lock:
            if self._pid:
                try:
                    os.killpg(self._pid, signal.SIGKILL)
                except OSError:
                    pass


def exit_status(status: int) -> int:
    """A wait status as subprocess gives it: negative for a signal."""
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
