"""Processes: every alias of scheduler.stp, signal.stp and kprocess.stp, against what programs did."""

from __future__ import annotations

import pytest

from ktrace_nb.lab.image import Image
from tests.kernel.trace.tapset_kit import Fired, aliases_of, fire, program, show

pytestmark = pytest.mark.kernel

ALIASES = aliases_of("scheduler.stp", "signal.stp", "kprocess.stp")

NEVER_HERE = {
    "scheduler.migrate": "the lab has one processor",
    "signal.flush": "drivers flush the signals of their threads, none of which is here",
}

MORE = {
    "signal.handle": [
        *("get_sa_handler(ka_addr)", "get_sa_flags(ka_addr)", "sa_handler_str(get_sa_handler(ka_addr))"),
        "is_sig_blocked(task_current(), sig)",
    ],
    "signal.do_action": ["sigact_addr != 0"],
}

PROCESSES = """
import ctypes, signal, threading, time
libc = ctypes.CDLL(None)

def child(code):
    pid = os.fork()
    if pid == 0:
        try:
            code()
        finally:
            os._exit(7)
    return pid

said["children"] = []
def end(pid, options=0):
    said["children"].append([pid, os.waitpid(pid, options)[1]])

for _ in range(3):
    end(child(lambda: None))
said["threads"] = []
thread = threading.Thread(target=lambda: said["threads"].append(threading.get_native_id()))
thread.start(), thread.join()

# A handler, and what the kernel has of it.
got = []
signal.signal(signal.SIGUSR1, lambda *_: got.append(1))
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
said["handler"] = int(status["SigCgt"], 16)
for _ in range(5):
    os.kill(os.getpid(), signal.SIGUSR1)
said["got"] = len(got)
os.kill(os.getpid(), signal.SIGURG)  # is ignored by itself
signal.signal(signal.SIGWINCH, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGRTMIN})
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2, signal.SIGRTMIN})
killed = child(lambda: time.sleep(60))
time.sleep(0.1)
os.kill(killed, 0)
os.kill(killed, signal.SIGTERM)
end(killed)
stopped = child(lambda: time.sleep(60))
time.sleep(0.1)
os.kill(stopped, signal.SIGSTOP)
os.waitpid(stopped, os.WUNTRACED)
os.kill(stopped, signal.SIGCONT)
os.kill(stopped, signal.SIGKILL)
end(stopped)

# A debugger takes a stopped process.
traced = child(lambda: time.sleep(60))
os.kill(traced, signal.SIGSTOP)
os.waitpid(traced, os.WUNTRACED)
assert libc.ptrace(16, traced, 0, 0) == 0  # PTRACE_ATTACH
os.waitpid(traced, os.WUNTRACED)
assert libc.ptrace(7, traced, 0, 0) == 0  # PTRACE_CONT
os.kill(traced, signal.SIGKILL)
end(traced)

# A restartable sequence that cannot be read, where the C library keeps its address: rseq(2).
def unreadable():
    libc.pthread_self.restype = ctypes.c_void_p
    area = libc.pthread_self() + ctypes.c_ssize_t.in_dll(libc, "__rseq_offset").value
    ctypes.c_uint64.from_address(area + 8).value = 0x1000
    time.sleep(0.01)
unlucky = child(unreadable)
end(unlucky)

# Programs: one that is there, one that is not.
def runs():
    try:
        os.execv("/no/such/program", ["it", "is"])
    except FileNotFoundError:
        os.execv("/bin/true", ["true", "1", "2 3"])
runner = child(runs)
end(runner)

for _ in range(20):
    time.sleep(0.002)
said["killed"], said["stopped"], said["traced"] = killed, stopped, traced
said["unlucky"], said["runner"] = unlucky, runner
said["kthreads"] = os.system("umount /mnt/ext3 && mount /dev/vdb /mnt/ext3 && " * 2 + "true")
said["switches"] = [int(line.split()[1]) for line in open("/proc/self/status") if "ctxt_switches" in line]
"""


@pytest.fixture(scope="module")
def tasks(image: Image) -> Fired:
    script = ""
    for name in ALIASES:
        script += show(name, "", more=MORE.get(name, ()))
    # The shell's line is longer than a string may be, and argument vectors end where nothing is.
    command = program(PROCESSES, before="modprobe ext4", after="exit $?")
    return fire(script, command, unread=True, interrupts=["scheduler.tick"])


def children(tasks: Fired) -> dict[int, int]:
    """Each process the program made, and its status."""
    return dict(tasks.said["children"])


def test_all_but_those_that_cannot_fire_here(tasks: Fired) -> None:
    assert sorted(tasks.silent(ALIASES)) == sorted(NEVER_HERE)


