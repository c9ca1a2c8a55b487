"""Reading BTF: every kind, split and foreign blobs, and what is malformed."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Array, Enumerator, Integer, Kind, Member, Parameter, SectionEntry
from ktrace_nb.kernel.errors import FactError
from tests.kernel_facts.btf_writer import BtfWriter


def small_kernel(byte_order: str = "<") -> BtfWriter:
    """A blob with every kind of type."""
    w = BtfWriter(byte_order=byte_order)
    int_ = w.integer("int", 4, signed=True)  # 1
    long_ = w.integer("long unsigned int", 8)  # 2
    char = w.integer("char", 1)  # 3
    bool_ = w.integer("_Bool", 1, boolean=True)  # 4
    comm = w.array(char, 16)  # 5
    state = w.enum("state", [("RUNNING", 0), ("DEAD", -1)], signed=True)  # 6
    w.enum("wide", [("TOP", 1 << 63), ("LOW", 1)], size=8)  # 7
    inner = w.record("", 8, [("vruntime", long_, 0), ("raw", long_, 0)], union=True)  # 8
    task = w.record(
        "task",
        48,
        [("pid", int_, 0, 0), ("on_rq", int_, 32, 1), ("comm", comm, 64, 0), ("", inner, 192, 0),
         ("state", state, 256, 0)],
    )  # fmt: skip  # 9
    pointer = w.refer(Kind.PTR, w.refer(Kind.CONST, task))  # 10, 11
    task_t = w.refer(Kind.TYPEDEF, w.refer(Kind.VOLATILE, task), "task_t")  # 12, 13
    w.add(Kind.FWD, "unknown", flag=1)  # 14
    prototype = w.prototype(int_, [("task", pointer), ("flags", long_), ("", 0)])  # 15
    function = w.add(Kind.FUNC, "wake_up", prototype, count=1)  # 16
    variable = w.add(Kind.VAR, "current_task", task_t, [1])  # 17
    w.add(Kind.DATASEC, ".data..percpu", 48, [variable, 0, 48], 1)  # 18
    w.add(Kind.FLOAT, "float", 4)  # 19
    w.add(Kind.DECL_TAG, "user", function, [0xFFFFFFFF])  # 20
    w.add(Kind.DECL_TAG, "kptr", function, [1])  # 21
    w.refer(Kind.PTR, w.refer(Kind.TYPE_TAG, w.refer(Kind.RESTRICT, bool_), "percpu"))  # 22..24
    return w


@pytest.fixture
def btf() -> Btf:
    return small_kernel().btf()


def only(btf: Btf, name: str, *kinds: Kind) -> int:
    (found,) = btf.find(name, *kinds)
    return found


def test_a_struct_tells_its_members_with_bit_offsets_and_bit_fields(btf: Btf) -> None:
    task = only(btf, "task", Kind.STRUCT)
    assert btf.size(task) == 48
    assert btf.members(task) == [
        Member("pid", 1, 0, 0),
        Member("on_rq", 1, 32, 1),
        Member("comm", 5, 64, 0),
        Member("", 8, 192, 0),
        Member("state", 6, 256, 0),
    ]


def test_a_member_is_found_inside_an_anonymous_union_by_its_offset_from_outside(btf: Btf) -> None:
    for type_id in (only(btf, "task", Kind.STRUCT), only(btf, "task_t", Kind.TYPEDEF)):
        assert btf.member(type_id, "vruntime") == Member("vruntime", 2, 192, 0)
        assert btf.member(type_id, "nice") is None


def test_a_bit_field_may_stand_far_behind_the_start() -> None:
    w = BtfWriter()
    int_ = w.integer("int", 4, signed=True)
    task = w.record("task", 1 << 20, [("flag", int_, (1 << 23) - 5, 3), ("pid", int_, (1 << 23) - 64, 0)])
    assert w.btf().members(task) == [
        Member("flag", int_, (1 << 23) - 5, 3),
        Member("pid", int_, (1 << 23) - 64, 0),
    ]


def test_sizes_follow_typedefs_arrays_and_pointers(btf: Btf) -> None:
    assert btf.size(only(btf, "task_t", Kind.TYPEDEF)) == 48
    assert btf.size(5) == 16
    assert btf.size(btf.parameters(btf.referent(only(btf, "wake_up", Kind.FUNC)))[0].type_id) == 8
    assert btf.array(5) == Array(3, 16)


def test_integers_tell_size_sign_and_bool(btf: Btf) -> None:
    assert btf.integer(1) == Integer(4, True, False)
    assert btf.integer(only(btf, "_Bool", Kind.INT)) == Integer(1, False, True)
    assert btf.pointer_size == 8


def test_enums_give_signed_and_64_bit_values(btf: Btf) -> None:
    assert btf.enumerators(only(btf, "state", Kind.ENUM)) == [
        Enumerator("RUNNING", 0),
        Enumerator("DEAD", -1),
    ]
    assert btf.enumerators(only(btf, "wide", Kind.ENUM64)) == [
        Enumerator("TOP", 1 << 63),
        Enumerator("LOW", 1),
    ]
    assert (btf.constant("DEAD"), btf.constant("TOP"), btf.constant("NICE")) == (-1, 1 << 63, None)
    assert btf.enumerator("LOW") == only(btf, "wide", Kind.ENUM64)


def test_enums_of_an_encoder_that_does_not_tell_the_sign_are_signed() -> None:
    w = BtfWriter()
    old = w.enum("error", [("NONE", 0), ("FAILED", -22)])
    assert w.btf().enumerators(old)[1] == Enumerator("FAILED", -22)
    w.enum("wide", [("ANY", 1)], 8)
    assert w.btf().enumerators(old)[1] == Enumerator("FAILED", (1 << 32) - 22)


def test_functions_variables_sections_and_tags(btf: Btf) -> None:
    function = btf.function("wake_up")
    assert function is not None
    prototype = btf.referent(function)
    assert btf.result(prototype) == 1
    assert [p.name for p in btf.parameters(prototype)] == ["task", "flags", ""]
    assert btf.parameters(prototype)[-1] == Parameter("", 0)
    assert btf.linkage(function) == 1
    variable = only(btf, "current_task", Kind.VAR)
    assert (btf.linkage(variable), btf.resolve(btf.referent(variable))) == (1, only(btf, "task", Kind.STRUCT))
    assert btf.section(only(btf, ".data..percpu", Kind.DATASEC)) == [SectionEntry(variable, 0, 48)]
    assert btf.is_union(only(btf, "unknown", Kind.FWD))
    assert [btf.component(i) for i in btf.ids() if btf.kind(i) is Kind.DECL_TAG] == [-1, 1]
    assert btf.function("sleep") is None


def test_qualifiers_and_type_tags_are_looked_through(btf: Btf) -> None:
    last = btf.end - 1
    assert btf.kind(last) is Kind.PTR
    assert btf.kind(btf.referent(last)) is Kind.TYPE_TAG
    assert btf.unqualified(btf.referent(last)) == only(btf, "_Bool", Kind.INT)
    assert btf.kind(0) is Kind.VOID
    assert btf.name(0) == ""


def test_names_of_a_kind_are_sorted(btf: Btf) -> None:
    assert btf.names(Kind.ENUM, Kind.ENUM64) == ["state", "wide"]


def test_a_blob_of_the_other_byte_order_reads_the_same(btf: Btf) -> None:
    other = small_kernel(">").btf()
    assert (btf.byte_order, other.byte_order) == ("little", "big")
    assert [other.kind(i) for i in other.ids()] == [btf.kind(i) for i in btf.ids()]
    assert other.members(9) == btf.members(9)
    assert other.constant("TOP") == 1 << 63


def test_a_split_blob_goes_on_where_its_base_ends(btf: Btf) -> None:
    w = BtfWriter(base=btf)
    w.record("nfs_server", 56, [("task", only(btf, "task", Kind.STRUCT), 0), ("port", 1, 384)])
    w.enum("nfs_state", [("NFS_UP", 7)])
    module = w.btf()
    server = only(module, "nfs_server", Kind.STRUCT)
    assert server == btf.end
    assert [m.name for m in module.members(server)] == ["task", "port"]
    assert module.find("task", Kind.STRUCT) == btf.find("task", Kind.STRUCT)
    assert (module.constant("NFS_UP"), module.constant("DEAD")) == (7, -1)
    assert module.member(module.members(server)[0].type_id, "raw") is not None
    assert btf.find("nfs_server", Kind.STRUCT) == []


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda b: b.members(1), "expected STRUCT or UNION, found INT 'int' (type 1)"),
        (lambda b: b.kind(1000), "no type 1000"),
        (lambda b: b.kind(-1), "no type -1"),
        (lambda b: b.size(16), "expected a type with a size, found FUNC 'wake_up'"),
        (lambda b: b.size(0), "expected a type with a size, found void"),
    ],
)
def test_asking_for_what_a_type_has_not_is_a_named_error(btf: Btf, ask: object, message: str) -> None:
    with pytest.raises(FactError, match=message.replace("(", r"\(").replace(")", r"\)")):
        ask(btf)  # type: ignore[operator]


def test_a_typedef_of_itself_does_not_loop() -> None:
    w = BtfWriter()
    loop = w.refer(Kind.TYPEDEF, 1, "again")
    with pytest.raises(FactError, match="refers on without end"):
        w.btf().resolve(loop)


def test_a_struct_inside_itself_does_not_loop() -> None:
    w = BtfWriter()
    w.record("", 8, [("", 1, 0), ("", 1, 0)])
    assert w.btf().member(1, "nothing") is None


def test_an_integer_narrower_than_its_bytes_is_refused() -> None:
    w = BtfWriter()
    w.add(Kind.INT, "int", 4, [3])
    with pytest.raises(FactError, match="does not fill its 4 bytes"):
        w.btf().integer(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: b"", "0 bytes are too few"),
        (lambda d: b"\x7fELF" + d[4:], "expected BTF"),
        (lambda d: d[:2] + b"\x02" + d[3:], "version 2, expected 1"),
        (lambda d: d[:-5], "a section is cut off"),
        (lambda d: d[:-1] + b"x", "NUL"),
        (lambda d: d[:12] + struct.pack("<I", struct.unpack_from("<I", d, 12)[0] - 4) + d[16:], "cut off"),
        (lambda d: d[:31] + b"\x1f" + d[32:], "kind 31, which this version does not know"),
    ],
)
def test_a_damaged_blob_is_refused(change: object, message: str) -> None:
    with pytest.raises(FactError, match=message):
        Btf(change(small_kernel().blob()))  # type: ignore[operator]


def look_at_everything(btf: Btf) -> None:
    """Ask every question of every type; what does not fit is a FactError."""
    questions = (
        btf.kind, btf.name, btf.members, btf.enumerators, btf.parameters, btf.result, btf.section, btf.array,
        btf.integer, btf.referent, btf.component, btf.linkage, btf.is_union, btf.is_signed, btf.unqualified,
        btf.resolve, btf.size, lambda i: btf.member(i, "x"),
    )  # fmt: skip
    for type_id in btf.ids():
        for question in questions:
            with contextlib.suppress(FactError):
                question(type_id)


BLOB = small_kernel().blob()


@given(st.lists(st.tuples(st.integers(24, len(BLOB) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_whatever_a_damaged_blob_says_it_is_read_or_refused(damage: list[tuple[int, int]]) -> None:
    data = bytearray(BLOB)
    for place, byte in damage:
        data[place] = byte
    try:
        btf = Btf(bytes(data))
        look_at_everything(btf)
        btf.find("task", Kind.STRUCT)
        btf.constant("TOP")
    except FactError:
        pass


@given(st.binary(max_size=200))
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(FactError):
        Btf(data)
