from __future__ import annotations

from pathlib import Path

import pytest

from ktrace_nb.errors import MissingError, OptionError
from ktrace_nb.lab import packages
from ktrace_nb.lab.packages import GUEST, LEFT_OUT, Package
from ktrace_nb.lab.tools import find_tool, require_tools, run_tool
from ktrace_nb.progress import silent


def test_what_apt_says_it_would_install_is_read() -> None:
    said = (
        "Inst libc6 (2.36-9+deb12u14 Debian:12.14/oldstable [amd64])\n"
        "Inst e2fsprogs [1.46-1] (1.47.0-2+b2 Debian:12.14/oldstable, Debian-Security:12/x [amd64]) []\n"
        "Conf libc6 (2.36-9+deb12u14 Debian:12.14/oldstable [amd64])\n"
        "Inst netbase (6.4 Debian:12.14/oldstable [all])\n"
    )
    assert packages._INSTALLED.findall(said) == [
        ("libc6", "2.36-9+deb12u14", "amd64"),
        ("e2fsprogs", "1.47.0-2+b2", "amd64"),
        ("netbase", "6.4", "all"),
    ]


def test_an_epoch_is_quoted_in_a_file_name() -> None:
    assert packages._file_name("libcap2", "1:2.66-4", "amd64") == "libcap2_1%3a2.66-4_amd64.deb"


def test_the_first_error_of_apt_is_what_counts() -> None:
    said = "W: something old\nE: Unable to locate package nosuch\nE: more\n"
    assert packages._last_words(said) == "Unable to locate package nosuch"
    assert packages._last_words("") == "no reason given"


def test_nothing_the_guest_asks_for_is_left_out() -> None:
    assert not set(GUEST) & set(LEFT_OUT)


def test_an_unknown_kernel_is_an_option_error(own_store: Path) -> None:
    with pytest.raises(OptionError, match=r"no kernel '5\.4'") as raised:
        packages.fetch_packages("5.4", silent)
    assert raised.value.hint is not None and "6.12" in raised.value.hint


def test_archives_that_no_image_needs_are_deleted(own_store: Path) -> None:
    folder = own_store / "cache/ktrace_nb/packages"
    folder.mkdir(parents=True)
    for name in ("a_1%3a2_amd64.deb", "b_3_all.deb", "c_4_amd64.deb", "status"):
        (folder / name).touch()
    kept = Package("a", "1:2", "amd64", folder / "a_1%3a2_amd64.deb")
    packages.forget_other_packages([kept], ["b=3"])
    assert {path.name for path in folder.iterdir()} == {"a_1%3a2_amd64.deb", "b_3_all.deb", "status"}


def test_all_missing_programs_are_named_with_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("ktrace_nb.lab.tools._SEARCH", str(tmp_path))
    with pytest.raises(MissingError) as raised:
        require_tools("qemu-system-x86_64", "mke2fs", "debugfs")
    assert "qemu-system-x86_64 and mke2fs and debugfs" in raised.value.message
    assert raised.value.fix == "sudo apt-get install e2fsprogs qemu-system-x86"


def test_a_program_of_the_administrator_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_tool("mke2fs") is not None


def test_a_program_that_fails_is_named_with_its_own_words() -> None:
    assert run_tool(["sh", "-c", "cat; echo ignored >&2"], data=b"text") == b"text"
    with pytest.raises(MissingError, match="sh failed with status 3: it is broken"):
        run_tool(["sh", "-c", "echo more >&2; echo it is broken >&2; exit 3"])
