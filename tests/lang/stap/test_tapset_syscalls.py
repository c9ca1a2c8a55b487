"""The system calls of the tapset, against the kernel's list of their parameters and Python's constants."""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import resource
import select
import signal
import socket
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from ktrace_nb.ir.flag_tables import read_table
from ktrace_nb.kernel.syscall_table import NUMBERS
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.library import Library, tapset_files
from ktrace_nb.lang.stap.macros import Settings
from ktrace_nb.lang.stap.walk import nodes

PARAMETERS = Path(__file__).parents[2] / "kernel_facts" / "sys_enter_parameters.txt"
PRINTS = {"sprintf"}


@cache
def library() -> Library:
    return Library(tapset_files(), Settings())


@cache
def parameters() -> dict[str, set[str]]:
    """Of each system call, what its parameters are called."""
    found = {}
    for line in PARAMETERS.read_text().splitlines():
        if not line.startswith("#"):
            name, _, fields = line.removesuffix(")").partition("(")
            found[name] = {field.split()[-1] for field in fields.split(", ") if field}
    return found


@cache
def aliases() -> dict[str, tuple[tree.Alias, ...]]:
    """The aliases of system calls by name, ``read.return``."""
    found: dict[str, tuple[tree.Alias, ...]] = {}
    for name in library().alias_names:
        prefix, _, call = name.partition(".")
        if prefix == "syscall":
            declared = library().aliases(("syscall", *call.split(".")))
            found[call] = tuple(alias for _, alias in declared)
    return found


def all_aliases() -> Iterator[tuple[str, tree.Alias]]:
    for name, declared in aliases().items():
        for alias in declared:
            yield name, alias


def is_return(alias: tree.Alias) -> bool:
    return alias.names[0].components[-1].name == "return"


def assigned(alias: tree.Alias) -> dict[str, tree.Expression]:
    return {
        node.target.name: node.value
        for node in nodes(alias.body)
        if isinstance(node, tree.Assign) and isinstance(node.target, tree.Name)
    }


def test_every_call_of_the_table_has_one_alias_on_either_side() -> None:
    served: dict[str, list[str]] = {}
    for name, alias in all_aliases():
        for point in alias.points:
            served.setdefault(str(point), []).append(name)
    for call in NUMBERS:
        assert len(served.pop(f"__syscall.{call}")) == 1, call
        assert len(served.pop(f"__syscall.{call}.return")) == 1, call
    assert not served, "points of calls that do not exist"


def test_every_alias_goes_by_a_second_name_without_types() -> None:
    for name, alias in all_aliases():
        assert [str(point) for point in alias.names] == [f"syscall.{name}", f"nd_syscall.{name}"]
        assert name in {found.partition(".")[2] for found in library().alias_names if found.startswith("nd_")}


def test_every_alias_says_which_call_with_what_or_what_came_of_it() -> None:
    for name, alias in all_aliases():
        variables = assigned(alias)
        assert isinstance(variables["name"], tree.String), f"{name}: placement takes its value from the alias"
        assert ("retval" in variables, "retstr" in variables) == (is_return(alias), is_return(alias)), name
        assert ("argstr" in variables) is not is_return(alias), name


def test_a_call_is_named_after_its_alias_or_its_number() -> None:
    for name, alias in all_aliases():
        said = assigned(alias)["name"]
        assert isinstance(said, tree.String)
        calls = {point.components[1].name for point in alias.points}
        assert said.value in {name.removesuffix(".return"), *calls}


def test_every_parameter_exists() -> None:
    known = parameters()
    for name, alias in all_aliases():
        used = {node.name for node in nodes(alias.body) if isinstance(node, tree.Target)} - {"return"}
        for point in alias.points:
            assert used <= known.get(point.components[1].name, set()), name


def test_every_function_exists_and_takes_as_many_arguments() -> None:
    bodies = [alias.body for _, alias in all_aliases()]
    bodies += [function.body for function in functions() if function.body]
    for call in nodes(tuple(bodies)):
        if isinstance(call, tree.Call) and call.name not in PRINTS:
            taken = {len(function.parameters) for function in library().functions(call.name)}
            assert len(call.arguments) in taken, f"{call.name}, line {call.at}"


def functions() -> Iterator[tree.Function]:
    """The functions that system calls have for themselves."""
    for file, text in tapset_files().items():
        if file.startswith(("flags", "syscalls")):
            for name in re.findall(r"^(?:intrinsic )?function (\w+)", text, re.MULTILINE):
                yield from library().functions(name)


def test_variables_of_an_alias_are_set_before_they_are_used() -> None:
    for name, alias in all_aliases():
        known: set[str] = set()
        for statement in alias.body.body:
            assert isinstance(statement, tree.Evaluate)
            assert isinstance(statement.expression, tree.Assign)
            used = {node.name for node in nodes(statement.expression.value) if isinstance(node, tree.Name)}
            assert used <= known, name
            assert isinstance(statement.expression.target, tree.Name)
            known.add(statement.expression.target.name)


