"""The process between a machine's owner and QEMU.

Run as a script, by path, with nothing of this package imported: it must be up
before the owner has blinked. It starts QEMU and sees to it that QEMU and the
machine's folder are gone within a moment of their owner, however that ended:

* The owner holds the writing end of a pipe, the leash. Its end is the owner's.
* A process forked off the owner may hold the leash too and live on, so the
  owner's own process is watched as well.
* The supervisor's death, the last case left, takes QEMU along by the kernel's
  parent-death signal. That one is tied to the parent's *thread*; here there is
  only one.

A line on the leash lets the machine outlive its owner: ``detach SECONDS``. It
then ends by SIGTERM or when the time is over.

Usage: supervisor.py FOLDER LEASH OWNER -- QEMU ARGUMENTS...
"""

# Importing pathlib would take as long as all the rest.
# ruff: noqa: PTH104, PTH108, PTH106, PTH115, PTH118, PTH123, PTH208

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

PROCESSES = "processes.json"
EXIT = "exit.json"
ERRORS = "qemu.log"
_SETPRIV = "/usr/bin/setpriv"  # util-linux, on every Debian


def started_at(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 if it does not live.

    With the number it names a process for good: numbers are used again.
    Source: proc(5), /proc/pid/stat, fields 3 and 22.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, *fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if state in b"ZX" else int(fields[18])


def _write(folder: str, name: str, content: dict[str, object]) -> None:
    path = os.path.join(folder, name)
    with open(path + ".new", "w") as file:
        json.dump(content, file)
    os.rename(path + ".new", path)


def _start(folder: str, command: list[str]) -> int:
    """QEMU in a process of its own, its messages in a file."""
    if os.access(_SETPRIV, os.X_OK):
        command = [_SETPRIV, "--pdeathsig", "KILL", *command]
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        null = os.open(os.devnull, os.O_RDONLY)
        log = os.open(os.path.join(folder, ERRORS), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if os.getppid() == parent:
            # QEMU puts the overlay of a snapshot=on disk there.
            os.execvpe(command[0], command, {**os.environ, "TMPDIR": folder})
    finally:
        os._exit(127)


def _finish(folder: str, pid: int) -> None:
    """Kill QEMU if it still runs, remove the folder."""
    if pid:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    os.rmdir(folder)


def main() -> None:
    """Start QEMU, wait for whatever ends first."""
    folder, leash, owner = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    command = sys.argv[5:]
    os.set_inheritable(leash, False)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGTERM, lambda *_: None)
    # A terminal's interrupt is meant for whoever works there.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    poll = select.poll()
    poll.register(leash, select.POLLIN)
    poll.register(wake_read, select.POLLIN)
    try:
        owner_fd = os.pidfd_open(owner)
        poll.register(owner_fd, select.POLLIN)
    except ProcessLookupError:
        _finish(folder, 0)
        return
    pid = _start(folder, command)
    # The sockets are QEMU's now: whoever connects after its end is to be refused.
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd not in (leash, wake_read, wake_write, owner_fd) and _is_socket(fd):
            os.close(fd)
    _write(
        folder,
        PROCESSES,
        {"supervisor": [os.getpid(), started_at(os.getpid())], "qemu": [pid, started_at(pid)]},
    )
    qemu_fd = os.pidfd_open(pid)
    poll.register(qemu_fd, select.POLLIN)

    end: float | None = None
    while True:
        left = None if end is None else max(0.0, end - time.monotonic()) * 1000
        ready = {fd for fd, _ in poll.poll(left)}
        if qemu_fd in ready:
            _, status = os.waitpid(pid, 0)
            pid = 0
            poll.unregister(qemu_fd)
            _write(folder, EXIT, {"status": os.waitstatus_to_exitcode(status), "at": time.time()})
        if wake_read in ready or (end is not None and time.monotonic() >= end):
            break
        if leash in ready:
            words = os.read(leash, 64).split()
            if not words or words[0] != b"detach":
                break
            end = time.monotonic() + float(words[1])
            poll.unregister(leash)
            poll.unregister(owner_fd)
            os.close(leash)
        elif owner_fd in ready:
            break
    _finish(folder, pid)


def _is_socket(fd: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
    except OSError:
        return False


if __name__ == "__main__":
    main()
