"""The health of a real kernel: what is counted, and what the kernel itself says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ktrace_nb.errors import OptionError, ProbeNotFoundError
from ktrace_nb.health.memory import DIRTY
from ktrace_nb.health.model import Account, Change, Piece
from ktrace_nb.health.parsing import line
from ktrace_nb.health.pieces import PIECES
from ktrace_nb.health.processors import CTXT, VECTORS
from ktrace_nb.health.watching import Watch, watch
from ktrace_nb.lab.image import Image
from ktrace_nb.lab.start import start_machine
from ktrace_nb.targets.lab import LabTarget
from tests.kernel.health.guest_kit import FORKS, MIXED, WRITES, Guest, Watching, row_of

pytestmark = pytest.mark.kernel

LOAD_S = 60
RECONCILED = 1e-3
"""Issue 7: less than 0.1 % over 60 s of load."""


@pytest.fixture(scope="module", params=["lab", "lab:lab-6.1"])
def guest(request: pytest.FixtureRequest) -> Iterator[Guest]:
    """A lab of these tests' own: nothing else runs in it."""
    request.getfixturevalue("image" if request.param == "lab" else "image_61")
    target = LabTarget(request.param.removeprefix("lab:"), lambda *_: None)
    yield Guest(target)
    target.close()


@pytest.fixture
def watching(guest: Guest) -> Iterator[Watching]:
    """Watch pieces until the test is over."""
    made: list[Watch] = []

    def begin(*pieces: str | Piece) -> Watch:
        made.append(watch(guest.target, pieces))
        return made[-1]

    yield begin
    for one in made:
        one.stop()


def test_what_could_not_be_done_is_reconciled_over_60_seconds_of_load(
    guest: Guest, watching: Watching
) -> None:
    health = watching("ctxt", "interrupts", "skb")
    switches = guest.number("/proc/stat", "ctxt")
    interrupts = guest.interrupts()
    guest.put("/tmp/mixed.py", MIXED)
    with guest.background(f"python3 -I -S /tmp/mixed.py {LOAD_S}; touch /tmp/done"):
        for _ in range(5):
            time.sleep(LOAD_S / 6)
            during = health.frame()
            assert (during["state"] == "ok").all(), during.to_string()
        guest.wait_for("/tmp/done", 2 * LOAD_S)
    frame = health.frame()
    print(frame.drop(columns=["title", "least", "most"]).to_string(), frame.attrs)

    assert frame.attrs["ktrace"]["over_s"] >= LOAD_S
    whole = frame.xs("", level="part")
    assert (whole["moves"] > 20_000).all()
    # Not only is the drift small: it is known that well.
    assert (whole["drift"].abs() + whole["slack"] < RECONCILED * whole["moves"]).all(), whole.to_string()
    # What the frame calls the kernel's number is what a shell sees.
    assert switches < row_of(frame, "ctxt")["source"] <= guest.number("/proc/stat", "ctxt")
    now = guest.interrupts()
    for label, row in frame.loc["interrupts"].drop("").iterrows():
        assert interrupts[str(label)] <= row["source"] <= now[str(label)]
    # All interrupts that happened were of kinds that are watched.
    grew = {label for label, count in now.items() if count > interrupts[label]}
    assert {label for label in grew if not label.isdigit()} <= {*VECTORS, "MCP"}


def test_every_piece_agrees_with_the_kernel(guest: Guest, watching: Watching) -> None:
    health = watching("*")
    guest.run("modprobe sch_netem; tc qdisc add dev lo root netem loss 5%")
    try:
        guest.python(MIXED, 5)
    finally:
        guest.run("tc qdisc del dev lo root")
    guest.run(FORKS.format(count=97))
    guest.run(WRITES.format(folder="/mnt/ext4", count=211) + "; sync; rm /mnt/ext4/written")
    frame = health.frame()
    print(frame.drop(columns=["title", "least", "most"]).to_string(), frame.attrs)
    assert (frame["state"] == "ok").all(), frame.to_string()
    moves = frame.xs("", level="part")["moves"]
    assert set(moves.index) == set(PIECES)
    assert 97 <= row_of(frame, "forks")["moves"] < 150
    # Dirty once and clean once, besides what the file system notes of itself.
    assert 2 * 211 <= row_of(frame, "dirty")["moves"] < 3 * 211
    assert moves.drop("nmi").min() > 0


