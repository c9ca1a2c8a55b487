from __future__ import annotations

import numpy as np
import pytest

from ktrace_nb.kernel import signatures as k
from ktrace_nb.kernel.signatures import Parameter, Reading, Signature
from ktrace_nb.stream.calls.durations import told
from ktrace_nb.stream.calls.feed import FrameFeed
from ktrace_nb.stream.calls.frames import calls_frame
from ktrace_nb.stream.calls.store import CallStore
from ktrace_nb.stream.calls.text import IndentText, TreeText, tree_lines
from ktrace_nb.stream.calls.values import Values
from tests.stream.calls.trees import written

# Output of SystemTap that an article shows, the blanks in front of the times cut off there;
# `probe module("ext3").function("*").call` and `.return`, with thread_indent() and probefunc().
PUBLISHED = """\
  0 ls(31789): -> ext3_dirty_inode
  8 ls(31789):  -> ext3_journal_start_sb
 21 ls(31789):  <- ext3_journal_start_sb
 26 ls(31789):  -> ext3_mark_inode_dirty
 31 ls(31789):   -> ext3_reserve_inode_write
 35 ls(31789):    -> ext3_get_inode_loc
 39 ls(31789):     -> __ext3_get_inode_loc
 52 ls(31789):     <- __ext3_get_inode_loc
 56 ls(31789):    <- ext3_get_inode_loc
 61 ls(31789):   <- ext3_reserve_inode_write
 67 ls(31789):   -> ext3_mark_iloc_dirty
 74 ls(31789):   <- ext3_mark_iloc_dirty
 77 ls(31789):  <- ext3_mark_inode_dirty
 83 ls(31789):  -> __ext3_journal_stop
 87 ls(31789):  <- __ext3_journal_stop
 90 ls(31789): <- ext3_dirty_inode
  0 ls(31789): -> ext3_permission
"""
FUNCTIONS = (
    *("ext3_dirty_inode", "ext3_journal_start_sb", "ext3_mark_inode_dirty", "ext3_reserve_inode_write"),
    *("ext3_get_inode_loc", "__ext3_get_inode_loc", "ext3_mark_iloc_dirty", "__ext3_journal_stop"),
    "ext3_permission",
)


def published_store() -> tuple[CallStore, np.ndarray[tuple[int], np.dtype[np.void]]]:
    """Records of the calls that the article shows."""
    lines, times, depth = [], [], 0
    base = 5_000_000_000
    for line in PUBLISHED.splitlines():
        time, _, arrow, function = line.split()
        if arrow == "->":
            depth += 1
        lines.append(f"31789 {'in' if arrow == '->' else 'out'} {function} {1000 - 10 * depth}")
        times.append(base + int(time) * 1000)
        if arrow == "<-":
            depth -= 1
            if not depth:
                base = times[-1] + 300_000
    letters = {name: chr(ord("a") + n) for n, name in enumerate(FUNCTIONS)}
    text = "\n".join(" ".join(letters.get(word, word) for word in line.split()) for line in lines)
    batch = written(text)
    batch["at"] = times
    store = CallStore(FUNCTIONS)
    store.add_threads(b"31789 31789 1 ls\n")
    return store, batch


def systemtaps() -> str:
    """The published lines with the time in six places, as ``thread_indent`` has it."""
    return "".join(f"{int(line[:3]):6d}{line[3:]}\n" for line in PUBLISHED.splitlines())


def test_a_name_cannot_write_to_the_terminal() -> None:
    store = CallStore(["a"])
    store.add_threads(b"7 7 1 ev\x1b[31mil\n")
    store.add(written("7 in a 100\n7 out a 100"))
    lines = [*IndentText(store).lines(), *TreeText(store, store).lines()]
    assert lines[0].endswith("ev\\x1b[31mil(7): -> a")
    assert not any("\x1b" in line for line in lines)


def test_the_indented_text_is_what_systemtap_printed() -> None:
    store, batch = published_store()
    store.add(batch)
    assert "".join(f"{line}\n" for line in IndentText(store).lines()) == systemtaps()


def test_the_indented_text_grows_with_the_walk() -> None:
    store, batch = published_store()
    text, lines = IndentText(store), []
    for part in np.array_split(batch, 6):
        store.add(part)
        lines += list(text.lines())
    assert "".join(f"{line}\n" for line in lines) == systemtaps()
    assert list(text.lines()) == []


