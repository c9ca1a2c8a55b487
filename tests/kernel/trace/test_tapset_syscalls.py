"""Probes of system calls, against calls that a program made and what it got for them."""

from __future__ import annotations

import ast
import errno
import functools
import time
from collections.abc import Callable, Iterable, Sequence

import pytest

from ktrace_nb import engine
from ktrace_nb.kernel.syscall_table import NAMES, NUMBERS, PROBE_NAMES
from ktrace_nb.targets.base import Target
from tests.kernel.trace.kit import Guest, Trace
from tests.kernel.trace.syscall_calls import LEFT_OUT, PATH, PROGRAM, SAID, Argument

pytestmark = pytest.mark.kernel

LIST = "/tmp/calls"
Make = Callable[[str, Sequence[tuple[str, Sequence[Argument]]]], tuple[list[str], list[int]]]


@pytest.fixture
def script(trace: Trace) -> Trace:
    """Run a script in SystemTap's language to its end."""
    return functools.partial(trace, language="stap")


@pytest.fixture
def calls_there(lab: Target) -> list[str]:
    """Calls that the lab's kernel is built with and a test can make."""
    facts = engine.facts_of(lab)
    return [name for name in NUMBERS if name not in LEFT_OUT and facts.syscall(name) is not None]


@pytest.fixture
def make(script: Trace, guest: Guest) -> Make:
    """Make calls in the lab under a script; gives the lines it printed and what the calls returned."""

    def run(text: str, calls: Sequence[tuple[str, Sequence[Argument]]]) -> tuple[list[str], list[int]]:
        numbered = repr([(NUMBERS[name], tuple(arguments)) for name, arguments in calls])
        write = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
        guest.run("python3", "-c", write, LIST, numbered)
        guest.run("python3", "-c", write, LIST + ".py", PROGRAM)
        session = script(text, command=f"python3 {LIST}.py {LIST}")
        return session.text.splitlines(), ast.literal_eval(guest.run("cat", LIST + ".made"))

    return run


def in_order(wanted: Iterable[str], lines: list[str]) -> list[str]:
    """Those that are not found in their order; Python makes calls of its own in between."""
    missing, at = [], 0
    for text in wanted:
        try:
            at = lines.index(text, at) + 1
        except ValueError:
            missing.append(text)
    return missing


def names_of(number: int) -> set[str]:
    """All names of an error number."""
    return {name for name in dir(errno) if getattr(errno, name) == number}


def test_every_call_tells_its_name_and_what_it_returned(make: Make, calls_there: list[str]) -> None:
    calls = [(name, (-1,) * 6) for name in calls_there]
    lines, results = make(
        'probe syscall.*.return { if (pid() == target()) printf("%s|%d|%s\\n", name, retval, retstr) }', calls
    )
    seen = [line.split("|") for line in lines]
    at, missing = 0, []
    for (call, _), result in zip(calls, results, strict=True):
        wanted = [PROBE_NAMES[NUMBERS[call]], str(result)]
        here = next((i for i in range(at, len(seen)) if seen[i][:2] == wanted), None)
        if here is None:
            missing.append((call, result))
            continue
        at = here + 1
        if -4096 < result < 0:
            assert seen[here][2] in {f"{result} ({name})" for name in names_of(-result)}, call
        else:
            assert seen[here][2] in {str(result), f"{result:#x}", f"0{result:o}"}, call
    assert missing == []
    assert len(calls) > 330


def test_arguments_are_told_in_systemtaps_notation(make: Make) -> None:
    calls = [(name, arguments) for name, arguments, _ in SAID]
    lines, _ = make('probe syscall.* { if (pid() == target()) printf("%s %s\\n", name, argstr) }', calls)
    wanted = [f"{PROBE_NAMES[NUMBERS[name]]} {text}" for name, _, text in SAID]
    assert in_order(wanted, lines) == []
    assert len({name for name, _, _ in SAID}) > 140


