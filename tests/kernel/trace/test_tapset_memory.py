"""Memory: every alias of memory.stp and the functions of proc_mem.stp, against getrusage(2) and /proc."""

from __future__ import annotations

import pytest

from ktrace_nb.lab.image import Image
from tests.kernel.trace.tapset_kit import Fired, aliases_of, fire, program, show

pytestmark = pytest.mark.kernel

ALIASES = aliases_of("memory.stp")
PAGES = 211

MEMORY = """
import ctypes, mmap, resource, signal, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = libc.sbrk.restype = ctypes.c_void_p
libc.munmap.argtypes = ctypes.c_void_p, ctypes.c_size_t
libc.sbrk.argtypes = (ctypes.c_ssize_t,)

said["begin"] = os.getpgid(0) and resource.getrusage(resource.RUSAGE_SELF).ru_minflt
# A mapping, and every page of it written once.
at = libc.mmap(None, 211 * 4096, 3, 0x22, -1, 0)
libc.madvise(ctypes.c_void_p(at), 211 * 4096, 15)  # MADV_NOHUGEPAGE
for page in range(211):
    ctypes.memset(at + page * 4096, 1, 1)
said["at"] = at

# The same pages read, where only the page of zeros is.
zeros = libc.mmap(None, 13 * 4096, 3, 0x22, -1, 0)
for page in range(13):
    ctypes.string_at(zeros + page * 4096, 1)
said["zeros"] = zeros

# What parent and child share is copied as it is written.
child = os.fork()
if child == 0:
    for page in range(17):
        ctypes.memset(at + page * 4096, 2, 1)
    os._exit(0)
os.waitpid(child, 0)
said["child"] = child
assert libc.munmap(at, 211 * 4096) == 0

# The heap, by 5 pages.
heap = libc.sbrk(0)
said["heap"] = libc.sbrk(5 * 4096)
assert said["heap"] == heap

# Out of memory in a group of its own.
os.makedirs("/sys/fs/cgroup/small", exist_ok=True)
open("/sys/fs/cgroup/cgroup.subtree_control", "w").write("+memory")
open("/sys/fs/cgroup/small/memory.max", "w").write(str(8 << 20))
child = os.fork()
if child == 0:
    open("/sys/fs/cgroup/small/cgroup.procs", "w").write(str(os.getpid()))
    hungry = b"x" * (64 << 20)
    os._exit(0)
said["hungry"], said["status"] = child, os.waitpid(child, 0)[1]
os.rmdir("/sys/fs/cgroup/small")

# A counter of one processor is allocated on that processor's node.
attributes = ctypes.create_string_buffer(b"\\1\\0\\0\\0\\x40\\0\\0\\0", 64)
os.close(libc.syscall(298, attributes, -1, 0, -1, 0))

said["task"] = int(open("/sys/kernel/slab/task_struct/object_size").read())
said["statm"] = [int(word) for word in open("/proc/self/statm").read().split()]
said["end"] = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
os.getpgid(0)
with open("/proc/self/smaps_rollup") as file:
    file.readline()
    said["rollup"] = {line.split()[0]: int(line.split()[1]) for line in file}
"""

CALLS = ("proc_mem_size({})", "proc_mem_rss({})", "proc_mem_shr({})", "proc_mem_txt({})", "proc_mem_data({})")


def words_of_memory(label: str, argument: str, *more: str) -> str:
    """A probe that calls the functions of a process's memory."""
    calls = [call.format(argument) for call in CALLS]
    values = ", ".join([f'"{label}"', "ktime_get_ns()", *calls, *more])
    return f'probe syscall.getpgid {{ if (pid() == target()) printdln("\\t", {values}) }}\n'


FUNCTIONS = words_of_memory("own", "", "mem_page_size()", "proc_mem_string()")
FUNCTIONS += words_of_memory("other", "pid()", "addr_to_node(4096 * 4096)", "proc_mem_string(pid())")
FUNCTIONS += words_of_memory("none", "999999", "addr_to_node(1 << 50)")


@pytest.fixture(scope="module")
def memory(image: Image) -> Fired:
    script = FUNCTIONS
    for name in ALIASES:
        more = []
        if name == "vm.pagefault.return":
            kinds = ("OOM", "SIGBUS", "MINOR", "MAJOR", "NOPAGE", "LOCKED", "ERROR")
            more = [f"vm_fault_contains(fault_type, VM_FAULT_{kind})" for kind in kinds]
        if name == "vm.oom_kill":
            more = ["task_pid(task)"]
        if "alloc" in name:
            more = ["symname(call_site)"]
        script += show(name, "target_set_pid(pid())", more=more)
    # What the kernel's own memory is asked for while a probe runs is passed over.
    return fire(script, program(MEMORY), interrupts=[name for name in ALIASES if name.startswith("vm.k")])


