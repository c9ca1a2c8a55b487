"""What headers made from BTF cost, and what they save.

    python benchmarks/headers.py [--btf FILE --config FILE] [--headers FOLDER ...]

Prints times and ratios; asserts nothing. The cells are a histogram and programs
of twenty of the distribution's bcc tools. ``--headers`` names a kernel's header
packages, unpacked or installed, e.g. the ``-common`` and the build folder of
Debian's; then the same cells are compiled with those too. CPU times are those of
the compiler's process, without its start.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ktrace_nb.codegen.headers import bcc_names, header_tree, tracepoints_named  # noqa: E402
from ktrace_nb.compiler.client import CompilerWorker  # noqa: E402
from ktrace_nb.kernel.btf import Btf  # noqa: E402
from ktrace_nb.kernel.config import parse_config  # noqa: E402
from tests.corpus.harvest import harvest  # noqa: E402

HISTOGRAM = """\
#include <uapi/linux/ptrace.h>
#include <linux/fs.h>
BPF_HISTOGRAM(dist);
int kprobe__vfs_read(struct pt_regs *ctx, struct file *file, char __user *buf, size_t count)
{
    dist.increment(bpf_log2l(count));
    return 0;
}
"""
TOOLS = (
    "bindsnoop", "cachestat", "cpudist", "dcsnoop", "dcstat", "execsnoop", "exitsnoop",
    "ext4dist", "filelife", "fileslower", "filetop", "killsnoop", "oomkill", "readahead", "runqlat",
    "tcpconnect", "tcpconnlat", "tcptop", "vfsstat", "wakeuptime",
)  # fmt: skip
FORMATS = Path("/sys/kernel/tracing/events")


@dataclass(frozen=True)
class Cell:
    """A text, with what it is compiled with."""

    name: str
    text: str
    cflags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A cell with the headers for it."""

    cell: Cell
    files: Mapping[str, str]
    cflags: Sequence[str]


def timed(work: Callable[[], object], repeat: int) -> float:
    """CPU milliseconds of the fastest of some runs."""
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return 1000 * best


def same_code(ours: Sequence[Job], theirs: Sequence[Job]) -> str:
    """For how many cells both headers give the very same instructions and maps."""
    worker = CompilerWorker()

    def code(job: Job) -> object:
        bundle = worker.compile(job.cell.text, job.files, job.cflags).bundle
        if bundle is None:
            return None
        # The types' numbers in the program's own BTF depend on what else was declared.
        maps = [replace(definition, btf_key=0, btf_value=0) for definition in bundle.maps]
        return maps, [program.insns for program in bundle.programs]

    pairs = [(code(one), code(other)) for one, other in zip(ours, theirs, strict=True)]
    worker.close()
    both = [(one, other) for one, other in pairs if one and other]
    return f"{sum(one == other for one, other in both)} of {len(both)}"


def compile_cpu(jobs: Sequence[Job]) -> tuple[float, list[str]]:
    """CPU seconds that the compiler's process takes for some cells, and which it refused."""

    def run(count: int) -> tuple[float, list[str]]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        worker = CompilerWorker()
        refused = []
        for job in (jobs[0], *jobs[:count]):
            if not worker.compile(job.cell.text, job.files, job.cflags).ok:
                refused.append(job.cell.name)
        worker.close()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return used, refused[1 if refused[:1] == [jobs[0].cell.name] else 0 :]

    started, _ = run(0)
    whole, refused = run(len(jobs))
    return whole - started, refused


def real_headers(folders: Sequence[Path]) -> tuple[dict[str, str], list[str]]:
    """A tree and flags that lead to a kernel's own headers, in the order bcc has for them."""
    uapi = [f"{place}/uapi" for place in ("arch/x86/include", "arch/x86/include/generated")]
    places = ["arch/x86/include", "arch/x86/include/generated", "include", *uapi]
    places += ["include/uapi", "include/generated/uapi"]
    found = [folder / place for place in places for folder in folders if (folder / place).is_dir()]
    kconfig = next(place for folder in folders if (place := folder / "include/linux/kconfig.h").exists())
    return {"include/linux/kconfig.h": f'#include "{kconfig}"\n'}, [f"-I{place}" for place in found]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="measure headers made from BTF")
    parser.add_argument("--btf", type=Path, default=Path("/sys/kernel/btf/vmlinux"))
    parser.add_argument("--release", default="6.1.0", help="the kernel's release, for LINUX_VERSION_CODE")
    parser.add_argument("--config", type=Path, help="the kernel's configuration; else /proc/config.gz")
    parser.add_argument("--headers", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()

    data = options.btf.read_bytes()
    btf = Btf(data)
    print(f"{options.btf}: {btf.end - 1} types, {len(data) / 1e6:.1f} MB")
    print(f"  read                     {timed(lambda: Btf(data), options.repeat):8.1f} ms")
    print(f"  read, index of names     {timed(lambda: Btf(data).find('x'), options.repeat):8.1f} ms")
    print(f"  read, index of constants {timed(lambda: Btf(data).enumerator('x'), options.repeat):8.1f} ms")

    worker = CompilerWorker()
    names = bcc_names(*worker.builtin_headers)
    worker.close()
    config = parse_config((options.config or Path("/proc/config.gz")).read_bytes())
    events = [f"{p.parent.parent.name}/{p.parent.name}" for p in FORMATS.glob("*/*/id")]

    def headers(cell: Cell) -> Job:
        formats = {n: (FORMATS / n / "format").read_text() for n in tracepoints_named(cell.text, events)}
        tree = header_tree(
            cell.text,
            btf,
            formats=formats,
            config=config,
            release=options.release,
            cpus=1,
            bcc_names=names,
            cflags=cell.cflags,
        )
        return Job(cell, tree.files, [*tree.cflags, *cell.cflags])

    histogram = Cell("histogram", HISTOGRAM)
    corpus = {program.script: Cell(program.script, program.text, program.cflags) for program in harvest()}
    cells = [corpus[name] for name in TOOLS if name in corpus]
    print(f"headers made, CPU each (cells: {', '.join(cell.name for cell in cells)})")
    print(f"  histogram                {timed(lambda: headers(histogram), options.repeat):8.1f} ms")
    twenty = timed(lambda: [headers(cell) for cell in cells], options.repeat)
    print(f"  mean of {len(cells):2} cells         {twenty / len(cells):8.1f} ms")

    rows = {"histogram": [histogram], f"{len(cells)} cells": cells}
    for label, group in rows.items():
        jobs = [headers(cell) for cell in group]
        repeated = jobs * max(1, 20 // len(jobs))
        ours, refused = compile_cpu(repeated)
        print(f"compile, {label}, CPU each")
        print(f"  headers from BTF         {1000 * ours / len(repeated):8.1f} ms{_refused(refused)}")
        if options.headers:
            files, flags = real_headers([folder.resolve() for folder in options.headers])
            real = [Job(job.cell, files, [*flags, *job.cell.cflags]) for job in jobs]
            theirs, refused = compile_cpu(real)
            print(f"  the kernel's headers     {1000 * theirs / len(real):8.1f} ms{_refused(refused)}")
            print(f"  ratio                    {theirs / len(real) * len(repeated) / ours:8.1f}")
            print(f"  identical code           {same_code(jobs, real):>8}")


def _refused(names: Sequence[str]) -> str:
    return f"   refused: {', '.join(sorted(set(names)))}" if names else ""


if __name__ == "__main__":
    main()
