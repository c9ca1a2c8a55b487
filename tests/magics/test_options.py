from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from ktrace_nb.errors import OptionError
from ktrace_nb.magics.options import option_choices, option_words, options_of, parse_line


def test_a_line_is_read_as_a_shell_reads_it() -> None:
    options = options_of(
        parse_line("""sizes --for 500ms -c "ls -lR '/usr'" -x 7 --attach kprobe:vfs_*:f --cflag=-DN=3""")
    )
    assert (options.name, options.target, options.seconds) == ("sizes", "lab", 0.5)
    assert options.command == "ls -lR '/usr'"
    assert (options.pid, options.attach, options.cflags) == (7, ("kprobe:vfs_*:f",), ("-DN=3",))


def test_the_default_target_is_a_setting_and_an_option_overrides_it() -> None:
    assert options_of(parse_line(""), "local").target == "local"
    assert options_of(parse_line("--target lab"), "local").target == "lab"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("--fro 10s", "unrecognized arguments: --fro"),
        ("--view bars", "invalid choice: 'bars'"),
        ("-x one", "invalid int value: 'one'"),
        ('-c "ls', "no closing quotation"),
        ("my-trace", "'my-trace' cannot be the name of a variable"),
        ("t -o class", "'class' cannot be the name of a variable"),
    ],
)
def test_a_wrong_line_is_a_usage_error(line: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_line(line)


@pytest.mark.parametrize("duration", ["soon", "0s", "10 parsecs", "-1s"])
def test_a_wrong_duration_is_named(duration: str) -> None:
    with pytest.raises(OptionError, match="expected a duration") as caught:
        options_of(parse_line(f"--for='{duration}'"))
    assert caught.value.hint == "e.g. 10s, 500ms, 2m"


def test_every_option_can_be_completed() -> None:
    words = option_words()
    assert {"--target", "--for", "-c", "-x", "--view", "--show", "--lang", "-o", "--attach"} <= set(words)
    assert option_choices("--show") == ["c", "ir", "bytecode", "facts"]
    assert option_choices("-c") == []
