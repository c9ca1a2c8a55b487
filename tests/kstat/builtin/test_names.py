"""Names that somebody else has chosen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.kstat.builtin.names import name_of, printable, unmangle

# Any file name, as Python decodes it.
names = st.binary(min_size=1, max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


def test_plain_names_stay() -> None:
    for name in ("eth0", "/home/user name", "größe", "nvme0n1p1"):
        assert name_of(name) == name


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert name_of("a\x1b[2J\n\t") == r"a\x1b[2J\x0a\x09"
    assert name_of("a\N{RIGHT-TO-LEFT OVERRIDE}b") == r"a\u202eb"
    assert name_of(b"\xff\xfe".decode("utf-8", "surrogateescape")) == r"\xff\xfe"
    assert name_of("\U000e0001") == r"\U000e0001"


def test_an_escape_in_the_name_itself_is_told_from_one_of_ours() -> None:
    assert name_of("a\n") == r"a\x0a"
    assert name_of(r"a\x0a") == r"a\x5cx0a"


def test_a_colon_is_written_out_in_names_alone() -> None:
    assert name_of("host:/export") == r"host\x3a/export"
    assert printable("host:/export") == "host:/export"


@given(names)
def test_a_name_can_be_printed_and_asked_for(name: str) -> None:
    shown = name_of(name)
    assert shown.isprintable() and ":" not in shown
    shown.encode()


@given(names, names)
def test_no_two_names_become_one(one: str, other: str) -> None:
    assert (name_of(one) == name_of(other)) == (one == other)


# What the kernel's mangle_path() does with " \t\n\\".
MANGLED = {" ": r"\040", "\t": r"\011", "\n": r"\012", "\\": r"\134", "#": r"\043"}


@given(names)
def test_a_mangled_name_is_told_back(name: str) -> None:
    assert unmangle("".join(MANGLED.get(sign, sign) for sign in name)) == name


def test_what_is_no_escape_stays() -> None:
    assert unmangle(r"a\04 b\9 \x20") == r"a\04 b\9 \x20"
    assert unmangle(r"gr\303\266\303\237e") == "größe"
