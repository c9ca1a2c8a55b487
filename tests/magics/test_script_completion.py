"""What the Tab key offers in a script; ``|`` is the cursor."""

from __future__ import annotations

import pytest

from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.magics.script_completion import complete_script
from ktrace_nb.magics.script_cursor import cursor_in, points_of
from tests.lang.stap.point_kernel import FACTS
from tests.magics.conftest import Shell


def offers(marked: str, facts: KernelFacts | None = FACTS, others: str = "") -> dict[str, str]:
    at = marked.index("|")
    found = complete_script(marked.replace("|", ""), at, facts, others)
    assert marked[:at].endswith(found.typed)
    return {offer.text: offer.type for offer in found.offers}


@pytest.mark.parametrize(
    ("text", "where", "before"),
    [
        ("", "top", ""),
        ("pro", "top", "pro"),
        ("probe begin { }\ngl", "top", "gl"),
        ("probe vfs.", "point", "vfs."),
        ('probe begin, kernel.function("vf', "point", 'kernel.function("vf'),
        ("probe mine = vfs.r", "point", "vfs.r"),
        ("probe begin { x = 1\n  y", "body", "  y"),
        ('probe begin { print("a { b") ', "body", 'probe begin { print("a { b") '),
        ('probe begin { print("a ', "text", ""),
        ("probe begin { // vfs.", "text", ""),
        ("/* probe ", "text", ""),
        ("# a remark\nprobe e", "point", "e"),
        ("function f(x) { ret", "body", "function f(x) { ret"),
    ],
)
def test_the_cursor_is_found_in_unfinished_text(text: str, where: str, before: str) -> None:
    cursor = cursor_in(text)
    assert (cursor.where, cursor.before) == (where, before)


def test_the_points_of_a_probe_are_told_from_what_stands_behind_them() -> None:
    header = 'kernel.function("a,b=c").return ?, vfs.read if (x == 1), timer.s(1)'
    assert points_of(header) == ['kernel.function("a,b=c").return', "vfs.read", "timer.s(1)"]
    assert points_of("mine = begin, end") == ["begin", "end"]
    assert cursor_in("probe a, b { x }\nfunction f() { y").points == ""


def test_points_are_aliases_and_what_is_built_in() -> None:
    calls = ("syscall.readlink", "syscall.readlinkat")
    assert list(offers("probe syscall.readl|")) == [f"{c}{end}" for c in calls for end in ("", ".return")]
    assert {"begin", "timer.s(", 'kernel.function("', "syscall.", "vfs."} <= set(offers("probe |"))
    assert list(offers("probe mine.a = begin { }\nprobe min|")) == ["mine.a"]


def test_functions_and_tracepoints_come_from_the_kernel() -> None:
    assert offers('probe kernel.function("vfs_|') == {
        "vfs_part.part.0": "kernel",
        "vfs_read": "kernel",
        "vfs_write": "kernel",
    }
    assert offers('probe module("nfs").function("nfs_|') == {"nfs_close": "nfs", "nfs_open": "nfs"}
    assert list(offers('probe module("n|')) == ["nfs"]
    assert list(offers('probe kernel.trace("sched_s|')) == ["sched_switch"]
    assert list(offers('probe kernel.trace("sched:sched_s|')) == ["sched:sched_switch"]
    assert list(offers('probe kernel.function("vfs_read").r|')) == ["return"]


def test_without_a_kernel_there_is_what_the_tapset_knows() -> None:
    assert offers('probe kernel.function("vfs_|', None) == {}
    assert "vfs.read.return" in offers("probe vfs.|", None)
    assert offers("probe vfs.read { thread_indent_|}", None) == {"thread_indent_depth": "(delta:long) → long"}


def test_context_variables_come_with_their_types() -> None:
    found = offers('probe kernel.function("vfs_read").return {\n  $|\n}')
    assert found["$count"] == "long unsigned int"
    assert found["$return"] == "long int"
    assert "$$parms" in found
    assert offers('probe kernel.function("submit_bio") { $bio->|') == {"bi_opf": "unsigned int"}
    assert offers('probe begin { x = @cast(p, "pair")->s|') == {"second": "long int"}


def test_variables_of_an_alias_come_with_their_types() -> None:
    script = (
        'probe reading = kernel.function("vfs_read") { size = $count; what = execname() }\nprobe reading { |}'
    )
    found = offers(script)
    assert (found["size"], found["what"]) == ("long", "string")
    assert list(found)[:2] == ["size", "what"]


def test_what_the_cell_and_other_pieces_declare_is_offered() -> None:
    text = "global reads, writes[10]\nfunction render:string(x:long, y) { }\nprobe begin { result = 1\n re|"
    found = offers(text, None, others="global rest = 3")
    assert list(found)[:4] == ["rest", "reads", "render", "result"]
    assert found["render"] == "(x:long, y) → string"


def test_words_stand_where_they_may() -> None:
    assert list(offers("pr|")) == ["probe", "private"]
    assert list(offers("probe begin { @hist_|")) == ["@hist_log", "@hist_linear"]
    assert "foreach" in offers("probe begin { fore|")
    assert offers('probe begin { print("fore|') == {}


@pytest.fixture
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a cell has run."""
    monkeypatch.setattr("ktrace_nb.magics.completion.known_facts", lambda: [FACTS])


@pytest.mark.usefixtures("_known")
@pytest.mark.parametrize(
    ("cell", "offered"),
    [
        ("%%ktrace --lang stap\nprobe begin { }\nprobe syscall.readlinka", "syscall.readlinkat"),
        ("%%ktrace walk --piece\nprobe begin { thread_indent_", "thread_indent_depth"),
        ('%%ktrace\nprobe kernel.function("sock_c', 'kernel.function("sock_create'),
    ],
)
def test_the_tab_key_completes_the_text_of_a_script_cell(shell: Shell, cell: str, offered: str) -> None:
    (first, *_) = shell.complete(cell)
    assert first.endswith(offered)


def test_the_text_of_a_c_cell_is_left_to_others(shell: Shell) -> None:
    assert not any("thread_indent" in line for line in shell.complete("%%ktrace\nint f() { thread_ind"))
