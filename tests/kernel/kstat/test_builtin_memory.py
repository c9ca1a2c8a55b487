"""The built-in kstats of memory in a real kernel, beside its own tools and workloads of known size."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from ktrace_nb.kstat.model import Kstat
from ktrace_nb.lab.image import Image
from ktrace_nb.targets.lab import LabTarget
from tests.kernel.kstat.system_kit import Kernel, grown, value

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def kernel(image: Image) -> Iterator[Kernel]:
    """A lab of these tests' own."""
    target = LabTarget("lab", lambda *_: None)
    yield Kernel(target)
    target.close()


def test_meminfo_and_vmstat_have_every_name_of_the_files(kernel: Kernel) -> None:
    kstats = kernel.read()
    for name in ("meminfo", "vmstat"):
        listed = kernel.shell(f"cut -d' ' -f1 /proc/{name} | tr -d :").split()
        assert list(kstats[f"linux:0:{name}"].data) == listed
    total = kernel.number("free -k | awk '/^Mem/{print $2}'")
    assert value(kstats, "linux:0:meminfo:MemTotal") == total
    assert value(kstats, "unix:0:system_pages:pagestotal") == total // 4


def test_no_counter_of_vmstat_ever_goes_back_and_gauges_do(kernel: Kernel) -> None:
    work = "dd if=/dev/zero of=/tmp/work bs=1M count=32 2>/dev/null; sync; rm /tmp/work"
    reads = [kernel.read()["linux:0:vmstat"].data]
    for _ in range(3):
        kernel.shell(work)
        kernel.shell("echo 3 > /proc/sys/vm/drop_caches; dd if=/usr/bin/busybox of=/dev/null 2>/dev/null")
        reads.append(kernel.read()["linux:0:vmstat"].data)
    went_back = set()
    for before, after in pairwise(reads):
        went_back |= {name for name in after if int(after[name].value) < int(before[name].value)}
    assert not {name for name in went_back if reads[0][name].counter}
    assert {"nr_free_pages", "nr_file_pages"} & went_back


def test_pages_of_a_file_in_memory_are_given_out_and_taken_back(kernel: Kernel) -> None:
    pages = 64 * 256
    name = "unix:0:system_pages"
    on_lists = "awk '$1 == \"count:\" {pages += $2} END {print pages}' /proc/zoneinfo"

    def read(command: str) -> tuple[dict[str, Kstat], int]:
        kernel.shell(f"{command}; sync; echo 3 > /proc/sys/vm/drop_caches")
        kstats = kernel.read()
        # What is taken back stays on the CPU's own lists at first, where it is neither free nor used.
        return kstats, value(kstats, f"{name}:freemem") + kernel.number(on_lists)

    start, free_at_start = read("mkdir -p /tmp/m; mount -t tmpfs -o huge=never none /tmp/m")
    held, free_then = read("head -c 64M /dev/zero > /tmp/m/file")
    end, free_at_end = read("umount /tmp/m")
    assert grown(start, held, f"{name}:nalloc") >= pages
    assert grown(held, end, f"{name}:nfree") >= pages
    assert grown(start, held, f"{name}:nalloc") >= grown(start, held, f"{name}:nalloc_calls") > 0
    assert abs(free_at_start - free_then - pages) < pages // 10
    assert abs(free_at_end - free_then - pages) < pages // 10
    free = kernel.number("free -k | awk '/^Mem/{print $4}'") // 4
    assert abs(value(end, f"{name}:freemem") - free) < pages // 8
    assert value(end, f"{name}:freemem") == value(end, f"{name}:pagesfree")


