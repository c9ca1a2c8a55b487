"""The command a session runs once everything is attached."""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from typing import Any, Callable

from ktrace_nb.agent.errors import AgentError
from ktrace_nb.agent.host import environment, read_file

KEEP = 4 << 20
"""Bytes of output not yet collected that are kept; what comes beyond is counted and dropped."""

_SHELL_CHARACTERS = set("|&;<>()$`*?[]#~{}!\n")
_QUOTED = re.compile(r"'[^']*'|\"[^\"$`\\\\]*\"")
"""What the shell would take as it stands."""


def command_line(command: str) -> list[str]:
    """How a ``-c`` command is run: by the shell only where it uses the shell's syntax.

    A shell would add its own start-up to what is being counted.
    """
    if not _SHELL_CHARACTERS & set(_QUOTED.sub("", command)):
        words = shlex.split(command)
        if words and "=" not in words[0]:  # there it would set a variable
            return words
    return ["/bin/sh", "-c", command]


_HOLD = ["/bin/sh", "-c", 'read -r _ && exec "$@" </dev/null', "sh"]
"""Becomes the command that follows it when a line comes on standard input: the
process is the same, so its number is known before it does anything."""
_SETTLE_S = 2.0
"""How long that may take to come to where it waits."""


class Workload:
    """A running command; ``changed`` is called when it wrote something or ended.

    Args:
        command: As a user writes it.
        changed: Called from another thread.
        user: Number of the user and of the group it runs as; by default ours.
        held: Wait for :meth:`go` before the command is begun.

    Raises:
        AgentError: ``workload`` if it cannot be started.
    """

    def __init__(
        self,
        command: str,
        changed: Callable[[], None],
        user: tuple[int, int] | None = None,
        *,
        held: bool = False,
    ) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._output: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self._dropped = 0
        identity: dict[str, Any] = {"user": user[0], "group": user[1], "extra_groups": []} if user else {}
        words = command_line(command)
        variables = environment()
        try:
            if held and shutil.which(words[0], path=variables.get("PATH")) is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), words[0])
            self._process = subprocess.Popen(
                [*_HOLD, *words] if held else words,
                stdin=subprocess.PIPE if held else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=variables,
                start_new_session=True,
                **identity,
            )
        except (OSError, ValueError) as error:
            raise AgentError("workload", f"cannot run {command!r}: {error}") from None
        self.pid = self._process.pid
        self.status: int | None = None
        """Exit status, negative for a signal; None while it runs."""
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("stdout", self._process.stdout), ("stderr", self._process.stderr))
        ]
        for reader in self._readers:
            reader.start()
        threading.Thread(target=self._wait, name="workload", daemon=True).start()
        if held:
            self._settle()

    def _settle(self) -> None:
        """Wait until what holds the command waits itself: what it does before is not the command's doing.

        Of all calls that a shell makes in which it sleeps, only this one has standard input, 0, as its
        first argument. Source: ``proc_pid_syscall(5)``; kernels that lack the file are not waited for.
        """
        end = time.monotonic() + _SETTLE_S
        try:
            while time.monotonic() < end and read_file(f"/proc/{self.pid}/syscall").split()[1:2] != [b"0x0"]:
                time.sleep(0.001)
        except OSError:
            pass  # it has ended, too

    def go(self) -> None:
        """Begin the command that was held."""
        pipe = self._process.stdin
        if pipe is not None and not pipe.closed:
            try:
                pipe.write(b"\n")
                pipe.close()
            except BrokenPipeError:
                pass  # killed while it was held; its status tells

    def _read(self, name: str, stream: Any) -> None:
        while True:
            data = os.read(stream.fileno(), 1 << 16)
            if not data:
                return
            with self._lock:
                room = KEEP - len(self._output[name])
                self._output[name] += data[:room]
                self._dropped += max(0, len(data) - room)
            self._changed()

    def _wait(self) -> None:
        # Not reaped yet: until close() its process group cannot be anybody else's.
        try:
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:  # close() has reaped it
            return
        for reader in self._readers:
            # A grandchild may hold the pipe open for ever; the command itself has ended.
            reader.join(timeout=0.2)
        if ended is not None:
            self.status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        self._changed()

    def take_output(self) -> tuple[bytes, bytes, int]:
        """Output since the last call: stdout, stderr, bytes dropped so far."""
        with self._lock:
            out, err = bytes(self._output["stdout"]), bytes(self._output["stderr"])
            self._output["stdout"].clear()
            self._output["stderr"].clear()
            return out, err, self._dropped

    def close(self) -> None:
        """Kill the command and whatever it left in its process group."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except OSError:
            pass
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
