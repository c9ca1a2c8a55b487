"""Memory: ``unix:0:system_pages``, ``vminfo`` and ``vm``, ``linux:0:meminfo`` and ``vmstat``.

``unix:0:system_pages``, class ``pages``. Of its twenty statistics on illumos Linux has these; all are
pages but those marked:

================ ================================================================================
``physmem``      pages that zones have, ``present``; with those taken before there was an allocator
``pagestotal``   pages that the allocator manages, ``managed``
``freemem``      ``nr_free_pages``; ``pagesfree`` is the same
``availrmem``    ``pagestotal`` less ``pageslocked``: what is not bound to stay
``pageslocked``  ``pp_kernel`` and ``nr_unevictable``
``pp_kernel``    the kernel's own: slab, stacks, page tables and per-CPU memory of ``meminfo``
``lotsfree``     the watermarks ``high``: at these ``kswapd`` stops
``desfree``      the watermarks ``low``: below, ``kswapd`` begins
``minfree``      the watermarks ``min``: below, whoever allocates must reclaim
``nscan``        pages looked at by reclaim since boot (there: in this second), a counter
``nalloc``       pages given out since boot, ``pgalloc_*`` (there: bytes of the boot loader's heap)
``nfree``        pages taken back since boot, ``pgfree``
``nalloc_calls`` requests that this took, ``numa_hit`` + ``numa_miss``; a kernel without NUMA has none
``kernelbase``   where the kernel's code begins, bytes, *physical* (there: virtual)
``econtig``      where its image ends, bytes, physical
================ ================================================================================

``nfree_calls`` Linux does not count. ``fastscan``, ``slowscan`` and ``desscan`` are the speeds of a
scanner that goes by the clock, and Linux's does not. Addresses need privilege.

``unix:0:vminfo``, class ``vm``: pages of ``freemem`` and of swap as they are. illumos adds them up every
second, so that a difference is an average; here take the values themselves, and there is no ``updates``:

============== ==================================================================================
``swap_resv``  ``Committed_AS``, memory promised to processes
``swap_avail`` ``CommitLimit`` less that, at least 0: what could still be promised if the limit held
``swap_alloc`` swap in use, ``SwapTotal`` less ``SwapFree``; ``swap_free`` is ``SwapFree``
============== ==================================================================================

``unix:0:vm``, class ``misc``: what illumos has per CPU as ``cpu:N:vm``, and Linux for all CPUs:
``pgpgin``, ``pgpgout`` (of all block I/O), ``pgswapin``, ``pgswapout``, ``anonpgin``, ``anonpgout`` (swap),
``dfree``, ``anonfree``, ``fsfree`` (reclaimed), ``scan``, ``as_fault`` (minor faults), ``maj_fault``,
``pgrrun`` (times ``kswapd`` ran).

``linux:0:meminfo`` and ``linux:0:vmstat``, class ``vm``: everything in ``/proc/meminfo`` and
``/proc/vmstat``, by the kernel's names. Which of ``vmstat`` are counters, :func:`is_counter` tells.

Source: Linux ``mm/vmstat.c``, ``mm/page_alloc.c``, ``fs/proc/meminfo.c``, ``Documentation/mm/balance.rst``,
``kernel/resource.c``; illumos ``os/kstat_fr.c``, ``sys/sysinfo.h``, ``vm/seg_kmem.c``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from ktrace_nb.kstat.builtin.parse import amount, count, kstat, numbers, total
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat, Value

MEMINFO: Final = "/proc/meminfo"
VMSTAT: Final = "/proc/vmstat"
ZONEINFO: Final = "/proc/zoneinfo"
IOMEM: Final = "/proc/iomem"
SOURCES: Final = (MEMINFO, VMSTAT, ZONEINFO, IOMEM)
KSTAT_MODULES: Final = ("unix", "linux")
CLASSES: Final = ("pages", "vm", "misc")

COUNTERS: Final = re.compile(
    r"nr_(vmscan_\w+|dirtied|written|throttled_written|foll_pin_\w+|tlb_\w+)|(?!nr_|workingset_nodes$).*"
)
"""Statistics of ``/proc/vmstat`` that only grow: all but ``nr_*``, and of these the ones that are events."""

_KERNEL = ("Slab", "KernelStack", "PageTables", "SecPageTables", "Percpu")
_WATERMARKS = {"lotsfree": "high", "desfree": "low", "minfree": "min"}
_BY_WHOM = ("kswapd", "direct", "khugepaged", "proactive")
_SCANNED = tuple(f"pgscan_{by}" for by in _BY_WHOM)
_RECLAIMED = tuple(f"pgsteal_{by}" for by in _BY_WHOM)
_ZONE = re.compile(r"^ +(min|low|high|present|managed) +(\d+)$", re.MULTILINE)
_KERNEL_IMAGE = re.compile(r"^ *([0-9a-f]+)-([0-9a-f]+) : Kernel (?:code|rodata|data|bss)$", re.MULTILINE)
_KIB = 1024


def kstats(files: Snapshot) -> Iterable[Kstat]:
    """The five kstats, each as far as the kernel told."""
    meminfo, vmstat = numbers(files.text(MEMINFO)), numbers(files.text(VMSTAT))
    of_kib = files.page_size // _KIB
    mem = {name: value // of_kib for name, value in meminfo.items()}
    groups = (
        ("unix", "system_pages", "pages", _system_pages(files, mem, vmstat)),
        ("unix", "vminfo", "vm", _vminfo(mem, vmstat)),
        ("unix", "vm", "misc", _vm(vmstat, of_kib)),
        ("linux", "meminfo", "vm", _meminfo(files.text(MEMINFO), meminfo)),
        ("linux", "vmstat", "vm", {name: _vmstat(name, value) for name, value in vmstat.items()}),
    )
    for module, name, class_, data in groups:
        if data:
            yield kstat(files, module, 0, name, class_, data)


def is_counter(name: str) -> bool:
    """Whether a statistic of ``/proc/vmstat`` only grows."""
    return COUNTERS.fullmatch(name) is not None


def _system_pages(files: Snapshot, mem: Mapping[str, int], vmstat: Mapping[str, int]) -> dict[str, Value]:
    zones = _zones(files.text(ZONEINFO))
    if not zones or not mem or "nr_free_pages" not in vmstat:
        return {}
    kernel = total(mem, _KERNEL)
    locked = kernel + vmstat.get("nr_unevictable", 0)
    data = {
        "physmem": zones["present"],
        "freemem": vmstat["nr_free_pages"],
        "availrmem": max(zones["managed"] - locked, 0),
        "pp_kernel": kernel,
        "pagesfree": vmstat["nr_free_pages"],
        "pageslocked": locked,
        "pagestotal": zones["managed"],
        **{name: zones[mark] for name, mark in _WATERMARKS.items()},
    }
    counters = {
        "nalloc": sum(value for name, value in vmstat.items() if name.startswith("pgalloc_")),
        "nfree": vmstat.get("pgfree", 0),
        "nscan": total(vmstat, _SCANNED),
    }
    pages = {name: amount(value, "pages") for name, value in data.items()}
    pages |= {name: count(value, "pages") for name, value in counters.items()}
    if "numa_hit" in vmstat:
        pages["nalloc_calls"] = count(total(vmstat, ("numa_hit", "numa_miss")))
    return pages | _image(files.text(IOMEM))


def _zones(text: str | None) -> Counter[str]:
    """Pages of all zones together: watermarks, ``present`` and ``managed``.

    Zones without memory are left out: the kernel gives some of them a watermark nevertheless.
    """
    sums: Counter[str] = Counter()
    for zone in (text or "").split("Node ")[1:]:
        pages = {name: int(value) for name, value in _ZONE.findall(zone)}
        if pages.get("managed"):
            sums.update(pages)
    return sums


def _image(text: str | None) -> dict[str, Value]:
    """Where the kernel lies in physical memory; the kernel tells zeros to whom it does not trust."""
    parts = [(int(first, 16), int(last, 16)) for first, last in _KERNEL_IMAGE.findall(text or "")]
    if not any(last for _, last in parts):
        return {}
    begin, end = min(first for first, _ in parts), max(last for _, last in parts) + 1
    return {"kernelbase": amount(begin, "bytes"), "econtig": amount(end, "bytes")}


def _vminfo(mem: Mapping[str, int], vmstat: Mapping[str, int]) -> dict[str, Value]:
    if not {"MemFree", "SwapTotal", "SwapFree", "Committed_AS", "CommitLimit"} <= mem.keys():
        return {}
    data = {
        "freemem": vmstat.get("nr_free_pages", mem["MemFree"]),
        "swap_resv": mem["Committed_AS"],
        "swap_alloc": mem["SwapTotal"] - mem["SwapFree"],
        "swap_avail": max(mem["CommitLimit"] - mem["Committed_AS"], 0),
        "swap_free": mem["SwapFree"],
    }
    return {name: amount(value, "pages") for name, value in data.items()}


def _vm(vmstat: Mapping[str, int], of_kib: int) -> dict[str, Value]:
    """Of the names of illumos those that have a counterpart; see the module."""
    swapped = {"pgswapin": "pswpin", "anonpgin": "pswpin", "pgswapout": "pswpout", "anonpgout": "pswpout"}
    reclaimed = {"anonfree": "pgsteal_anon", "fsfree": "pgsteal_file"}
    if "pgfault" not in vmstat:
        return {}
    pages = {own: vmstat[name] for own, name in {**swapped, **reclaimed}.items() if name in vmstat}
    pages |= {own: vmstat[own] // of_kib for own in ("pgpgin", "pgpgout") if own in vmstat}
    pages |= {"dfree": total(vmstat, _RECLAIMED), "scan": total(vmstat, _SCANNED)}
    major = vmstat.get("pgmajfault", 0)
    events = {"as_fault": max(vmstat["pgfault"] - major, 0), "maj_fault": major}
    if "pageoutrun" in vmstat:
        events["pgrrun"] = vmstat["pageoutrun"]
    return {
        **{name: count(value, "pages") for name, value in pages.items()},
        **{name: count(value) for name, value in events.items()},
    }


def _meminfo(text: str | None, meminfo: Mapping[str, int]) -> dict[str, Value]:
    """All lines; those that end with ``kB`` are KiB, the others numbers of huge pages."""
    kib = {line.partition(":")[0] for line in (text or "").splitlines() if line.endswith(" kB")}
    return {name: amount(value, "KiB" if name in kib else "") for name, value in meminfo.items()}


def _vmstat(name: str, value: int) -> Value:
    return count(value, unit_of(name)) if is_counter(name) else amount(value, unit_of(name))


def unit_of(name: str) -> str:
    """The unit of a statistic of ``/proc/vmstat``.

    Source: Linux ``mm/vmstat.c`` and ``include/linux/mmzone.h``: ``nr_kernel_stack`` is KiB, block I/O is
    counted in KiB though it is called pages, the huge ones are pages of that size.
    """
    if name in ("pgpgin", "pgpgout", "nr_kernel_stack", "nr_shadow_call_stack"):
        return "KiB"
    if "huge" in name or "pmdmapped" in name or name.startswith("nr_tlb_"):
        return ""
    if name.startswith("nr_") or name in ("pswpin", "pswpout", "pgfree"):
        return "pages"
    return "pages" if name.startswith(("pgalloc_", "pgsteal_", "pgscan_")) and "throttle" not in name else ""
