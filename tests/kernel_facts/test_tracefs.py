"""Format files of tracepoints, and the C structs made of them."""

from __future__ import annotations

import pytest

from ktrace_nb.codegen.headers import header_tree
from ktrace_nb.compiler.client import CompilerWorker
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.errors import FactError
from ktrace_nb.kernel.tracefs import Field, parse_events, parse_format, record_struct

COMMON = """\
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;
"""
SCHED_SWITCH = f"""name: sched_switch
ID: 372
format:
{COMMON}
	field:char prev_comm[TASK_COMM_LEN];	offset:8;	size:16;	signed:0;
	field:pid_t prev_pid;	offset:24;	size:4;	signed:1;
	field:int prev_prio;	offset:28;	size:4;	signed:1;
	field:long prev_state;	offset:32;	size:8;	signed:1;

print fmt: "prev_comm=%s prev_pid=%d", REC->prev_comm, REC->prev_pid
"""
SYS_ENTER = f"""name: sys_enter_openat
ID: 782
format:
{COMMON}
	field:int __syscall_nr;	offset:8;	size:4;	signed:1;
	field:int dfd;	offset:16;	size:8;	signed:0;
	field:const char * filename;	offset:24;	size:8;	signed:0;
	field:umode_t mode;	offset:40;	size:8;	signed:0;

print fmt: "dfd: 0x%08lx", ((unsigned long)(REC->dfd))
"""
ODD = f"""name: odd
ID: 9
format:
{COMMON}
	field:__data_loc char[] name;	offset:8;	size:4;	signed:0;
	field:__rel_loc u64[] list;	offset:12;	size:4;	signed:0;
	field:unsigned long args[6];	offset:16;	size:48;	signed:0;
	field:struct nobodys * place;	offset:64;	size:8;	signed:0;
	field:void __seg_gs * cpu;	offset:72;	size:8;	signed:0;
	field:nobodys_t number;	offset:80;	size:4;	signed:1;
	field:struct nobodys value;	offset:84;	size:12;	signed:0;
	field:enum pid_type type;	offset:96;	size:4;	signed:0;
	field:bool on;	offset:100;	size:1;	signed:0;
	field:u32 buf[];	offset:104;	size:0;	signed:0;

print fmt: ""
"""


def test_a_format_tells_name_id_fields_and_how_to_print() -> None:
    layout = parse_format(SCHED_SWITCH)
    assert (layout.name, layout.id, len(layout.fields)) == ("sched_switch", 372, 8)
    assert layout.own_fields[0] == Field("prev_comm", "char", 8, 16, False, "[TASK_COMM_LEN]", "")
    assert layout.own_fields[1] == Field("prev_pid", "pid_t", 24, 4, True, "", "")
    assert layout.print_format == '"prev_comm=%s prev_pid=%d", REC->prev_comm, REC->prev_pid'


def test_dynamic_arrays_are_told_from_others() -> None:
    fields = {field.name: field for field in parse_format(ODD).own_fields}
    assert (fields["name"].dynamic, fields["name"].type) == ("data", "char")
    assert (fields["list"].dynamic, fields["list"].type) == ("rel", "u64")
    assert (fields["args"].dynamic, fields["args"].dimensions) == ("", "[6]")
    assert fields["place"].words == ["struct", "nobodys"]


def test_a_record_has_its_fields_at_their_place(btf: Btf) -> None:
    assert record_struct("sched/sched_switch", parse_format(SCHED_SWITCH), btf) == (
        "struct tracepoint__sched__sched_switch {\n"
        "\tunsigned long long __do_not_use__;\n"
        "\tchar prev_comm[16];\n"
        "\tpid_t prev_pid;\n"
        "\tint prev_prio;\n"
        "\tlong prev_state;\n"
        "};\n"
    )


def test_an_argument_of_a_system_call_has_its_own_size(btf: Btf) -> None:
    assert record_struct("syscalls/sys_enter_openat", parse_format(SYS_ENTER), btf) == (
        "struct tracepoint__syscalls__sys_enter_openat {\n"
        "\tunsigned long long __do_not_use__;\n"
        "\tint __syscall_nr;\n"
        "\tchar __pad_12[4];\n"
        "\tint dfd;\n"
        "\tchar __pad_20[4];\n"
        "\tconst char * filename;\n"
        "\tchar __pad_32[8];\n"
        "\tumode_t mode;\n"
        "};\n"
    )


def test_types_nobody_knows_keep_their_size(btf: Btf) -> None:
    assert record_struct("odd_one/odd", parse_format(ODD), btf) == (
        "struct tracepoint__odd_one__odd {\n"
        "\tunsigned long long __do_not_use__;\n"
        "\tint data_loc_name;\n"
        "\tint rel_loc_list;\n"
        "\tunsigned long args[6];\n"
        "\tstruct nobodys * place;\n"
        "\tvoid *cpu;\n"
        "\tsigned int number;\n"
        "\tchar value[12];\n"
        "\tenum pid_type type;\n"
        "\tbool on;\n"
        "\tchar __pad_101[3];\n"
        "\tu32 buf[0];\n"
        "};\n"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [("sched/sched_switch", SCHED_SWITCH), ("syscalls/sys_enter_openat", SYS_ENTER), ("odd_one/odd", ODD)],
)
def test_the_compiler_puts_every_field_where_the_format_says(
    btf: Btf, worker: CompilerWorker, name: str, text: str
) -> None:
    tag = "struct tracepoint__" + name.replace("/", "__")
    cell = f"int probe({tag} *args) {{ return 0; }}\n"
    for field in parse_format(text).own_fields:
        shown = f"{field.dynamic}_loc_{field.name}" if field.dynamic else field.name
        cell += f'_Static_assert(__builtin_offsetof({tag}, {shown}) == {field.offset}, "{shown}");\n'
    tree = header_tree(
        cell, btf, formats={name: text}, config={}, release="6.1", cpus=1, bcc_names=frozenset()
    )
    result = worker.compile(cell, tree.files, tree.cflags)
    assert result.ok, result.diagnostics
    assert tree.provided.tracepoints == (name,)


def test_events_are_listed_as_category_and_event() -> None:
    assert parse_events("sched:sched_switch\nsyscalls:sys_enter_openat\n") == (
        "sched/sched_switch",
        "syscalls/sys_enter_openat",
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name: x\n",
        SCHED_SWITCH.replace("offset:24;", ""),
        SCHED_SWITCH.replace("field:pid_t prev_pid", "field:prev_pid"),
    ],
)
def test_what_is_no_format_is_refused(text: str) -> None:
    with pytest.raises(FactError):
        parse_format(text)


def test_overlapping_fields_are_refused(btf: Btf) -> None:
    layout = parse_format(SCHED_SWITCH.replace("offset:28;", "offset:26;"))
    with pytest.raises(FactError, match="'prev_prio' overlaps"):
        record_struct("sched/sched_switch", layout, btf)
