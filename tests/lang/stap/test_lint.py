"""Remarks on scripts that run and may not measure what they say: each rule where it speaks and where not."""

from __future__ import annotations

import pytest

from ktrace_nb.lang.stap.lint import RULES, lint
from ktrace_nb.lang.stap.macros import Settings
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.source import Source

READ = 'kernel.function("vfs_read")'


def remarks(text: str) -> list[tuple[str, str]]:
    """What is said, and the words it is said of."""
    script = parse(Source(text), Settings())
    found = lint(script)
    assert all(p.severity == "note" and p.hint and p.source and p.span for p in found)
    return [(p.message, p.source.text[p.span.start : p.span.end]) for p in found if p.source and p.span]


SPEAKING = {
    "a value put aside by pid() and taken at the return": (
        f"global t\nprobe {READ} {{ t[pid()] = gettimeofday_us() }}\n"
        f"probe {READ}.return {{ println(gettimeofday_us() - t[pid()]) }}",
        "two threads",
        "t[pid()]",
    ),
    "the same with a second key": (
        f"global t\nprobe {READ} {{ t[pid(), $file] = 1 }}\nprobe {READ}.return {{ println(t[pid(), 0]) }}",
        "two threads",
        "t[pid(), $file]",
    ),
    "a result compared with a text": (
        'probe syscall.open.return { if (retstr == "0") println("ok") }',
        "compared as text",
        'retstr == "0"',
    ),
    "the same by a function": (
        'probe syscall.open.return { if ("0" != returnstr(1)) println("bad") }',
        "compared as text",
        '"0" != returnstr(1)',
    ),
    "one array walked and another shown": (
        "global reads, writes\nprobe end { foreach (p in reads-) println(p, reads[p], writes[p]) }",
        "'writes' alone",
        "reads",
    ),
    "the task in an interrupt": (
        "probe netdev.receive { println(execname()) }",
        "was interrupted",
        "execname()",
    ),
    "the same by the function's name": (
        'probe kernel.function("tcp_v4_rcv") { println(pid()) }',
        "was interrupted",
        "pid()",
    ),
    "a rate without its fraction": (
        "global n\nprobe timer.s(5) { foreach (k in n) println(n[k] / 5) }",
        "truncates",
        "n[k] / 5",
    ),
    "the same of statistics": (
        "global s\nprobe timer.s(10) { println(@count(s) / 5) }",
        "truncates",
        "@count(s) / 5",
    ),
}

SILENT = {
    "keyed by tid()": (
        f"global t\nprobe {READ} {{ t[tid()] = 1 }}\nprobe {READ}.return {{ println(t[tid()]) }}"
    ),
    "keyed by pid() and tid()": (
        f"global t\nprobe {READ} {{ t[pid(), tid()] = 1 }}\n"
        f"probe {READ}.return {{ println(t[pid(), tid()]) }}"
    ),
    "counted by pid() and never read at a return": (
        f"global n\nprobe {READ} {{ n[pid()] = 1 }}\nprobe end {{ foreach (p in n) println(p) }}"
    ),
    "counted by pid() at the return": f"global n\nprobe {READ}.return {{ n[pid()]++ }}",
    "a text that is no result": 'probe syscall.open { if (execname() == "cat") println(filename) }',
    "a result as a number": "probe syscall.open.return { if (retval < 0) println(retstr) }",
    "both arrays walked": (
        "global a, b\nprobe end { foreach (p in a) println(p, a[p], b[p])\n  foreach (p in b) println(p) }"
    ),
    "another array by other keys": (
        "global a, names\nprobe end { foreach ([p, q] in a) println(a[p, q], names[p]) }"
    ),
    "the task where it is its own": "probe netdev.transmit { println(execname()) }",
    "an interrupt without a task": "probe netdev.receive { println(length) }",
    "a unit scaled": "global n\nprobe end { foreach (k in n) println(n[k] / 1000) }",
    "a division of anything else": "probe end { x = gettimeofday_s()\n  println(x / 60) }",
    "a half": "global n\nprobe end { println(n / 2) }",
}


@pytest.mark.parametrize("what", SPEAKING)
def test_a_mistake_is_remarked_where_it_is(what: str) -> None:
    text, part, words = SPEAKING[what]
    ((message, place),) = remarks(text)
    assert part in message
    assert place == words


@pytest.mark.parametrize("what", SILENT)
def test_what_is_no_mistake_is_not_remarked(what: str) -> None:
    assert remarks(SILENT[what]) == []


def test_every_rule_speaks_somewhere() -> None:
    speaking = {
        rule.__name__
        for rule in RULES
        for text, _, _ in SPEAKING.values()
        if list(rule(parse(Source(text), Settings())))
    }
    assert speaking == {rule.__name__ for rule in RULES}


def test_remarks_stand_in_the_order_of_the_text() -> None:
    text = "global s\nprobe timer.s(5) { println(@count(s) / 5) }\nprobe netdev.receive { s <<< pid() }"
    assert [words for _, words in remarks(text)] == ["@count(s) / 5", "pid()"]
