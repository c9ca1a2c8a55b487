"""How long programs run, by the kernel's own statistics, without paying for every hit.

While the statistics are on, each run of any BPF program on the machine costs tens
of nanoseconds more. So where programs run often they are on for a part of the time
only, and what they saw then stands for the rest; where programs run seldom they stay on
and are exact.
"""

from __future__ import annotations

import os
import re
import threading
import time
from typing import NamedTuple

from ktrace_nb.agent import bpf

WINDOW_S, PERIOD_S = 0.02, 0.2
FIRST_S = 0.5
"""A short session is measured whole."""
OFTEN_HZ = 20_000
"""From so many runs a second on the statistics would cost over 0.1 % of a CPU."""

_FDINFO = re.compile(r"^(run_cnt|run_time_ns|recursion_misses):\s*(\d+)", re.MULTILINE)


class Look(NamedTuple):
    """What the kernel says of a program at one moment."""

    runs: int
    """Counted while the statistics were on."""
    ran_ns: int
    """Nanoseconds; as the kernel tells them, of those runs."""
    recursion: int


def fdinfo(fd: int) -> Look:
    """What ``/proc`` says of a program's descriptor."""
    with open(f"/proc/self/fdinfo/{fd}") as file:
        counts = dict(_FDINFO.findall(file.read()))
    return Look(*(int(counts.get(key, 0)) for key in ("run_cnt", "run_time_ns", "recursion_misses")))


class RunStats:
    """Measures programs from now on, until it is closed.

    Args:
        programs: Their descriptors by name.
        always: Never switch off: a program does not count its own hits.
    """

    def __init__(self, programs: dict[str, int], *, always: bool) -> None:
        self._programs = programs
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._ran_ns = dict.fromkeys(programs, 0.0)
        self._ns_per_s = dict.fromkeys(programs, 0.0)
        """When they were last looked at."""
        self._begun: dict[str, Look] = {}
        self._begun_at = self._told_to = time.monotonic()
        self._fd = -1
        try:
            self._switch_on()
        except OSError:
            return  # older kernels have only a global switch, which is not ours to turn
        if not always:
            threading.Thread(target=self._keep, name="run statistics", daemon=True).start()

    def look(self) -> dict[str, Look]:
        """Every program, ``ran_ns`` an estimate of all its runs."""
        with self._lock:
            looks = self._looks()
            ran_ns = self._estimate(looks)
            return {name: look._replace(ran_ns=round(ran_ns[name])) for name, look in looks.items()}

    def _estimate(self, looks: dict[str, Look]) -> dict[str, float]:
        """What was noted, what is seen now, and what the last look says of the time between."""
        if self._closed.is_set():
            return self._ran_ns
        unseen_s = (self._begun_at if self._fd >= 0 else time.monotonic()) - self._told_to
        found = {}
        for name, look in looks.items():
            found[name] = self._ran_ns[name] + self._ns_per_s[name] * unseen_s
            if self._fd >= 0:
                found[name] += look.ran_ns - self._begun[name].ran_ns
        return found

    def _looks(self) -> dict[str, Look]:
        return {name: fdinfo(fd) for name, fd in self._programs.items()}

    def close(self) -> None:
        """Switch off; the programs run no more. Safe to call twice."""
        with self._lock:
            self._ran_ns = self._estimate(self._looks())
            self._closed.set()
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _switch_on(self) -> None:
        self._fd = bpf.enable_run_stats()
        self._begun = self._looks()
        self._begun_at = time.monotonic()

    def _keep(self) -> None:
        self._closed.wait(FIRST_S)
        while not self._closed.is_set():
            if self._take_note():
                self._closed.wait(PERIOD_S - WINDOW_S)
                with self._lock:
                    if not self._closed.is_set():
                        self._switch_on()
                self._closed.wait(WINDOW_S)
            else:
                self._closed.wait(PERIOD_S)

    def _take_note(self) -> bool:
        """Add up what was seen since the statistics went on; switch off if that is often."""
        with self._lock:
            if self._closed.is_set():
                return False
            now = time.monotonic()
            seen_s = now - self._begun_at
            # It stands for all the time since the last note was taken.
            scale = (now - self._told_to) / seen_s
            runs = 0
            for name, fd in self._programs.items():
                look = fdinfo(fd)
                runs += look.runs - self._begun[name].runs
                ran_ns = look.ran_ns - self._begun[name].ran_ns
                self._ran_ns[name] += scale * ran_ns
                self._ns_per_s[name] = ran_ns / seen_s
                self._begun[name] = look
            self._begun_at = self._told_to = now
            often = runs > OFTEN_HZ * seen_s
            if often:
                os.close(self._fd)
                self._fd = -1
            return often
