from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.errors import CellError
from ktrace_nb.lang.stap.macros import Settings, load_macros, preprocess, tapset_macros
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.lang.stap.versions import architecture, base_release, compare_versions
from ktrace_nb.source import Source


def left(text: str, settings: Settings | None = None) -> str:
    tokens, _ = preprocess(Source(text), settings or Settings())
    return " ".join(token.text for token in tokens[:-1])


def holds(condition: str, **told: str) -> bool:
    return left(f"%( {condition} %? yes %: no %)", Settings(**told)) == "yes"  # type: ignore[arg-type]


# glibc's manual, "String/Array Comparison", strverscmp; the last is its own example without leading zeros.
@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("2.6.9", "2.6.10"),
        ("2.6", "2.6.1"),
        ("5.10", "6.1"),
        ("4.9", "4.10"),
        ("6.1.0-9", "6.1.0-13"),
        ("item", "item#99"),
    ],
)
def test_versions_are_compared_number_by_number(smaller: str, larger: str) -> None:
    assert compare_versions(smaller, larger) < 0 < compare_versions(larger, smaller)
    assert compare_versions(smaller, smaller) == 0


@given(
    st.lists(st.integers(0, 99), min_size=1, max_size=4), st.lists(st.integers(0, 99), min_size=1, max_size=4)
)
def test_versions_of_numbers_are_ordered_like_tuples(one: list[int], other: list[int]) -> None:
    texts = [".".join(map(str, version)) for version in (one, other)]
    assert compare_versions(*texts) == (one > other) - (one < other)


def test_the_kernel_version_has_no_release_suffix() -> None:
    assert base_release("6.12.22-cloud-amd64") == "6.12.22"
    told = {"release": "6.12.22-cloud-amd64"}
    assert holds('kernel_v == "6.12.22"', **told)
    assert holds('kernel_vr == "6.12.22-cloud-amd64"', **told)
    assert holds('kernel_v >= "6.12" && kernel_v < "7"', **told)


# The names are those of the kernel's arch/ folders; x86_64 is as uname has it.
@pytest.mark.parametrize(
    ("machine", "name"),
    [("x86_64", "x86_64"), ("i686", "i386"), ("aarch64", "arm64"), ("armv7l", "arm"), ("ppc64le", "powerpc"),
     ("s390x", "s390"), ("riscv64", "riscv")],
)  # fmt: skip
def test_machines_have_the_names_of_the_kernel(machine: str, name: str) -> None:
    assert architecture(machine) == name
    assert holds(f'arch == "{name}"', machine=machine)


def test_conditions_choose_words_also_within_a_declaration() -> None:
    assert left("a %( 1 == 1 %? b %: c %) d") == "a b d"
    assert left("a %( 1 == 2 %? b %: c %) d") == "a c d"
    assert left("a %( 1 == 2 %? b %) d") == "a d"


def test_conditions_are_nested() -> None:
    text = "%( 1 == {} %? %( 2 == {} %? a %: b %) %: %( 2 == {} %? c %: d %) %) e"
    assert [left(text.format(i, j, j)) for i in (1, 0) for j in (2, 0)] == ["a e", "b e", "c e", "d e"]


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=3), min_size=1, max_size=3))
def test_and_binds_closer_than_or(alternatives: list[list[bool]]) -> None:
    text = " || ".join(" && ".join(f"1 == {int(value)}" for value in values) for values in alternatives)
    assert holds(text) == any(all(values) for values in alternatives)


def test_a_macro_in_a_part_left_out_is_not_defined() -> None:
    assert left("%( 1 == 2 %? @define a %( x %) %) @define a %( y %) @a") == "y"


def test_an_argument_may_hold_brackets_and_commas_in_them() -> None:
    assert left("@define f(a, b) %( <@a|@b> %) @f(x[1, 2], g(3, 4))") == "< x [ 1 , 2 ] | g ( 3 , 4 ) >"


def test_an_argument_is_read_where_the_macro_was_called() -> None:
    assert (
        left("@define inner(a) %( i @a %) @define outer(a) %( @inner(@a @b) %) @define b %( B %) @outer(x)")
        == "i x B"
    )


def test_a_macro_of_the_tapset_does_not_see_those_of_the_script() -> None:
    library = load_macros(Source("@define a %( @b %)\n@define b %( library %)"))
    assert left("@define b %( script %) @a @b", Settings(macros=library)) == "library script"


def test_words_of_a_macro_of_the_tapset_stand_where_it_is_used() -> None:
    source = Source("probe begin { @choose_defined(1, 2) }")
    tokens, _ = preprocess(source, Settings())
    assert {token.source.name for token in tokens} == {"cell"}
    question = next(token for token in tokens if token.is_op("?"))
    assert source.text[question.start : question.end] == "@choose_defined"


def test_a_file_of_macros_has_nothing_else() -> None:
    with pytest.raises(CellError, match="unexpected 'global'"):
        load_macros(Source("@define a %( 1 %)\nglobal x"))


def test_a_file_of_macros_may_have_conditions() -> None:
    text = '%( kernel_v >= "5" %? @define a %( new %) %: @define a %( old %) %)'
    library = load_macros(Source(text), Settings(release="4.19", macros={}))
    assert left("@a", Settings(macros=library)) == "old"


def test_every_macro_of_the_tapset_can_be_used() -> None:
    """Those of statements as statements, the others as expressions."""
    for macro in tapset_macros().values():
        values = [
            '"t"' if p in ("type", "module") else "print" if p.startswith("map") else "x"
            for p in macro.parameters
        ]
        use = f"@{macro.name}({', '.join(values)})" if values else f"@{macro.name}"
        is_statement = macro.name.startswith(("print", "prometheus", "try"))
        text = f"probe begin {{ {use} }}" if is_statement else f"probe begin {{ y = {use} }}"
        assert parse(Source(text)).probes, macro.name


def test_a_script_without_macros_and_conditions_defines_none() -> None:
    assert preprocess(Source("probe begin { }"), Settings())[1] == {}


def test_configuration_may_be_a_file_or_the_macros_made_of_it() -> None:
    for config in ({"CONFIG_A": "y", "CONFIG_B": "m"}, {"CONFIG_A": "1", "CONFIG_B_MODULE": "1"}):
        text = '%( CONFIG_A == "y" %? a %) %( CONFIG_B == "m" %? b %) '
        text += '%( CONFIG_C == "[ym]" %? c %) %( CONFIG_C == "" %? d %)'
        assert left(text, Settings(config=config)) == "a b d"
