from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from ktrace_nb.arguments import options_of
from ktrace_nb.engine import Options
from ktrace_nb.errors import OptionError
from ktrace_nb.magics.options import option_choices, option_words, parse_line


def options_from(line: str, target: str = "lab") -> Options:
    args = parse_line(line)
    return options_of(args, name=args.name, target=target, language="c")


def test_a_line_is_read_as_a_shell_reads_it() -> None:
    options = options_from(
        """sizes --for 500ms -c "ls -lR '/usr'" -x 7 --attach kprobe:vfs_*:f --cflag=-DN=3"""
    )
    assert (options.name, options.target, options.seconds) == ("sizes", "lab", 0.5)
    assert options.command == "ls -lR '/usr'"
    assert (options.pid, options.attach, options.cflags) == (7, ("kprobe:vfs_*:f",), ("-DN=3",))


def test_the_default_target_is_a_setting_and_an_option_overrides_it() -> None:
    assert options_from("", "local").target == "local"
    assert options_from("--target lab", "local").target == "lab"


def test_limits_are_quantities_with_defaults() -> None:
    options = options_from("--expire 2h --every 500ms --max-rate 10k --max-cpu 5% --over stop")
    assert (options.expire_s, options.every_s) == (7200.0, 0.5)
    assert (options.max_rate, options.max_cpu, options.over) == (10_000.0, 0.05, "stop")
    plain = options_from("")
    assert (plain.expire_s, plain.every_s, plain.max_rate, plain.max_cpu) == (1800.0, 1.0, None, None)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("--frm 10s", "unrecognized arguments: --frm"),
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


@pytest.mark.parametrize(
    ("line", "wanted", "examples"),
    [
        ("--for=soon", "a duration", "10s, 500ms, 2m"),
        ("--for=0s", "a duration", "10s, 500ms, 2m"),
        ("--expire='10 parsecs'", "a duration", "10s, 500ms, 2m"),
        ("--every=-1s", "a duration", "10s, 500ms, 2m"),
        ("--max-rate=10K", "events per second", "500, 10k"),
        ("--max-cpu=all", "a share of a CPU", "5%, 0.05"),
    ],
)
def test_a_wrong_quantity_is_named(line: str, wanted: str, examples: str) -> None:
    with pytest.raises(OptionError, match=f"expected {wanted}") as caught:
        options_from(line)
    assert caught.value.hint == f"e.g. {examples}"


def test_every_option_can_be_completed() -> None:
    words = option_words()
    assert {"--target", "--for", "-c", "-x", "--view", "--show", "--lang", "-o", "--attach"} <= set(words)
    assert option_choices("--show") == ["ast", "ir", "c", "bytecode", "facts"]
    assert option_choices("-c") == []


def test_what_stands_behind_two_dashes_are_a_script_s_arguments() -> None:
    args = parse_line("reads --lang stap -D MAXSTRINGLEN=256 -G 'text=a b' -- eth0 -5 '--for'")
    options = options_of(args, name=args.name, target="lab", language="c")
    assert (options.name, options.language) == ("reads", "stap")
    assert options.arguments == ("eth0", "-5", "--for")
    assert options.script_limits == (("MAXSTRINGLEN", 256),)
    assert options.script_globals == (("text", "a b"),)
    assert parse_line("-- one").name == "trace"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("walk --piece", ("walk", "")),
        ("walk --piece clocks --target lab", ("walk", "clocks")),
        ("--piece walk", ("walk", "")),
        ("walk", ("walk", None)),
    ],
)
def test_a_piece_has_a_script_and_perhaps_a_key(line: str, found: tuple[str, str | None]) -> None:
    args = parse_line(line)
    assert (args.name, args.piece) == found
