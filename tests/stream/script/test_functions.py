from __future__ import annotations

import ctypes
import ipaddress
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.ir.intrinsics import INTRINSICS
from ktrace_nb.stream.script.errors import ScriptError
from ktrace_nb.stream.script.functions import Function, functions_of
from ktrace_nb.stream.script.values import Value
from tests.stream.script.kit import Session

libc = ctypes.CDLL(None)
libc.strtoll.restype = ctypes.c_longlong


def use(name: str, *arguments: Value, session: Session | None = None) -> Value | None:
    return functions_of(session or Session())[name](*arguments)


def test_every_intrinsic_that_can_run_here_has_its_python_and_no_other_has() -> None:
    here = {name for name, place in INTRINSICS.items() if place.user or place.late}
    assert set(functions_of(Session())) == here


# Expected values by hand, from the tapset's definitions (tapset/string.stp).
@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("strlen", ("hello",), 5),
        ("substr", ("hello", 1, 3), "ell"),
        ("substr", ("hello", 3, 99), "lo"),
        ("substr", ("hello", -1, 3), ""),
        ("substr", ("hello", 5, 1), ""),
        ("substr", ("hello", 0, -1), ""),
        ("stringat", ("ok", 1), 107),
        ("isinstr", ("hello", "ell"), 1),
        ("isinstr", ("hello", "elk"), 0),
        ("strpos", ("hello", "l"), 2),
        ("strpos", ("hello", "x"), -1),
        ("strcmp", ("a", "b"), -1),
        ("strcmp", ("b", "b"), 0),
        ("str_replace", ("a-b-c", "-", "--"), "a--b--c"),
        ("str_replace", ("abc", "", "x"), "abc"),
        ("toupper", ("aZ\xe9",), "AZ\xe9"),
        ("tolower", ("Az\xc9",), "az\xc9"),
        ("hex", ("\x01\xab",), "01ab"),
        ("text_str", ('a"b\n\x01\xff',), 'a\\"b\\n\\001\\377'),
        ("text_str", ("\xc3\xa9\xf0\x9f\x98\x80",), "\\u00E9\\U0001F600"),
        ("text_strn", ("abcdefgh", 5, 0), "abcde"),
        ("text_strn", ("abcdefgh", 8, 1), '"abc"...'),
        ("text_strn", ("abc", 8, 1), '"abc"'),
        ("string_quoted", ("a\tb",), '"a\\tb"'),
        ("errno_str", (2,), "ENOENT"),
        ("errno_str", (-2,), "ENOENT"),
        ("errno_str", (0,), ""),
        ("errno_str", (3333,), ""),
        ("__errno_name", (13,), "EACCES"),
        ("__errno_name", (3333,), "E#3333"),
        ("__signal_name", (9,), "SIGKILL"),
        ("__signal_name", (34,), "SIGRTMIN+2"),
        ("__signal_name", (99,), "99"),
        ("__flags", (0o101, "O_RDONLY=0/3|O_WRONLY=1/3|O_CREAT=0100"), "O_WRONLY|O_CREAT"),
        ("__syscall_name", (0,), "read"),
        ("__syscall_name", (9999,), "9999"),
        ("__dev_name", ((8 << 20) | 1,), "sda1"),
        ("__dev_name", ((8 << 20) | 2,), "8:2"),
        ("symname", (0xFFFFFFFF81000012 - (1 << 64),), "vfs_read"),
        ("symname", (0x1234,), "0x1234"),
        ("symdata", (0xFFFFFFFF81000012,), "vfs_read+0x2/0x140 [kernel]"),
        ("symdata", (0xFFFFFFFFC0281004,), "nfs_file_read+0x4/0x100 [nfs]"),
        ("modname", (0xFFFFFFFFC0281004,), "nfs"),
        ("modname", (0xFFFFFFFF81000012,), "kernel"),
        ("__kernel_stack", (7,), "0xffffffff81000012 0xffffffff81000151"),
        ("__user_stack", (2,), "0x400010 0x400010"),
        ("__user_stack", (0,), ""),
        ("__user_stack", (77 << 32 | 2,), "0x400010 0x400010"),  # of process 77
        ("__user_stack", (77 << 32 | 0xFFFFFFF2,), ""),  # could not be kept: -EFAULT
        ("__user_symname", (0x400010, 7), "main"),
        ("__user_symdata", (0x400010, 7), "main+0x10/0x90 [bash]"),
        ("__user_modname", (0x400010, 7), "bash"),
        ("__user_symname", (0x500000, 7), "0x500000"),
        ("__symbol_lines", ("0xffffffff81000012 0x1", 0), "vfs_read+0x2 [kernel]\n0x1\n"),
        ("__symbol_lines", ("0xffffffff81000012", 1), " 0xffffffff81000012 : vfs_read+0x2/0x140 [kernel]\n"),
        ("__user_symbol_lines", ("0x400010", 7, 2), "main+0x10\n"),
        ("__words", ("ls -l  /tmp", 1, 1, " "), "-l"),
        ("__words", ("ls -l /tmp", 1, -1, ","), "-l,/tmp"),
        ("__words", ("ls", 1, 1, " "), ""),
        ("tz_gmtoff", (), -7200),
        ("target", (), 42),
        ("pid", (), 1234),
        ("execname", (), "python3"),
        ("gettimeofday_s", (), 1_700_000_000),
        ("gettimeofday_us", (), 1_700_000_000_123_456),
    ],
)
def test_it_gives_what_the_tapset_says(name: str, arguments: tuple[Value, ...], result: Value) -> None:
    assert use(name, *arguments) == result


