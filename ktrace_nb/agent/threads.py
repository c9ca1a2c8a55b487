"""The threads of this machine."""

from __future__ import annotations

import os


def threads() -> bytes:
    """A line ``TID TGID PPID COMM`` per thread, by rising process.

    ``PPID`` is the process that the thread's is a child of, 0 for none. Threads of the kernel's
    are there, too, the idle ones are not.
    """
    lines = []
    for process in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            parent = _parent(process)
            names = os.listdir(f"/proc/{process}/task")
        except OSError:
            continue  # it has ended
        for name in names:
            try:
                with open(f"/proc/{process}/task/{name}/comm", "rb") as file:
                    comm = file.read()
            except OSError:
                continue
            # A program may call itself what it likes; one line is one thread.
            lines.append(b"%s %d %d %s\n" % (name.encode(), process, parent, comm[:-1].replace(b"\n", b" ")))
    return b"".join(lines)


def _parent(process: int) -> int:
    """Source of the format: ``proc_pid_stat(5)``; the name, in parentheses, may have some itself."""
    with open(f"/proc/{process}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1])