def test_a_level_is_what_the_kernel_has_now(guest: Guest, watching: Watching) -> None:
    guest.run("sync")
    health = watching("dirty", "runnable")
    guest.run(WRITES.format(folder="/mnt/ext4", count=211))
    with guest.background("while :; do :; done"), guest.background("while :; do :; done"):
        frame = health.frame()
    assert (frame["drift"] == 0).all(), frame.to_string()
    dirty = row_of(frame, "dirty")
    assert 211 <= dirty["level"] < 300
    assert dirty["level"] == dirty["source"]
    assert row_of(frame, "runnable")["level"] >= 2
    guest.run("sync; rm /mnt/ext4/written; sync")
    assert row_of(health.frame(), "dirty")["level"] < 5


def test_requests_are_in_a_disks_queue_while_it_serves_them(guest: Guest, watching: Watching) -> None:
    health = watching("block")
    with guest.background("while :; do dd if=/dev/vdd of=/dev/null bs=4k count=50 iflag=direct; done"):
        frames = [health.frame() for _ in range(20)]
    # The slow disk serves 25 requests a second, one after the other.
    assert {int(frame["level"].iloc[0]) for frame in frames} <= {0, 1}
    assert 1 in {int(frame["source"].iloc[0]) for frame in frames}
    assert {int(frame["drift"].iloc[0]) for frame in frames} == {0}


def test_buffers_that_wait_to_be_read_are_counted(guest: Guest, watching: Watching) -> None:
    health = watching("skb")
    before = row_of(health.frame(), "skb", "skbuff_head_cache")
    waiting = (
        "import socket, time\n"
        "ear, mouth = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))\n"
        "ear.bind(('127.0.0.1', 4242))\n"
        "[mouth.sendto(b'x', ('127.0.0.1', 4242)) for _ in range(101)]\n"
        "open('/tmp/sent', 'w').close()\n"
        "time.sleep(60)\n"
    )
    guest.put("/tmp/waiting.py", waiting)
    with guest.background("exec python3 -I -S /tmp/waiting.py"):
        guest.wait_for("/tmp/sent", 30)
        during = row_of(health.frame(), "skb", "skbuff_head_cache")
    # The kernel keeps some that were freed for the next to come.
    assert 101 <= during["level"] - before["level"] < 101 + 64
    assert during["drift"] == 0


def test_every_nmi_is_counted(guest: Guest, watching: Watching) -> None:
    guest.run("echo 0 > /proc/sys/kernel/unknown_nmi_panic")
    health = watching("nmi")
    before = guest.interrupts()["NMI"]
    for number in range(1, 8):
        with guest.target.machine.monitor() as qemu:
            qemu.command("inject-nmi")
        guest.run(
            f"for i in $(seq 100); do grep -q 'NMI: *{before + number} ' /proc/interrupts && exit 0;"
            " sleep 0.05; done; exit 1"
        )
    guest.run("echo 1 > /proc/sys/kernel/unknown_nmi_panic")
    row = row_of(health.frame(), "nmi")
    assert (row["moves"], row["drift"], row["level"]) == (7, 0, before + 7)


def test_only_the_probes_of_the_pieces_named_are_there(guest: Guest, watching: Watching) -> None:
    health = watching("ctxt")
    assert list(health.session.probes.index) == ["raw_tracepoint__sched_switch"]
    health = watching("ctxt", "forks")
    assert len(health.session.probes) == 2


def test_what_is_missed_is_told_as_drift(guest: Guest, watching: Watching) -> None:
    health = watching("forks")
    health.session.pause()
    guest.run(FORKS.format(count=41))
    health.session.resume()
    row = health.frame().iloc[0]
    assert -60 < row["drift"] <= -41
    assert row["state"] == "drift"
    assert "while paused" in health.frame().attrs["ktrace"]["lost"]
    health.begin_anew()
    guest.run(FORKS.format(count=41))
    row = health.frame().iloc[0]
    assert (row["drift"], row["state"]) == (0, "ok")
    assert 41 <= row["moves"] < 60


