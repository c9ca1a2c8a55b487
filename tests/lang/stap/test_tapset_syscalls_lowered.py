"""Every alias of a system call, for a kernel that has them all."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ktrace_nb.ir import script as ir
from ktrace_nb.ir.placement import place
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.stap.lower import lower
from ktrace_nb.lang.stap.macros import Settings
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.source import Source
from tests.kernel_facts.prove_layout import HOST_BTF
from tests.lang.stap.test_tapset_syscalls import PARAMETERS, aliases, assigned, library

# Their functions are called otherwise than the calls. Source: arch/x86/entry/syscalls/syscall_64.tbl.
SERVED_BY = {
    "stat": "newstat",
    "fstat": "newfstat",
    "lstat": "newlstat",
    "uname": "newuname",
    "umount2": "umount",
    "sendfile": "sendfile64",
}


def _format(event: str, parameters: list[str]) -> str:
    """A file ``format``: every parameter has a word of 8 bytes behind the number of the call."""
    fields = ["int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;"]
    fields += [f"{field};\toffset:{16 + 8 * n};\tsize:8;\tsigned:0;" for n, field in enumerate(parameters)]
    lines = "".join(f"\tfield:{field}\n" for field in fields)
    return f'name: {event}\nID: 1\nformat:\n{lines}\nprint fmt: ""\n'


class _Kernel:
    """Facts of a kernel that has all calls and the types of this machine's."""

    def __init__(self) -> None:
        self._formats = {}
        for line in PARAMETERS.read_text().splitlines():
            if not line.startswith("#"):
                call, _, fields = line.removesuffix(")").partition("(")
                event = f"sys_enter_{SERVED_BY.get(call, call)}"
                self._formats[f"syscalls/{event}"] = _format(event, list(filter(None, fields.split(", "))))
        functions = [event.replace("syscalls/sys_enter_", "__x64_sys_") for event in self._formats]
        symbols = [f"ffffffff81{place:06x} T {name}" for place, name in enumerate(functions, start=1)]
        self._facts = {
            "kallsyms": "\n".join(["ffffffff81000000 T _text", *symbols, ""]).encode(),
            "functions": "\n".join(functions).encode(),
            "blacklist": b"",
            "tracepoints": "\n".join(event.replace("/", ":") for event in self._formats).encode(),
            "config": b"CONFIG_HZ=250\n",
            "btf": HOST_BTF.read_bytes(),
        }

    def fact(self, name: str) -> bytes:
        return self._facts[name]

    def formats(self, names: list[str]) -> Mapping[str, str]:
        return {name: self._formats[name] for name in names if name in self._formats}


@pytest.fixture(scope="module")
def facts() -> KernelFacts:
    return KernelFacts(_Kernel(), release="6.18.0", machine="x86_64", cpus=2)


def handlers(text: str, facts: KernelFacts) -> tuple[ir.Handler, ...]:
    script = lower(parse(Source(text, "cell"), Settings()), facts, library(), ir.Limits()).script
    place(script)
    return script.handlers


def test_every_variable_of_every_alias_can_be_printed(facts: KernelFacts) -> None:
    for name, declared in aliases().items():
        if name.startswith("ni_syscall"):
            continue
        # pipe and pipe2 have one name, and not the same variables.
        common = set.intersection(*(set(assigned(alias)) for alias in declared))
        shown = ", ".join(sorted(variable for variable in common if not variable.startswith("_")))
        context = "sys_exit" if name.endswith(".return") else "sys_enter"
        found = handlers(f"probe syscall.{name} {{ println({shown}) }}", facts)
        assert {handler.context for handler in found} == {context}, name