def test_processes_begin_and_end(tasks: Fired) -> None:
    pid = tasks.said["pid"]
    ended = children(tasks)
    (thread,) = tasks.said["threads"]
    created = [(row["new_pid"], row["new_tid"]) for row in tasks.of("kprocess.create", tid=pid)]
    assert sorted(created[: len(ended) + 1]) == sorted([*((child, child) for child in ended), (pid, thread)])
    for child, status in ended.items():
        fork = tasks.one("scheduler.process_fork", child_pid=child)
        assert (fork["parent_pid"], fork["tid"]) == (pid, pid)
        new = tasks.one("scheduler.wakeup_new", task_tid=child)
        assert (new["task_pid"], new["task_priority"], new["task_cpu"]) == (child, 120, 0)
        assert tasks.of("kprocess.start", tid=child)
        assert tasks.one("kprocess.exit", tid=child)["code"] == status
        assert tasks.one("scheduler.process_exit", pid=child)["priority"] == 120
        assert tasks.one("scheduler.process_free", pid=child)["priority"] == 120
        release = tasks.one("kprocess.release", released_pid=child)
        assert (release["released_tid"], release["pid"], release["tid"]) == (child, child, pid)
        waits = len(tasks.of("scheduler.process_wait", tid=pid, pid=child))
        # Those that are stopped first are waited for once more, and a traced one twice more.
        assert waits == {tasks.said["stopped"]: 2, tasks.said["traced"]: 3}.get(child, 1)


def test_programs_are_run(tasks: Fired) -> None:
    runner = tasks.said["runner"]
    missing, there = tasks.of("kprocess.exec", tid=runner)
    assert (missing["name"], missing["filename"], missing["args"]) == (
        "execve",
        '"/no/such/program"',
        '["it", "is"]',
    )
    assert (there["filename"], there["args"]) == ('"/bin/true"', '["true", "1", "2 3"]')
    failed, done = tasks.of("kprocess.exec_complete", tid=runner)
    assert (failed["errno"], failed["success"], failed["retstr"]) == (-2, 0, "-2 (ENOENT)")
    assert (done["errno"], done["success"], done["retstr"]) == (0, 1, 0)


def test_tasks_take_each_others_place(tasks: Fired) -> None:
    pid = tasks.said["pid"]
    left = tasks.of("scheduler.cpu_off", tid=pid)
    # What /proc/self/status counted a moment before the end, at which it is put aside a few times more.
    assert 0 <= len(left) - sum(tasks.said["switches"]) <= 30
    switches = tasks.of("scheduler.ctxswitch")
    assert len(switches) == len(tasks.of("scheduler.cpu_off")) == len(tasks.of("scheduler.cpu_on"))
    for off, switch, on in zip(
        tasks.of("scheduler.cpu_off"), switches, tasks.of("scheduler.cpu_on"), strict=True
    ):
        assert (off["tid"], off["task_prev"], off["task_next"]) == (
            switch["prev_tid"],
            switch["prev_task"],
            switch["next_task"],
        )
        assert (on["tid"], on["task_prev"]) == (switch["next_tid"], switch["prev_task"])
        assert (off["idle"], on["idle"]) == (int(off["tid"] == 0), int(on["tid"] == 0))
    own = [row for row in switches if row["prev_tid"] == pid]
    assert {(row["prev_pid"], row["prev_priority"]) for row in own} == {(pid, 120)}
    assert (
        "python3" in {row["prev_task_name"] for row in own} <= {"sh", "python3"}
    )  # before execve(2), and then
    # Asleep (bit 0 of include/linux/sched.h) at least as often as it chose to sleep.
    assert len([row for row in own if int(row["prevtsk_state"]) & 1]) >= 20
    back = [row for row in switches if row["next_tid"] == pid]
    assert {(row["next_pid"], row["nexttsk_state"]) for row in back} == {(pid, 0)}
    assert "python3" in {row["next_task_name"] for row in back} <= {"sh", "python3"}
    assert {row["next_priority"] for row in back} == {120}
    woken = tasks.of("scheduler.wakeup", task_tid=pid)
    assert len(woken) >= 20
    assert {(row["task_pid"], row["task_priority"], row["task_cpu"]) for row in woken} == {(pid, 120, 0)}
    assert {row["idle"] for row in tasks.of("scheduler.tick")} == {0, 1}
    assert {row["name"] for row in tasks.of("scheduler.balance")} == {"balance"}


def test_kernel_threads_stop(tasks: Fired) -> None:
    # Work queues of a file system have a thread each that comes to their help.
    assert tasks.said["kthreads"] == 0
    stop = tasks.of("scheduler.kthread_stop")
    assert [row["return_value"] for row in tasks.of("scheduler.kthread_stop.return")] == [0] * len(stop)
    threads = {row["thread_pid"] for row in stop}
    # One is of the file system as the lab had it, one of the file system as it was mounted here.
    made = {row["child_pid"] for row in tasks.of("scheduler.process_fork")}
    assert threads & made
    assert all(int(thread) < int(tasks.said["pid"]) for thread in threads - made)
    # The debugger waits for its process; so does who makes a thread.
    assert tasks.said["traced"] in {row["task_pid"] for row in tasks.of("scheduler.wait_task")}


