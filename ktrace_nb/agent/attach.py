"""Attach programs: one function per kind of :class:`AttachPoint`.

Each gives the descriptors that hold the attachment; closing them detaches.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Callable

from ktrace_nb.agent import bpf, links, perf
from ktrace_nb.agent.elf import ElfFile, resolve_binary
from ktrace_nb.agent.errors import AgentError
from ktrace_nb.agent.host import online_cpus, read_file
from ktrace_nb.agent.mounts import TRACEFS
from ktrace_nb.wire.bundle import AttachPoint

Held = list[int]


@lru_cache
def _pmu_type(name: str) -> int:
    try:
        return int(read_file(f"/sys/bus/event_source/devices/{name}/type"))
    except FileNotFoundError:
        raise AgentError("no_feature", f"this kernel has no {name}s (no {name} event source)") from None


def _probe(attr: bytes, program_fd: int, pid: int = -1, cookie: int = 0) -> Held:
    # A probe fires on every CPU whichever one it is opened on; with a pid it is opened on all of them.
    fd = perf.open_event(attr, pid, -1 if pid > 0 else online_cpus()[0])
    try:
        return perf.run_program_on(fd, program_fd, cookie)
    except OSError:
        os.close(fd)
        raise


def _kprobe(point: AttachPoint, program_fd: int) -> Held:
    name = bpf.Buffer(point.target.encode() + b"\0")
    config = 1 if point.kind == "kretprobe" else 0
    # Without a name the offset is an address.
    by_name = name.address if point.target else 0
    attr = perf.attribute(_pmu_type("kprobe"), config, config1=by_name, config2=point.offset)
    return _probe(attr, program_fd, cookie=point.cookie)


def _uprobe_at(point: AttachPoint, program_fd: int, path: str, offset: int, semaphore: int = 0) -> Held:
    name = bpf.Buffer(path.encode() + b"\0")
    # Bit 0 asks for the return; ref_ctr_offset is config:32-63.
    config = (1 if point.kind == "uretprobe" else 0) | semaphore << 32
    attr = perf.attribute(_pmu_type("uprobe"), config, config1=name.address, config2=offset)
    return _probe(attr, program_fd, point.pid)


def _uprobe(point: AttachPoint, program_fd: int) -> Held:
    path = resolve_binary(point.path)
    offset = point.offset
    if point.target:
        offsets = ElfFile(path).function_offsets()
        if point.target not in offsets:
            raise AgentError(
                "no_symbol",
                f"no function {point.target!r} in {path}",
                name=point.target,
                known=sorted(offsets),
            )
        offset += offsets[point.target]
    return _uprobe_at(point, program_fd, path, offset)


def _usdt(point: AttachPoint, program_fd: int) -> Held:
    path = resolve_binary(point.path)
    provider, _, name = point.target.rpartition(":")
    probes = ElfFile(path).usdt_probes()
    places = [p for p in probes if p.name == name and provider in ("", p.provider)]
    if not places:
        known = sorted({f"{p.provider}:{p.name}" for p in probes})
        raise AgentError(
            "no_symbol", f"no USDT probe {point.target!r} in {path}", name=point.target, known=known
        )
    held: Held = []
    for place in places:
        held += _uprobe_at(point, program_fd, path, place.offset, place.semaphore_offset)
    return held


def _tracepoint(point: AttachPoint, program_fd: int) -> Held:
    number = int(read_file(f"{TRACEFS}/events/{point.target}/id"))
    return _probe(perf.attribute(perf.TYPE_TRACEPOINT, number, period=1), program_fd)


def _raw_tracepoint(point: AttachPoint, program_fd: int) -> Held:
    return [bpf.open_raw_tracepoint(program_fd, point.target)]


def _by_btf(point: AttachPoint, program_fd: int) -> Held:
    if point.cookie:
        types = {"fentry": links.BPF_TRACE_FENTRY, "fexit": links.BPF_TRACE_FEXIT}
        return [links.link_tracing(program_fd, types[point.kind], point.cookie)]
    return [bpf.open_raw_tracepoint(program_fd, None)]


def _perf(point: AttachPoint, program_fd: int) -> Held:
    attr = perf.attribute(point.perf_type, point.perf_config, period=point.period, frequency=point.frequency)
    cpus = [point.cpu] if point.cpu >= 0 else [-1] if point.pid > 0 else online_cpus()
    held: Held = []
    try:
        for cpu in cpus:
            fd = perf.open_event(attr, point.pid, cpu)
            held.append(fd)
            held[-1:] = perf.run_program_on(fd, program_fd)
    except OSError:
        for fd in held:
            os.close(fd)
        raise
    return held


_ATTACH: dict[str, Callable[[AttachPoint, int], Held]] = {
    "kprobe": _kprobe,
    "kretprobe": _kprobe,
    "uprobe": _uprobe,
    "uretprobe": _uprobe,
    "usdt": _usdt,
    "tracepoint": _tracepoint,
    "raw_tracepoint": _raw_tracepoint,
    "fentry": _by_btf,
    "fexit": _by_btf,
    "lsm": _by_btf,
    "perf": _perf,
}


def attach(point: AttachPoint, program_fd: int) -> Held:
    """Attach a program; gives the descriptors that hold it, a link first if there is one.

    Raises:
        AgentError: ``attach`` with what the kernel said, or a more particular code.
    """
    try:
        return _ATTACH[point.kind](point, program_fd)
    except OSError as error:
        what = ":".join(part for part in (point.kind, point.path, point.target) if part)
        raise AgentError(
            "attach", AgentError.from_os(error, f"cannot attach {what}").message,
            errno=error.errno, target=point.target,
        ) from None  # fmt: skip
