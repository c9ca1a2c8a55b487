from __future__ import annotations

from pathlib import Path

import pytest

from ktrace_nb import engine
from ktrace_nb.errors import OptionError
from ktrace_nb.magics.probes import probes_table
from tests.kstat.kit import here
from tests.lang.stap.point_kernel import FACTS
from tests.magics.conftest import Shell


def test_a_point_has_a_row_for_each_variable() -> None:
    found = probes_table('kernel.function("vfs_write")', FACTS)
    assert found.index.names == ["probe", "variable"]
    assert list(found.index.get_level_values("variable")) == ["$file", "$buf", "$count", "$pos"]
    assert found.loc[('kernel.function("vfs_write")', "$buf"), "type"] == "const char *"


def test_a_point_without_variables_is_listed_all_the_same() -> None:
    assert list(probes_table("begin", FACTS).index) == [("begin", "")]


def test_what_an_alias_sets_comes_with_what_the_kernel_has() -> None:
    types = probes_table("syscall.openat", FACTS).loc["syscall.openat"]["type"].to_dict()
    assert (types["name"], types["filename"], types["flags"]) == ("string", "string", "long")
    assert types["$dfd"] == "int"


def test_a_point_that_is_not_there_is_answered_with_near_ones() -> None:
    with pytest.raises(OptionError, match=r"no probe point 'sycsall\.open' on this kernel"):
        probes_table("sycsall.open", FACTS)


def test_help_is_there_without_any_kernel(shell: Shell) -> None:
    said = shell.run("%ktrace help thread_indent_depth")
    assert said.startswith("function thread_indent_depth(delta: long): long\n  How deep the thread is.\n")
    assert "nothing is known of 'nonsense'" in shell.run("%ktrace help nonsense")


def test_help_is_there_when_the_kernel_has_gone(shell: Shell, tmp_path: Path) -> None:
    with here(tmp_path) as target:
        facts = engine.facts_of(target)
        assert facts in engine.known_facts()
    assert facts not in engine.known_facts()
    assert shell.run("%ktrace help thread_indent_depth").startswith("function thread_indent_depth(")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("%ktrace help", "expected a function, a probe point or a word"),
        ("%ktrace probes", "expected a probe point or a pattern"),
        ("%ktrace run", "expected the name of a script made of pieces"),
        ("%ktrace drop walk x", "expected NAME or NAME N, found 'walk x'"),
        ("%ktrace run walk", "no script 'walk' has pieces"),
        ("%%ktrace walk --piece --lang c\nprobe begin { }", "only scripts can be made of pieces"),
    ],
)
def test_a_command_that_lacks_something_says_what(shell: Shell, line: str, why: str) -> None:
    said = shell.run(line)
    assert why in said
    assert "Traceback" not in said
