"""The C that declares a kernel's types, on types a test made up."""

from __future__ import annotations

import pytest

from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.cdecl import Declarations
from ktrace_nb.kernel.errors import FactError
from tests.kernel_facts.btf_writer import BtfWriter


def declare(
    w: BtfWriter, *type_ids: int, reserved: tuple[str, ...] = (), follow: tuple[str, ...] = ()
) -> str:
    declarations = Declarations(w.btf(), reserved=reserved, follow=follow)
    declarations.add(type_ids)
    return declarations.take()


def test_what_a_struct_needs_stands_in_front_of_it() -> None:
    w = BtfWriter()
    int_ = w.integer("int", 4, signed=True)
    inner = w.record("list", 8, [("x", int_, 0), ("y", int_, 32)])
    pid_t = w.refer(Kind.TYPEDEF, int_, "pid_t")
    mm = w.record("mm", 4, [("users", int_, 0)])
    task = w.record("task", 24, [("node", inner, 0), ("mm", w.refer(Kind.PTR, mm), 64), ("pid", pid_t, 128)])
    assert declare(w, task) == (
        "struct list {\n\tint x;\n\tint y;\n};\n"
        "struct mm;\n"
        "typedef int pid_t;\n"
        "struct task {\n\tstruct list node;\n\tstruct mm *mm;\n\tpid_t pid;\n};\n"
    )


def test_a_pointer_is_followed_where_its_member_is_asked_for() -> None:
    w = BtfWriter()
    int_ = w.integer("int", 4, signed=True)
    mm = w.record("mm", 4, [("users", int_, 0)])
    unknown = w.add(Kind.FWD, "files")
    w.record("files", 4, [("count", int_, 0)])
    pointers = [w.refer(Kind.PTR, mm), w.refer(Kind.PTR, unknown), w.refer(Kind.PTR, w.refer(Kind.PTR, mm))]
    task = w.record(
        "task", 24, [(n, p, 64 * i) for i, (n, p) in enumerate(zip("abc", pointers, strict=True))]
    )
    assert "struct mm {" not in declare(w, task)
    assert "struct mm {" in declare(w, task, follow=("a",))
    assert "struct files {" in declare(w, task, follow=("b",)), (
        "a forward declaration is looked up by its name"
    )
    assert "struct mm {" in declare(w, task, follow=("c",))


def test_what_has_no_name_is_written_in_place() -> None:
    w = BtfWriter()
    int_ = w.integer("int", 4, signed=True)
    raw = w.record("", 2, [("a", w.integer("char", 1), 8)])
    either = w.record("", 4, [("number", int_, 0), ("", raw, 0)], union=True)
    outer = w.record("outer", 8, [("", either, 0), ("last", either, 32)])
    union = "union {\n\t\tint number;\n\t\tstruct {\n\t\t\tchar __pad%d[1];\n\t\t\tchar a;\n\t\t};\n\t}"
    assert declare(w, outer) == f"struct outer {{\n\t{union % 1};\n\t{union % 2} last;\n}};\n"


def test_declarators_are_built_from_the_inside() -> None:
    w = BtfWriter()
    int_ = w.integer("int", 4, signed=True)
    char = w.integer("char", 1)
    handler = w.prototype(0, [("signal", int_), ("text", w.refer(Kind.PTR, w.refer(Kind.CONST, char)))])
    returning = w.prototype(w.refer(Kind.PTR, handler), [("", int_), ("", 0)])
    cases = {
        "void (*x)(int, const char *)": w.refer(Kind.PTR, handler),
        "void (*(*x)(int, ...))(int, const char *)": w.refer(Kind.PTR, returning),
        "void (*x[4])(int, const char *)": w.array(w.refer(Kind.PTR, handler), 4),
        "int (*x)[4][2]": w.refer(Kind.PTR, w.array(w.array(int_, 2), 4)),
        "char *const x": w.refer(Kind.CONST, w.refer(Kind.PTR, char)),
        "const volatile char x": w.refer(Kind.CONST, w.refer(Kind.VOLATILE, char)),
        "const int x[3]": w.array(w.refer(Kind.CONST, int_), 3),
        "char *__restrict x": w.refer(Kind.RESTRICT, w.refer(Kind.PTR, char)),
        "char x": w.refer(Kind.RESTRICT, char),
        "char *x": w.refer(Kind.PTR, w.refer(Kind.TYPE_TAG, char, "user")),
        "int (*x)(void)": w.refer(Kind.PTR, w.prototype(int_, [])),
        "int (*x)()": w.refer(Kind.PTR, w.prototype(int_, [("", 0)])),
    }
    declarations = Declarations(w.btf())
    assert [declarations.declare(type_id, "x") for type_id in cases.values()] == list(cases)


def test_enums_keep_size_values_and_names() -> None:
    w = BtfWriter()
    enums = [
        w.enum("small", [("A", 1)], 1),
        w.enum("", [("B", -1), ("C", -(1 << 31))], signed=True),
        w.enum("big", [("D", 1 << 63), ("E", 0xFFFFFFFF)], 8),
        w.enum("forward", []),
        w.enum("signs", [("F", 1)], signed=True),
    ]
    assert declare(w, *enums) == (
        "enum small { A = 1 } __attribute__((mode(QI)));\n"
        "enum { B = -1, C = (-2147483647LL - 1) };\n"
        "enum big { D = 0x8000000000000000ULL, E = 0xffffffff } __attribute__((mode(DI)));\n"
        "enum forward { __empty_enum_4 };\n"
        "enum signs { F = 1 };\n"
    )


