"""The tapset apart from system calls: it is whole, it says what it does, and the kernel has its types."""

from __future__ import annotations

import os
import re
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest

from ktrace_nb.errors import CellError, ProbeNotFoundError
from ktrace_nb.ir.intrinsics import INTRINSICS
from ktrace_nb.ir.placement import place
from ktrace_nb.ir.script import Limits
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.library import Library, tapset_files
from ktrace_nb.lang.stap.lower import Lowered, lower
from ktrace_nb.lang.stap.macros import Settings
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.lang.stap.walk import nodes
from ktrace_nb.source import Source
from tests.facts_kit import StoredFacts
from tests.kernel_facts.prove_layout import HOST_BTF
from tests.stream.script.kit_runtime import PlayedKernel

ELSEWHERE = ("syscalls", "flags", "json", "prometheus", "procfs", "input")
"""Files with tests of their own begin like this."""

DATA = ("__per_cpu_offset", "init_pid_ns", "node_data", "softirq_vec", "tcp_memory_pressure")
"""Variables of the kernel that the tapset reads."""

OF_MODULES = {"addr_from_rqst", "addr_from_rqst_str", "__nfs_handle"}
"""Functions that need the types of a module that is not loaded here."""

ABSENT = {"ioblock_trace.bounce"}
"""Aliases that stand for something newer kernels have no more."""


@cache
def parsed() -> dict[str, tree.Script]:
    settings = replace(Settings(), library=True)
    return {name: parse(Source(text, f"tapset/{name}"), settings) for name, text in tapset_files().items()}


def own_files() -> list[str]:
    return [name for name in tapset_files() if not name.startswith(ELSEWHERE)]


def all_functions() -> Iterator[tree.Function]:
    for script in parsed().values():
        yield from script.functions


def own_functions() -> list[tree.Function]:
    return [function for file in own_files() for function in parsed()[file].functions]


def own_aliases() -> list[tree.Alias]:
    return [alias for file in own_files() for alias in parsed()[file].aliases]


def variables(alias: tree.Alias) -> list[str]:
    """What an alias sets for its probes, in order."""
    targets = (node.target for node in nodes(alias.body) if isinstance(node, tree.Assign))
    return list(dict.fromkeys(target.name for target in targets if isinstance(target, tree.Name)))


class TypesOnly(StoredFacts):
    """A kernel of which nothing is known but its types, and where a few of its variables are."""

    def __init__(self) -> None:
        data = HOST_BTF.read_bytes()
        btf = Btf(data)
        functions = btf.names(Kind.FUNC)
        lines = [f"{0xFFFFFFFF81000000 + 16 * n:016x} T {name}" for n, name in enumerate(functions)]
        lines += [f"{0xFFFFFFFF83000000 + 64 * n:016x} D {name}" for n, name in enumerate(DATA)]
        told = {
            "btf": data,
            "kallsyms": "\n".join(lines).encode() + b"\n",
            "functions": "\n".join(functions).encode() + b"\n",
            "trampolines": b"1",
            "tracepoints": b"",
            "blacklist": b"",
            "config": b"",
        }
        super().__init__(told)


@cache
def host() -> KernelFacts:
    return KernelFacts(TypesOnly(), release="6.12.0 #1", machine="x86_64", cpus=2)


@cache
def library() -> Library:
    return Library(tapset_files(), Settings())


def lowered(text: str) -> Lowered:
    return lower(parse(Source(text, "a cell"), Settings()), host(), library(), Limits())


def printed(expression: str, conversion: str = "d") -> str:
    """What an expression is, computed beside the notebook by a script."""
    script = lowered(f'probe begin {{ printf("%{conversion}", {expression}) }}').script
    kernel = PlayedKernel(place(script))
    kernel.run.begin(0)
    kernel.run.hold()
    kernel.run.finish()
    return kernel.run.outputs.printed()


# --- it is whole ---------------------------------------------------------------------------


