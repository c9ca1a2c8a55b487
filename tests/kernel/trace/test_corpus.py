"""bcc's own tools: their programs go through the whole pipeline and into the lab's kernel."""

from __future__ import annotations

import pytest

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.errors import KTraceError
from ktrace_nb.ir.probes import by_name
from ktrace_nb.lang.c.cell import parse
from ktrace_nb.source import Source
from ktrace_nb.targets.base import Target, get_target
from tests.corpus.harvest import CorpusProgram, KernelView, run_scripts, scripts

pytestmark = pytest.mark.kernel

# Where a program of a kind is attached for the trial; only the kind decides whether it loads.
_PLACES = {
    "kprobe": "kprobe:vfs_read",
    "kretprobe": "kretprobe:vfs_read",
    "uprobe": "uprobe:c:getppid",
    "uretprobe": "uretprobe:c:getppid",
    "usdt": "uprobe:c:getppid",
    "tracepoint": "tracepoint:sched:sched_switch",
    "raw_tracepoint": "raw_tracepoint:sys_enter",
    "perf": "software:cpu-clock:1000000",
}


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> KernelView:
    """The lab's kernel, as the scripts ask for it."""
    target = get_target("lab")
    facts = engine.facts_of(target)
    folder = tmp_path_factory.mktemp("kernel")
    for name, data in (
        ("functions", "\n".join(facts.traceable).encode()),
        ("tracepoints", "\n".join(facts.tracepoints).encode()),
        ("btf", target.fact("btf")),
        ("kallsyms", target.fact("kallsyms")),
    ):
        (folder / name).write_bytes(data)
    return KernelView(*(folder / name for name in ("functions", "tracepoints", "btf", "kallsyms")))


def options_for(program: CorpusProgram, text: str) -> Options:
    """Attach options that give every function the kind its script wants."""
    kinds = {function: kind for kind, _, function in program.attachments if kind in _PLACES}
    attach = []
    for function in parse(Source(text)).functions:
        if function.is_static:
            continue
        named = by_name(function.name, None, None)
        if function.name in kinds:
            attach.append(f"{_PLACES[kinds[function.name]]}:{function.name}")
        elif named is None or named.kind in ("kprobe", "kretprobe", "syscall"):
            attach.append(f"{_PLACES['kprobe']}:{function.name}")
    flags = [*program.cflags, *(f"-U{switch}" for switch in program.switches)]
    return Options(attach=tuple(attach), cflags=tuple(flags))


def test_the_programs_of_at_least_110_of_bccs_tools_compile_and_load(lab: Target, view: KernelView) -> None:
    loaded: set[str] = set()
    failed: dict[str, str] = {}
    for program in run_scripts(view).programs:
        if not program.text.strip():
            continue  # opensnoop asks an empty BPF object for a system call's name
        options = options_for(program, program.text)
        try:
            cell = engine.lower(Source(program.text, program.script), options)
            built = engine.compile_for(lab, cell, options)
            engine.trial(lab, built, attach=False)
        except KTraceError as error:
            failed[program.script] = error.lines()[0]
        else:
            loaded.add(program.script)
    loaded -= failed.keys()  # a script of several programs needs them all
    for script, reason in sorted(failed.items()):
        print(f"{script}: {reason}")
    print(f"{len(loaded)} of {len(scripts())} scripts' programs load")
    assert len(loaded) >= 85
