"""Queues of any kind: riemann.h in a C cell, ``qs_*`` in a script, against stamps taken by the side."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.errors import CompileError
from ktrace_nb.kstat.riemann import RiemannQueue
from ktrace_nb.kstat.riemann_sums import lengths
from ktrace_nb.session import Session
from ktrace_nb.source import Source
from tests.kernel.kstat.io_kit import near

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("image")]

# Who sleeps: outstanding sleeps by the name of the process, and each of them as events.
SLEEPS = """
#include <ktrace_nb/riemann.h>

struct who { char comm[16]; };
struct change { u64 at_ns; u32 tid; int by; };
BPF_HASH(_length, struct who, u64);
BPF_PERCPU_HASH(sleeps, struct who, struct riemann);
BPF_RINGBUF_OUTPUT(changes, 64);

static inline void change(int by)
{
    struct who who = {};
    struct riemann none = {};
    u64 zero = 0, now = bpf_ktime_get_ns(), *length;
    struct riemann *sums;
    struct change change = {.at_ns = now, .tid = bpf_get_current_pid_tgid(), .by = by};

    bpf_get_current_comm(who.comm, sizeof(who.comm));
    if (who.comm[0] != 's' || who.comm[1] != 'l')
        return;
    length = _length.lookup_or_try_init(&who, &zero);
    sums = sleeps.lookup_or_try_init(&who, &none);
    if (!length || !sums)
        return;
    if (by > 0)
        riemann_enter(sums, length, now);
    else
        riemann_exit(sums, length, now);
    changes.ringbuf_output(&change, sizeof(change), 0);
}

int kprobe__do_nanosleep(struct pt_regs *ctx) { change(1); return 0; }
int kretprobe__do_nanosleep(struct pt_regs *ctx) { change(-1); return 0; }
"""
COMMAND = "sleep 0.5 & sleep 0.8 & sleep 0.3; sleep 0.4; wait"


@pytest.fixture
def sessions() -> Iterator[list[Session]]:
    started: list[Session] = []
    yield started
    for session in started:
        session.stop()


def test_a_cell_sums_the_queue_that_its_events_tell(sessions: list[Session]) -> None:
    session = engine.start(Source(SLEEPS), Options(name="sleeps", target="lab", command=COMMAND))
    sessions.append(session)
    assert session.wait(60)
    table = lengths(session, "sleeps")
    assert table.index.tolist() == ["sleep"]
    events = session.frame("changes")
    entered = events[events["by"] == 1].set_index("tid")["at_ns"]
    left = events[events["by"] == -1].set_index("tid")["at_ns"]
    assert len(entered) == len(left) == 4
    queue = RiemannQueue.of(entered, left.reindex(entered.index)).at(table.attrs["at_ns"])
    assert table.to_numpy().tolist() == [[0, queue.length_ns, queue.busy_ns, 4, queue.last_ns]]
    # Those of 0.5, 0.8 and 0.3 s began together, that of 0.4 s behind the last.
    assert queue.length_ns / 1e9 >= 0.5 + 0.8 + 0.3 + 0.4
    assert queue.length_ns / 1e9 == near(2.0, 10)
    assert queue.busy_ns / 1e9 == near(0.8, 15)


def test_a_header_that_is_not_there_is_refused_as_before() -> None:
    cell = Source("#include <ktrace_nb/nothing.h>\nint kprobe__do_nanosleep(void *ctx) { return 0; }\n")
    with pytest.raises(CompileError, match="no header"):
        engine.start(cell, Options(target="lab"))


# Each step changes the queue and tells when; up to three wait, up to two are served.
STEPS = r"""
global steps, waiting, running
probe begin { qsq_start("q") printdln(" ", "start", gettimeofday_us()) }
probe timer.ms(50) {
    steps++
    if (steps % 2 == 1 && waiting < 3) { qs_wait("q") waiting++ printdln(" ", "wait", gettimeofday_us()) }
    if (steps % 3 == 0 && waiting > 0 && running < 2) {
        qs_run("q") waiting-- running++ printdln(" ", "run", gettimeofday_us())
    }
    if (steps % 5 == 0 && running > 0) { qs_done("q") running-- printdln(" ", "done", gettimeofday_us()) }
    if (steps == 48) {
        printdln(" ", "end", gettimeofday_us())
        printdln(" ", "told", qsq_utilization("q", 1000000), qsq_blocked("q", 1000000),
            qsq_wait_queue_length("q", 1000000), qsq_service_time("q", 1), qsq_wait_time("q", 1),
            qsq_throughput("q", 1000000000))
        exit()
    }
}
"""


def test_queues_of_scripts_are_summed_by_the_same_formulas(sessions: list[Session]) -> None:
    session = engine.start(Source(STEPS), Options(name="q", target="lab", language="stap"))
    sessions.append(session)
    assert session.wait(60)
    changes = [(word, int(at)) for word, at in re.findall(r"^(\w+) (\d+)$", session.text, re.MULTILINE)]
    wait, run = RiemannQueue(), RiemannQueue()
    for word, at in changes:
        if word == "wait":
            wait.enter(at)
        elif word == "run":
            wait.leave(at)
            run.enter(at)
        elif word == "done":
            run.leave(at)
    begin, end = changes[0][1], changes[-1][1]
    waited, served = wait.at(end), run.at(end)
    assert served.left >= 5
    (told,) = re.findall(r"^told (.*)$", session.text, re.MULTILINE)
    used, blocked, length, service, response, rate = map(int, told.split())
    million, microseconds = 1_000_000, end - begin
    assert used / million == near(served.busy_ns / microseconds)
    assert blocked / million == near(waited.busy_ns / microseconds)
    assert length / million == near(waited.length_ns / microseconds)
    assert service == near(served.length_ns / served.left)
    assert response == near((waited.length_ns + served.length_ns) / served.left)
    assert rate / 1000 == near(served.left * million / microseconds)