def test_every_thread_is_indented_and_timed_by_itself() -> None:
    store = CallStore(["a", "b"])
    store.add_threads(b"7 7 1 ls\n8 8 1 my (sh)\n")
    store.add(written("7 in a 100\n8 in b 100\n7 in b 50\n8 out b 100\n7 out b 50\n7 out a 100"))
    assert list(IndentText(store).lines()) == [
        "     0 ls(7): -> a",
        "     0 my (sh)(8): -> b",
        "     2 ls(7):  -> b",
        "     2 my (sh)(8): <- b",
        "     4 ls(7):  <- b",
        "     5 ls(7): <- a",
    ]


def test_calls_sent_when_they_are_over_are_timed_each_by_itself() -> None:
    store = CallStore(["a", "b"], completed=True)
    store.add_threads(b"7 7 1 ls\n")
    store.add(sent_when_over())
    assert list(IndentText(store).lines()) == [
        "     0 ls(7):  -> b",
        "     2 ls(7):  <- b",
        "     0 ls(7): -> a",
        "     5 ls(7): <- a",
        "     0 ls(7):  -> b",
        "     1 ls(7):  <- b",
    ]
    assert list(IndentText(FrameFeed(calls_frame(store))).lines()) == [
        "     0 ls(7): -> a",
        "     1 ls(7):  -> b",
        "     3 ls(7):  <- b",
        "     5 ls(7): <- a",
        # What it was called from returned no error, or not late enough.
        "     0 ls(7):  -> b",
        "     1 ls(7):  <- b",
    ]


def sent_when_over() -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """A call from another, then one from a call that is not recorded."""
    batch = written("7 in b 50\n7 out b 50\n7 in a 100\n7 out a 100\n7 in b 50\n7 out b 50")
    batch["at"] = [1000 * at for at in (11, 13, 10, 15, 21, 22)]
    batch["depth"] = [1, 1, 0, 0, 1, 1]
    return batch


CASE = """
7 in a 100
7 in b 50
8 in d 100
7 out b 50
7 in c 40
7 in b 30
7 out b 30
7 out a 100
8 in b 50
"""


@pytest.fixture
def store() -> CallStore:
    integer = Reading(k.SIGNED, 32)
    one = Signature((Parameter("n", integer, (0,)),), integer, is_known=True)
    store = CallStore(["a", "b", "c", "d"], Values([one] * 4))
    store.add_threads(b"7 7 1 ls\n8 8 1 cat\n")
    batch = written(CASE)
    batch["values"][3, 0] = (1 << 32) - 2
    store.add(batch)
    return store


TREE = [
    "ls (7)",
    "→ a(n=0)",
    "    ↔ b(n=0)          -ENOENT   2.00 µs",
    "    → c(n=0)",
    "        ↔ b(n=0)            0   1.00 µs",
    "    ⇥ c             no return",
    "← a                         0   7.00 µs",
]
OPEN = ["cat (8)", "→ d(n=0)      open", "    → b(n=0)  open"]


def squeezed(lines: list[str]) -> list[list[str]]:
    """The words of lines, and how far they are indented."""
    return [[line[: len(line) - len(line.lstrip())], *line.split()] for line in lines]


def test_the_tree_folds_calls_that_made_no_others_and_tells_what_is_missing(store: CallStore) -> None:
    text = TreeText(store, store)
    assert squeezed(list(text.lines())) == squeezed(TREE)
    assert list(text.lines()) == []
    assert squeezed(list(text.rest())) == squeezed(OPEN)


def test_the_tree_of_a_frame_is_that_of_the_walk(store: CallStore) -> None:
    calls = calls_frame(store)
    assert squeezed(list(tree_lines(calls))) == squeezed(TREE + OPEN)
    without = list(tree_lines(calls[calls["tid"] == 7], arguments=False))
    assert squeezed(without) == squeezed([line.replace("(n=0)", "") for line in TREE])


def test_durations_and_results_stand_in_columns(store: CallStore) -> None:
    lines = list(TreeText(store, store).lines())[1:]
    ends = {len(line) for line in lines if "µs" in line}
    assert len(ends) == 1
    column = lines[1].index("-ENOENT") + len("-ENOENT")
    assert lines[4][:column].endswith("no return")


@pytest.mark.parametrize(
    "ns, text",
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1000, "1.00 µs"),
        (12_345, "12.3 µs"),
        (123_456, "123 µs"),
        (9_996, "10.0 µs"),
        (999_499, "999 µs"),
        (999_500, "1.00 ms"),
        (1_050_000, "1.05 ms"),
        (120_000_000_000, "120 s"),
    ],
)
def test_a_duration_has_three_digits_and_a_unit(ns: int, text: str) -> None:
    assert told(ns) == text
