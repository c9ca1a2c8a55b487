"""Macros and inline functions that type information does not have."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import stat
from importlib.resources import files

from ktrace_nb.codegen.constants import Definitions
from ktrace_nb.codegen.headers import bcc_names, header_tree
from ktrace_nb.compiler.client import CompilerWorker
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind
from tests.kernel_facts.btf_writer import BtfWriter

TEXTS = {name: (files("ktrace_nb.codegen") / name).read_text() for name in ("constants.h", "functions.h")}
MACROS = re.findall(r"^#define (\w+)", TEXTS["constants.h"], re.MULTILINE)
FUNCTIONS = re.findall(r"^static inline .*?(\w+)\(", TEXTS["functions.h"], re.MULTILINE)
NUMBERS = re.findall(r"^#define (\w+) (-?[0-9][0-9a-fA-FxULl]*)$", TEXTS["constants.h"], re.MULTILINE)


def c_number(text: str) -> int:
    """The value of a C literal."""
    digits = text.lower().rstrip("ul")
    return int(digits, 8) if re.fullmatch(r"0\d+", digits) else int(digits, 0)


def test_numbers_are_those_that_the_kernel_tells_user_space() -> None:
    # The second source: what Python's standard library got from the C library's headers.
    known = {
        name: int(getattr(module, name))
        for module in (errno, os, signal, socket, stat)
        for name in dir(module)
        if isinstance(getattr(module, name), int)
    }
    compared = [(name, c_number(text)) for name, text in NUMBERS if name in known]
    # To a 64-bit program the C library says 0: it need not ask for what it has anyway.
    assert [name for name, value in compared if value != known[name]] == ["O_LARGEFILE"]
    assert len(compared) > 130


def test_no_name_stands_twice_unless_kernels_differ_in_it() -> None:
    twice = {name for name in MACROS + FUNCTIONS if (MACROS + FUNCTIONS).count(name) > 1}
    assert twice == {"bio_dev"}


def test_everything_compiles(btf: Btf, worker: CompilerWorker) -> None:
    has = Definitions(btf, {})
    names = [name for name in [*MACROS, *FUNCTIONS] if has.get(name)]
    assert len(names) > 400
    values = [name for name, _ in NUMBERS if name in names]
    # Naming a macro brings it; a number is used too, and a function is compiled wherever it stands.
    cell = "#define KT_USED " + " ".join(names) + "\nint f(void *ctx) { return 0; }\n"
    cell += "".join(f'_Static_assert({name} == {text}, "");\n' for name, text in NUMBERS if name in values)
    tree = header_tree(
        cell,
        btf,
        formats={},
        config={"CONFIG_HZ": "100", "CONFIG_NR_CPUS": "8"},
        release="6.1",
        cpus=1,
        bcc_names=bcc_names(*worker.builtin_headers),
    )
    assert set(tree.provided.functions) == set(FUNCTIONS)
    assert set(names) - set(tree.provided.macros) - set(FUNCTIONS) == set()
    result = worker.compile(cell, tree.files, tree.cflags)
    assert result.ok, result.diagnostics


def test_what_differs_between_kernels_is_read_from_the_kernel() -> None:
    older, newer = BtfWriter(), BtfWriter()
    for w, length in ((older, 32), (newer, 40)):
        char = w.integer("char", 1)
        name = w.array(char, length)
        if w is older:
            w.record("dentry", 32, [("d_iname", name, 0)])
            w.record("bio", 8, [("bi_disk", w.refer(Kind.PTR, char), 0)])
        else:
            w.record("shortname_store", 40, [("string", name, 0)], union=True)
            w.record("bio", 8, [("bi_bdev", w.refer(Kind.PTR, char), 0)])
        w.record("task_struct", 16, [("comm", w.array(char, 16), 0)])
    before, after = Definitions(older.btf(), {}), Definitions(newer.btf(), {"CONFIG_HZ": "1000"})

    def text(definitions: Definitions, name: str) -> str | None:
        found = definitions.get(name)
        return found.text if found else None

    assert text(before, "DNAME_INLINE_LEN") == "#define DNAME_INLINE_LEN 32"
    assert text(after, "DNAME_INLINE_LEN") == "#define DNAME_INLINE_LEN 40"
    assert text(before, "TASK_COMM_LEN") == "#define TASK_COMM_LEN 16"
    assert text(before, "bio_dev") == "#define bio_dev(bio) disk_devt((bio)->bi_disk)"
    assert text(after, "bio_dev") == "#define bio_dev(bio) disk_devt((bio)->bi_bdev->bd_disk)"
    assert text(before, "HZ") is None
    assert text(after, "HZ") == "#define HZ 1000"
    assert text(after, "MAX_ORDER") is None
    assert text(after, "PAGE_SIZE") is None, "not known to be an x86 kernel"


def test_what_needs_a_parameter_is_there_where_a_function_has_it() -> None:
    for parameter, there in (("opts", True), ("audit", False)):
        w = BtfWriter()
        number = w.integer("int", 4, signed=True)
        w.add(Kind.FUNC, "cap_capable", w.prototype(number, [("cap", number), (parameter, number)]), count=1)
        assert (Definitions(w.btf(), {}).get("CAP_OPT_NONE") is not None) == there


def test_a_kernels_enumerator_counts_more_than_a_macro() -> None:
    w = BtfWriter()
    w.enum("", [("AF_INET", 99)])
    assert Definitions(w.btf(), {}).get("AF_INET") is None
    assert Definitions(w.btf(), {}).get("AF_INET6") is not None


def test_a_closure_brings_what_is_named_in_turn_and_spares_the_cells_own_names(btf: Btf) -> None:
    definitions = Definitions(btf, {})
    found = definitions.closure(["bio_dev"], declared=(), variables=())
    assert set(found) == {"bio_dev", "disk_devt", "MKDEV", "MINORBITS"}
    assert list(found)[-1] == "disk_devt", "a function follows the macros it uses"
    assert definitions.closure(["READ", "min"], declared=["READ"], variables=["min"]).keys() == {"min"}
    assert definitions.closure(["READ"], declared=(), variables=["READ"]) == {}
