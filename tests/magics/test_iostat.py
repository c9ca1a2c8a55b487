"""``%iostat`` in a shell: its words, and what is wrong with them."""

from __future__ import annotations

from tests.magics.conftest import Shell


def test_help_is_the_command_s(shell: Shell) -> None:
    assert shell.run("%iostat -h").startswith("usage: ktrace-nb iostat")


def test_words_that_make_no_sense_are_told_in_short(shell: Shell) -> None:
    assert "OptionError: invalid interval 0" in shell.run("%iostat -xn 0")
    assert "OptionError: only the extended statistics are there" in shell.run("%iostat 10")
    assert "no closing quotation" in shell.run("%iostat -xn 'vda")
    assert "Traceback" not in shell.run("%iostat -xn 0")


def test_braces_and_dollars_are_left_alone(shell: Shell) -> None:
    shell.run("x = 5")
    assert "invalid interval 1{x}" in shell.run("%iostat -xn 1{x}")
