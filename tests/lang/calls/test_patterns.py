"""Patterns as they are written, and their places."""

from __future__ import annotations

import pytest

from ktrace_nb.errors import CellError
from ktrace_nb.lang.calls.patterns import Pattern, parse
from ktrace_nb.source import Source


def one(text: str) -> Pattern:
    *_, pattern = parse(Source(text), ["something_else"])
    return pattern


@pytest.mark.parametrize(
    ("text", "names", "module", "file", "exclude"),
    [
        ("ext4_*", "ext4_*", "", "", False),
        ("vfs_read", "vfs_read", "", "", False),
        ("!ext4_es_*", "ext4_es_*", "", "", True),
        ("ext4_[a-f]*", "ext4_[a-f]*", "", "", False),
        ("ext4_*@fs/ext4/inode.c", "ext4_*", "", "fs/ext4/inode.c", False),
        (":mod:ext4", "*", "ext4", "", False),
        ("ext4_get*:mod:ext4", "ext4_get*", "ext4", "", False),
        ('kernel.function("ext4_*")', "ext4_*", "", "", False),
        ('kernel.function("*@fs/ext4/*.c").call', "*", "", "fs/ext4/*.c", False),
        ('module("ext3").function("*")', "*", "ext3", "", False),
        ('module( "ext3" ).function( "*" ).return', "*", "ext3", "", False),
        ('!module("ext3").function("ext4_es*")', "ext4_es*", "ext3", "", True),
    ],
)
def test_every_form_says_names_module_and_file(
    text: str, names: str, module: str, file: str, exclude: bool
) -> None:
    pattern = one(text)
    assert (pattern.names, pattern.module, pattern.file, pattern.exclude) == (names, module, file, exclude)
    assert pattern.text == text


def test_only_systemtaps_kernel_leaves_modules_aside() -> None:
    assert one('kernel.function("nfs_*")').kernel_only
    assert not one("nfs_*").kernel_only
    assert not one('module("nfs").function("*")').kernel_only


def test_options_and_lines_come_together_and_know_their_places() -> None:
    cell = Source("# what else\next4_*, vfs_read  # two\n\n  !ext4_es_*\n")
    found = parse(cell, ["jbd2_*,sock_*", "tcp_*"])
    assert [p.text for p in found] == ["jbd2_*", "sock_*", "tcp_*", "ext4_*", "vfs_read", "!ext4_es_*"]
    assert [p.at.source.name for p in found] == ["--calls"] * 3 + ["cell"] * 3
    assert cell.position(found[-1].at.span.start) == (4, 3)


def test_a_comma_or_a_hash_in_quotes_ends_no_pattern() -> None:
    with pytest.raises(CellError, match=r"found 'kernel\.function"):
        parse(Source('kernel.function("a,b#c")'))


@pytest.mark.parametrize("text", ["@fs/open.c", "ext4_*)", "a b", "kernel.function(ext4_*)", "!"])
def test_another_form_is_shown_with_its_place(text: str) -> None:
    with pytest.raises(CellError, match="expected a pattern of functions") as caught:
        parse(Source(f"vfs_read\n{text}"))
    assert caught.value.lines()[1].startswith("cell:2:1")


@pytest.mark.parametrize("text", ["", "# nothing\n\n", " , ,\n"])
def test_no_pattern_is_an_error_with_examples(text: str) -> None:
    with pytest.raises(CellError, match="no pattern") as caught:
        parse(Source(text))
    assert "ext4_*" in str(caught.value.hint)


def test_patterns_that_only_leave_out_choose_nothing() -> None:
    with pytest.raises(CellError, match="none that chooses"):
        parse(Source(""), ["!ext4_*"])