def test_an_alias_is_known_by_its_name_alone_whatever_condition_follows() -> None:
    files = {
        "own.stp": "probe some.alias = begin if (1 == 1 || 2 != 3) {}\nprobe a.b = c.d = some.alias {}\n"
    }
    assert Library(files, Settings()).alias_names == ["a.b", "c.d", "some.alias"]
    assert [name for name in library().alias_names if not re.fullmatch(r"\w+(\.\w+)*", name)] == []


def test_every_function_and_alias_says_what_it_is() -> None:
    bare = [f.name for f in own_functions() if not f.doc.strip()]
    bare += [str(alias.names[0]) for alias in own_aliases() if not alias.doc.strip()]
    assert not bare


def test_documentation_names_every_parameter_and_the_result_with_their_types() -> None:
    missing = []
    for function in own_functions():
        for parameter in function.parameters:
            if f"{parameter.name}: {parameter.type}" not in function.doc:
                missing.append(f"{function.name}: {parameter.name}")
        if function.type and f"Returns: {function.type}" not in function.doc:
            missing.append(f"{function.name}: result")
    assert not missing


def test_documentation_of_an_alias_names_every_variable_it_sets() -> None:
    missing = []
    for alias in own_aliases():
        words = set(re.findall(r"\w+", alias.doc))
        entry = str(alias.names[0]).removesuffix(".return")
        for other in own_aliases():
            if f"Sets what {other.names[0]} sets" in alias.doc and str(other.names[0]) == entry:
                words |= set(re.findall(r"\w+", other.doc))
        missing += [f"{alias.names[0]}: {name}" for name in variables(alias) if name not in words]
        assert "Source:" in alias.doc, alias.names[0]
    assert not missing


def test_intrinsics_are_declared_exactly_as_the_table_has_them() -> None:
    declared = {function.name for function in all_functions() if function.body is None}
    assert declared == set(INTRINSICS)


def test_nothing_is_declared_twice() -> None:
    functions = Counter((function.name, len(function.parameters)) for function in all_functions())
    aliases = Counter(str(name) for alias in own_aliases() for name in alias.names)
    twice = [name for name, count in [*functions.items(), *aliases.items()] if count > 1]
    assert not twice


def test_types_of_all_functions_are_declared() -> None:
    assert not [f.name for f in own_functions() for p in f.parameters if p.type not in ("long", "string")]


# --- this machine's kernel has its types ---------------------------------------------------


@pytest.mark.parametrize("alias", own_aliases(), ids=lambda alias: str(alias.names[0]))
def test_a_probe_may_use_every_variable_of_an_alias(alias: tree.Alias) -> None:
    name = str(alias.names[0])
    uses = "; ".join(f"println({variable})" for variable in variables(alias))
    text = f"probe {name} {{ {uses} }}"
    if name.startswith("nfsd.") or name in ABSENT:
        with pytest.raises(ProbeNotFoundError):
            lowered(text)
        return
    assert lowered(text).script.handlers


@pytest.mark.parametrize(
    "function", [f for f in own_functions() if f.body], ids=lambda f: f"{f.name}_{len(f.parameters)}"
)
def test_a_handler_in_the_kernel_may_call_every_function(function: tree.Function) -> None:
    arguments = ", ".join('"eth0"' if p.type == "string" else "1" for p in function.parameters)
    call = f"{function.name}({arguments})"
    text = f'probe kernel.function("vfs_read").return {{ {f"println({call})" if function.type else call} }}'
    if function.name in OF_MODULES:
        with pytest.raises(CellError, match="is not loaded"):
            lowered(text)
        return
    assert lowered(text).script.handlers


# --- values, from a second source ----------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 0x1234, 0xFF00, 0xFFFF])
def test_ports_change_order_as_the_c_library_has_it(number: int) -> None:
    assert printed(f"htons({number})") == printed(f"ntohs({number})") == str(socket.htons(number))


@pytest.mark.parametrize("number", [0, 1, 0x7F000001, 0x12345678, 0xFFFFFFFE])
def test_addresses_change_order_as_the_c_library_has_it(number: int) -> None:
    assert printed(f"htonl({number})") == printed(f"ntohl({number})") == str(socket.htonl(number))


