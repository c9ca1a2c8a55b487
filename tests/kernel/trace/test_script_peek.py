"""Scripts that read the kernel's memory beside the notebook; ``/proc`` is the second source."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.errors import UnsupportedError
from ktrace_nb.source import Source
from ktrace_nb.targets.local import privilege
from tests.kernel.trace.kit import KERNELS, Guest, Trace
from tests.kernel_facts.prove_layout import HOST_BTF

pytestmark = pytest.mark.kernel

LEAVE = "probe timer.ms(1) { exit() }"


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def script(trace: Trace) -> Trace:
    """Run a script in SystemTap's language to its end."""
    return functools.partial(trace, language="stap", script_limits=(("MAXSTRINGLEN", 1024),))


def test_begin_end_and_timers_see_what_proc_shows(script: Trace, guest: Guest) -> None:
    session = script(
        """
        probe begin { println(kernel_string(@var("saved_command_line"))) }
        probe timer.ms(10) { println(kernel_string(@var("init_task")->comm)); exit() }
        probe end { printf("%d\\n", @var("init_task")->pid) }
        """
    )
    assert session.text == guest.run("cat", "/proc/cmdline").rstrip("\n") + "\nswapper/0\n0\n"
    assert not any("memory" in note for note in session.notes)


def test_the_clock_of_the_kernel_goes_on_between_two_reads(script: Trace) -> None:
    session = script(
        """
        global first
        probe begin { first = @var("jiffies_64") }
        probe timer.ms(400) { printf("%d", @var("jiffies_64") - first); exit() }
        """
    )
    # 100 to 1000 a second: at least 40, and no more than a slow machine's minute.
    assert 40 <= int(session.text) < 60_000


def test_all_processes_are_found_in_the_kernels_own_list(script: Trace, guest: Guest) -> None:
    session = script(
        """
        probe begin {
            head = &@var("init_task")->tasks
            for (at = @cast(head, "list_head")->next; at != head; at = @cast(at, "list_head")->next) {
                task = at - (head - &@var("init_task"))  # container_of()
                printf("%d %s\\n", task_pid(task), task_execname(task))
            }
            exit()
        }
        """
    )
    found = dict(line.split(" ", 1) for line in session.text.splitlines())
    shown = guest.run(
        "sh", "-c", 'for d in /proc/[0-9]*; do echo "${d#/proc/} $(cat $d/comm)"; done 2>/dev/null'
    )
    listed = dict(line.split(" ", 1) for line in shown.splitlines() if " " in line)
    # Workers of the kernel come and go, and change their names, and so does who looked;
    # of the longer names of other threads of the kernel the task itself has 15 bytes.
    stay = {pid: name[:15] for pid, name in listed.items() if not name.startswith(("kworker", "sh", "cat"))}
    assert len(stay) > 10
    assert {pid: name for pid, name in found.items() if pid in stay} == stay


def test_a_bad_address_is_an_error_with_its_place(lab: object, kernel: str) -> None:
    cell = 'probe begin {\n  println(@cast(16, "list_head")->next)\n}\n' + LEAVE
    session = engine.start(Source(cell), Options(target=kernel, language="stap"))
    assert session.wait(60)
    assert session.state == "failed"
    assert re.match(r"error: read fault \[man error::fault\] at 0x10 near .* at cell:2:", session.message)


def test_a_bad_address_is_caught(script: Trace) -> None:
    session = script(
        """
        probe begin {
            try { println(@cast(16, "list_head")->next) } catch (message) { println(message) }
            try { println(kernel_string(32)) } catch (message) { println(message) }
            println(kernel_string(48, "nothing"), " ", kernel_string_quoted(64))
            exit()
        }
        """
    )
    words = "read fault [man error::fault] at "
    assert session.text == f"{words}0x10\n{words}0x20\nnothing 0x40\n"


def test_an_event_kept_beside_the_notebook_follows_a_pointer_of_before(script: Trace) -> None:
    session = script(
        """
        global held
        probe kernel.trace("sched_process_exec") {
            if (pid() != target()) next
            # What is in a regular expression runs beside the notebook, and with it its globals.
            if (execname() =~ "^sl..p$") held = task_current()
            if (held) printf("%s %d\\n", task_execname(held), task_pid(held) == target())
        }
        """,
        command="sleep 0.5",
    )
    assert session.text == "sleep 1\n"
    notes = [note for note in session.notes if "after the event" in note]
    assert len(notes) == 1
    assert notes[0].startswith("note: probe kernel.trace(")
    assert "cell:" in session.notes[session.notes.index(notes[0]) + 1]


def test_a_process_is_looked_up_by_its_number(script: Trace, guest: Guest) -> None:
    session = script("probe end { print(pid2execname(1)) } " + LEAVE)
    assert session.text == guest.run("cat", "/proc/1/comm").rstrip("\n")


def test_a_member_of_a_member_is_read(script: Trace, guest: Guest) -> None:
    session = script('probe begin { printf("%d", @var("init_uts_ns")->name->release[0]); exit() }')
    assert int(session.text) == ord(guest.run("uname", "-r")[0])


def test_memory_of_a_process_is_refused_in_begin(lab: object, kernel: str) -> None:
    with pytest.raises(UnsupportedError, match="begin runs beside the notebook, where this cannot be read"):
        engine.start(
            Source("probe begin { println(user_string(4096)) }"), Options(target=kernel, language="stap")
        )


@pytest.mark.skipif(privilege() is None, reason="no privilege to trace this machine's kernel")
def test_this_machines_kernel_is_read_too(trace: Trace) -> None:
    lines = Path("/proc/kallsyms").read_text().splitlines()
    types = next(line.split()[0] for line in lines if line.split()[2] == "__start_BTF")
    strings = HOST_BTF.read_bytes().index(b"\0task_struct\0") + 1
    cell = 'probe begin { printf("%x %s", kernel_uint16($1), kernel_string($1 + $2)); exit() }'
    arguments = (f"0x{types}", str(strings))
    session = trace(cell, target="local", language="stap", arguments=arguments)
    assert session.text == "eb9f task_struct"  # BTF_MAGIC, include/uapi/linux/btf.h


def test_nothing_is_left_in_the_kernel(script: Trace, guest: Guest) -> None:
    before = guest.attached()
    script('probe begin { println(@var("jiffies_64")); exit() }')
    assert guest.attached() == before
