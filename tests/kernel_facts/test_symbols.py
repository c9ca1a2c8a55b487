"""Symbols by address and by name, lists of functions, system calls, configuration."""

from __future__ import annotations

import gzip
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.kernel.config import parse_config, parse_release
from ktrace_nb.kernel.errors import FactError
from ktrace_nb.kernel.symbols import NameList, Symbols, parse_blacklist, parse_functions
from ktrace_nb.kernel.syscalls import entry_prefix, from_tracepoints, system_calls

KALLSYMS = """\
0000000000000000 A fixed_percpu_data
0000000000031000 a cpu_offset
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000100 T vfs_read
ffffffff81000180 t rw_verify_area
ffffffff810001c0 t vfs_read.cold
ffffffff81000200 t do_thing.isra.0
ffffffff81000210 t __pfx_vfs_write
ffffffff81000220 T vfs_write
ffffffff82000000 D jiffies
ffffffffc0281000 t nfs_file_read\t[nfs]
ffffffffc0282000 t vfs_read\t[shadow]
"""


@pytest.fixture
def symbols() -> Symbols:
    return Symbols(KALLSYMS)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (0xFFFFFFFF81000100, "vfs_read"),
        (0xFFFFFFFF81000110, "vfs_read+0x10"),
        (0xFFFFFFFF810001BF, "rw_verify_area+0x3f"),
        (0xFFFFFFFF81000005, "_stext+0x5"),
        (0xFFFFFFFFC0281004, "nfs_file_read+0x4 [nfs]"),
        (0xFFFFFFFF82000008, "None"),
        (0xFFFFFFFF80000000, "None"),
        (0x31000, "None"),
        (0, "None"),
        (0xFFFFFFFFFF000000, "None"),
    ],
)
def test_an_address_is_a_place_in_a_function(symbols: Symbols, address: int, shown: str) -> None:
    assert str(symbols.resolve(address)) == shown


def test_many_addresses_keep_their_order(symbols: Symbols) -> None:
    wanted = [0xFFFFFFFF81000110, 0, 0xFFFFFFFF81000110]
    assert [str(symbol) for symbol in symbols.resolve_all(iter(wanted))] == [
        "vfs_read+0x10",
        "None",
        "vfs_read+0x10",
    ]


def test_a_name_may_be_at_several_addresses(symbols: Symbols) -> None:
    assert symbols.addresses("vfs_read") == [0xFFFFFFFF81000100, 0xFFFFFFFFC0282000]
    assert symbols.addresses("jiffies") == [0xFFFFFFFF82000000]
    assert symbols.addresses("fixed_percpu_data") == symbols.addresses("nothing") == []


def test_functions_are_code_and_clones_are_found_by_what_they_were_cloned_from(symbols: Symbols) -> None:
    assert "vfs_write" in symbols.functions
    assert not symbols.functions & {"jiffies", "__pfx_vfs_write", "cpu_offset"}
    assert symbols.siblings("do_thing") == ["do_thing.isra.0"]
    assert symbols.siblings("vfs_read") == ["vfs_read.cold"]
    assert symbols.siblings("vfs_write") == []


def test_names_are_known_where_addresses_are_hidden() -> None:
    hidden = Symbols("0000000000000000 T vfs_read\n0000000000000000 t vfs_read.cold\n")
    assert hidden.hidden
    assert hidden.resolve(0x10) is None
    assert hidden.functions == {"vfs_read", "vfs_read.cold"}
    assert hidden.siblings("vfs_read") == ["vfs_read.cold"]
    assert not Symbols(KALLSYMS.encode()).hidden


@given(st.lists(st.integers(1, 1 << 20), min_size=1, unique=True), st.integers(0, 1 << 21))
def test_the_nearest_symbol_below_answers(starts: list[int], address: int) -> None:
    found = Symbols("".join(f"{start:016x} T f{start}\n" for start in starts)).resolve(address)
    below = [start for start in starts if start <= address]
    if not below or address - max(below) >= 1 << 20:
        assert found is None
    else:
        assert found is not None
        assert (found.name, found.offset) == (f"f{max(below)}", address - max(below))


