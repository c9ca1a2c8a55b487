"""The C programs of the distribution's bpfcc-tools, taken from the installed scripts.

A corpus of real programs that nobody wrote with this project in mind. Each
script runs as it is, with a stand-in for ``bcc`` that records what it would
compile and attach, and ends where it would wait for events (``recorder/``).
What a script asks about the kernel is answered for the kernel under test.
Nothing of the scripts is kept.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECORDER = Path(__file__).parent / "recorder"
TIMEOUT_S = 60

# What scripts need to be told before they show their program. The process asked
# for is never touched; 1 is one that always exists.
_PROCESS = ("cobjnew", "mysqld_qslower", "nodegc")
_LANGUAGES = ("java", "perl", "php", "python", "ruby", "tcl")
_OF_LANGUAGE = ("calls", "flow", "gc", "objnew", "threads")
ARGUMENTS = {
    **{f"{language}{tool}": ["1"] for language in _LANGUAGES for tool in _OF_LANGUAGE},
    **{name: ["1"] for name in _PROCESS},
    **{name: ["vfs_read"] for name in ("funcinterval", "funclatency", "funcslower", "stackcount")},
    "argdist": ["-H", "p::vfs_read(void *file, void *buf, u64 size):u64:size"],
    "biolatpcts": ["8:0"],
    "dbslower": ["mysql", "-x", "/bin/true"],
    "dbstat": ["mysql", "-p", "1"],
    "deadlock": ["1", "--binary", "/bin/true"],
    "dirtop": ["-d", "/"],
    "funccount": ["vfs_*"],
    "inject": ["kmalloc", "vfs_read()"],
    "netqtop": ["-n", "lo"],
    "trace": ['vfs_read(struct file *file) "%d", file->f_flags'],
    "ttysnoop": ["/dev/tty"],
}


# Switches that the tools' texts test and their options set. To the headers made for a
# cell they are macros nobody knows, so whoever compiles the text must say -U.
SWITCHES = frozenset((
    "BY_PROCESS", "CGROUPSET", "CGROUP_ID_SET", "FILTER_ERRNO", "FILTER_FAILED", "FILTER_HCALL_NR",
    "FILTER_PID", "FILTER_PPID", "FILTER_SYSCALL_NR", "FILTER_TID", "FULLPATH", "GRAB_ARGS",
    "INCLUDE_PATTERN", "KERNEL_STACKS", "LATENCY", "MIN_LATENCY", "MNT_NAMESPACE_DEFINED", "MYSQL56",
    "MYSQL57", "NOLANG", "SYSCALLS", "THRESHOLD", "USDT", "USER_STACKS",
))  # fmt: skip


@dataclass(frozen=True)
class KernelView:
    """What the scripts are told about the kernel; paths of text files."""

    functions: Path
    """Names of functions, separated by blanks."""

    tracepoints: Path
    """``category/event``, separated by blanks."""

    btf: Path
    kallsyms: Path


@dataclass(frozen=True)
class CorpusProgram:
    """One program a script would have compiled."""

    script: str
    """Name of the tool, without ``-bpfcc``."""

    text: str
    cflags: tuple[str, ...]
    attachments: tuple[tuple[str, str, str], ...]
    """Explicit ones, as kind, target, function; what bcc attaches by a function's
    name is not among them. Targets: ``function[+0xOFFSET]``, ``category/event``,
    ``PATH:SYMBOL``, ``PROVIDER:PROBE`` or ``PROBE``, ``TYPE:CONFIG:RATE``."""

    @property
    def switches(self) -> tuple[str, ...]:
        """The tool's own switches that the text tests and does not set."""
        tested = set(
            re.findall(r"\w+", " ".join(re.findall(r"^\s*#\s*(?:el)?if.*", self.text, re.MULTILINE)))
        )
        return tuple(sorted(tested & SWITCHES - set(re.findall(r"#\s*define\s+(\w+)", self.text))))


@dataclass(frozen=True)
class Harvest:
    """What all scripts gave."""

    programs: list[CorpusProgram]
    silent: dict[str, str]
    """Scripts that showed no program, and what they said."""


def scripts() -> dict[str, Path]:
    """The tools that bpfcc-tools installs: name, path."""
    return {path.name.removesuffix("-bpfcc"): path for path in sorted(Path("/usr/sbin").glob("*-bpfcc"))}


def harvest(view: KernelView | None = None) -> list[CorpusProgram]:
    """The programs of all scripts; see :func:`run_scripts`."""
    return run_scripts(view).programs


def run_scripts(view: KernelView | None = None) -> Harvest:
    """Run every script.

    Args:
        view: What to tell the scripts about the kernel; this machine's if None.
    """
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.json"
        view = view or _this_machine(Path(folder))
        plan.write_text(
            json.dumps(
                {
                    "root": str(ROOT),
                    "functions": str(view.functions),
                    "tracepoints": str(view.tracepoints),
                    "btf": str(view.btf),
                    "kallsyms": str(view.kallsyms),
                }
            )
        )
        with ThreadPoolExecutor(2) as pool:
            names = scripts()
            results = pool.map(lambda name: _run(name, names[name], plan), names)
            harvest = Harvest([], {})
            for name, (programs, reason) in zip(names, results, strict=True):
                harvest.programs.extend(programs)
                if not programs:
                    harvest.silent[name] = reason
            return harvest


def _run(name: str, path: Path, plan: Path) -> tuple[list[CorpusProgram], str]:
    out = plan.parent / f"{name}.json"
    environment = {
        **os.environ,
        "PYTHONPATH": str(RECORDER),
        "PYTHONDONTWRITEBYTECODE": "1",
        "KTRACE_NB_HARVEST": str(plan),
        "KTRACE_NB_HARVEST_OUT": str(out),
        "TERM": "xterm",
    }
    try:
        done = subprocess.run(
            [path, *ARGUMENTS.get(name, ())],
            env=environment,
            cwd=plan.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return [], f"still running after {TIMEOUT_S} s"
    record: dict[str, Any] = {"programs": [], "reason": "no Python script"}
    if out.exists():
        record = json.loads(out.read_text())
    programs = [
        CorpusProgram(
            name,
            program["text"],
            tuple(program["cflags"]),
            tuple((kind, target, function) for kind, target, function in program["attachments"]),
        )
        for program in record["programs"]
    ]
    said = (done.stdout + done.stderr).strip().splitlines()
    return programs, f"{record['reason']}; {said[-1] if said else 'said nothing'}"


def _this_machine(folder: Path) -> KernelView:
    """What this machine's kernel tells of itself."""
    functions, tracepoints = folder / "functions", folder / "tracepoints"
    kallsyms = Path("/proc/kallsyms")
    lines = (line.split() for line in kallsyms.read_text().splitlines())
    functions.write_text("\n".join(words[2] for words in lines if words[1] in "tTwW"))
    events = Path("/sys/kernel/tracing/events")
    tracepoints.write_text(
        "\n".join(f"{p.parent.parent.name}/{p.parent.name}" for p in events.glob("*/*/id"))
    )
    return KernelView(functions, tracepoints, Path("/sys/kernel/btf/vmlinux"), kallsyms)


if __name__ == "__main__":
    view = KernelView(*(Path(argument).resolve() for argument in sys.argv[1:])) if sys.argv[1:] else None
    harvest_result = run_scripts(view)
    for program in harvest_result.programs:
        print(f"{program.script}: {len(program.text)} bytes, {len(program.attachments)} attachments")
    for script, reason in harvest_result.silent.items():
        print(f"{script}: none: {reason}")