def test_a_lamp_goes_on_where_a_rate_leaves_its_band(guest: Guest, watching: Watching) -> None:
    health = watching(replace(CTXT, most=0.5), replace(CTXT, name="quiet", least=1e9))
    guest.run("sleep 1")
    assert list(health.frame()["state"]) == ["high", "low"]


def test_the_band_is_what_the_kernel_says_it_is(guest: Guest, watching: Watching) -> None:
    frame = watching("dirty", "block", "ctxt", replace(DIRTY, name="mine", most=7.0)).frame()
    tags = guest.run("cat /sys/block/*/mq/*/nr_tags").split()
    threshold = guest.run("grep nr_dirty_threshold /proc/vmstat").split()[1]
    assert row_of(frame, "block")["most"] == sum(map(int, tags))
    # It is a share of the memory that could be dirty now.
    assert row_of(frame, "dirty")["most"] == pytest.approx(int(threshold), rel=0.05)
    assert row_of(frame, "mine")["most"] == 7
    assert frame["most"].isna().tolist().count(True) == 1
    assert (frame["state"] == "ok").all()


def test_a_piece_of_ones_own_is_watched_like_any_other(guest: Guest, watching: Watching) -> None:
    woken = Piece(
        name="woken",
        title="new tasks that were woken",
        unit="tasks",
        kind="counter",
        changes=(Change(points=("raw_tracepoint:sched_wakeup_new",)),),
        account=Account(files=("/proc/stat",), parse=line("/proc/stat", "processes")),
    )
    health = watching(woken)
    guest.run(FORKS.format(count=53))
    row = row_of(health.frame(), "woken")
    assert 53 <= row["moves"] < 80
    assert row["drift"] == 0


def test_when_it_is_stopped_nothing_is_attached_and_the_last_frame_stays(guest: Guest) -> None:
    with watch(guest.target, "forks") as health:
        guest.run(FORKS.format(count=31))
    held = "ls -l /proc/[0-9]*/fd 2>/dev/null | grep 'anon_inode:bpf' || true"
    assert guest.run(held) == ""
    frame = health.frame()
    assert 31 <= frame["moves"].iloc[0] < 50
    assert frame.attrs["ktrace"]["state"] == "done"
    assert repr(health) == "<Watch of forks: done>"
    health.stop()


def test_of_a_glob_what_the_kernel_lacks_is_left_out_and_of_names_it_is_an_error(guest: Guest) -> None:
    absent = replace(CTXT, name="absent", changes=(Change(points=("raw_tracepoint:no_such_event",)),))
    with pytest.raises(ProbeNotFoundError, match="no tracepoint 'no_such_event'"):
        watch(guest.target, [absent])
    with Watch(guest.target, [absent, CTXT], needed=(), expire_s=60.0) as health:
        assert health.pieces == (CTXT,)
        assert health.left_out == {"absent": "no tracepoint 'no_such_event' on this kernel"}
    with pytest.raises(OptionError, match="none of these pieces"):
        Watch(guest.target, [absent], needed=(), expire_s=60.0)


def test_on_two_processors_they_interrupt_each_other_and_the_accounts_agree(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_machine(image, cpus=2) as machine:
        monkeypatch.setattr("ktrace_nb.targets.lab.find_running", lambda _: machine)
        target = LabTarget("lab", lambda *_: None)
        guest = Guest(target)
        # Emulated processors stumble over code that is changed under load, as it is when run
        # statistics come and go; so they stay.
        guest.run("echo 1 > /proc/sys/kernel/bpf_stats_enabled")
        guest.put("/tmp/mixed.py", MIXED)
        with watch(target, ["ctxt", "interrupts", "softirqs", "skb", "runnable", "block"]) as health:
            guest.run("for i in 1 2 3; do python3 -I -S /tmp/mixed.py 5 & done; wait")
            frame = health.frame()
        target.close()
    print(frame.drop(columns=["title", "least", "most"]).to_string(), frame.attrs)
    assert (frame["state"] == "ok").all(), frame.to_string()
    assert row_of(frame, "interrupts", "RES")["moves"] > 0
    assert row_of(frame, "interrupts", "CAL")["moves"] > 0
