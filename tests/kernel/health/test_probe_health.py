"""``probe health.*`` of the SystemTap language, against what the kernel says before and after."""

from __future__ import annotations

import json

import pytest

from ktrace_nb.health.pieces import PIECES
from ktrace_nb.lab.image import Image
from tests.kernel.trace.kit import KERNELS
from tests.kernel.trace.tapset_kit import aliases_of, program, run

pytestmark = pytest.mark.kernel

ALIASES = [name for name in aliases_of("health.stp") if not name.startswith("_")]

# Only between two calls that nobody else makes.
COUNTING = """
global on, sums, parts
probe syscall.getpgid { if (pid() == target()) on = !on }
probe health.* { if (on) sums[name] <<< value }
probe health.interrupts, health.softirqs { if (on) parts[part] <<< value }
probe health.skb { if (on) parts[part] <<< value }
probe end {
  foreach (name in sums) printf("%s %d %d\\n", name, @count(sums[name]), @sum(sums[name]))
  foreach (part in parts) printf("part:%s %d %d\\n", part, @count(parts[part]), @sum(parts[part]))
}
"""

WORK = """
import mmap, socket
def numbers(path):
    rows = [line.split() for line in open(path).read().splitlines()]
    return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}
def told():
    stat, memory = numbers("/proc/stat"), numbers("/proc/vmstat")
    pages = sum(count for name, count in memory.items() if name.startswith("pgalloc_"))
    return {**stat, "pages": pages, **numbers("/proc/interrupts"), **numbers("/proc/softirqs")}
disk, page = os.open("/dev/vdb", os.O_RDONLY | os.O_DIRECT), mmap.mmap(-1, 4096)
ear, mouth = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
ear.bind(("127.0.0.1", 0))
for warm in (True, False):
    said["before"] = told()
    if not warm:
        os.getpgid(0)
    for n in range(100):
        os.preadv(disk, [page], n * 8192)
    for n in range(101):
        if not warm:
            mouth.sendto(b"x", ear.getsockname())
    for n in range(31):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
    if not warm:
        os.getpgid(0)
    said["after"] = told()
"""


@pytest.mark.parametrize("kernel", KERNELS)
def test_events_of_health_are_as_many_as_the_kernel_counts(
    kernel: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("image" if kernel == "lab" else "image_61")
    session = run(COUNTING, program(WORK), kernel=kernel)
    assert session.workload_status == 0, session.stderr
    rows = [line.split() for line in session.text.splitlines()]
    counts = {name: int(count) for name, count, _ in rows}
    sums = {name: int(total) for name, _, total in rows}
    said = json.loads(session.stdout.splitlines()[-1])
    grew = {name: said["after"][name] - said["before"][name] for name in said["after"]}
    # Reading /proc/interrupts and the like happens outside of the two calls.
    for name, theirs in (("ctxt", "ctxt"), ("forks", "processes"), ("pages", "pages")):
        assert 0 <= grew[theirs] - sums[name] <= 10 + 0.1 * grew[theirs], name
    for part in ("LOC", "TIMER", "RCU"):
        assert 0 <= grew[part] - sums.get(f"part:{part}", 0) <= 10 + 0.1 * grew[part], part
    assert sums["forks"] == 31
    # A buffer for each datagram that nobody reads.
    assert 101 <= sums["part:skbuff_head_cache"] < 101 + 64
    assert counts["block"] >= 200
    assert sums["block"] == 0


def test_a_glob_names_every_piece() -> None:
    assert sorted(ALIASES) == sorted(f"health.{name}" for name in PIECES)


def test_a_script_adds_the_probes_of_the_pieces_it_names_only(image: Image) -> None:
    session = run("global n\nprobe health.ctxt { n <<< value }\nprobe end { println(@sum(n) > 0) }", "true")
    assert session.text == "1\n"
    assert [name for name in session.probes.index if "health" in name] == list(session.probes.index)
    assert len(session.probes) == 1
