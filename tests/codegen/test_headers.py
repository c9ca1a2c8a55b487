"""Headers for one cell and one kernel: with bcc's own compiler, against this machine's kernel."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from ktrace_nb.codegen.headers import HeaderTree, tracepoints_named
from ktrace_nb.diagnostics import Problem
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.source import Source
from tests.codegen.kit import Compiler


@pytest.fixture(scope="module")
def compiler(btf: Btf) -> Iterator[Compiler]:
    compiler = Compiler(btf)
    yield compiler
    compiler.worker.close()


def errors(tree: HeaderTree) -> list[Problem]:
    return [problem for problem in tree.problems if problem.severity == "error"]


HISTOGRAM = """\
#include <uapi/linux/ptrace.h>
#include <linux/fs.h>
BPF_HISTOGRAM(dist);
int kprobe__vfs_read(struct pt_regs *ctx, struct file *file, char __user *buf, size_t count)
{
    dist.increment(bpf_log2l(count));
    return 0;
}
"""


def test_a_histogram_compiles(compiler: Compiler) -> None:
    result = compiler.compile(HISTOGRAM)
    assert result.ok, result.diagnostics
    assert result.diagnostics == ""
    assert result.bundle is not None
    assert [(m.name, m.key_size, m.value_size) for m in result.bundle.maps] == [("dist", 4, 8)]


def test_a_few_types_make_small_headers(compiler: Compiler) -> None:
    tree = compiler.tree(HISTOGRAM)
    assert tree.provided.structs == ("file", "pt_regs")
    assert tree.files["include/linux/fs.h"] == ""
    assert "struct task_struct {" not in tree.files["include/asm/page.h"]
    assert sum(map(len, tree.files.values())) < 20_000


def test_pointers_are_followed_as_far_as_the_cell_goes(compiler: Compiler) -> None:
    cell = """\
int probe(struct pt_regs *ctx, struct file *file)
{
    return file->f_path.dentry->d_inode->i_sb->s_magic == 0xEF53;
}
"""
    result = compiler.compile(cell)
    assert result.ok, result.diagnostics
    assert "struct super_block {" in compiler.tree(cell).files["include/asm/page.h"]
    assert "struct super_block {" not in compiler.tree(HISTOGRAM).files["include/asm/page.h"]


def test_the_cells_own_names_come_first(compiler: Compiler) -> None:
    # Every one of these is something in the kernel too.
    cell = """\
struct list_head { u32 mine; };
struct file { u64 size; };
enum pid_type { PIDTYPE_PID = 77 };
typedef struct { u32 a; u32 b; } spinlock_t;
enum { TASK_COMM_LEN = 3, BPF_EXIST_NOT };
BPF_HASH(jiffies, u32, struct list_head);
static int zone_type = 5;
int probe(struct pt_regs *ctx, struct task_struct *task)
{
    spinlock_t lock = {};
    struct list_head head = {};
    u32 READ = PIDTYPE_PID;
    return sizeof(struct file) + sizeof(lock) + TASK_COMM_LEN + READ + head.mine + task->pid + zone_type;
}
"""
    result = compiler.compile(cell)
    assert result.ok, result.diagnostics


def test_a_struct_that_bcc_declares_is_bccs(compiler: Compiler) -> None:
    cell = "int f(struct pt_regs *c, struct bpf_prog *p, struct bpf_insn *i) { return p->len + i->code; }"
    result = compiler.compile(cell)
    assert result.ok, result.diagnostics


def test_values_are_the_kernels(compiler: Compiler, btf: Btf) -> None:
    (task,) = btf.find("task_struct", Kind.STRUCT)
    comm = btf.member(task, "comm")
    assert comm is not None
    assert compiler.value("TASK_COMM_LEN") == btf.size(comm.type_id)
    assert compiler.value("sizeof(struct task_struct)") == btf.size(task)
    assert compiler.value("__builtin_offsetof(struct task_struct, comm)") == comm.bit_offset // 8
    assert compiler.value("TCP_ESTABLISHED") == 1
    assert compiler.value("PAGE_SIZE") == 4096
    assert compiler.value("HZ") == 250
    assert compiler.value("AF_INET6") == 10
    assert compiler.value("S_ISDIR(040755)") == 1
    assert compiler.value("MINOR(MKDEV(8, 17))") == 17
    assert compiler.value("ntohs(0x1234)") == 0x3412
    assert compiler.value("roundup_pow_of_two(33)") == 64


def test_the_number_of_cpus_is_the_targets(compiler: Compiler) -> None:
    assert compiler.value("bpf_num_cpus()") == 7


def test_the_version_is_the_targets(compiler: Compiler) -> None:
    assert compiler.value("LINUX_VERSION_CODE == KERNEL_VERSION(6, 12, 117)") == 1


def test_settings_are_those_of_the_configuration(compiler: Compiler) -> None:
    cell = """\
