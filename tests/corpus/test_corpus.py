"""Programs nobody wrote for us: do they compile with headers made from BTF?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ktrace_nb.codegen.headers import bcc_names, header_tree, tracepoints_named
from ktrace_nb.compiler.client import CompilerWorker
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.config import parse_config
from tests.corpus.harvest import Harvest, run_scripts, scripts
from tests.kernel_facts.prove_layout import HOST_BTF

EVENTS = Path("/sys/kernel/tracing/events")


@pytest.fixture(scope="module")
def harvest() -> Harvest:
    return run_scripts()


def formats() -> dict[str, Path]:
    """This machine's tracepoints, as far as it lets us see them."""
    if not os.access(EVENTS, os.R_OK):
        return {}
    return {f"{path.parent.parent.name}/{path.parent.name}": path for path in EVENTS.glob("*/*/format")}


def host_config() -> dict[str, str]:
    for path in (Path("/proc/config.gz"), Path(f"/boot/config-{os.uname().release}")):
        if path.exists():
            return parse_config(path.read_bytes())
    return {"CONFIG_NET": "1"}


def test_almost_every_script_shows_its_program(harvest: Harvest) -> None:
    shown = {program.script for program in harvest.programs}
    assert shown | harvest.silent.keys() == scripts().keys()
    # These have none, or look for something that this machine may not have.
    assert {"bpflist", "reset-trace", "tplist"} <= harvest.silent.keys()
    assert len(shown) >= len(scripts()) - 12, harvest.silent


def test_what_a_script_would_attach_is_told(harvest: Harvest) -> None:
    by_script = {program.script: program for program in harvest.programs}
    attachments = by_script["vfscount"].attachments
    assert ("kprobe", "vfs_read", "do_count") in attachments
    assert all(kind == "kprobe" for kind, _, _ in attachments)
    assert by_script["execsnoop"].attachments[0][1].endswith("sys_execve")
    assert ("usdt", "query__start", "do_start") in by_script["mysqld_qslower"].attachments


def test_every_program_compiles(harvest: Harvest, worker: CompilerWorker) -> None:
    btf = Btf(HOST_BTF.read_bytes())
    names, config, tracepoints = bcc_names(*worker.builtin_headers), host_config(), formats()
    compiled, failures = set(), []
    for program in harvest.programs:
        # A tracepoint's record must be there, a probe of user space is written by its loader.
        named = tracepoints_named(program.text, tracepoints)
        wanted = "TRACEPOINT_PROBE(" in program.text or "struct tracepoint__" in program.text
        if (wanted and not named) or "bpf_usdt_readarg" in program.text:
            continue
        cflags = [*program.cflags, *(f"-U{switch}" for switch in program.switches)]
        tree = header_tree(
            program.text,
            btf,
            formats={name: tracepoints[name].read_text() for name in named},
            config=config,
            release=os.uname().release,
            cpus=os.cpu_count() or 1,
            bcc_names=names,
            cflags=cflags,
        )
        failures += [f"{program.script}: {p.message}" for p in tree.problems if p.severity == "error"]
        result = worker.compile(program.text, tree.files, [*tree.cflags, *cflags])
        if result.ok:
            compiled.add(program.script)
        else:
            failures.append(f"{program.script}: {result.diagnostics}")
    assert failures == []
    assert len(compiled) >= 80, sorted(compiled)
