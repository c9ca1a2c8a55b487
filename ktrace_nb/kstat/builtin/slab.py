"""Slab caches: ``unix:0:dentry`` of class ``kmem_cache``, with the names of illumos' allocator.

=============== ========================================================================
statistic       what; without a name of sysfs the column of slabinfo
=============== ========================================================================
``buf_size``    bytes of an object that its user has: sysfs ``object_size``
``align``       bytes its address is a multiple of: sysfs ``align``
``chunk_size``  bytes from one object to the next, with the allocator's own: ``objsize``
``slab_size``   bytes of a slab: ``pagesperslab`` pages
``buf_inuse``   objects in use: ``active_objs``
``buf_total``   objects there is memory for: ``num_objs``
``buf_avail``   the rest of them
``slab_bufs``   objects of a slab: ``objperslab``
``slabs``       slabs: ``num_slabs``
``aliases``     how many more caches share this one: sysfs ``aliases``
``alias_names`` their names with a space between, if they can be told
=============== ========================================================================

SLUB keeps no count of the objects in use of a slab that a CPU works on; it tells them as in use, so
``buf_inuse`` is an upper bound. Calls are not counted at all, unless the kernel is built for it
(``CONFIG_SLUB_STATS``): illumos' ``alloc``, ``free`` and ``slab_create`` are not there.

Caches of the same size and kind share one, under the name of the first. Which names in
``/sys/kernel/slab`` are one cache only links tell, and a snapshot holds no links. But all names of a
cache show the same files: where as many names show the same as share a cache, those are its names.
Where more do, none is told: two shared caches look alike, or a link was left over by a cache that was
given up.

Only root may read slabinfo: for others there are no such kstats.

Source: Linux ``mm/slub.c`` ``get_slabinfo()``, ``create_unique_id()``, ``mm/slab_common.c``
``slabinfo_show()``; illumos ``uts/common/os/kmem.c`` ``kmem_cache_kstat``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ktrace_nb.kstat.builtin.names import name_of
from ktrace_nb.kstat.builtin.parse import amount, kstat, number, word
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat, Type, Value

KSTAT_MODULES = ("unix",)
CLASSES = ("kmem_cache",)

_TRAITS = ("aliases", "object_size", "slab_size", "align", "reclaim_account")

# Names with a colon are ids of shared caches, to which the names are links.
SOURCES: tuple[str, ...] = (
    "/proc/slabinfo",
    *(f"/sys/kernel/slab/[!:]*/{trait}" for trait in _TRAITS),
)

_LINE = re.compile(
    r"(?P<name>\S.*?)\s+(?P<active>\d+)\s+(?P<total>\d+)\s+(?P<size>\d+)\s+(?P<per_slab>\d+)\s+(?P<pages>\d+)"
    r"\s+: tunables .* : slabdata\s+\d+\s+(?P<slabs>\d+)\s+\d+"
)


@dataclass(frozen=True, slots=True)
class _Traits:
    """What sysfs tells of a cache, by any of its names."""

    aliases: int
    object_size: int
    slab_size: int
    align: int
    reclaim_account: int


def kstats(files: Snapshot) -> Iterable[Kstat]:
    """One kstat per cache; caches of the same name are instances 0, 1, 2 ..."""
    traits = dict(_traits(files))
    names_of: dict[_Traits, list[str]] = {}
    for name, found in sorted(traits.items()):
        names_of.setdefault(found, []).append(name)
    seen: Counter[str] = Counter()
    for line in (files.text("/proc/slabinfo") or "").splitlines():
        told = _LINE.fullmatch(line.strip())
        if told is None:
            continue
        name = told["name"]
        data = _counts(told, files.page_size)
        if name in traits:
            data |= _shape(traits[name], [other for other in names_of[traits[name]] if other != name])
        yield kstat(files, "unix", seen[name], name_of(name), "kmem_cache", data)
        seen[name] += 1


def _counts(told: re.Match[str], page_bytes: int) -> dict[str, Value]:
    active, total = int(told["active"]), int(told["total"])
    return {
        "chunk_size": amount(int(told["size"]), "bytes"),
        "slab_size": amount(int(told["pages"]) * page_bytes, "bytes"),
        "buf_inuse": amount(active),
        "buf_total": amount(total),
        "buf_avail": amount(max(total - active, 0)),
        "slab_bufs": amount(int(told["per_slab"])),
        "slabs": amount(int(told["slabs"])),
    }


def _shape(traits: _Traits, others: list[str]) -> dict[str, Value]:
    data = {
        "buf_size": amount(traits.object_size, "bytes"),
        "align": amount(traits.align, "bytes"),
        "aliases": amount(traits.aliases, type=Type.UINT32),
    }
    if traits.aliases and len(others) == traits.aliases:
        data["alias_names"] = word(" ".join(map(name_of, others)))
    return data


def _traits(files: Snapshot) -> Iterator[tuple[str, _Traits]]:
    found: dict[str, dict[str, int]] = {}
    for path, text in files.matching("/sys/kernel/slab/*/*").items():
        _, _, _, _, cache, trait = path.split("/")
        value = number(text)
        if trait in _TRAITS and value is not None:
            found.setdefault(cache, {})[trait] = value
    for cache, values in found.items():
        if len(values) == len(_TRAITS):  # the cache was not destroyed meanwhile
            yield cache, _Traits(**values)