def test_64_bit_numbers_change_order_byte_by_byte() -> None:
    swapped = int.from_bytes((0x0102030405060708).to_bytes(8, "little"), "big")
    assert printed("htonll(0x0102030405060708)") == str(swapped)


@pytest.mark.parametrize(("major", "minor"), [(0, 0), (8, 1), (259, 65536), (4095, 1048575)])
def test_device_numbers_are_those_of_stat(major: int, minor: int) -> None:
    of_stat = os.makedev(major, minor)
    assert printed(f"MAJOR(usrdev2kerndev({of_stat}))") == str(major)
    assert printed(f"MINOR(usrdev2kerndev({of_stat}))") == str(minor)
    assert printed(f"usrdev2kerndev({of_stat}) == MKDEV({major}, {minor})") == "1"


@pytest.mark.parametrize("number", [0, 1, 0xFF, 0x5555555555555555, 2**63 - 1, 0x0123456789ABCDEF])
def test_bits_are_counted(number: int) -> None:
    assert printed(f"__bits({number})") == str(number.bit_count())


def test_bits_of_negative_numbers_are_those_of_their_two_s_complement() -> None:
    assert printed("__bits(-1)") == "64"


@pytest.mark.parametrize(
    ("bytes_", "words"),
    [
        (0, "    0"),
        (1023, " 1023"),
        (1536, "1.50K"),
        (10 * 1024 + 512, "10.5K"),
        (301 << 20, " 301M"),
        (120 << 30, " 120G"),
    ],
)
def test_sizes_are_put_in_words(bytes_: int, words: str) -> None:
    assert printed(f"bytes_to_string({bytes_})", "s") == words


def test_time_spans_are_put_in_words() -> None:
    # Examples of the tapset reference, task_time_string.
    assert printed("msecs_to_string(12908)", "s") == "0m12.908s"
    assert printed("msecs_to_string(66851)", "s") == "1m6.851s"
    assert printed("usecs_to_string(66851000)", "s") == "1m6.851000s"
    assert printed("nsecs_to_string(66851000007)", "s") == "1m6.851000007s"


def test_page_faults_are_told_apart_by_the_kernels_bits(btf: Btf) -> None:
    for test, name in (
        (0, "VM_FAULT_OOM"),
        (1, "VM_FAULT_SIGBUS"),
        (3, "VM_FAULT_MAJOR"),
        (4, "VM_FAULT_NOPAGE"),
    ):
        value = btf.constant(name)
        assert printed(f"vm_fault_contains({value}, {test})") == "1", name
        assert printed(f"vm_fault_contains({value}, {5 if test == 4 else 2})") == "0", name
    assert printed("vm_fault_contains(0, 2)") == "1"


def test_returned_values_are_put_in_words() -> None:
    assert printed("return_str(1, -2)", "s") == "-2 (ENOENT)"
    assert printed("return_str(2, 4096)", "s") == "0x1000"
    assert printed("return_str(3, 8)", "s") == "010"
    assert printed("errno_p(-4095) + errno_p(-4096) + errno_p(0)") == "1"


def test_numbers_of_sockets_are_those_of_the_c_library() -> None:
    for name in ("INET", "INET6", "NETLINK", "PACKET", "VSOCK"):
        number = getattr(socket, f"AF_{name}")
        assert printed(f"sock_fam_num2str({number})", "s") == name
        assert printed(f'sock_fam_str2num("{name}")') == str(int(number))
    for name in ("TCP", "UDP", "ICMP", "RAW"):
        number = getattr(socket, f"IPPROTO_{name}")
        assert printed(f"sock_prot_num2str({number})", "s") == name
        assert printed(f'sock_prot_str2num("{name}")') == str(number)
    for name in ("STREAM", "DGRAM", "RAW", "SEQPACKET"):
        number = getattr(socket, f"SOCK_{name}")
        assert printed(f"sock_type_num2str({int(number)})", "s") == name
    for name in ("TCP_NODELAY", "TCP_KEEPIDLE", "TCP_USER_TIMEOUT", "TCP_FASTOPEN"):
        assert printed(f"tcp_sockopt_str({getattr(socket, name)})", "s") == name
