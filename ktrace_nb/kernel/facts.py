"""What one kernel offers: types, functions, tracepoints, system calls, configuration.

Facts arrive as bytes from wherever the kernel runs; each is parsed when first
needed and then kept. Nothing here looks at a running kernel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

from ktrace_nb.errors import RemoteError
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.config import parse_config
from ktrace_nb.kernel.errors import FactError
from ktrace_nb.kernel.signatures import Signature, Signatures
from ktrace_nb.kernel.symbols import NameList, Symbols, parse_blacklist, parse_functions
from ktrace_nb.kernel.syscalls import entry_prefix, system_calls
from ktrace_nb.kernel.tracefs import parse_events
from ktrace_nb.kernel.type_names import TypeNames


class FactSource(Protocol):
    """Where the bytes come from."""

    def fact(self, name: str) -> bytes:
        """A fact by name: ``btf``, ``btf:MODULE``, ``kallsyms``, ``functions``, …

        Raises:
            RemoteError: The kernel does not tell.
            TargetError: The source is out of reach.
        """
        ...

    def formats(self, names: list[str]) -> Mapping[str, str]:
        """Format files of tracepoints, ``category/event`` to text; absent ones are left out."""
        ...


class KernelFacts:
    """The facts of one kernel.

    Args:
        source: Asked for each fact at most once.
        release: ``uname -r`` and ``uname -v``, a blank between them.
        machine: ``uname -m``.
        cpus: Possible CPUs.
    """

    def __init__(self, source: FactSource, *, release: str, machine: str, cpus: int) -> None:
        self.source = source
        self.release = release
        self.machine = machine
        self.cpus = cpus
        self._module_btf: dict[str, Btf] = {}
        self._signatures: dict[str, Signatures | None] = {}
        self._formats: dict[str, str] = {}

    # --- types -------------------------------------------------------------------

    @cached_property
    def _btf_data(self) -> bytes:
        return self.source.fact("btf")

    @cached_property
    def btf(self) -> Btf:
        """The types of the kernel itself."""
        return Btf(self._btf_data)

    @cached_property
    def btf_digest(self) -> str:
        """Changes with every kernel build that has different types."""
        return hashlib.sha256(self._btf_data).hexdigest()

    def module_btf(self, module: str) -> Btf:
        """The types of a module, on top of the kernel's.

        Raises:
            RemoteError: It is not loaded, or was built without types.
        """
        if module not in self._module_btf:
            self._module_btf[module] = Btf(self.source.fact(f"btf:{module}"), self.btf)
        return self._module_btf[module]

    def function_type_id(self, name: str, module: str = "") -> int | None:
        """The BTF id of a function, which fentry needs; None if it has none."""
        return (self.module_btf(module) if module else self.btf).function(name)

    def signature(self, name: str, module: str = "") -> Signature:
        """Parameters and result of a function; one that knows nothing where there are no types of it."""
        if module not in self._signatures:
            try:
                btf = self.module_btf(module) if module else self.btf
                self._signatures[module] = Signatures(btf, self.machine)
            except (RemoteError, FactError):
                self._signatures[module] = None
        known = self._signatures[module]
        return known.of(name) if known else Signature()

    @cached_property
    def type_names(self) -> TypeNames:
        """The kernel's types by their C names."""
        return TypeNames(self.btf)

    # --- functions -----------------------------------------------------------------

    @cached_property
    def symbols(self) -> Symbols:
        """Every symbol and its address."""
        return Symbols(self.source.fact("kallsyms"))

    @cached_property
    def traceable(self) -> Mapping[str, str]:
        """Functions with an ftrace site, and the module of each (empty for the kernel).

        Empty where the kernel was built without ftrace.
        """
        try:
            return parse_functions(self.source.fact("functions").decode())
        except RemoteError:
            return {}

    @cached_property
    def _traceable_names(self) -> NameList:
        return NameList(self.traceable)

    @property
    def function_names(self) -> Sequence[str]:
        """Names to look for near matches in."""
        return list(self.traceable or self.symbols.functions)

    @cached_property
    def blacklist(self) -> frozenset[str]:
        """Functions that kprobes refuse; empty where the kernel does not tell."""
        try:
            return parse_blacklist(self.source.fact("blacklist").decode())
        except RemoteError:
            return frozenset()

    def has_function(self, name: str) -> bool:
        """Whether a kprobe can name this function."""
        return name in self.traceable or name in self.symbols.functions

    def functions_matching(self, pattern: str) -> list[str]:
        """Traceable functions that a glob matches, sorted."""
        return self._traceable_names.matching(pattern)

    @cached_property
    def has_trampolines(self) -> bool:
        """Whether BPF programs can be called right from a function (fentry, fexit).

        The source may know (fact ``trampolines``, ``0`` or ``1``). If it does not, the kernel's
        types tell whether it was built with ``CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS``: only then
        does it have ``register_ftrace_direct``. Source: Linux ``kernel/trace/ftrace.c``.
        """
        try:
            return self.source.fact("trampolines").strip() == b"1"
        except RemoteError:
            return bool(self.traceable) and self.btf.function("register_ftrace_direct") is not None

    @cached_property
    def has_kprobe_multi(self) -> bool:
        """Whether one link can attach a program to many functions (kprobe_multi).

        Only a kernel built with ``CONFIG_FPROBE`` has ``register_fprobe_ips``, which came with such
        links in 5.18. Source: Linux ``kernel/trace/fprobe.c``, ``bpf_kprobe_multi_link_attach`` in
        ``kernel/trace/bpf_trace.c``.
        """
        try:
            return bool(self.traceable) and self.btf.function("register_fprobe_ips") is not None
        except RemoteError:
            return False  # a kernel without types

    @cached_property
    def kprobe_multi_has_registers(self) -> bool:
        """Whether programs see all registers there, at return too, as those of a kprobe do.

        Up to 6.13 fprobe saves them all and returns go through ``rethook``, as those of kretprobes.
        Since then both rest on function_graph, which saves arguments and result; its stack pointer at a
        return is another. Source: ``struct fprobe`` in Linux ``include/linux/fprobe.h``,
        ``return_to_handler`` in ``arch/x86/kernel/ftrace_64.S``.
        """
        if not self.has_kprobe_multi:
            return False
        found = self.btf.find("fprobe", Kind.STRUCT)
        return any(member.name == "rethook" for type_id in found for member in self.btf.members(type_id))

    def can_probe(self, name: str) -> bool:
        """Whether the kernel lets a kprobe sit on this function.

        It refuses those on its blacklist, and, unless built with ``CONFIG_KPROBE_EVENTS_ON_NOTRACE``,
        those that ftrace cannot trace. Source: ``within_notrace_func`` in ``kernel/trace/trace_kprobe.c``.
        """
        if name in self.blacklist:
            return False
        if not self.traceable or "CONFIG_KPROBE_EVENTS_ON_NOTRACE" in self.config:
            return self.has_function(name)
        return name in self.traceable

    def siblings(self, name: str) -> list[str]:
        """Clones the compiler made of a function: ``name.isra.0``, ``name.constprop.0``, …"""
        return self.symbols.siblings(name)

    @cached_property
    def modules(self) -> frozenset[str]:
        """Loaded modules that have a function that can be traced."""
        return frozenset(module for module in self.traceable.values() if module)

    @cached_property
    def syscalls(self) -> Mapping[str, str]:
        """System calls by name, with the kernel function that serves each."""
        return {**self._own_syscalls, **self._folded_syscalls}

    def syscall(self, name: str) -> str | None:
        """The function that serves a system call; None if there is no such call."""
        return self._own_syscalls.get(name) or self._folded_syscalls.get(name)

    @cached_property
    def _own_syscalls(self) -> Mapping[str, str]:
        return system_calls(self.traceable) or system_calls(self.symbols.functions)

    @cached_property
    def _folded_syscalls(self) -> Mapping[str, str]:
        # A call without arguments, such as getpid, has one body under several names,
        # of which the list of traceable functions has another than the table of calls.
        prefix = entry_prefix(self.traceable)
        places = {
            place for name in self.traceable if "_sys_" in name for place in self.symbols.addresses(name)
        }
        folded = {
            name
            for name in self.symbols.functions
            if name.startswith(prefix) and places.intersection(self.symbols.addresses(name))
        }
        return system_calls(folded - self.traceable.keys(), prefix)

    # --- tracepoints -----------------------------------------------------------------

    @cached_property
    def tracepoints(self) -> frozenset[str]:
        """Every tracepoint as ``category/event``."""
        return frozenset(parse_events(self.source.fact("tracepoints").decode()))

    def formats(self, names: Sequence[str]) -> Mapping[str, str]:
        """Format files of tracepoints; those that do not exist are left out."""
        missing = [name for name in names if name not in self._formats and name in self.tracepoints]
        if missing:
            self._formats.update(self.source.formats(missing))
        return {name: self._formats[name] for name in names if name in self._formats}

    def has_raw_tracepoint(self, event: str) -> bool:
        """Whether a raw tracepoint of that name exists, also one without an event."""
        return bool(self.btf.find(f"btf_trace_{event}", Kind.TYPEDEF)) or any(
            name.endswith("/" + event) for name in self.tracepoints
        )

    # --- configuration ---------------------------------------------------------------

    @cached_property
    def config(self) -> Mapping[str, str]:
        """``CONFIG_`` macros; empty where the kernel does not tell."""
        data = self.source.fact("config")
        return parse_config(data) if data else {}
