"""Memory, out of the kernel's text and beside what the C library says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ktrace_nb.kstat.builtin import memory
from ktrace_nb.kstat.builtin.memory import IOMEM, MEMINFO, VMSTAT, ZONEINFO, is_counter, unit_of
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat

# The twenty of the source document's "kstat -n system_pages".
DOCUMENT = (
    *("availrmem", "desfree", "desscan", "econtig", "fastscan", "freemem", "kernelbase", "lotsfree"),
    *("minfree", "nalloc", "nalloc_calls", "nfree", "nfree_calls", "nscan", "pagesfree", "pageslocked"),
    *("pagestotal", "physmem", "pp_kernel", "slowscan"),
)

MEM = """\
MemTotal:         400000 kB
MemFree:          100000 kB
Active(anon):      10396 kB
SwapTotal:         80000 kB
SwapFree:          60000 kB
Slab:              40000 kB
KernelStack:        4000 kB
PageTables:         2000 kB
SecPageTables:         0 kB
CommitLimit:      280000 kB
Committed_AS:     100000 kB
VmallocTotal:   34359738367 kB
Percpu:             2000 kB
HugePages_Total:       3
Hugepagesize:       2048 kB
"""
VM = """\
nr_free_pages 25000
numa_hit 700
numa_miss 7
nr_unevictable 100
nr_kernel_stack 4000
nr_dirtied 51
pgpgin 4003
pgpgout 8
pswpin 11
pswpout 13
pgalloc_dma 1
pgalloc_dma32 20
pgalloc_normal 300
pgalloc_movable 4000
pgfree 555
pgfault 1000
pgmajfault 10
pgsteal_kswapd 1
pgsteal_direct 2
pgsteal_khugepaged 4
pgsteal_proactive 8
pgscan_kswapd 16
pgscan_direct 32
pgscan_khugepaged 64
pgscan_proactive 128
pgscan_direct_throttle 1000
pgscan_anon 100
pgscan_file 140
pgsteal_anon 7
pgsteal_file 8
pageoutrun 5
"""
ZONE = """\
Node {node}, zone {name:>8}
  per-node stats
      nr_inactive_anon 376269
  pages free     3840
        boost    0
        min      {min}
        low      {low}
        high     {high}
        promo    28
        spanned  1000000
        present  {present}
        managed  {managed}
        cma      0
        protection: (0, 3019, 15051)
      nr_free_pages 3840
  pagesets
    cpu: 0
              count:    5
              high:     600
              high_min: 10
              high_max: 240
"""
ZONES = "".join(
    ZONE.format(node=node, name=name, min=low, low=low * 2, high=low * 3, present=present, managed=managed)
    for node, name, low, present, managed in (
        (0, "DMA", 16, 3998, 3840),
        (0, "Normal", 500, 60000, 50000),
        (0, "Movable", 32, 0, 0),  # without memory, and with watermarks all the same
        (1, "Normal", 400, 50000, 46160),
    )
)
MEMORY_MAP = """\
00000000-00000fff : Reserved
00100000-1ffd3fff : System RAM
  01000000-01ffffff : Kernel code
  02000000-02aa7fff : Kernel rodata
  02c00000-02e4cabf : Kernel data
  032b7000-035fffff : Kernel bss
  40000000-40ffffff : Kernel codex