int value(void *ctx)
{
    int found = IS_ENABLED(CONFIG_NET) | IS_ENABLED(CONFIG_XFS_FS) << 1 | IS_BUILTIN(CONFIG_XFS_FS) << 2
        | IS_MODULE(CONFIG_XFS_FS) << 3 | IS_ENABLED(CONFIG_NOTHING) << 4;
#ifdef CONFIG_NET
    found |= 32;
#endif
#if defined(CONFIG_NOTHING) || IS_ENABLED(CONFIG_NOTHING)
    found |= 64;
#endif
    return found + CONFIG_HZ * 256;
}
"""
    result = compiler.compile(cell)
    assert result.ok and result.bundle, result.diagnostics
    assert struct.unpack_from("<i", result.bundle.programs[0].insns, 4) == (0b101011 + 250 * 256,)
    assert compiler.tree(cell).provided.settings.keys() >= {"CONFIG_NET", "CONFIG_XFS_FS_MODULE"}


def test_an_inline_function_of_the_headers_is_there_with_what_it_calls(compiler: Compiler) -> None:
    cell = """\
int probe(struct pt_regs *ctx, struct bio *bio)
{
    struct sk_buff skb = {};
    return div_u64(ctx->di, 7) + skb_get_rx_queue(&skb) + bio_dev(bio);
}
"""
    assert {"div_u64", "disk_devt", "skb_get_rx_queue"} == set(compiler.tree(cell).provided.functions)
    result = compiler.compile(cell)
    assert result.ok, result.diagnostics


def test_an_unknown_function_is_an_error_not_a_call_of_nothing(compiler: Compiler) -> None:
    result = compiler.compile("int probe(struct pt_regs *ctx) { return current_is_async(); }")
    assert not result.ok
    assert "main.c:1:41: error: implicit declaration of function 'current_is_async'" in result.diagnostics


def test_what_the_cell_names_is_told(compiler: Compiler) -> None:
    cell = "int f(struct sock *sk, union bpf_attr *a, enum pid_type t) { return sk->sk_state == TCP_CLOSE; }"
    provided = compiler.tree(cell).provided
    assert provided.structs == ("sock",)
    assert provided.enums == ("pid_type",)
    assert provided.constants == {"TCP_CLOSE": 7}
    assert provided.macros == ("sk_state",)


def test_words_from_elsewhere_are_served_too(compiler: Compiler) -> None:
    tree = compiler.tree("", extra_words=["task_struct", "TCP_CLOSE", "O_RDONLY", "pid_t"])
    assert "task_struct" in tree.provided.structs
    assert "TCP_CLOSE" in tree.provided.constants
    assert "O_RDONLY" in tree.provided.macros
    assert "pid_t" in tree.provided.typedefs


def test_a_name_that_several_structs_share_is_told(compiler: Compiler) -> None:
    tags = [name for name in compiler.btf.names(Kind.STRUCT) if len(compiler.btf.find(name, Kind.STRUCT)) > 1]
    assert tags, "this kernel has no two structs of one name"
    cell = f"int f(struct {tags[0]} *x) {{ return 0; }}"
    (problem,) = compiler.tree(cell).problems
    assert problem.severity == "note"
    assert problem.span is not None
    assert cell[problem.span.start : problem.span.end] == tags[0]


# --- what cannot be served ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("#include <stdio.h>", "header 'stdio.h' belongs to the C library", "leave it out"),
        ("#include <errno.h>", "header 'errno.h' belongs to the C library", "the kernel's is linux/errno.h"),
        ("#include <sys/socket.h>", "header 'sys/socket.h' belongs to the C library", "linux/socket.h"),
        ('#include "mine.h"', "no header 'mine.h'", "a cell holds everything else itself"),
        ("#include <bpf/bpf_helpers.h>", "belongs to libbpf", "no header"),
        ("#include <../../../etc/passwd.h>", "no header", None),
        ("#include <linux/sched>", "no header 'linux/sched'", None),
        ("#ifdef MADE_UP", "no macro 'MADE_UP' is known here", "#undef MADE_UP"),
        ("#if 1 && defined(MADE_UP)", "no macro 'MADE_UP' is known here", "#undef MADE_UP"),
        ("#if MADE_UP > 3", "no macro 'MADE_UP' is known here", "#undef MADE_UP"),
        ("#ifdef TCP_CLOSE", "'TCP_CLOSE' is an enumerator on this kernel", "without a test"),
    ],
)
def test_what_cannot_be_served_is_an_error_at_its_place(
    compiler: Compiler, line: str, message: str, hint: str | None
) -> None:
    cell = f"// first line\n{line}\n#endif\n"
    (problem,) = errors(compiler.tree(cell))
    assert message in problem.message
    assert (hint or "") in (problem.hint or "")
    assert problem.source == Source(cell)
    assert problem.span is not None
    assert problem.source.position(problem.span.start)[0] == 2


@pytest.mark.parametrize(
    "lines",
    [
        "#include <linux/sched.h>\n#include <uapi/linux/ptrace.h>\n#include <net/sock.h>",
        '#include "vmlinux.h"\n#include <stdint.h>\n#include <stdbool.h>\n#include <bcc/proto.h>',
        "#include <../fs/mount.h>\n#include <asm/unistd.h>\n#include <linux/version.h>",
        "#ifndef GUARD\n#define GUARD\n#endif",
        "#undef SWITCH\n#ifdef SWITCH\n#endif",
        "#ifdef CONFIG_NOTHING\n#endif\n#if defined(__x86_64__) && !defined(__s390x__)\n#endif",
        "#ifdef PAGE_SIZE\n#endif\n#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 8, 0)\n#endif",
        "#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__\n#endif\n#ifdef BPF_F_USER_STACK\n#endif",
    ],
)
def test_what_can_be_served_or_is_rightly_absent_is_no_error(compiler: Compiler, lines: str) -> None:
    assert errors(compiler.tree(lines)) == []
    result = compiler.compile(f"{lines}\nint f(void *ctx) {{ return 0; }}\n")
    assert result.ok, result.diagnostics


def test_flags_decide_a_macro(compiler: Compiler) -> None:
    cell = "#ifdef MINE\nint f(void *ctx) { return MINE; }\n#endif\n#ifdef NOT_MINE\n#endif\n"
    assert len(errors(compiler.tree(cell))) == 2
    assert errors(compiler.tree(cell, cflags=["-DMINE=3", "-U", "NOT_MINE"])) == []


def test_a_setting_is_not_guessed_where_the_configuration_is_unknown(compiler: Compiler) -> None:
    cell = "#ifdef CONFIG_NET\n#endif\n#ifdef CONFIG_ARCH_HAS_SYSCALL_WRAPPER\n#endif\n"
    (problem,) = errors(compiler.tree(cell, config={}))
    assert "whether 'CONFIG_NET' is set is unknown" in problem.message


# --- tracepoints ---------------------------------------------------------------------------


def test_the_tracepoints_a_cell_names_are_found() -> None:
    known = ["sched/sched_switch", "odd__one/sched", "odd/one__sched", "block/block_rq_issue", "net/unused"]
    cell = """\
TRACEPOINT_PROBE(sched, sched_switch) { return 0; }
int f(struct tracepoint__odd__one__sched *args) { return 0; }
// struct tracepoint__net__unused
"""
    assert tracepoints_named(cell, known) == ["sched/sched_switch", "odd__one/sched", "odd/one__sched"]


def test_a_tracepoint_reads_its_record(compiler: Compiler) -> None:
    record = """\
name: sched_switch
ID: 372
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;
\tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;

print fmt: "%s", REC->prev_comm
"""
    cell = "TRACEPOINT_PROBE(sched, sched_switch) { return args->prev_pid; }\n"
    tree = compiler.tree(cell, formats={"sched/sched_switch": record})
    result = compiler.worker.compile(cell, tree.files, tree.cflags)
    assert result.ok and result.bundle, result.diagnostics
    insns = result.bundle.programs[0].insns
    # r0 = *(u32 *)(r1 + 24), one aligned load
    assert (insns[0] & 0xE7, struct.unpack_from("<h", insns, 2)) == (0x61, (24,))
