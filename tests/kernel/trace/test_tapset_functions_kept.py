"""Functions of the tapset that keep something between calls, print by themselves or end the script."""

from __future__ import annotations

import re

import pytest

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.lab.image import Image
from ktrace_nb.source import Source
from tests.kernel.trace.tapset_kit import run

pytestmark = pytest.mark.kernel

CONTROL = r"""
global steps
probe begin {
    start_stopwatch("watch") start_stopwatch("gone") delete_stopwatch("gone")
    qsq_start("queue") qs_wait("queue")
    println(thread_indent(1), "a") println(thread_indent(1), "b")
    println(thread_indent(-1), "b") println(thread_indent(-1), "a")
    println(indent(2), "c") println(indent(-2), "c")
    printdln(" ", "depth", thread_indent_depth(1), thread_indent_depth(1), indent_depth(1), indent_depth(-1))
    held = speculation() other = speculation()
    speculate(held, "kept\n") speculate(other, "dropped\n") discard(other) commit(held) commit(other)
    ansi_clear_screen() ansi_set_color(31) ansi_set_color(31, 40) ansi_set_color(31, 40, 1) ansi_reset_color()
    ansi_cursor_move(2, 3) ansi_cursor_save() ansi_cursor_restore() ansi_cursor_hide() ansi_cursor_show()
    ansi_new_line()
    log("logged") warn("warned") system("echo from the system")
    assert(1) assert(1, "not said")
}
probe timer.ms(300) {
    steps++
    if (steps == 1) { qs_run("queue") stop_stopwatch("watch") }
    if (steps == 3) qs_done("queue")
    if (steps == 4) {
        qsq_print("queue")
        printdln(" ", "queue", qsq_utilization("queue", 100), qsq_blocked("queue", 100),
            qsq_wait_queue_length("queue", 100), qsq_service_time("queue", 1), qsq_wait_time("queue", 1),
            qsq_throughput("queue", 1000000000))
        printdln(" ", "watch", read_stopwatch_ns("watch"), read_stopwatch_us("watch"),
            read_stopwatch_ms("watch"), read_stopwatch_s("watch"), read_stopwatch_ns("gone"))
        exit()
    }
}
"""


def test_functions_that_keep_something(image: Image) -> None:
    session = run(CONTROL, "sleep 5")
    text = session.text
    indents = re.findall(r"^ *\d+ \S*:( *)(\w)$", text, re.MULTILINE)
    assert [(len(blanks), word) for blanks, word in indents[:4]] == [(0, "a"), (1, "b"), (1, "b"), (0, "a")]
    assert [word for _, word in indents[4:]] == ["c", "c"]
    assert re.search("^depth (.*)$", text, re.MULTILINE)[1] == "0 1 0 0"  # type: ignore[index]
    assert "kept\n" in text
    assert "dropped" not in text
    assert text.count("\033[") == 11
    (queue,) = re.findall(r"^queue (.*)$", text, re.MULTILINE)
    used, blocked, length, service, wait, rate = map(int, queue.split())
    # It waited for 0.3 s and ran for 0.6 s, of 1.2 s; how exactly is the notebook's matter.
    assert 30 <= used <= 65
    assert 15 <= blocked <= 45
    assert blocked == length
    assert 450_000 <= service <= 800_000
    assert service + 250_000 <= wait <= 1_500_000
    assert 600 <= rate <= 870
    words = r"^queue: 0\.\d{3} ops/s, 0\.\d{3} qlen, \d+ await, \d+ svctm, \d+% wait, \d+% util$"
    assert re.search(words, text, re.MULTILINE)
    (watch,) = re.findall(r"^watch (.*)$", text, re.MULTILINE)
    ns, us, ms, s, gone = map(int, watch.split())
    assert 280_000_000 <= ns <= 700_000_000
    assert (us, ms, s, gone) == (ns // 1000, ns // 1000_000, 0, 0)
    assert "from the system" in text
    said = "\n".join([*session.notes, text, session.stderr])
    assert "logged" in said
    assert "warned" in said


@pytest.mark.parametrize(
    ("call", "message"),
    [("assert(0)", "assertion failed"), ('assert(0, "mine")', "mine"), ('error("mine")', "mine")],
)
def test_functions_that_end_with_an_error(image: Image, call: str, message: str) -> None:
    script = f'probe kernel.trace("sched_process_exit") {{ if (pid() == target()) {call} }}'
    session = engine.start(Source(script), Options(language="stap", target="lab", command="true"))
    assert session.wait(60)
    assert session.state == "failed"
    assert message in session.message


PRINTED = r"""
probe kernel.function("vfs_open") {
    if (pid() == target() && d_name($path->dentry) == "hosts") {
        print_backtrace() println("-")
        print_backtrace_fileline() println("-")
        print_stack(backtrace()) println("-")
        print_syms(callers(-1)) println("-")
        print_syms(callers(1)) println("-")
        println(sprint_backtrace()) println("-")
        print_ubacktrace() println("-")
        print_ubacktrace_fileline() println("-")
        print_ustack(ubacktrace()) println("-")
        print_usyms(ucallers(-1)) println("-")
        print_ubacktrace_brief() println("-")
        print(sprint_ubacktrace()) println("-")
        print(sprint_ustack(ubacktrace())) println("-")
        print(sprint_usyms(ucallers(-1))) println("-")
        printdln(" ", usymname(uaddr()), ustack(0) == uaddr(), isinstr(usymdata(uaddr()), usymname(uaddr())))
        println(usymfileline(uaddr()))
        try { println(umodname(uaddr())) } catch (problem) { println(problem) }
        exit()
    }
}
"""
CALLERS = ("vfs_open", "path_openat", "do_filp_open", "do_sys_openat2")
"""Each calls the one before: fs/open.c, fs/namei.c."""


def test_stacks_are_printed_a_line_for_each_function(image: Image) -> None:
    session = run(PRINTED, "cat /etc/hosts")
    whole, lines, stack, callers, two, short, *user = session.text.split("-\n")
    assert whole == lines == stack == callers
    names = re.findall(r"^ 0x[0-9a-f]{16} : (\w+)\+0x[0-9a-f]+/0x[0-9a-f]+ \[kernel\]$", whole, re.MULTILINE)
    assert len(names) == whole.count("\n")
    assert tuple(names[:4]) == CALLERS
    assert two == "".join(whole.splitlines(keepends=True)[:2])
    assert tuple(re.findall(r"^(\w+)\+0x[0-9a-f]+ \[kernel\]$", short, re.MULTILINE)) == CALLERS
    # Whatever is known of the program: names, or addresses.
    assert len(set(user[:4])) == 1
    assert user[0].startswith(" 0x")
    assert len(set(user[5:8])) == 1
    name, first, inside = user[8].splitlines()[0].split()
    assert (first, inside) == ("1", "1")
    assert re.fullmatch(r"0x[0-9a-f]+|\w+", name)
    assert len(user[8].splitlines()) == 3
