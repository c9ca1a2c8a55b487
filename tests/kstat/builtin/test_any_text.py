"""Whatever the files of disks, interfaces, caches, file systems and protocols say, nothing breaks."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrace_nb.kstat.builtin import disks, filesystems, mibs, net, nfs, slab
from ktrace_nb.kstat.files import Snapshot

WORDS = (
    "0",
    "1",
    "-1",
    "18446744073709551615",
    "sda",
    "x:y",
    r"a\040b",
    "-",
    ":",
    "Tcp:",
    "InSegs",
    "\x1b[1m",
)
MORE = ("device", "mounted", "on", "with", "fstype", "nfs4", "statvers=1.1", "READ:", "events:", "tunables")
lines = st.lists(st.sampled_from(WORDS + MORE), max_size=20).map(" ".join)
texts = st.one_of(st.text(max_size=80), st.lists(lines, max_size=6).map("\n".join))
# Any name that a folder can have.
folders = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=8)


@pytest.mark.parametrize("module", [disks, filesystems, mibs, net, nfs, slab])
@settings(max_examples=40)
@given(st.data())
def test_any_text_gives_kstats_that_can_be_printed(module: ModuleType, data: st.DataObject) -> None:
    paths = [path.replace("[!:]*", "*") for path in module.SOURCES]
    names = [data.draw(folders) for _ in range(3)]
    files = {path.replace("*", name): data.draw(texts) for path in paths for name in names}
    for kstat in module.kstats(Snapshot(files=files)):
        assert kstat.id.name.isprintable() and ":" not in kstat.id.name
        assert kstat.class_ in module.CLASSES
        assert kstat.id.instance >= 0
        for name, value in kstat.data.items():
            assert name.isprintable() and ":" not in name
            assert str(value.value).isprintable()
