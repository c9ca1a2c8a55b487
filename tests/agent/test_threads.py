"""The list of threads, beside what ``/proc/PID/status`` says of each."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

from ktrace_nb.agent.threads import threads


def status(path: str) -> dict[str, str]:
    lines = Path(path).read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_every_thread_has_its_process_the_parent_of_that_and_its_name() -> None:
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            found = {}
            for line in threads().decode().splitlines():
                number, process, parent, comm = line.split(" ", 3)
                found[int(number)] = (int(process), int(parent), comm)
            assert found[child.pid] == (child.pid, os.getpid(), "sleep")
            for tid in (os.getpid(), other.native_id or 0, child.pid, os.getppid()):
                said = status(f"/proc/{tid}/status")
                assert found[tid] == (int(said["Tgid"]), int(said["PPid"]), said["Name"])
        finally:
            child.kill()
            done.set()


def test_a_name_may_have_blanks_and_parentheses(tmp_path: Path) -> None:
    program = tmp_path / "a) R 77 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "60"]) as child:
        try:
            assert f"{child.pid} {child.pid} {os.getpid()} a) R 77 (b" in threads().decode().splitlines()
        finally:
            child.kill()
