"""What can be listed and explained: against a small kernel, and the tapset's own texts."""

from __future__ import annotations

import pytest

from ktrace_nb.errors import CellError, OptionError
from ktrace_nb.lang.stap.catalog import (
    Listed,
    members,
    members_of_type,
    plain_library,
    probe_points,
    signatures,
)
from ktrace_nb.lang.stap.help import explain
from ktrace_nb.lang.stap.language_words import WORDS
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.source import Source
from tests.lang.stap.point_kernel import FACTS

LIBRARY = plain_library()


def only(pattern: str) -> Listed:
    (found,) = probe_points(pattern, FACTS, LIBRARY)
    return found


def test_a_function_is_listed_with_its_parameters_and_their_c_types() -> None:
    listed = only('kernel.function("vfs_read").return')
    assert listed.point == 'kernel.function("vfs_read").return'
    assert listed.targets == (
        ("$return", "long int"),
        ("$file", "void *"),
        ("$buf", "const char *"),
        ("$count", "long unsigned int"),
        ("$pos", "void *"),
    )
    assert listed.variables == ()


def test_a_wildcard_lists_every_function_by_itself() -> None:
    found = probe_points('kernel.function("vfs_*")', FACTS, LIBRARY)
    assert {'kernel.function("vfs_read")', 'kernel.function("vfs_write")'} <= {p.point for p in found}
    assert all(p.point.startswith('kernel.function("vfs_') for p in found)


def test_tracepoints_are_listed_by_category() -> None:
    found = probe_points('kernel.trace("sched:sched_*")', FACTS, LIBRARY)
    assert [p.point for p in found] == [
        f'kernel.trace("sched_{name}")' for name in ("process_exec", "process_exit", "switch", "wakeup")
    ]
    assert found[2].targets == (("$prev", "struct task_struct *"), ("$next", "struct task_struct *"))


def test_an_alias_is_listed_with_what_it_sets_and_the_types_that_follow_from_it() -> None:
    body = '{ size = $count; what = execname(); both = what . "x" }'
    script = parse(Source(f'probe reading = kernel.function("vfs_read") {body}'))
    (listed,) = probe_points("reading", FACTS, LIBRARY, script)
    assert listed.variables == (("size", "long"), ("what", "string"), ("both", "string"))


def test_a_pattern_matches_aliases_as_a_whole() -> None:
    found = [p.point for p in probe_points("syscall.open*", FACTS, LIBRARY)]
    assert {"syscall.open", "syscall.open.return", "syscall.openat", "syscall.openat.return"} <= set(found)
    # This kernel has no such call.
    assert "syscall.openat2" not in found


def test_what_is_asked_for_by_name_and_missing_is_an_error_with_near_names() -> None:
    with pytest.raises(CellError) as caught:
        probe_points("syscall.opne", FACTS, LIBRARY)
    assert caught.value.hint == "did you mean syscall.open, syscall.clone, syscall.openat?"


def test_members_are_found_behind_pointers() -> None:
    context = only('kernel.function("submit_bio")').context
    assert context is not None
    assert members(context, "$bio", ()) == [("bi_opf", "unsigned int")]
    assert members(context, "$bio", ("bi_opf",)) == []
    assert members(context, "$nothing", ()) == []
    assert members_of_type(FACTS, "struct pair", ()) == [("first", "long int"), ("second", "long int")]
    assert members_of_type(FACTS, "task_struct", ("[]",)) == []


def test_every_function_of_the_tapset_has_a_signature_that_says_what_it_declares() -> None:
    known = signatures()
    assert set(known) == set(LIBRARY.function_names)
    for name in LIBRARY.function_names:
        declared = LIBRARY.functions(name)[0]
        assert known[name].endswith(f"→ {declared.type}" if declared.type else ")"), name
        assert known[name].count(",") == max(0, len(declared.parameters) - 1), name


def test_every_function_and_alias_can_be_explained() -> None:
    for name in (*LIBRARY.function_names, *LIBRARY.alias_names, *WORDS):
        assert name in explain(name, LIBRARY)


def test_help_gives_the_parts_of_a_comment_a_line_each() -> None:
    assert explain("thread_indent_depth()", LIBRARY).splitlines() == [
        "function thread_indent_depth(delta: long): long",
        "  How deep the thread is.",
        "  delta: long, 1 at an entry, -1 at a return.",
        "  Returns: long, 0 for the outermost level.",
    ]


def test_operators_are_found_with_and_without_their_sign() -> None:
    assert explain("hist_log", LIBRARY) == explain("@hist_log", LIBRARY)


def test_an_unknown_word_is_answered_with_near_ones() -> None:
    with pytest.raises(OptionError, match="nothing is known of 'thread_ident'") as caught:
        explain("thread_ident", LIBRARY)
    assert caught.value.hint == "did you mean thread_indent, thread_indent_depth?"
