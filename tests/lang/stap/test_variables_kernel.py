"""``$variables`` on this machine's kernel, its layout told by a C compiler."""

from __future__ import annotations

import random

import pytest

from ktrace_nb.codegen.headers import header_tree
from ktrace_nb.compiler.client import CompilerWorker
from ktrace_nb.errors import CellError
from ktrace_nb.ir import script as ir
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.cdecl import Declarations
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.context import ProbeContext, Variable
from ktrace_nb.lang.stap.variables import Access
from ktrace_nb.source import Place, Source, Span
from tests.kernel_facts.btf_writer import BtfWriter
from tests.kernel_facts.prove_layout import HOST_BTF
from tests.lang.stap.variables_kit import Kernel, context, convert, facts, lowered, number

AT = Place(Source("x"), Span(0, 1))
PLACES = [
    ("task_struct", "comm"),
    ("task_struct", "pid"),
    ("task_struct", "se.vruntime"),
    ("task_struct", "thread_info.flags"),
    ("file", "f_path.dentry"),
    ("file", "f_pos"),
    ("dentry", "d_name.name"),
    ("dentry", "d_name.len"),  # in an anonymous struct of an anonymous union
    ("inode", "i_nlink"),  # in an anonymous union
    ("sock", "__sk_common.skc_daddr"),
    ("sk_buff", "len"),
    ("sk_buff", "dev"),
    ("bio", "bi_iter.bi_sector"),
    ("mm_struct", "pgd"),
    ("page", "flags"),
]


@pytest.fixture(scope="module")
def host() -> KernelFacts:
    return KernelFacts(Kernel({}, HOST_BTF.read_bytes()), release="6.12.0", machine="x86_64", cpus=2)


def test_members_are_read_from_where_a_c_compiler_has_them(
    host: KernelFacts, btf: Btf, worker: CompilerWorker
) -> None:
    declarations = Declarations(btf)
    declarations.add(btf.find(name, Kind.STRUCT)[0] for name in dict.fromkeys(p[0] for p in PLACES))
    lines = []
    for record, path in PLACES:
        text = f'&@cast(p, "{record}")->' + path.replace(".", "->")
        offset = number(lowered(text, context(variables=()), host), p=0)
        lines.append(f'_Static_assert(__builtin_offsetof(struct {record}, {path}) == {offset}, "{path}");')
    headers = header_tree("", btf, formats={}, config={}, release="6.1", cpus=1, bcc_names=())
    page = f"#ifndef KT_PAGE_H\n#define KT_PAGE_H\n{declarations.take()}#endif\n"
    files = {**headers.files, "include/asm/page.h": page}
    result = worker.compile("\n".join(lines) + "\n", files, headers.cflags)
    assert result.ok, result.diagnostics


def test_the_usual_idioms_have_the_sizes_and_signs_of_the_kernels_types(host: KernelFacts) -> None:
    none = context(variables=())
    pid = lowered('@cast(t, "task_struct")->pid', none, host)
    assert isinstance(pid, ir.Load) and (pid.size, pid.signed) == (4, True)
    uid = lowered('@cast(t, "task_struct", "kernel<linux/sched.h>")->cred->uid->val', none, host)
    assert isinstance(uid, ir.Load) and (uid.size, uid.signed) == (4, False)
    start = lowered('@cast(t, "struct task_struct *")->start_time', none, host)
    assert isinstance(start, ir.Load) and (start.size, start.signed) == (8, False)
    comm = lowered('@cast(t, "task_struct")->comm', none, host)
    assert not isinstance(comm, ir.Load)


def test_every_parameter_of_any_function_can_be_shown(host: KernelFacts, btf: Btf) -> None:
    functions = [i for i in btf.ids() if btf.kind(i) is Kind.FUNC]
    for function in random.Random(4).sample(functions, 500):
        prototype = btf.referent(function)
        variables = tuple(
            Variable(p.name, btf, p.type_id, ir.Argument(i))
            for i, p in enumerate(btf.parameters(prototype))
            if p.name
        )
        access = Access(host, ProbeContext(kind="kprobe", variables=variables), convert)
        for name in ("$parms", "$vars"):
            for accessors in ((), (tree.Pretty(AT, False),), (tree.Pretty(AT, True),)):
                found = access.target(tree.Target(AT, name, accessors))
                assert found.type is ir.Type.STRING
        for variable in variables:
            try:
                access.target(tree.Target(AT, variable.name))
            except CellError as error:
                assert "is no number" in error.message or "cannot be read" in error.message


def test_a_bit_field_across_two_units_of_a_packed_struct_is_read_from_the_bytes_it_touches() -> None:
    w = BtfWriter()
    wide = w.integer("unsigned int", 4)
    w.record("packed", 5, [("a", wide, 0, 28), ("b", wide, 28, 9)])
    found = lowered('@cast(p, "packed")->b', context(variables=()), facts(btf=w.blob()))
    assert found == ir.Load(ir.Binary("+", ir.Local("p"), ir.Number(3)), 4, False, False, 4, 9)


def test_bit_fields_of_a_struct_in_a_register_keep_their_sign() -> None:
    w = BtfWriter()
    signed, unsigned = w.integer("int", 4, signed=True), w.integer("unsigned int", 4)
    flags = w.record("flags", 4, [("a", unsigned, 0, 3), ("b", signed, 3, 5), ("c", unsigned, 8, 24)])
    small = w.btf()
    where = ProbeContext(kind="fentry", variables=(Variable("f", small, flags, ir.Argument(0)),))
    raw = (0x123456 << 8) | ((-7 & 31) << 3) | 6
    values = [number(lowered(f"$f->{name}", where, facts(btf=w.blob())), [raw]) for name in "abc"]
    assert values == [6, -7, 0x123456]


def test_types_of_a_module_are_found_by_its_name_and_from_probes_in_it() -> None:
    base = BtfWriter()
    number_type = base.integer("int", 4, signed=True)
    kernel_btf = base.btf()
    split = BtfWriter(kernel_btf)
    inode = split.record("xfs_inode", 8, [("a", number_type, 0), ("b", number_type, 32)])
    source = Kernel({}, base.blob())
    source.known["btf:xfs"] = split.blob()
    kernel = KernelFacts(source, release="6.12.0", machine="x86_64", cpus=2)
    expected = ir.Load(ir.Binary("+", ir.Local("p"), ir.Number(4)), 4, True)
    for module in ("xfs", "kernel:xfs"):
        text = f'@cast(p, "xfs_inode", "{module}")->b'
        assert lowered(text, context(variables=()), kernel) == expected
    variable = Variable("ip", split.btf(), split.add(Kind.PTR, "", inode), ir.Argument(0))
    where = ProbeContext(kind="kprobe", variables=(variable,))
    assert lowered('@cast(p, "xfs_inode")->b', where, kernel) == expected
    with pytest.raises(CellError, match="no type 'xfs_inode' in the kernel"):
        lowered('@cast(p, "xfs_inode")->b', context(variables=()), kernel)