@pytest.mark.parametrize(
    ("points", "counted"),
    [
        ("syscall.*", ("open", "openat", "stat", "newfstatat", "pipe2", "dup3", "getdents64")),
        ("syscall.*at", ("openat", "stat", "newfstatat")),
        ("syscall.{open,openat}", ("open", "openat")),
        ("syscall.open, syscall.*at", ("open", "openat", "stat", "newfstatat")),
        ("syscall.open", ("open", "openat")),
        ("nd_syscall.stat", ("stat", "newfstatat")),
        ("syscall.pipe, syscall.dup2, syscall.getdents", ("pipe2", "dup3", "getdents64")),
    ],
)
def test_a_call_is_counted_once_however_it_is_named(
    make: Make, points: str, counted: tuple[str, ...]
) -> None:
    """Each call a number of times of its own, with a path that nothing else asks for."""
    times = {"open": 3, "openat": 5, "stat": 7, "newfstatat": 11, "pipe2": 13, "dup3": 17, "getdents64": 19}
    arguments: dict[str, tuple[Argument, ...]] = {
        "open": (PATH, 0), "openat": (-100, PATH, 0), "stat": (PATH, 0), "newfstatat": (-100, PATH, 0, 0),
        "pipe2": (0, -1), "dup3": (-1, -1, -1), "getdents64": (-1, 0, 0),
    }  # fmt: skip
    calls = [(name, arguments[name]) for name, count in times.items() for _ in range(count)]
    marker = [("sched_get_priority_max", (99,))]
    text = f"""
        global marks, hits
        probe syscall.sched_get_priority_max {{ if (pid() == target()) marks++ }}
        probe {points} {{ if (pid() == target() && marks == 1) hits++ }}
        probe end {{ printf("%d\\n", hits) }}
        """
    lines, _ = make(text, [*marker, *calls, *marker])
    # The marks themselves: which probe is first at one is left open.
    others = (0, 1, 2) if points == "syscall.*" else (0,)
    assert int(lines[0]) - sum(times[name] for name in counted) in others


def test_names_count_in_an_array(make: Make) -> None:
    calls: list[tuple[str, Sequence[Argument]]] = [("tee", (-1, -1, 0, 0))] * 7
    calls += [("umount2", (0, 0))] * 3
    text = """
        global calls
        probe syscall.* { if (pid() == target()) calls[name]++ }
        probe end { printf("%d %d\\n", calls["tee"], calls["umount"]) }
        """
    assert make(text, calls)[0] == ["7 3"]


def test_a_name_is_compared_with_a_text(make: Make) -> None:
    text = """
        global calls
        probe syscall.* { if (pid() == target() && name == "tee") calls++ }
        probe end { println(calls) }
        """
    assert make(text, [("tee", (-1, -1, 0, 0))] * 7)[0] == ["7"]


def test_calls_that_this_machine_lacks_are_never_hit(script: Trace) -> None:
    session = script(
        """
        global hits
        probe syscall.send, syscall.recv.return, syscall.mmap2, syscall.compat_futex {
            hits++
            println(argstr)
        }
        probe begin { exit() }
        """
    )
    assert session.hits["value"].tolist() == [0]
    assert any("no system call 'send'" in str(note) for note in session.notes)


@pytest.mark.parametrize("kind", ["nd_syscall", "dw_syscall", "tp_syscall"])
def test_other_names_for_system_calls_are_the_same(make: Make, kind: str) -> None:
    text = f'probe {kind}.chdir {{ if (pid() == target()) printf("%s %s\\n", name, argstr) }}'
    assert make(text, [("chdir", (PATH,))])[0] == [f'chdir "{PATH}"']


def test_numbered_arguments_are_those_of_the_call_that_is_named(make: Make) -> None:
    text = """
        probe nd_syscall.open.return {
            if (pid() == target() && $return < 0)
                printf("%s %d\\n", user_string(@entry(pointer_arg(1))), @entry(int_arg(2)))
        }
        """
    lines, _ = make(text, [("open", (PATH, 0)), ("openat", (-100, PATH + "/at", 0o2000000))])
    assert [line for line in lines if line.startswith(PATH)] == [f"{PATH} 0", f"{PATH}/at {0o2000000}"]


UNTOUCHED = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
number = ctypes.c_int
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, number, number, number, ctypes.c_long]
with open("/tmp/untouched", "wb+") as file:
    file.write(b"/nonexistent".ljust(4096, bytes(1)))
    file.flush()
    libc.posix_fadvise(file.fileno(), 0, 0, 4)
    page = libc.mmap(None, 4096, 1, 1, file.fileno(), 0)
    print(hex(page), flush=True)
    libc.chdir(ctypes.c_void_p(page))
    libc.chdir(ctypes.c_void_p(page))
