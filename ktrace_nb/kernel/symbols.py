"""The kernel's symbols: which function an address lies in, and where a name is.

Source of the formats: Linux ``kernel/kallsyms.c`` (``/proc/kallsyms``),
``kernel/trace/ftrace.c`` (``available_filter_functions``) and
``kernel/kprobes.c`` (``kprobes/blacklist``).
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property

from ktrace_nb.kernel.errors import FactError

_PADDING = ("__pfx_", "__cfi_")
_GLOB = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True)
class Symbol:
    """An address as a place in a function: ``vfs_read+0x10``, ``nfs_file_read+0x4 [nfs]``."""

    name: str
    offset: int
    """Bytes from the start of the function."""

    module: str
    """Empty for the kernel itself."""

    def __str__(self) -> str:
        place = f"{self.name}+{self.offset:#x}" if self.offset else self.name
        return f"{place} [{self.module}]" if self.module else place


class Symbols:
    """What ``/proc/kallsyms`` lists.

    Absolute symbols, which are offsets and not places, are left out. Of several
    names for one address the first in the list answers, as in the kernel's own
    stack traces. Where the kernel hides addresses, all are 0: names are still
    known then, but no address resolves.

    Args:
        kallsyms: The file's content.

    Raises:
        FactError: A line that is no symbol.
    """

    def __init__(self, kallsyms: bytes | str) -> None:
        text = kallsyms.decode(errors="replace") if isinstance(kallsyms, bytes) else kallsyms
        entries: list[tuple[int, str, str]] = []
        line = ""
        try:
            for line in text.splitlines():
                # "ffffffffc0281000 t nfs_file_read\t[nfs]"
                address, kind, name = line.split(" ", 2)
                if kind not in "aA":
                    entries.append((int(address, 16), kind, name))
        except ValueError:
            raise FactError(f"malformed kallsyms: {line[:80]!r}") from None
        entries.sort(key=lambda entry: entry[0])  # stable: the first name of an address stays first
        self._addresses = array("Q", (entry[0] for entry in entries))
        self._kinds = "".join(entry[1] for entry in entries)
        self._names = [entry[2] for entry in entries]

    @property
    def hidden(self) -> bool:
        """Whether the kernel hides its addresses (``kernel.kptr_restrict``)."""
        return not self._addresses or not self._addresses[-1]

    def __len__(self) -> int:
        return len(self._names)

    def resolve(self, address: int) -> Symbol | None:
        """The function an address lies in; None if it lies in none, as data does."""
        at = bisect_right(self._addresses, address) - 1
        if at < 0:
            return None
        start = self._addresses[at]
        if not start:
            return None
        if at and self._addresses[at - 1] == start:
            at = bisect_left(self._addresses, start)
        # What follows the last symbol of a module or of the kernel belongs to nothing we
        # know of; a function of more than a megabyte does not exist.
        if self._kinds[at] not in "tTwW" or address - start >= 1 << 20:
            return None
        name, _, module = self._names[at].partition("\t")
        return Symbol(name, address - start, module[1:-1])

    def resolve_all(self, addresses: Iterable[int]) -> list[Symbol | None]:
        """:meth:`resolve` for many addresses; each distinct one is looked up once."""
        wanted = list(addresses)
        known = {address: self.resolve(address) for address in set(wanted)}
        return [known[address] for address in wanted]

    def addresses(self, name: str) -> list[int]:
        """Where symbols of that name are, in the kernel and its modules; rising."""
        return [self._addresses[at] for at in self._by_name.get(name, ()) if self._addresses[at]]

    def siblings(self, name: str) -> list[str]:
        """The clones the compiler made of a function: ``NAME.isra.0``, ``NAME.part.0``, ``NAME.cold`` ..."""
        return self._clones.get(name, [])

    @cached_property
    def functions(self) -> frozenset[str]:
        """The names of all functions, those of modules included."""
        return frozenset(name for name, places in self._by_name.items() if self._is_function(name, places))

    def _is_function(self, name: str, places: list[int]) -> bool:
        # The padding in front of a function has a symbol of its own, which is none.
        return not name.startswith(_PADDING) and any(self._kinds[at] in "tTwW" for at in places)

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        index: dict[str, list[int]] = {}
        for at, name in enumerate(self._names):
            index.setdefault(name.partition("\t")[0], []).append(at)
        return index

    @cached_property
    def _clones(self) -> dict[str, list[str]]:
        # Few names have a dot; an index of them all is made only for who asks for addresses.
        clones: dict[str, set[str]] = {}
        for at, entry in enumerate(self._names):
            if "." not in entry:
                continue
            name = entry.partition("\t")[0]
            base, dot, _ = name.partition(".")
            if dot and base and self._is_function(name, [at]):
                clones.setdefault(base, set()).add(name)
        return {base: sorted(names) for base, names in clones.items()}


class NameList:
    """Many names, matched by glob in milliseconds."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(set(names))

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: str) -> bool:
        at = bisect_left(self._names, name)
        return at < len(self._names) and self._names[at] == name

    def matching(self, pattern: str) -> list[str]:
        """The names a shell-style pattern (``*``, ``?``, ``[...]``) matches, sorted."""
        prefix = _GLOB.split(pattern, maxsplit=1)[0]
        first = bisect_left(self._names, prefix)
        last = bisect_left(self._names, prefix + "\U0010ffff")
        matches = re.compile(translate(pattern)).match
        return [name for name in self._names[first:last] if matches(name)]


def parse_functions(text: str) -> dict[str, str]:
    """Read ``available_filter_functions``: each function that can be traced, and its module or ``""``.

    Where a module has a function of the same name as the kernel, the kernel's counts.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _, module = line.partition(" ")
        # ftrace shows a place whose function was discarded under a made-up name.
        if name and not name.startswith("__ftrace_invalid_address___"):
            found.setdefault(name, module.strip("[]"))
    return found


def module_names(modules: bytes) -> frozenset[str]:
    """Read ``/proc/modules``: the modules that are loaded."""
    return frozenset(line.partition(b" ")[0].decode() for line in modules.splitlines())


def parse_blacklist(text: str) -> frozenset[str]:
    """Read ``kprobes/blacklist``: the functions that kprobes refuse.

    A line is the function's range of addresses, a tab, its name.
    """
    return frozenset(line.rpartition("\t")[2] for line in text.splitlines() if line)