def test_all_of_them_fire(memory: Fired) -> None:
    assert memory.silent(ALIASES) == []


def test_page_faults(memory: Fired) -> None:
    said = memory.said
    pid = said["pid"]
    for begin, pages, writes in ((said["at"], PAGES, 1), (said["zeros"], 13, 0)):
        faults = [
            row
            for row in memory.of("vm.pagefault", tid=pid)
            if 0 <= int(row["address"]) - begin < pages * 4096
        ]
        assert [int(row["address"]) - begin for row in faults] == [4096 * page for page in range(pages)]
        assert {(row["name"], row["write_access"]) for row in faults} == {("pagefault", writes)}
    shared = [int(row["address"]) - said["at"] for row in memory.of("vm.write_shared", tid=said["child"])]
    assert [offset for offset in shared if 0 <= offset < PAGES * 4096] == [4096 * page for page in range(17)]

    first, last = (int(row["0"]) for row in memory.rows["own"])
    done = [row for row in memory.of("vm.pagefault.return", tid=pid) if first < int(row["at"]) < last]
    # Minor faults as getrusage(2) counts them; a fault that is tried again (bit 10) counts once.
    minor = [row for row in done if not int(row["fault_type"]) & 0x404]
    assert abs(len(minor) - (said["end"] - said["begin"])) <= 12
    for row in memory.of("vm.pagefault.return"):
        # Bits of enum vm_fault_reason, include/linux/mm_types.h.
        kind = int(row["fault_type"])
        told = [row[f"more{n}"] for n in range(7)]
        bits = [kind & 1, kind >> 1 & 1, int(not kind & 0x477), kind >> 2 & 1, kind >> 8 & 1, kind >> 9 & 1]
        assert told == [*bits, int(bool(kind & 0x873))]
    assert any(row["more2"] for row in minor)


def test_mappings_and_the_heap(memory: Fired) -> None:
    said = memory.said
    assert len(memory.of("vm.mmap", tid=said["pid"], address=0, length=PAGES * 4096)) == 1
    assert memory.one("vm.munmap", tid=said["pid"], length=PAGES * 4096)["address"] == said["at"]
    assert memory.one("vm.brk", tid=said["pid"], length=5 * 4096)["address"] == said["heap"]


def test_a_process_is_killed_for_its_memory(memory: Fired) -> None:
    row = memory.one("vm.oom_kill")
    assert (row["name"], row["more0"], row["tid"]) == (
        "oom_kill",
        memory.said["hungry"],
        memory.said["hungry"],
    )
    assert memory.said["status"] == 9


def test_the_kernels_own_memory(memory: Fired) -> None:
    for name in ("kmalloc", "kmem_cache_alloc", "kmalloc_node", "kmem_cache_alloc_node"):
        rows = memory.of(f"vm.{name}")
        assert {row["name"] for row in rows} == {name}
        for row in rows:
            assert 0 < int(row["bytes_req"]) <= int(row["bytes_alloc"])
            assert row["gfp_flag_name"] == hex(int(row["gfp_flags"]))
            assert row["caller_function"] == row["more0"]
    # A task, and the name of a file, include/uapi/linux/limits.h: PATH_MAX.
    sizes = {row["bytes_req"] for row in memory.of("vm.kmem_cache_alloc")}
    assert {4096, memory.said["task"]} <= sizes
    assert "perf_event_alloc" in {row["caller_function"] for row in memory.of("vm.kmem_cache_alloc_node")}
    # What is allocated is freed, by the same address.
    for alloc, free in (("kmalloc", "kfree"), ("kmem_cache_alloc", "kmem_cache_free")):
        given = {row["ptr"] for row in memory.of(f"vm.{alloc}")}
        back = {row["ptr"] for row in memory.of(f"vm.{free}")}
        assert len(given & back) > len(given) / 2


def test_memory_of_a_process_is_what_proc_says(memory: Fired) -> None:
    for name in ("own", "other"):
        _, row = memory.rows[name]
        size, rss, shr, txt, data, last, words = (row[str(n)] for n in range(1, 8))
        said = memory.said["statm"]
        assert (size, txt, data) == (said[0], said[3], said[5])
        assert last == (4096 if name == "own" else 0)
        # /proc/self/statm leaves out what each processor has not told yet (up to Linux 6.15), smaps does not.
        rollup = memory.said["rollup"]
        assert abs(int(rss) * 4 - rollup["Rss:"]) <= 64
        assert abs(int(shr) * 4 - (rollup["Rss:"] - rollup["Anonymous:"])) <= 64
        assert str(words).startswith(f"size: {int(size) / 256:.1f}"[:9])
        assert f"rss: {int(rss) * 4 // 1024}." in str(words)
    assert [memory.rows["none"][0][str(n)] for n in range(1, 7)] == [0, 0, 0, 0, 0, -1]
