"""What the streaming benchmarks share: the load, CPU clocks, our side, the other tools' side."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.first_row import PRIVATE, merged_headers
from benchmarks.streaming_cells import for_load
from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.governor import Limits
from ktrace_nb.session import Session
from ktrace_nb.source import Source
from ktrace_nb.starting import load
from ktrace_nb.targets.base import get_target


@dataclass(frozen=True, slots=True)
class Burst:
    """What the load did."""

    calls: int
    cpu_ns: int
    """CPU time of the calls alone, tracing included."""
    wall_s: float

    @property
    def ns_per_call(self) -> float:
        """CPU nanoseconds a call took."""
        return self.cpu_ns / self.calls


class Load:
    """A process that calls getppid(2) when told to; ``load.c``."""

    def __init__(self, folder: str) -> None:
        program = f"{folder}/load"
        subprocess.run(["cc", "-O2", "-o", program, Path(__file__).with_name("load.c")], check=True)
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.pid = self._process.pid

    def run(self, calls: int = 0, *, seconds: float = 0, burst: int = 1000, rate: int = 0) -> Burst:
        """So many calls, or for so long; ``rate`` per second, 0 for flat out."""
        assert self._process.stdin is not None and self._process.stdout is not None
        amount = calls or -round(1000 * seconds)
        self._process.stdin.write(f"{amount} {min(burst, calls or burst)} {rate}\n")
        done, cpu, wall = map(int, self._process.stdout.readline().split())
        return Burst(done, cpu, wall / 1e9)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def cpu_ns(pid: int) -> int:
    """CPU time of a process with all its threads (clock_getcpuclockid(3): ``~pid << 3 | 2``)."""
    return time.clock_gettime_ns(~pid << 3 | 2)


class OurCpu:
    """CPU time of the agent and of this process since it was made."""

    def __init__(self, agent_pid: int) -> None:
        self._agent = agent_pid
        self.agent_ns = self.notebook_ns = 0
        self._start = cpu_ns(agent_pid), time.process_time_ns()

    def stop(self) -> float:
        """Nanoseconds of both together."""
        self.agent_ns = cpu_ns(self._agent) - self._start[0]
        self.notebook_ns = time.process_time_ns() - self._start[1]
        return self.agent_ns + self.notebook_ns


@contextmanager
def ours(text: str, pid: int, **words: object) -> Iterator[Session]:
    """A session on this machine's kernel."""
    session = engine.start(Source(for_load(text, pid, **words)), Options(target="local"))
    try:
        yield session
    finally:
        session.stop(60)


class OnDemand(Session):
    """A session without its own thread: it collects when told to, so that one reading can be timed."""

    @classmethod
    def of(cls, text: str, target_name: str) -> OnDemand:
        """Compile, load and attach."""
        options = Options(target=target_name)
        target = get_target(target_name)
        built = engine.compile_for(target, engine.lower(Source(text), options), options)
        session = cls("benchmark", target, engine.facts_of(target), built, Limits())
        target.connection.call("open", session=session._id)
        load(target.connection.call, session._id, built)
        session._attach()
        return session

    def collect(self, *, with_maps: bool) -> bool:
        """One reading; whether buffers hold more."""
        return self._ask(with_maps, 0.0)

    def workload(self, command: str) -> None:
        """Run a command on the target, to its end, and collect nothing meanwhile."""
        self.target.connection.call("run", session=self._id, command=command)
        self.workload_status = None
        while self.workload_status is None:
            time.sleep(0.05)
            reply = self.target.connection.call("collect", session=self._id, bytes=0)
            self.workload_status = reply.head["workload"]["status"]

    def close(self) -> None:
        """Let go of everything."""
        self._let_go()


class Rivals:
    """Runs bcc and bpftrace. ``nan`` stands where the tool cannot run here."""

    def __init__(self, folder: str) -> None:
        self._tree = tempfile.mkdtemp(dir=folder)
        self.has_bcc = merged_headers(self._tree)
        self._errors = Path(folder) / "errors"

    @contextmanager
    def bcc(self, job: str, text: str) -> Iterator[Bcc]:
        """bcc under the system's Python, with the numpy and pandas of this one."""
        packages = str(Path(np.__file__).parent.parent)
        environment = {**os.environ, "BCC_KERNEL_SOURCE": self._tree, "PYTHONPATH": packages}
        command = ["/usr/bin/python3", str(Path(__file__).with_name("streaming_bcc.py")), job, text]
        with self._errors.open("w") as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
            )
        try:
            yield Bcc(process)
        except EOFError:
            raise RuntimeError(f"bcc failed: {self._errors.read_text()[-2000:]}") from None
        finally:
            process.kill()
            process.communicate()

    @contextmanager
    def bpftrace(self, script: str, pid: int) -> Iterator[Bpftrace]:
        """bpftrace, its output in a file."""
        command = [*PRIVATE, "bpftrace", "-B", "full", "-e", script.replace("PID", str(pid))]
        with tempfile.TemporaryFile("w+b", dir=self._tree) as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
            try:
                time.sleep(2)  # it says nothing when it has attached; a third of a second is usual
                assert process.poll() is None, "bpftrace ended by itself"
                yield Bpftrace(process, output)
            finally:
                process.kill()
                process.wait()


class Bcc:
    """One bcc process; it answers each line with a line of JSON."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid
        assert self.answer() == "ready"

    def answer(self) -> Any:
        """Its next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise EOFError
        return json.loads(line)

    def tell(self, line: str = "") -> None:
        """A line for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def ask(self, line: str = "") -> Any:
        """Tell it something and wait for the answer."""
        self.tell(line)
        return self.answer()


class Bpftrace:
    """One bpftrace process."""

    def __init__(self, process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        self._process = process
        self._output = output

    def end(self) -> int:
        """Let it print what it has and end; how many events it printed."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)
        self._output.seek(0)
        return sum(line.count(b" ") == 4 and line[:1].isdigit() for line in self._output)


def touch_memory() -> None:
    """Have a hypervisor back half a gigabyte, for whoever needs memory next.

    A page that the machine never used before costs a virtual machine microseconds
    that have nothing to do with what is measured.
    """
    np.ones(1 << 26)


def median(figures: list[float]) -> float:
    """The median, nan of nothing."""
    return statistics.median(figures) if figures else nan