def test_signals_are_sent(tasks: Fired) -> None:
    said = tasks.said
    sent = [
        *[(said["pid"], 10, "SIGUSR1")] * 5,
        *[(said["pid"], 23, "SIGURG"), (said["killed"], 15, "SIGTERM"), (said["stopped"], 19, "SIGSTOP")],
        *[(said["stopped"], 18, "SIGCONT"), (said["stopped"], 9, "SIGKILL")],
        *[(said["traced"], 19, "SIGSTOP"), (said["traced"], 19, "SIGSTOP"), (said["traced"], 9, "SIGKILL")],
    ]
    rows = [row for row in tasks.of("signal.send", tid=said["pid"]) if row["sig"] != 17]
    assert [(row["sig_pid"], row["sig"], row["sig_name"]) for row in rows] == sent
    assert {(row["name"], row["pid_name"], row["send2queue"]) for row in rows} == {
        ("signal_generate", "python3", 0)
    }
    # All but the stop of ptrace(2) were sent by kill(2).
    codes = [str(row["si_code"]).startswith("SI_USER") for row in rows]
    assert codes.count(False) <= 1
    by_scheduler = [
        row for row in tasks.of("scheduler.signal_send", tid=said["pid"]) if row["signal_number"] != 17
    ]
    assert [(row["pid"], row["signal_number"]) for row in by_scheduler] == [pair[:2] for pair in sent]
    ended = [row for row in tasks.of("signal.send") if row["sig"] == 17 and row["sig_pid"] == said["pid"]]
    # One by each process that ended, and by each that stopped.
    assert {row["tid"] for row in ended} >= set(children(tasks))
    assert all(str(row["si_code"]).startswith("SI_KERNEL") for row in ended)
    for name in ("signal.send.return", "signal.checkperm.return", "signal.procmask.return"):
        assert {row["retstr"] for row in tasks.of(name, tid=said["pid"])} == {0}
    assert {row["shared"] for row in tasks.of("signal.send.return", tid=said["pid"])} >= {1}


def test_signals_are_allowed_ignored_and_handled(tasks: Fired) -> None:
    said = tasks.said
    asked = [(row["sig_pid"], row["sig"]) for row in tasks.of("signal.checkperm", tid=said["pid"])]
    assert asked.count((said["pid"], 10)) == 5
    assert (said["killed"], 0) in asked
    assert tasks.one("signal.checkperm", sig=15, tid=said["pid"])["sig_name"] == "SIGTERM"
    urgent = tasks.one("signal.check_ignored", sig=23)
    assert (urgent["sig_pid"], urgent["sig_name"], urgent["pid_name"]) == (said["pid"], "SIGURG", "python3")
    answers = [row["retstr"] for row in tasks.of("signal.check_ignored.return", tid=said["pid"])]
    assert answers[:6] == ["Signal is not ignored"] * 5 + ["Signal is ignored"]

    handled = tasks.of("signal.handle", tid=said["pid"], sig=10)
    assert len(handled) == said["got"] == 5
    assert said["handler"] >> 9 & 1
    handler = tasks.of("signal.do_action", sig=10, tid=said["pid"], more0=1)[0]
    assert (handler["sig_name"], handler["sa_mask"]) == ("SIGUSR1", 0)
    for row in handled:
        assert (row["name"], row["sig_name"], row["sig_code"], row["sig_mode"]) == (
            "handle",
            "SIGUSR1",
            0,
            "User Mode Signal",
        )
        assert (row["oldset_addr"], row["regs"]) == (0, 0)
        # The handler; SA_ONSTACK | SA_RESTORER of Python and the C library; whether it is held back.
        assert row["more0"] == handler["sa_handler"]
        assert (row["more1"], row["more2"], row["more3"]) == (0x0C000000, hex(int(row["more0"])), 0)
    # A signal that ends a process is delivered to each of its threads as SIGKILL.
    assert {row["sig"] for row in tasks.of("signal.handle", tid=said["killed"])} == {9}

    ignored = tasks.one("signal.do_action", sig=28, tid=said["pid"], more0=1)
    assert (ignored["sig_name"], ignored["sa_handler"], ignored["sa_mask"]) == ("SIGWINCH", 1, 0)
    held = 1 << 11 | 1 << 33  # SIGUSR2 is 12, the first real-time signal of the C library 34
    assert [row["how"] for row in tasks.of("signal.procmask", tid=said["pid"], sigset=held)] == [0, 1]

    forced = tasks.one("signal.force_segv")
    assert (forced["tid"], forced["sig_pid"], forced["pid_name"]) == (said["unlucky"],) * 2 + ("python3",)
    woken = tasks.one("signal.wakeup", sig_pid=said["traced"])
    assert (woken["pid_name"], woken["resume"]) == ("python3", 1)
