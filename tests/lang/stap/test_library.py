"""The tapset's files cut into declarations, of which only what is named is parsed."""

from __future__ import annotations

import pytest

from ktrace_nb.errors import CellError
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.library import Library, tapset_files
from ktrace_nb.lang.stap.macros import Settings

FILE = """\
/* A comment of the file. */

/**
 * Counts things.
 * It begins with 1.
 */
function counted:long () { return ++_count }

global _count, _other = 5

// about nothing
function pair:string (a:long, b:long) { return sprint(a) . sprint(b) }
function pair:string (a:long) {
  return pair(a, 0)
}

/** A file is read. */
probe demo.read = kernel.function("vfs_read") { size = $count }
probe demo.write = kernel.function("vfs_write") { size = $count }
probe demo.write.return = kernel.function("vfs_write").return { }
probe _demo.hidden = never { }
private function _own () { }
probe demo.broken = kernel.function( { }
"""


@pytest.fixture
def library() -> Library:
    return Library(
        {"demo.stp": FILE, "other.stp": "global _count\nfunction reads () { return _count }\n"}, Settings()
    )


def test_names_meant_for_scripts_are_listed_without_parsing_anything(library: Library) -> None:
    # The last alias is broken: listing does not look into it.
    assert library.function_names == ["counted", "pair", "reads"]
    assert library.alias_names == ["demo.broken", "demo.read", "demo.write", "demo.write.return"]


def test_a_function_comes_with_the_comment_in_front_of_it(library: Library) -> None:
    (function,) = library.functions("counted")
    assert function.doc == "Counts things.\nIt begins with 1."
    assert library.functions("pair")[0].doc == ""


def test_places_are_those_in_the_file(library: Library) -> None:
    (function,) = library.functions("counted")
    line, column = function.at.source.position(function.at.span.start)
    assert FILE.splitlines()[line - 1].startswith("function counted")
    assert (column, function.at.source.name) == (1, "tapset/demo.stp")


def test_functions_of_one_name_come_in_the_order_of_the_file(library: Library) -> None:
    assert [len(f.parameters) for f in library.functions("pair")] == [2, 1]


def test_there_is_no_function_of_another_name(library: Library) -> None:
    assert library.functions("pairs") == []


def test_a_global_belongs_to_its_file(library: Library) -> None:
    first = library.global_variable("_count", "tapset/demo.stp")
    second = library.global_variable("_count", "tapset/other.stp")
    assert first is not None and second is not None
    assert first.at.source.name != second.at.source.name
    assert library.global_variable("_other", "tapset/other.stp") is None


def test_a_global_of_a_list_has_its_own_first_value(library: Library) -> None:
    other = library.global_variable("_other", "tapset/demo.stp")
    assert other is not None and isinstance(other.initial, tree.Number) and other.initial.value == 5


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (("demo", "read"), ["demo.read"]),
        (("demo", "wri*"), ["demo.write"]),
        (("demo", "write", "return"), ["demo.write.return"]),
        (("d?mo", "read"), ["demo.read"]),
        (("demo", "gone"), []),
        (("demo",), []),
    ],
)
def test_a_pattern_finds_aliases_of_as_many_components(
    library: Library, pattern: tuple[str, ...], names: list[str]
) -> None:
    assert [name for name, _ in library.aliases(pattern)] == names


def test_what_is_broken_says_so_when_it_is_used(library: Library) -> None:
    with pytest.raises(CellError) as raised:
        list(library.aliases(("demo", "broken")))
    assert raised.value.source is not None and raised.value.source.name == "tapset/demo.stp"


def test_a_declaration_is_parsed_once(library: Library) -> None:
    assert library.functions("pair")[0] is library.functions("pair")[0]


def test_every_declaration_of_the_tapset_can_be_parsed_alone() -> None:
    files = tapset_files()
    library = Library(files, Settings())
    for name in library.function_names:
        assert library.functions(name), name
    for name in library.alias_names:
        components = tuple(name.split("."))
        assert [found for found, _ in library.aliases(components)], name


def test_every_function_and_alias_of_the_tapset_that_scripts_may_name_is_documented() -> None:
    library = Library(tapset_files(), Settings())
    bare = [name for name in library.function_names if not any(f.doc for f in library.functions(name))]
    assert bare == []