def test_a_format_has_as_many_conversions_as_arguments() -> None:
    for name, alias in all_aliases():
        for call in nodes(alias.body):
            if isinstance(call, tree.Call) and call.name == "sprintf":
                form, *arguments = call.arguments
                assert isinstance(form, tree.String)
                assert len(re.findall(r"%[#0-9]*[a-z]", form.value)) == len(arguments), name


# What SystemTap's tapset reference lists, chapter "Syscalls"; a dozen of the calls that scripts use most.
@pytest.mark.parametrize(
    ("call", "variables"),
    [
        ("accept", "addr_uaddr addrlen_uaddr sockfd"),
        ("access", "mode mode_str pathname"),
        ("clock_nanosleep", "clk_id clk_id_str flags flags_str rem_uaddr req_str req_uaddr"),
        ("clone", "child_tid_uaddr clone_flags parent_tid_uaddr stack_start"),
        ("connect", "addrlen serv_addr_uaddr sockfd uaddr_af uaddr_ip uaddr_ip_port uaddr_ipv6_flowinfo"),
        ("epoll_wait", "epfd events_uaddr maxevents timeout"),
        ("execve", "args env_str filename"),
        ("exit", "status"),
        ("fcntl", "arg cmd cmd_str fd"),
        ("fstatat", "buf_uaddr dirfd dirfd_str flags flags_str path"),
        ("futex", "futex_uaddr op uaddr2_uaddr utime_uaddr val val3"),
        ("ioctl", "argp fd request"),
        ("kill", "pid sig sig_name"),
        ("mmap", "fd flags flags_str prot prot_str start"),
        ("nanosleep", "rem_uaddr req_str req_uaddr"),
        ("open", "filename filename_unquoted flags flags_str mode"),
        ("openat", "dfd dfd_str filename filename_unquoted flags flags_str mode"),
        ("pipe", "fildes_uaddr flag_str flags pipe0 pipe1"),
        ("poll", "nfds timeout ufds_uaddr"),
        ("pread", "buf_uaddr count fd offset"),
        ("read", "buf_uaddr count fd"),
        ("recvfrom", "addr_uaddr addrlen_uaddr buf_uaddr flags flags_str len s"),
        ("select", "exceptfds_uaddr n readfds_uaddr timeout_str timeout_uaddr writefds_uaddr"),
        ("sendto", "buf buf_uaddr flags flags_str len s to_uaddr tolen"),
        ("socket", "family family_str protocol protocol_str type type_str"),
        ("stat", "buf_uaddr filename filename_uaddr"),
        ("unlinkat", "dfd dfd_str flag flag_str pathname pathname_str"),
        ("wait4", "options options_str pid rusage_uaddr status_uaddr"),
        ("write", "buf_str buf_uaddr count fd"),
    ],
)
def test_variables_are_called_as_systemtap_calls_them(call: str, variables: str) -> None:
    for alias in aliases()[call]:
        assert set(variables.split()) <= set(assigned(alias))


def test_addresses_and_modes_are_returned_in_their_own_notation() -> None:
    formats = {"mmap.return": 2, "mremap.return": 2, "umask.return": 3, "read.return": 1}
    for name, form in formats.items():
        retstr = assigned(aliases()[name][0])["retstr"]
        assert isinstance(retstr, tree.Call)
        assert isinstance(retstr.arguments[0], tree.Number)
        assert retstr.arguments[0].value == form


def tables() -> Iterator[tuple[str, str]]:
    """Every table of the tapset, and the function that has it."""
    for function in functions():
        for call in nodes(function.body):
            if isinstance(call, tree.Call) and call.name == "__flags":
                assert isinstance(call.arguments[1], tree.String), "the table is a literal"
                yield function.name, call.arguments[1].value


def test_constants_are_those_of_the_c_library() -> None:
    checked = set()
    for function, table in tables():
        for entry in read_table(table).entries:
            value = of_python(entry.name)
            if value is not None and function != "__signals_text":
                assert entry.value == value & ((1 << 64) - 1), entry.name
                checked.add(entry.name)
    assert len(checked) > 290


def of_python(name: str) -> int | None:
    """What Python says a constant is."""
    if name == "O_LARGEFILE":
        return None  # 0 in 64-bit programs, although the kernel sets its bit
    names = (name, name.replace("PF_", "AF_"), name.partition("/")[0])
    for module in (os, socket, signal, fcntl, mmap, select, resource, time):
        for known in names:
            if isinstance(value := getattr(module, known, None), int):
                return int(value)
    return None


def test_bits_of_a_set_of_signals_stand_where_the_kernel_has_them() -> None:
    [table] = [table for function, table in tables() if function == "__signals_text"]
    entries = {entry.name.partition("/")[0]: entry.value for entry in read_table(table).entries}
    assert entries == {s.name: 1 << (s - 1) for s in signal.Signals if s < 32 and s.name in entries}
    assert len(entries) == 31


def test_no_table_has_a_name_twice() -> None:
    for function, table in tables():
        names = [entry.name for entry in read_table(table).entries]
        assert len(names) == len(set(names)), function
