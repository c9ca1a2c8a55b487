"""Types found by the words C has for them."""

from __future__ import annotations

import pytest

from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.type_names import TypeNames


@pytest.mark.parametrize(
    ("text", "name", "size"),
    [
        ("int", "int", 4),
        ("unsigned", "unsigned int", 4),
        ("unsigned long", "long unsigned int", 8),
        ("long", "long int", 8),
        ("long long", "long long int", 8),
        ("unsigned short", "short unsigned int", 2),
        ("unsigned char", "unsigned char", 1),
        ("const size_t", "size_t", 8),
        ("struct task_struct", "task_struct", None),
        ("u32", "u32", 4),
    ],
)
def test_types_of_this_kernel_by_name(btf: Btf, text: str, name: str, size: int | None) -> None:
    found = TypeNames(btf).find(text)
    assert found is not None
    assert btf.name(found) == name
    assert size is None or btf.size(found) == size


def test_pointers_are_found_through_what_they_point_to(btf: Btf) -> None:
    names = TypeNames(btf)
    pointer = names.find("const char *")
    assert pointer is not None
    assert btf.kind(pointer) is Kind.PTR
    assert btf.name(btf.resolve(btf.referent(pointer))) == "char"
    double = names.find("const char *const *")
    assert double is not None
    assert btf.kind(btf.resolve(btf.referent(double))) is Kind.PTR
    void = names.find("void *")
    assert void is not None
    assert btf.resolve(btf.referent(void)) == 0


@pytest.mark.parametrize("text", ["", "struct no_such_struct", "no_such_typedef", "struct no_such_struct *"])
def test_what_is_no_type_is_none(btf: Btf, text: str) -> None:
    assert TypeNames(btf).find(text) is None


def test_void_is_type_0(btf: Btf) -> None:
    assert TypeNames(btf).find("void") == 0