"""


def test_a_string_whose_page_is_not_there_yet_shows_as_its_address(script: Trace, guest: Guest) -> None:
    write = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    guest.run("python3", "-c", write, "/tmp/untouched.py", UNTOUCHED)
    session = script(
        """
        probe syscall.chdir { if (pid() == target()) println(argstr) }
        probe syscall.chdir.return { if (pid() == target()) println(user_string($filename)) }
        """,
        command="python3 /tmp/untouched.py",
    )
    first, *others = session.text.splitlines()
    assert first.startswith("0x7")
    assert others == ["/nonexistent", '"/nonexistent"', "/nonexistent"]


def test_addresses_that_lead_nowhere_never_end_a_script(make: Make, calls_there: list[str]) -> None:
    """All calls, first with addresses of nothing, then with bad numbers."""
    calls = [(name, (-1,) * 6) for name in calls_there]
    calls += [
        (name, (0,) * 6) for name in ("execve", "write", "sendto", "bind", "mount", "setxattr", "futex")
    ]
    text = 'probe syscall.* { if (pid() == target()) printf("%s %s\\n", name, argstr) }'
    lines, _ = make(text, calls)
    names = {line.split(" ")[0] for line in lines}
    assert {PROBE_NAMES[NUMBERS[name]] for name, _ in calls} <= names
    assert "write -1, 0xffffffffffffffff, 18446744073709551615" in lines


@pytest.mark.parametrize(("body", "limit_s"), [("name, retstr", 2.0), ("name, argstr", 12.0)])
def test_all_calls_are_probed_in_bearable_time(script: Trace, body: str, limit_s: float) -> None:
    """On an idle machine a third of this; and few programs, for each runs at every call."""
    side = ".return" if "retstr" in body else ""
    begun = time.monotonic()
    session = script(
        f'probe syscall.*{side} {{ if (pid() == target()) printf("%s %s\\n", {body}) }}', command="true"
    )
    assert time.monotonic() - begun < limit_s + 5
    assert len([name for name in session.ledger.index if "__x64_sys" in str(name)]) < 80


def test_names_of_probes_are_those_of_the_table_but_for_some() -> None:
    assert {NAMES[n]: name for n, name in PROBE_NAMES.items() if NAMES[n] != name} == {
        "umount2": "umount",
        "newfstatat": "fstatat",
        "getdents64": "getdents",
        "pread64": "pread",
        "pwrite64": "pwrite",
    }


def test_scripts_of_an_older_age_see_what_programs_of_today_call(make: Make) -> None:
    """Time files between open and close, list what stat() fails for, count calls: as scripts of 2007 do."""
    text = """
        global opened, names, asked, progs
        probe kernel.function("sys_open").return {
            opened[execname(), tid(), $return] = gettimeofday_us()
            names[execname(), tid(), $return] = user_string($filename)
        }
        probe kernel.function("sys_close") {
            if (names[execname(), tid(), $fd] == "/dev/zero")
                printf("open for %d\\n", gettimeofday_us() - opened[execname(), tid(), $fd] >= 50000)
            delete names[execname(), tid(), $fd]
        }
        probe syscall.*stat { asked[pid()] = argstr }
        probe syscall.*stat.return {
            if (pid() == target() && returnstr(1) != "0")
                printf("%s(%s) -> %s\\n", name, asked[pid()], returnstr(1))
        }
        probe kernel.function("sys_gettimeofday").return { if (pid() == target()) progs[execname()]++ }
        probe end { foreach (prog+ in progs) printf("%s %d\\n", prog, progs[prog]) }
        """
    wait = ("poll", (0, 0, 60))
    calls: list[tuple[str, Sequence[Argument]]] = [
        ("close_range", (7, 9, 0)), ("openat", (-100, "/dev/zero", 0)), wait, ("close", (3,)),
        ("stat", (PATH, 0)), ("newfstatat", (-100, PATH + "/2", 0, 0)), ("lstat", (PATH + "/3", 0)),
        *[("gettimeofday", (0, 0))] * 19,
    ]  # fmt: skip
    lines, results = make(text, calls)
    assert results[1] == 3
    assert [line for line in lines if PATH in line] == [
        f'stat("{PATH}", 0x0) -> -2 (ENOENT)',
        f'stat("{PATH}/2", 0x0) -> -2 (ENOENT)',
        f'lstat("{PATH}/3", 0x0) -> -2 (ENOENT)',
    ]
    assert "open for 1" in lines
    assert lines[-1] == "python3 19"
