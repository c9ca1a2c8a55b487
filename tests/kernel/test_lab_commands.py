"""The command line, each command a process of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import pytest

from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.image import Image, find_image
from ktrace_nb.lab.running import find_running
from tests.kernel.conftest import python, shell

pytestmark = pytest.mark.kernel

# What the package's own command line does with these functions.
MAIN = """
import argparse, sys
from ktrace_nb.errors import KTraceError
from ktrace_nb.lab.commands import add_commands
parser = argparse.ArgumentParser()
add_commands(parser.add_subparsers())
args = parser.parse_args(sys.argv[1:])
try:
    sys.exit(args.run(args))
except KTraceError as error:
    print(*error.lines(), sep="\\n", file=sys.stderr)
    sys.exit(1)
"""


def lab(*words: str, status: int = 0) -> str:
    """Run ``ktrace-nb lab WORDS``; what it prints, errors included if it is to fail."""
    with python(MAIN, "lab", *words) as process:
        out, err = process.communicate(timeout=180)
    assert process.returncode == status, err
    return out + (err if status else "")


def test_a_lab_is_started_seen_used_and_stopped(image: Image, own_runtime: Path) -> None:
    assert "none is running" in lab("status")
    assert "was not started" in lab("stop")
    started = lab("start", "--hours", "1")
    try:
        assert f"running lab 'lab': Linux {image.kernel}" in started
        assert "or by itself at" in started
        assert "is running already" in lab("start")
        assert len(re.findall("^running lab", lab("status"), re.MULTILINE)) == 1
        found = find_running()
        assert found is not None
        with Caller(found.connect()) as caller:
            shell(caller, "echo kept > /root/file")
        # The file is there for the next client: it is the same machine.
        with Caller(found.connect()) as caller:
            assert shell(caller, "cat /root/file") == "kept\n"
    finally:
        stopped = lab("stop")
    assert "is stopped" in stopped
    assert find_running() is None
    assert "none is running" in lab("status")
    assert [path.name for path in (own_runtime / "ktrace_nb").iterdir()] == ["lab.lock"]


def test_a_started_lab_that_failed_is_told_and_replaced(image: Image, own_runtime: Path) -> None:
    lab("start")
    try:
        found = find_running()
        assert found is not None
        os.kill(found.pid, signal.SIGKILL)
        assert "FAILED: qemu was killed by SIGKILL" in lab("status")
        lab("start")
        again = find_running()
        assert again is not None and again.failure() is None and again.folder != found.folder
    finally:
        lab("stop")


def test_a_lab_ends_by_itself_when_its_time_is_over(image: Image, own_runtime: Path) -> None:
    lab("start", "--hours", str(2 / 3600))
    time.sleep(3)
    assert find_running() is None


def test_wrong_words_are_told(own_runtime: Path, image: Image) -> None:
    assert "there is no lab 'nosuch'" in lab("start", "--name", "nosuch", status=1)
    assert "hint: ktrace-nb lab build --name nosuch" in lab("start", "--name", "nosuch", status=1)
    assert "1 to 16 processors, not 99" in lab("start", "--cpus", "99", status=1)
    assert "up to 168 hours, not 500" in lab("start", "--hours", "500", status=1)
    assert "cannot be the name" in lab("export", "/tmp/x", "--name", "../x", status=1)
    assert "no kernel '9.9'" in lab("build", "--kernel", "9.9", status=1)
    assert "a shell needs a terminal" in lab("shell", status=1)
    assert "none is running" in lab("status")


def test_the_real_lab_survives_being_handed_out(
    image: Image, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = short_path / "lab.tar.xz"
    assert "lab 'lab' is in" in lab("export", str(file))
    assert file.stat().st_size <= 50e6
    monkeypatch.setenv("XDG_DATA_HOME", str(short_path / "data"))
    assert "lab 'os2026': Linux" in lab("import", str(file), "--name", "os2026")
    assert find_image("os2026").parts == image.parts


class Terminal:
    """A command on a pseudo terminal of a given size."""

    def __init__(self, *words: str, rows: int = 33, columns: int = 99) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
            os.execv(sys.executable, [sys.executable, "-c", MAIN, "lab", *words])
        self.resize(rows, columns)
        self.seen = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def expect(self, pattern: str, timeout_s: float = 60.0) -> str:
        """Wait for a text; what came up to its end."""
        end = time.monotonic() + timeout_s
        while (found := re.search(pattern, self.seen)) is None:
            assert time.monotonic() < end, f"no {pattern!r} in {self.seen!r}"
            if select.select([self._fd], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self._fd, 65536).decode(errors="replace")
                except OSError:
                    raise AssertionError(f"ended without {pattern!r}: {self.seen!r}") from None
        before, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return before

    def status(self) -> int:
        """Its exit status, once it has ended."""
        while True:
            try:
                if not os.read(self._fd, 65536):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_a_private_shell_is_a_terminal_in_the_guest(image: Image, own_runtime: Path) -> None:
    terminal = Terminal("shell")
    terminal.expect("lab# ")
    terminal.type("stty size; tty; echo $TERM\n")
    assert "33 99" in terminal.expect("/dev/pts/0")
    terminal.type("sleep 100\n")
    time.sleep(0.5)
    terminal.type("\x03")  # interrupts what runs there, not the shell's own process here
    terminal.expect(r"\^C[^#]*lab# ")
    terminal.resize(40, 120)
    time.sleep(0.3)
    terminal.type("stty size\n")
    terminal.expect("40 120")
    terminal.type("yes | head -c 300000 | wc -c; exit 7\n")
    terminal.expect("300000")
    assert terminal.status() == 7
    assert "none is running" in lab("status")


def test_a_shell_in_the_started_lab_leaves_it_running(image: Image, own_runtime: Path) -> None:
    lab("start")
    try:
        terminal = Terminal("shell", "--", "sh", "-c", "echo kept > /root/file; kill -9 $$")
        assert terminal.status() == 128 + 9
        terminal = Terminal("shell", "cat", "/root/file")
        terminal.expect("kept")
        assert terminal.status() == 0
        terminal = Terminal("shell")
        terminal.expect("lab# ")
        terminal.type("echo c > /proc/sysrq-trigger\n")
        terminal.expect("TargetError: the lab's kernel panicked: sysrq triggered crash")
        assert terminal.status() == 1
    finally:
        lab("stop")


def test_a_shell_that_is_killed_takes_its_private_lab_along(image: Image, own_runtime: Path) -> None:
    terminal = Terminal("shell")
    terminal.expect("lab# ")
    assert "ends with process" in lab("status")
    os.kill(terminal.pid, signal.SIGKILL)
    terminal.status()
    time.sleep(1)
    assert "none is running" in lab("status")
