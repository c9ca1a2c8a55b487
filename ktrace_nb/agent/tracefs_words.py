"""What the files of tracefs that a tracer is set up by hold, as words to be written back."""

from __future__ import annotations

import itertools
import os
import re

from ktrace_nb.agent.errors import AgentError
from ktrace_nb.agent.host import read_file
from ktrace_nb.agent.mounts import TRACEFS

_numbers = itertools.count(1)

# A program that prints turns this event on, and the kernel never turns it off again.
_HARMLESS = frozenset(("bpf_trace:bpf_trace_printk",))


def own_instance(tracer: str) -> str:
    """A new instance of tracefs in which the tracer works; empty if there is no such thing.

    An instance lists the tracers that work in it. Source: Linux ``kernel/trace/trace.c``,
    ``trace_ok_for_array()``.
    """
    path = f"{TRACEFS}/instances/ktrace_nb-{os.getpid()}-{next(_numbers)}"
    try:
        os.mkdir(path)
    except OSError:
        return ""
    works = False
    try:
        works = tracer.encode() in read_file(f"{path}/available_tracers").split()
    finally:
        if not works:
            os.rmdir(path)
    return path if works else ""


def check_free(tracer: str, root: str, *, shared: bool) -> None:
    """Refuse to disturb others, or to be disturbed by them.

    Args:
        tracer: The one to be used.
        root: The folder it is to be used in, of the machine or an instance.
        shared: Whether settings are needed that all instances share.

    Raises:
        AgentError: ``no_tracer`` if the kernel lacks it, ``busy`` if it is in use.
    """
    if tracer.encode() not in read_file(f"{root}/available_tracers").split():
        raise AgentError("no_tracer", f"this kernel has no tracer {tracer!r}")
    if read_file("/proc/sys/kernel/ftrace_enabled").strip() == b"0":
        raise AgentError("busy", "ftrace is switched off (sysctl kernel.ftrace_enabled)")
    if root == TRACEFS:
        current = read_file(f"{root}/current_tracer").decode().strip()
        if current != "nop":
            raise AgentError("busy", f"tracer {current!r} is in use ({root}/current_tracer)", tracer=current)
        events = sorted(set(read_file(f"{root}/set_event").decode().split()) - _HARMLESS)
        if events:
            raise AgentError(
                "busy", f"{len(events)} events are being traced, for example {events[0]!r} ({root}/set_event)"
            )
        return
    users = [path for path in _others(root) if read_file(f"{path}/current_tracer").decode().strip() == tracer]
    if users and shared:
        raise AgentError("busy", f"{users[0]} traces calls, and would share roots and depth")
    for name, free in (("set_graph_function", []), ("max_graph_depth", ["0"])):
        if users and read_words(f"{TRACEFS}/{name}") != free:
            raise AgentError("busy", f"{users[0]} traces calls, and its {name} would count here too")


def _others(root: str) -> list[str]:
    instances = f"{TRACEFS}/instances"
    return [TRACEFS, *(p for p in (f"{instances}/{n}" for n in os.listdir(instances)) if p != root)]


def find_lines(functions: list[str]) -> tuple[list[str], list[str]]:
    """Lines of ``available_filter_functions`` that have these functions, and functions that have none."""
    if not functions:
        return [], []
    wanted = set(functions)
    lines, found = [], set()
    text = read_file(f"{TRACEFS}/available_filter_functions").decode()
    for number, name in enumerate(text.splitlines(), 1):  # NAME, or NAME [MODULE]
        if name in wanted:
            lines.append(str(number))
            found.add(name)
    return lines, [name for name in functions if name not in found]


def read_words(path: str) -> list[str]:
    """The words that, written to it, make a file what it is now."""
    text = read_file(path).decode()
    name = path.rpartition("/")[2]
    if name == "trace_clock":  # local [global] counter ...
        return re.findall(r"\[(\S+)\]", text)
    if name == "buffer_size_kb":  # 1408, or 7 (expanded: 1408) before anything was traced
        return re.findall(r"\d+", text)[-1:]
    if name == "set_ftrace_filter":
        return find_lines([" ".join(line.split()) for line in _functions(text)])[0]
    if name.startswith(("set_ftrace", "set_graph")):
        return [line.split()[0] for line in _functions(text)]
    return text.split()


def _functions(text: str) -> list[str]:
    """Lines but comments ("#### all functions enabled ####"), "no pid", and commands ("NAME:traceoff")."""
    return [
        line for line in text.splitlines() if line and line[0] != "#" and line != "no pid" and ":" not in line
    ]


def page_size(root: str) -> int:
    """Bytes per page of the ring buffer; can be changed since Linux 6.8."""
    try:
        return int(read_file(f"{root}/buffer_subbuf_size_kb")) << 10
    except FileNotFoundError:
        return os.sysconf("SC_PAGE_SIZE")