@given(st.from_regex(r"\A-?[0-9a-fA-Fx]{0,14}[ gz]?\Z"), st.sampled_from((0, 2, 8, 10, 16)))
def test_numbers_are_read_as_the_c_library_reads_them(text: str, base: int) -> None:
    if text.lower().lstrip("-") in ("0x", "0xx") or text.lower().lstrip("-").startswith("0x-"):
        return
    expected = libc.strtoll(text.encode(), None, base)
    if base in (0, 16) and text.lower().lstrip("-").startswith("0x") and expected == 0:
        return  # "0xz": where C reads the 0, the kernel goes on behind the x; both give 0
    assert use("strtol", text, base) == expected


def test_a_position_outside_a_string_is_an_error() -> None:
    with pytest.raises(ScriptError, match="Position out of bounds"):
        use("stringat", "ok", 2)


def test_pieces_of_a_string_come_one_by_one() -> None:
    tokenize = functions_of(Session())["tokenize"]
    assert [tokenize("a,,b c", ", "), *(tokenize("", ", ") for _ in range(4))] == ["a", "b", "c", "", ""]
    assert [tokenize("x|y", "|"), tokenize("new", "|"), tokenize("", "|")] == ["x", "new", ""]


@given(st.integers(-(2**31), 2**31 - 1))
def test_ctime_is_that_of_the_c_library(seconds: int) -> None:
    assert use("ctime", seconds) == time.asctime(time.gmtime(seconds))


def test_ctime_knows_no_time_beyond_32_bits() -> None:
    with pytest.raises(ScriptError, match="too far in the future"):
        use("ctime", 2**31)
    with pytest.raises(ScriptError, match="too far in the past"):
        use("ctime", -(2**31) - 1)


def test_local_time_is_ahead_of_utc_in_the_east() -> None:
    assert use("tz_ctime", 0) == "Thu Jan  1 02:00:00 1970 CEST"


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_written_from_its_bytes_in_memory(address: ipaddress.IPv4Address) -> None:
    assert use("ip_ntop", int.from_bytes(address.packed, "little")) == str(address)


@given(st.ip_addresses(v=6))
def test_an_ipv6_address_is_written_in_full(address: ipaddress.IPv6Address) -> None:
    halves = [int.from_bytes(address.packed[i : i + 8], "little") for i in (0, 8)]
    assert use("ip6_ntop", *halves) == address.exploded


def test_indentation_is_that_of_systemtaps_own_example() -> None:
    # The comment at the end of SystemTap's tapset/indent.stp, its first lines for one task.
    indent: Function = functions_of(Session())["__indent"]
    steps = [
        (1, 0, "->"),
        (-1, 8, "<-"),
        (1, 20, "->"),
        (1, 30, "->"),
        (1, 36, "->"),
        (-1, 42, "<-"),
        (-1, 59, "<-"),
    ]
    lines = [f"{indent(delta, 0, 'swapper(0)', 1000 + at)} {arrow}" for delta, at, arrow in steps]
    assert lines == [
        "     0 swapper(0): ->",
        "     8 swapper(0): <-",
        "     0 swapper(0): ->",
        "    10 swapper(0):  ->",
        "    16 swapper(0):   ->",
        "    22 swapper(0):   <-",
        "    39 swapper(0):  <-",
    ]


def test_depths_are_kept_apart_by_key() -> None:
    depth = functions_of(Session())["__indent_depth"]
    assert [depth(1, 1), depth(1, 1), depth(1, 2), depth(-1, 1), depth(-1, 1), depth(-1, 1)] == [
        0,
        1,
        0,
        1,
        0,
        0,
    ]


def test_random_numbers_stay_below_the_bound() -> None:
    randint = functions_of(Session())["randint"]
    assert {randint(3) for _ in range(200)} == {0, 1, 2}
    with pytest.raises(ScriptError, match="range too wide"):
        randint((1 << 20) + 1)


def test_effects_reach_the_session() -> None:
    session = Session()
    functions = functions_of(session)
    functions["log"]("hello")
    functions["warn"]("careful")
    functions["system"]("ls")
    functions["__ansi"]("\x1b[J")
    functions["__set_target_pid"](7)
    functions["exit"]()
    assert session.text == "hello\n\x1b[J"
    assert (session.warnings, session.commands, session.exits) == (["careful"], ["ls"], 1)
    assert functions["target"]() == 7


def test_error_raises_what_the_script_says_without_a_place() -> None:
    with pytest.raises(ScriptError) as raised:
        use("error", "no good")
    assert str(raised.value) == "no good"


def test_strings_that_are_made_are_cut_and_counted() -> None:
    session = Session(max_string=8)
    assert use("str_replace", "aaaa", "a", "bbb", session=session) == "bbbbbbb"
    assert session.cut.cuts == 1
    assert use("__kernel_stack", 7, session=session) == ""


def test_lines_to_be_kept_in_a_string_are_whole() -> None:
    session = Session(max_string=40)
    addresses = "0xffffffff81000012 0xffffffff81000012"
    assert use("__symbol_lines", addresses, 0, session=session) == "vfs_read+0x2 [kernel]\n"
    shown = use("__symbol_lines", addresses, 1, session=session)
    assert isinstance(shown, str) and shown.count("\n") == 2


def test_an_address_in_no_module_is_an_error() -> None:
    with pytest.raises(ScriptError, match="Cannot determine kernel module name"):
        use("modname", 5)