@pytest.mark.parametrize("text", ["ffffffff81000000 T", "nonsense\n", "xyz T name\n"])
def test_a_line_that_is_no_symbol_is_refused(text: str) -> None:
    with pytest.raises(FactError, match="malformed kallsyms"):
        Symbols(text)


NAMES = st.lists(st.text("abc_", min_size=1, max_size=5))


@given(NAMES, st.text("abc_*?[]!", max_size=6))
def test_a_glob_matches_what_the_shell_would(names: list[str], pattern: str) -> None:
    expected = sorted({name for name in names if fnmatchcase(name, pattern)})
    assert NameList(names).matching(pattern) == expected


@given(NAMES, st.text("abc_", max_size=3))
def test_a_list_knows_its_names(names: list[str], name: str) -> None:
    assert (name in NameList(names)) == (name in names)
    assert len(NameList(names)) == len(set(names))


def test_traceable_functions_name_their_module() -> None:
    text = "vfs_read\n__ftrace_invalid_address___12\nnfs_file_read [nfs]\nvfs_read [shadow]\n"
    assert parse_functions(text) == {"vfs_read": "", "nfs_file_read": "nfs"}


def test_the_blacklist_is_read_by_name() -> None:
    hidden = "0x0000000000000000-0x0000000000000000"
    text = f"0xffffffff81000000-0xffffffff8100002d\tstart_secondary\n{hidden}\tdo_int3\n"
    assert parse_blacklist(text) == {"start_secondary", "do_int3"}


def test_system_calls_lead_to_the_function_that_serves_them() -> None:
    functions = [
        *("__x64_sys_bpf", "__x64_sys_openat", "__x64_sys_openat.cold", "__ia32_sys_openat"),
        *("__x64_sys_stat", "__x64_sys_newstat", "__x64_sys_umount", "vfs_read"),
    ]
    assert entry_prefix(functions) == "__x64_sys_"
    assert system_calls(functions) == {
        "bpf": "__x64_sys_bpf",
        "newstat": "__x64_sys_newstat",
        "openat": "__x64_sys_openat",
        "stat": "__x64_sys_newstat",
        "umount": "__x64_sys_umount",
        "umount2": "__x64_sys_umount",
    }


def test_another_architecture_has_another_prefix() -> None:
    assert system_calls(["__arm64_sys_bpf", "__arm64_sys_openat"])["openat"] == "__arm64_sys_openat"
    assert from_tracepoints(["syscalls/sys_exit_openat", "syscalls/sys_enter_openat"]) == ["openat"]


CONFIG = """#
# Linux/x86 6.12.117 Kernel Configuration
#
CONFIG_HZ=250
CONFIG_BPF_SYSCALL=y
CONFIG_XFS_FS=m
CONFIG_LOCALVERSION="-cloud"
# CONFIG_FPROBE is not set
"""


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_configuration_becomes_macros(pack: type[bytes]) -> None:
    assert parse_config(pack(CONFIG.encode())) == {
        "CONFIG_HZ": "250",
        "CONFIG_BPF_SYSCALL": "1",
        "CONFIG_XFS_FS_MODULE": "1",
        "CONFIG_LOCALVERSION": '"-cloud"',
    }


@pytest.mark.parametrize(
    "data", [b"\x1f\x8b\x08\x00garbage", gzip.compress(CONFIG.encode())[:-9], b"hello", b"\xff\xfe"]
)
def test_what_is_no_configuration_is_refused(data: bytes) -> None:
    with pytest.raises(FactError):
        parse_config(data)


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("6.12.117+deb12-cloud-amd64", (6, 12, 117)),
        ("6.1.0-56-cloud-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-07-01)", (6, 1, 192)),
        ("6.19-rc3", (6, 19, 0)),
        ("6.18.44-fc-v657 #1 SMP Thu Nov 6 2025", (6, 18, 44)),
    ],
)
def test_a_release_is_a_version(release: str, version: tuple[int, int, int]) -> None:
    assert parse_release(release) == version


def test_a_release_without_a_version_is_refused() -> None:
    with pytest.raises(FactError):
        parse_release("unknown")