def test_an_anonymous_enum_stands_once_and_its_typedef_names_it() -> None:
    w = BtfWriter()
    enum = w.enum("", [("ON", 1)], signed=True)
    named = w.enum("", [("UP", 1)])
    state_t = w.refer(Kind.TYPEDEF, named, "state_t")
    holder = w.record("holder", 12, [("a", enum, 0), ("b", enum, 32), ("c", state_t, 64)])
    assert declare(w, holder) == (
        "enum { ON = 1 };\n"
        "typedef enum { UP = 1 } state_t;\n"
        "struct holder {\n\tsigned int a;\n\tsigned int b;\n\tstate_t c;\n};\n"
    )


def test_types_of_one_name_get_a_number() -> None:
    w = BtfWriter()
    int_ = w.integer("int", 4, signed=True)
    first = w.record("console", 4, [("flags", int_, 0)])
    second = w.record("console", 8, [("x", int_, 0), ("y", int_, 32)])
    union = w.record("console", 4, [("z", int_, 0)], union=True)
    text = declare(w, second, first, union)
    assert "struct console {\n\tint x;" in text
    assert "struct console___2 {\n\tint flags;" in text
    assert "union console___3 {" in text


def test_a_reserved_type_is_pointed_to_by_name_and_copied_by_value() -> None:
    w = BtfWriter()
    int_ = w.integer("int", 4, signed=True)
    insn = w.record("bpf_insn", 4, [("code", int_, 0)])
    state = w.enum("state", [("RUN", 1)])
    my_t = w.refer(Kind.TYPEDEF, int_, "my_t")
    prog = w.record(
        "prog",
        32,
        [
            ("insns", w.refer(Kind.PTR, insn), 0),
            ("first", insn, 64),
            ("state", state, 96),
            ("n", my_t, 128),
        ],
    )
    reserved = ("struct bpf_insn", "enum state", "RUN", "my_t")
    text = declare(w, prog, reserved=reserved, follow=("insns",))
    assert "\tstruct bpf_insn *insns;" in text
    assert "\tstruct bpf_insn___kernel first;" in text
    assert "struct bpf_insn {" not in text
    assert "enum state___kernel { RUN___kernel = 1 };" in text
    assert "typedef int my_t___kernel;" in text


def test_text_is_taken_once_and_nothing_is_declared_twice() -> None:
    w = BtfWriter()
    int_ = w.integer("int", 4, signed=True)
    pid_t = w.refer(Kind.TYPEDEF, int_, "pid_t")
    task = w.record("task", 4, [("pid", pid_t, 0)])
    declarations = Declarations(w.btf())
    declarations.add([pid_t])
    assert declarations.take() == "typedef int pid_t;\n"
    declarations.add([task, task, pid_t])
    assert declarations.take() == "struct task {\n\tpid_t pid;\n};\n"
    assert declarations.take() == ""
    assert declarations.declared(Kind.STRUCT) == {"task": task}


def test_names_that_are_not_c_become_so() -> None:
    w = BtfWriter()
    int_ = w.integer("int", 4, signed=True)
    rust = w.record("core::Option<u32>", 4, [("0", int_, 0)])
    assert declare(w, rust) == "struct _core__Option_u32_ {\n\tint _0;\n};\n"


def test_an_integer_or_float_with_a_foreign_name_is_told_by_its_size() -> None:
    w = BtfWriter()
    foreign = [w.integer("ssizetype", 8, signed=True), w.integer("u128", 16), w.add(Kind.FLOAT, "f64", 8)]
    declarations = Declarations(w.btf())
    assert [declarations.declare(i, "x") for i in foreign] == [
        "signed long x",
        "unsigned __int128 x",
        "double x",
    ]


@pytest.mark.parametrize("what", ["struct", "typedef", "overlap", "outside", "function", "size", "deep"])
def test_a_malformed_type_is_a_named_error(what: str) -> None:
    w = BtfWriter()
    int_ = w.integer("int", 4, signed=True)
    if what == "struct":
        wrong = w.record("self", 4, [("self", 2, 0)])
    elif what == "typedef":
        wrong = w.refer(Kind.TYPEDEF, 3, "self")
        w.array(2, 1)
    elif what == "overlap":
        wrong = w.record("overlap", 8, [("a", int_, 0), ("b", int_, 16)])
    elif what == "outside":
        wrong = w.record("outside", 4, [("a", int_, 0), ("b", int_, 32)])
    elif what == "function":
        wrong = w.record("call", 8, [("f", w.refer(Kind.FUNC, w.prototype(0, []), "f"), 0)])
    elif what == "size":
        wrong = w.record("odd", 3, [("a", w.integer("odd_t", 3), 0)])
    else:
        wrong = int_
        for i in range(2000):
            wrong = w.record(f"level{i}", 4, [("next", wrong, 0)])
    with pytest.raises(FactError):
        declare(w, wrong)
