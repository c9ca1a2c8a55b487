"""Slab caches, from text."""

from __future__ import annotations

import pytest

from ktrace_nb.kstat.builtin import slab
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat, Type

HEAD = """\
slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> \
: tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>
"""


def line(name: str, active: int, total: int, size: int, per_slab: int, pages: int, slabs: int) -> str:
    # The format of Linux mm/slab_common.c, cache_show().
    return (
        f"{name:<17s} {active:6d} {total:6d} {size:6d} {per_slab:4d} {pages:4d}"
        f" : tunables {0:4d} {0:4d} {0:4d} : slabdata {slabs:6d} {slabs:6d} {0:6d}\n"
    )


DENTRY = line("dentry", 582811, 582855, 192, 21, 1, 27755)


def sysfs(name: str, **traits: int) -> dict[str, str]:
    plain = {"aliases": 0, "object_size": 192, "slab_size": 192, "align": 8, "reclaim_account": 0}
    return {f"/sys/kernel/slab/{name}/{trait}": f"{value}\n" for trait, value in (plain | traits).items()}


def read(text: str, files: dict[str, str] | None = None, page_size: int = 4096) -> dict[str, Kstat]:
    snapshot = Snapshot(files={"/proc/slabinfo": HEAD + text} | (files or {}), page_size=page_size)
    found = list(slab.kstats(snapshot))
    by_name = {f"{k.id.module}:{k.id.instance}:{k.id.name}": k for k in found}
    assert len(by_name) == len(found)
    return by_name


def test_a_cache_has_the_names_of_illumos() -> None:
    cache = read(DENTRY, sysfs("dentry", reclaim_account=1))["unix:0:dentry"]
    assert cache.class_ == "kmem_cache"
    assert {name: value.value for name, value in cache.data.items()} == {
        "buf_size": 192,
        "align": 8,
        "chunk_size": 192,
        "slab_size": 4096,
        "buf_inuse": 582811,
        "buf_total": 582855,
        "buf_avail": 44,
        "slab_bufs": 21,
        "slabs": 27755,
        "aliases": 0,
    }
    assert not any(value.counter for value in cache.data.values())
    assert {name for name, value in cache.data.items() if value.unit == "bytes"} == {
        *("buf_size", "align", "chunk_size", "slab_size")
    }


def test_a_slab_is_of_the_kernels_pages() -> None:
    cache = read(line("kmalloc-8k", 4, 4, 8192, 4, 8, 1), page_size=65536)["unix:0:kmalloc-8k"]
    assert cache.data["slab_size"].value == 8 * 65536


def test_without_sysfs_there_is_what_slabinfo_tells() -> None:
    assert read(DENTRY)["unix:0:dentry"].data.keys() == {
        *("chunk_size", "slab_size", "buf_inuse", "buf_total", "buf_avail", "slab_bufs", "slabs")
    }


def test_caches_that_share_one_are_named() -> None:
    files = sysfs("vm_area", aliases=2) | sysfs("io_kiocb", aliases=2) | sysfs("skb", aliases=2)
    cache = read(line("vm_area", 1, 21, 192, 21, 1, 1), files)["unix:0:vm_area"]
    assert cache.data["aliases"].value == 2
    assert cache.data["alias_names"].value == "io_kiocb skb"
    assert cache.data["alias_names"].type is Type.STRING


@pytest.mark.parametrize(
    "others",
    [
        sysfs("skb", aliases=1) | sysfs("left_over", aliases=1),  # a link to a cache that was given up
        sysfs("skb", aliases=1) | sysfs("a", aliases=1) | sysfs("b", aliases=1),  # two alike
        {},
    ],
)
def test_names_that_cannot_be_told_are_not_there(others: dict[str, str]) -> None:
    cache = read(DENTRY, sysfs("dentry", aliases=1) | others)["unix:0:dentry"]
    assert cache.data["aliases"].value == 1
    assert "alias_names" not in cache.data


def test_caches_of_another_size_do_not_share() -> None:
    files = sysfs("dentry", aliases=1) | sysfs("skb", aliases=1) | sysfs("other", aliases=1, slab_size=256)
    assert read(DENTRY, files)["unix:0:dentry"].data["alias_names"].value == "skb"


def test_a_cache_that_went_in_the_middle_has_no_shape() -> None:
    files = sysfs("dentry")
    del files["/sys/kernel/slab/dentry/align"]
    assert "buf_size" not in read(DENTRY, files)["unix:0:dentry"].data


def test_two_caches_of_one_name_are_two_instances() -> None:
    found = read(DENTRY + line("p9_req_t", 1, 21, 152, 26, 1, 1) + line("p9_req_t", 2, 42, 152, 26, 1, 2))
    assert [*found] == ["unix:0:dentry", "unix:0:p9_req_t", "unix:1:p9_req_t"]
    assert found["unix:1:p9_req_t"].data["buf_inuse"].value == 2


def test_wicked_names_are_shown_harmless() -> None:
    # A name may have spaces, and a control group's path with a colon.
    found = read(line("my cache(12:a\x1b)", 1, 21, 152, 26, 1, 1))
    assert [*found] == [r"unix:0:my cache(12\x3aa\x1b)"]


@pytest.mark.parametrize("text", ["", "rubbish\n", "dentry 1 2 3\n", DENTRY[:40], "\n\n"])
def test_lines_of_another_form_are_left_out(text: str) -> None:
    assert read(text) == {}


def test_who_may_not_read_slabinfo_has_none() -> None:
    files = sysfs("dentry")
    assert list(slab.kstats(Snapshot(files=files, errors={"/proc/slabinfo": "EACCES"}))) == []