def test_memory_that_is_locked_is_not_available(kernel: Kernel) -> None:
    code = """
import ctypes, mmap, sys
memory = mmap.mmap(-1, 8 << 20)
libc = ctypes.CDLL(None, use_errno=True)
where = ctypes.addressof(ctypes.c_char.from_buffer(memory))
assert libc.mlock(ctypes.c_void_p(where), ctypes.c_size_t(8 << 20)) == 0
open("/tmp/locked", "w").close()
import time; time.sleep(60)
"""
    before = kernel.read()
    kernel.shell(f"""python3 -c '{code}' > /dev/null 2>&1 & echo $! > /tmp/pid
    until [ -e /tmp/locked ]; do sleep 0.05; done; cat /proc/self/status > /dev/null
    echo 1 > /proc/sys/vm/compact_memory""")
    held = kernel.read()
    kernel.shell("kill $(cat /tmp/pid); rm /tmp/locked")
    name = "unix:0:system_pages"
    assert value(held, f"{name}:pageslocked") - value(before, f"{name}:pageslocked") >= 2048
    for one in (before, held):
        assert value(one, f"{name}:availrmem") + value(one, f"{name}:pageslocked") == value(
            one, f"{name}:pagestotal"
        )


def test_watermarks_follow_what_is_kept_free(kernel: Kernel) -> None:
    old = kernel.number("cat /proc/sys/vm/min_free_kbytes")
    kernel.shell("echo 8192 > /proc/sys/vm/min_free_kbytes")
    try:
        kstats = kernel.read()
    finally:
        kernel.shell(f"echo {old} > /proc/sys/vm/min_free_kbytes")
    name = "unix:0:system_pages"
    # 8192 KiB are 2048 pages, shared out among the zones DMA and DMA32 and rounded down in both.
    assert 2046 <= value(kstats, f"{name}:minfree") <= 2048
    assert (
        value(kstats, f"{name}:minfree")
        < value(kstats, f"{name}:desfree")
        < value(kstats, f"{name}:lotsfree")
    )


def test_the_kernels_image_is_as_long_as_its_symbols_say(kernel: Kernel) -> None:
    kstats = kernel.read()
    symbols = kernel.shell('awk \'$3 == "_text" || $3 == "__bss_stop" {print $3, $1}\' /proc/kallsyms')
    address = {name: int(where, 16) for name, where in (line.split() for line in symbols.splitlines())}
    name = "unix:0:system_pages"
    length = value(kstats, f"{name}:econtig") - value(kstats, f"{name}:kernelbase")
    assert length == address["__bss_stop"] - address["_text"]


def test_faults_of_a_program_are_counted(kernel: Kernel) -> None:
    code = """
import mmap, resource
memory = mmap.mmap(-1, 1009 * 4096)
memory.madvise(mmap.MADV_NOHUGEPAGE)
for page in range(1009): memory[page * 4096] = 1
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""
    before = kernel.read()
    faults = kernel.python(code)
    after = kernel.read()
    assert faults >= 1009
    assert grown(before, after, "unix:0:vm:as_fault") >= faults
    assert grown(before, after, "linux:0:vmstat:pgfault") >= faults


def test_swap_is_what_proc_swaps_says(kernel: Kernel) -> None:
    kernel.shell("mkdir -p /tmp/s; mount -t tmpfs none /tmp/s; head -c 32M /dev/zero > /tmp/s/swap")
    disk = kernel.shell("modprobe loop; losetup -f --show /tmp/s/swap").strip()
    kernel.shell(f"mkswap {disk} > /dev/null; swapon {disk}")
    try:
        kstats = kernel.read()
        size, used = kernel.shell("awk 'NR > 1 {print $3, $4}' /proc/swaps").split()
    finally:
        kernel.shell(f"swapoff {disk}; losetup -d {disk}; umount /tmp/s")
    name = "unix:0:vminfo"
    assert value(kstats, f"{name}:swap_alloc") == int(used) // 4
    assert value(kstats, f"{name}:swap_free") == (int(size) - int(used)) // 4
    promised = value(kstats, f"{name}:swap_resv") + value(kstats, f"{name}:swap_avail")
    assert abs(promised * 4 - value(kstats, "linux:0:meminfo:CommitLimit")) < 8
