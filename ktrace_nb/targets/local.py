"""This machine's own kernel, through an agent with the privilege for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

from ktrace_nb.agent.package import agent_archive
from ktrace_nb.errors import MissingError
from ktrace_nb.progress import Progress
from ktrace_nb.system import system_pythons
from ktrace_nb.targets.base import register
from ktrace_nb.targets.connection import Connection
from ktrace_nb.targets.streams import ProcessStream

NO_PRIVILEGE = (
    "tracing this machine's kernel needs root; start the notebook as root, "
    "allow sudo without a password, or use --target lab"
)


def privilege() -> list[str] | None:
    """What to put in front of a command to run it as root; None if there is no way."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo:
        allowed = subprocess.run([sudo, "-n", "true"], capture_output=True, check=False)
        if allowed.returncode == 0:
            return [sudo, "-n"]
    return None


class LocalTarget:
    """This machine.

    Raises:
        MissingError: No privilege, or no Python for the agent.
    """

    name = "local"

    def __init__(self) -> None:
        prefix = privilege()
        if prefix is None:
            raise MissingError("no privilege to trace this machine's kernel", fix=NO_PRIVILEGE)
        python = next(iter(system_pythons()), None)
        if python is None:
            raise MissingError("no system Python for the agent", fix="sudo apt-get install python3")
        # sudo closes descriptors, so the code travels on the command line's other
        # channel: a first line of standard input says how long it is.
        loader = (
            "import os,sys,tempfile;n=int(os.read(0,9));f=os.memfd_create('agent')\n"
            "while n:\n d=os.read(0,min(n,65536))\n n-=len(d)\n os.write(f,d)\n"
            "sys.path.insert(0,'/proc/self/fd/%d'%f)\n"
            "from ktrace_nb.agent.__main__ import main\nmain()"
        )
        stream = ProcessStream([*prefix, python, "-I", "-c", loader])
        archive = agent_archive()
        stream.write(b"%08d\n" % len(archive) + archive)
        self.connection = Connection(stream, lambda: _cause(stream))
        self.hello = self.connection.hello()
        self._user = (os.getuid(), os.getgid()) if prefix else None

    def fact(self, name: str) -> bytes:
        """Ask the agent."""
        return bytes(self.connection.call("fact", name=name).blob)

    def formats(self, names: list[str]) -> Mapping[str, str]:
        """Ask the agent."""
        if not names:
            return {}
        texts = self.connection.call("fact", name="formats", names=names).blob.split(b"\0")
        return {name: text.decode() for name, text in zip(names, texts, strict=True) if text}

    def workload_user(self) -> tuple[int, int] | None:
        """Whoever started the notebook: root only if that was root."""
        return self._user

    def diagnose(self) -> str:
        """Whether the agent still runs."""
        return "the agent on this machine does not answer"

    def close(self) -> None:
        """End the agent."""
        self.connection.close()


def _cause(stream: ProcessStream) -> str:
    status = stream.process.wait()
    words = stream.last_words().splitlines()
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    return f"the agent on this machine {how}" + (f": {words[-1]}" if words else "")


def _open(_argument: str, _progress: Progress) -> LocalTarget:
    return LocalTarget()


register("local", _open, lambda: ["local"])