"""
ALL = {MEMINFO: MEM, VMSTAT: VM, ZONEINFO: ZONES, IOMEM: MEMORY_MAP}


def read(files: dict[str, str], page_size: int = 4096) -> dict[str, Kstat]:
    return {one.id.name: one for one in memory.kstats(Snapshot(files=files, page_size=page_size))}


def values(kstat: Kstat) -> dict[str, object]:
    return {name: value.value for name, value in kstat.data.items()}


def test_system_pages_has_the_documents_names_but_those_that_linux_has_nothing_for() -> None:
    pages = read(ALL)["system_pages"]
    assert (pages.id.module, pages.class_) == ("unix", "pages")
    assert sorted(pages.data) == [
        name for name in DOCUMENT if name not in ("nfree_calls", "fastscan", "slowscan", "desscan")
    ]


def test_system_pages_are_mapped_as_documented() -> None:
    kernel = (40000 + 4000 + 2000 + 2000) // 4
    assert values(read(ALL)["system_pages"]) == {
        "physmem": 3998 + 60000 + 50000,
        "pagestotal": 3840 + 50000 + 46160,
        "freemem": 25000,
        "pagesfree": 25000,
        "pp_kernel": kernel,
        "pageslocked": kernel + 100,
        "availrmem": 100000 - kernel - 100,
        "minfree": 916,
        "desfree": 916 * 2,
        "lotsfree": 916 * 3,
        "nscan": 16 + 32 + 64 + 128,
        "nalloc": 4321,
        "nfree": 555,
        "nalloc_calls": 707,
        "kernelbase": 0x1000000,
        "econtig": 0x3600000,
    }


def test_what_was_counted_since_boot_is_a_counter_and_what_is_there_now_is_not() -> None:
    pages = read(ALL)["system_pages"].data
    assert {name for name, value in pages.items() if value.counter} == {
        "nalloc",
        "nfree",
        "nalloc_calls",
        "nscan",
    }
    assert {name for name, value in pages.items() if value.unit != "pages"} == {
        "nalloc_calls",
        "kernelbase",
        "econtig",
    }


def test_a_kernel_that_hides_addresses_has_none() -> None:
    hidden = "00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code\n"
    assert not {"kernelbase", "econtig"} & read({**ALL, IOMEM: hidden})["system_pages"].data.keys()


def test_a_kernel_without_numa_does_not_count_requests() -> None:
    without = "".join(line + "\n" for line in VM.splitlines() if not line.startswith("numa_"))
    assert "nalloc_calls" not in read({**ALL, VMSTAT: without})["system_pages"].data


def test_large_pages_make_smaller_numbers() -> None:
    kstats = read(ALL, page_size=65536)
    assert kstats["system_pages"].data["pp_kernel"].value == 40000 // 64 + 4000 // 64 + 2000 // 64 * 2
    assert kstats["vminfo"].data["swap_free"].value == 60000 // 64
    assert kstats["vm"].data["pgpgin"].value == 4003 // 64


def test_swap_is_in_pages_and_what_may_be_promised_is_never_negative() -> None:
    assert values(read(ALL)["vminfo"]) == {
        "freemem": 25000,
        "swap_resv": 25000,
        "swap_alloc": 5000,
        "swap_avail": 45000,
        "swap_free": 15000,
    }
    generous = MEM.replace("100000 kB\nVmalloc", "300000 kB\nVmalloc")
    assert read({**ALL, MEMINFO: generous})["vminfo"].data["swap_avail"].value == 0


def test_paging_of_all_cpus_has_the_names_of_illumos() -> None:
    vm = read(ALL)["vm"]
    assert values(vm) == {
        "pgswapin": 11,
        "anonpgin": 11,
        "pgswapout": 13,
        "anonpgout": 13,
        "anonfree": 7,
        "fsfree": 8,
        "pgpgin": 1000,
        "pgpgout": 2,
        "dfree": 15,
        "scan": 240,
        "as_fault": 990,
        "maj_fault": 10,
        "pgrrun": 5,
    }
    assert all(value.counter for value in vm.data.values())


def test_meminfo_has_every_line_with_its_unit() -> None:
    data = read(ALL)["meminfo"].data
    assert len(data) == len(MEM.splitlines())
    assert (data["Active(anon)"].value, data["Active(anon)"].unit) == (10396, "KiB")
    assert (data["VmallocTotal"].value, data["VmallocTotal"].unit) == (34359738367, "KiB")
    assert (data["HugePages_Total"].value, data["HugePages_Total"].unit) == (3, "")
    assert not any(value.counter for value in data.values())


@pytest.mark.parametrize(
    ("names", "counter"),
    [
        (
            "pgfault pgpgin numa_hit workingset_refault_file thp_fault_alloc oom_kill swap_ra",
            True,
        ),
        (
            "direct_map_level2_splits balloon_inflate zswpin vma_lock_success kstack_1k pgpromote_success",
            True,
        ),
        ("nr_dirtied nr_written nr_throttled_written nr_vmscan_write nr_vmscan_immediate_reclaim", True),
        ("nr_foll_pin_acquired nr_foll_pin_released nr_tlb_remote_flush nr_tlb_local_flush_all", True),
        (
            "nr_free_pages nr_dirty nr_writeback nr_dirty_threshold nr_kernel_stack nr_hugetlb nr_unstable",
            False,
        ),
        ("nr_isolated_file nr_mlock nr_zspages workingset_nodes nr_page_table_pages nr_memmap_pages", False),
    ],
)
def test_counters_of_vmstat_are_known(names: str, counter: bool) -> None:
    # Source: Linux include/linux/mmzone.h and vm_event_item.h.
    assert {name: is_counter(name) for name in names.split()} == dict.fromkeys(names.split(), counter)


def test_units_of_vmstat_are_known() -> None:
    units = {
        "nr_kernel_stack": "KiB",
        "pgpgin": "KiB",
        "nr_dirty": "pages",
        "pswpin": "pages",
        "pgfree": "pages",
    }
    units |= {
        "pgalloc_dma32": "pages",
        "pgsteal_kswapd": "pages",
        "pgscan_direct_throttle": "",
        "pgfault": "",
    }
    units |= {"nr_anon_transparent_hugepages": "", "nr_tlb_remote_flush": "", "numa_hit": "", "oom_kill": ""}
    assert {name: unit_of(name) for name in units} == units


@pytest.mark.parametrize("absent", [MEMINFO, VMSTAT, ZONEINFO, IOMEM])
def test_what_a_missing_file_does_not_tell_is_left_out_and_the_rest_stays(absent: str) -> None:
    kstats = read({path: text for path, text in ALL.items() if path != absent})
    gone = {
        MEMINFO: {"system_pages", "vminfo", "meminfo"},
        VMSTAT: {"system_pages", "vm", "vmstat"},
        ZONEINFO: {"system_pages"},
        IOMEM: set(),
    }
    assert {"system_pages", "vminfo", "vm", "meminfo", "vmstat"} - kstats.keys() == gone[absent]


def test_an_empty_meminfo_of_a_container_is_no_error() -> None:
    assert "vminfo" not in read({**ALL, MEMINFO: "MemTotal: 5 kB\n"})
    assert read({}) == {}


def test_this_machines_vmstat_is_read_completely() -> None:
    text = Path(VMSTAT).read_text()
    kstats = read(
        {path: Path(path).read_text() for path in (MEMINFO, VMSTAT, ZONEINFO)}, os.sysconf("SC_PAGE_SIZE")
    )
    assert len(kstats["vmstat"].data) == len(text.splitlines())
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    assert kstats["meminfo"].data["MemTotal"].value == total
