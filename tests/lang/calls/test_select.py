"""Which functions of a kernel patterns mean, and why the others are left out."""

from __future__ import annotations

import pytest

from ktrace_nb.errors import CellError, ProbeNotFoundError
from ktrace_nb.lang.calls.patterns import parse
from ktrace_nb.lang.calls.select import MOST, Selection, select
from ktrace_nb.source import Source
from tests.lang.calls.calls_kernel import FACTS, kernel


def chosen(*patterns: str) -> Selection:
    return select(parse(Source(""), patterns), FACTS)


def names(selection: Selection) -> list[str]:
    return [function.name for function in selection.functions]


def test_a_glob_gives_each_function_once_by_name_with_its_address() -> None:
    found = chosen("ext4_*", "ext4_l*")
    assert names(found) == ["ext4_iget", "ext4_lookup", "ext4_match"]
    assert [f.address for f in found.functions] == [
        0xFFFFFFFF81003100,
        0xFFFFFFFF81003000,
        0xFFFFFFFF81003200,
    ]


def test_every_function_that_is_left_out_has_its_reason() -> None:
    found = chosen("vfs_*")
    assert names(found) == ["vfs_helper.isra.0", "vfs_open", "vfs_read", "vfs_write"]
    assert {left.name: left.reason for left in found.left_out} == {
        "vfs_hidden": "no ftrace site: it is notrace, noinstr or assembly",
        "vfs_init": "runs only while the kernel boots",
        "vfs_helper": "inlined wherever it is called: only the kernel's types know it",
        "vfs_inlined": "inlined wherever it is called: only the kernel's types know it",
        "vfs_open_alias": "another name of vfs_open",
        "vfs_read.cold": "the part of vfs_read that seldom runs: it is jumped to, never called",
        "vfs_secret": "on the kprobes blacklist",
        "vfs_twin": "the kernel has 2 functions of this name",
    }


def test_exclusions_hold_wherever_they_stand() -> None:
    assert names(chosen("!ext4_l*", "ext4_*")) == ["ext4_iget", "ext4_match"]
    assert names(chosen("ext4_*,!:mod:nfs,!ext4_match,nfs_*")) == ["ext4_iget", "ext4_lookup"]


def test_an_exclusion_that_leaves_out_nothing_is_told() -> None:
    (note,) = chosen("ext4_*", "!ext4_mach").problems
    assert (note.severity, note.message) == ("note", "'!ext4_mach' leaves out nothing")
    assert str(note.hint).startswith("did you mean ext4_match")


def test_a_module_that_is_loaded_is_taken_as_it_is() -> None:
    found = chosen(":mod:nfs")
    assert [(f.name, f.module) for f in found.functions] == [("nfs_open", "nfs"), ("nfs_read", "nfs")]
    assert names(chosen('module("n*").function("*read")')) == ["nfs_read"]


def test_a_module_that_is_built_in_is_known_by_its_functions_names() -> None:
    found = chosen('module("ext3").function("*")')
    assert names(found) == ["__ext4_iget", "ext4_iget", "ext4_lookup", "ext4_match"]
    assert "no module of this kernel but built in: 4 functions named ext4_*" in found.problems[0].message


def test_systemtaps_kernel_means_no_module() -> None:
    assert names(chosen('kernel.function("*_read")')) == ["vfs_read"]
    assert names(chosen("*_read")) == ["nfs_read", "vfs_read"]


def test_a_source_file_is_what_lies_between_its_known_functions() -> None:
    found = chosen("sock_*@net/socket.c")
    assert names(found) == ["sock_alloc", "sock_alloc_file", "sock_inner"]
    assert "3 functions are taken for 'net/socket.c'" in found.problems[0].message


def test_names_of_old_are_those_of_today() -> None:
    found = chosen("ext3_lookup", "ext3_m*")
    assert names(found) == ["ext4_lookup", "ext4_match"]
    assert [p.message for p in found.problems] == [
        "'ext3_lookup' is ext4_lookup on this kernel",
        "'ext3_m*' is 'ext4_m*' on this kernel",
    ]


def test_a_name_whose_function_was_cloned_is_its_clone() -> None:
    assert names(chosen("vfs_helper")) == ["vfs_helper.isra.0"]


@pytest.mark.parametrize(
    ("pattern", "what", "hint"),
    [
        ("ext4_lokup", "no kernel function 'ext4_lokup'", "ext4_lookup"),
        ("zfs_*", "no kernel function 'zfs_*'", None),
        ('module("nfss").function("*")', "no loaded module 'nfss'", "did you mean nfs?"),
        ('module("btrfs").function("*")', "no loaded module 'btrfs'", "modprobe btrfs"),
        (":mod:nfs,nfs_opn:mod:nfs", "no function of module 'nfs' 'nfs_opn'", "nfs_open"),
        ("vfs_*@fs/reed_write.c", "no source file 'fs/reed_write.c'", "fs/read_write.c"),
    ],
)
def test_what_matches_nothing_is_an_error_with_what_is_near(
    pattern: str, what: str, hint: str | None
) -> None:
    with pytest.raises(ProbeNotFoundError) as caught:
        chosen(pattern)
    assert what in caught.value.message
    if hint is not None:
        assert hint in str(caught.value.hint)


def test_a_single_function_that_cannot_be_recorded_says_why() -> None:
    with pytest.raises(CellError, match="'vfs_secret' cannot be recorded: on the kprobes blacklist"):
        chosen("vfs_secret")
    with pytest.raises(CellError, match="none of the 2 functions can be recorded"):
        chosen("vfs_secret,vfs_hidden")


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(CellError, match="nothing is left"):
        chosen("ext4_*,!ext4*")


def test_leaving_out_what_is_not_there_is_a_note() -> None:
    for pattern in ("ext4_*,!nope_*", "ext4_*,!nope_*:mod:nosuch"):
        found = select(parse(Source(""), [pattern]), kernel())
        assert len(found.functions) == 3
        assert "leaves out nothing" in found.problems[-1].message


def test_too_many_functions_are_refused_unless_one_insists() -> None:
    facts = kernel(many=MOST + 1)
    patterns = parse(Source(""), ["many_*,ext4_*"])
    with pytest.raises(CellError, match="match 2,004 functions, more than 2,000") as caught:
        select(patterns, facts)
    assert "many_* 2,001, ext4_* 3; --yes insists" in str(caught.value.hint)
    assert len(select(patterns, facts, insist=True).functions) == MOST + 4


def test_more_functions_than_have_numbers_are_refused_whoever_insists() -> None:
    facts = kernel(many=(1 << 16) + 1)
    with pytest.raises(CellError, match="65,537 functions, more than 65,536") as caught:
        select(parse(Source(""), ["many_*"]), facts, insist=True)
    assert "--yes" not in str(caught.value.hint)


def test_where_addresses_are_hidden_names_are_enough() -> None:
    found = select(parse(Source(""), ["ext4_*"]), kernel(hidden=True))
    assert [(f.name, f.address) for f in found.functions][:1] == [("ext4_iget", 0)]
    assert len(found.functions) == 3
