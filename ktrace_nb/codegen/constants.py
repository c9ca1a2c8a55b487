"""Macros and inline functions of the kernel's headers, and how each is had.

Type information has a kernel's types and enumerators, but not what its headers
define for the compiler alone. What never changes stands in ``constants.h`` and
``functions.h``; what differs from kernel to kernel is worked out from what the
kernel does tell: the length of a buffer is that of the member that has it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

from ktrace_nb.codegen.ctext import CText
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import RECORDS, Kind

_ENTRY = re.compile(
    r"""
      ^/\*(?P<comment>.*?)\*/
    | ^\#define\ (?P<macro>\w+)(?:\\\n|[^\n])*
    | ^static\ inline\ [^\n]*?(?P<function>\w+)\([^\n]*\)\n\{\n.*?^\}
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
_REQUIREMENT = re.compile(r"\[(\w+)(?:\.(\w+)|\((\w+)\))\]")

# Length of an array: the first of these members that the kernel has.
_LENGTHS = {
    "TASK_COMM_LEN": ("task_struct.comm",),
    "DISK_NAME_LEN": ("gendisk.disk_name",),
    "IFNAMSIZ": ("net_device.name",),
    "MODULE_NAME_LEN": ("module.name",),
    "DNAME_INLINE_LEN": ("dentry.d_iname", "shortname_store.string"),
    "RWBS_LEN": ("trace_event_raw_block_rq.rwbs",),
    "NR_PAGE_ORDERS": ("zone.free_area",),
    # It once was the number of orders, then the highest one, and is gone now. What
    # still names it sizes an array by it or counts below it.
    "MAX_ORDER": ("zone.free_area",),
}

# What a setting of the kernel's configuration is called in its source.
_SETTINGS = {"HZ": "CONFIG_HZ", "NR_CPUS": "CONFIG_NR_CPUS"}


@dataclass(frozen=True)
class Definition:
    """A macro or an inline function."""

    name: str
    text: str
    """All of it, without a line end."""

    place: int = 0
    """Definitions stand in this order; a function follows what it calls."""

    needs: str = ""
    """``struct.member`` or ``function(parameter)`` that a kernel with it has."""

    @property
    def is_function(self) -> bool:
        """Whether it is a function, not a macro."""
        return not self.text.startswith("#")

    @property
    def takes_arguments(self) -> bool:
        """Whether it is used like a function, and so leaves variables of its name alone."""
        return self.is_function or self.text.startswith(f"#define {self.name}(")

    @cached_property
    def words(self) -> frozenset[str]:
        """The identifiers in it, without its own name."""
        return CText(self.text).words - {self.name, "define"}


class Definitions:
    """The macros and inline functions one kernel has.

    Args:
        btf: Its types.
        config: Its configuration, as macros.
    """

    def __init__(self, btf: Btf, config: Mapping[str, str]) -> None:
        self._btf = btf
        self._config = config

    def get(self, name: str) -> Definition | None:
        """The definition of that name, or None where this kernel has none that is known.

        What the kernel has as an enumerator is no macro: its own value counts.
        """
        if self._btf.enumerator(name) is not None:
            return None
        value = self._derived(name)
        if value is not None:
            return Definition(name, f"#define {name} {value}")
        return next((d for d in _carried().get(name, ()) if self._holds(d.needs)), None)

    def closure(
        self, names: Iterable[str], *, declared: Collection[str], variables: Collection[str]
    ) -> dict[str, Definition]:
        """The definitions of some names, and of those they name in turn, in an order to write them.

        Args:
            names: The words of a cell.
            declared: Names that mean something else there.
            variables: Names of variables and members there; what takes
                arguments does not disturb them, any other macro would.
        """
        found: dict[str, Definition] = {}
        wanted = list(names)
        for name in wanted:  # grows while it runs
            definition = None if name in found or name in declared else self.get(name)
            if definition and (definition.takes_arguments or name not in variables):
                found[name] = definition
                wanted += definition.words
        order = sorted(found.values(), key=lambda d: (d.is_function, d.place, d.name))
        return {definition.name: definition for definition in order}

    def _derived(self, name: str) -> str | None:
        if name in _SETTINGS:
            return self._config.get(_SETTINGS[name])
        lengths = (self._length(*place.split(".")) for place in _LENGTHS.get(name, ()))
        return next((str(length) for length in lengths if length is not None), None)

    def _length(self, record: str, member: str) -> int | None:
        btf = self._btf
        found = btf.find(record, *RECORDS)
        place = btf.member(found[0], member) if found else None
        if place is None or btf.kind(array := btf.resolve(place.type_id)) is not Kind.ARRAY:
            return None
        return btf.array(array).length

    def _holds(self, needs: str) -> bool:
        if not needs:
            return True
        btf = self._btf
        if needs.endswith(")"):
            name, _, parameter = needs[:-1].partition("(")
            function = btf.function(name)
            return function is not None and any(
                p.name == parameter for p in btf.parameters(btf.referent(function))
            )
        record, _, member = needs.partition(".")
        found = btf.find(record, *RECORDS)
        return bool(found) and btf.member(found[0], member) is not None


@cache
def _carried() -> Mapping[str, list[Definition]]:
    """What ``constants.h`` and ``functions.h`` have; of several with one name the first that fits counts."""
    found: dict[str, list[Definition]] = {}
    for file in ("constants.h", "functions.h"):
        needs = ""
        for match in _ENTRY.finditer((files("ktrace_nb.codegen") / file).read_text()):
            name = match["macro"] or match["function"]
            if name:
                found.setdefault(name, []).append(Definition(name, match[0], match.start(), needs))
            else:
                requirement = _REQUIREMENT.search(match["comment"])
                needs = requirement[0][1:-1] if requirement else ""
    return found
