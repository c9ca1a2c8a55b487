"""A small kernel for tests of patterns of calls, its facts in the kernel's own formats."""

from __future__ import annotations

from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.facts import KernelFacts
from tests.facts_kit import StoredFacts
from tests.kernel_facts.btf_writer import BtfWriter

KALLSYMS = """\
ffffffff81000000 T _text
ffffffff81001000 T vfs_read
ffffffff81001100 T vfs_write
ffffffff81001200 t vfs_helper.isra.0
ffffffff81001300 t vfs_read.cold
ffffffff81001400 T vfs_hidden
ffffffff81001500 T vfs_secret
ffffffff81001600 t vfs_twin
ffffffff81001700 t vfs_twin
ffffffff81001800 T vfs_open
ffffffff81001800 T vfs_open_alias
ffffffff81002000 T sock_alloc_file
ffffffff81002100 t sock_inner
ffffffff81002200 T sock_alloc
ffffffff81002300 T other_function
ffffffff81003000 T ext4_lookup
ffffffff81003100 T ext4_iget
ffffffff81003200 t ext4_match
ffffffff81003300 T __ext4_iget
ffffffff81003400 T by_value
ffffffff81003500 T do_exit
ffffffff83000000 T _sinittext
ffffffff83000100 t vfs_init
ffffffff83001000 T _einittext
ffffffffc0001000 t nfs_open\t[nfs]
ffffffffc0001100 t nfs_read\t[nfs]
"""

_NOT_TRACEABLE = {"_text", "vfs_read.cold", "vfs_hidden", "vfs_init", "_sinittext", "_einittext"}


def _btf(*, trampolines: bool, fprobe: bool) -> bytes:
    w = BtfWriter()
    integer, long = w.integer("int", 4, signed=True), w.integer("long int", 8, signed=True)
    unsigned = w.integer("unsigned int", 4)
    pointer = w.refer(Kind.PTR, w.record("inode", 8, [("i_ino", long, 0)]))
    pair = w.record("pair", 16, [("first", long, 0), ("second", long, 64)])
    if fprobe:
        w.record("fprobe", 8, [("rethook", pointer, 0)])

    def function(name: str, result: int, *parameters: tuple[str, int]) -> None:
        w.refer(Kind.FUNC, w.prototype(result, parameters), name)

    function("vfs_read", long, ("file", pointer), ("count", long))
    function("vfs_write", long, ("file", pointer), ("count", long))
    function("vfs_inlined", integer, ("count", long))
    function("vfs_helper", integer, ("file", pointer))
    function("ext4_lookup", pointer, ("dir", pointer), ("flags", unsigned))
    function("ext4_iget", integer, ("sb", pointer), ("inode", pointer))
    function("ext4_match", 0, ("inode", pointer))
    function("sock_alloc", unsigned)
    function("do_exit", 0, ("code", long))
    function("by_value", integer, ("pair", pair), ("behind", pointer))
    if trampolines:
        function("register_ftrace_direct", integer)
    if fprobe:
        function("register_fprobe_ips", integer)
    return w.blob()


def kernel(
    *,
    fprobe: bool = True,
    trampolines: bool = True,
    graph: bool = True,
    hidden: bool = False,
    many: int = 0,
    cpus: int = 2,
) -> KernelFacts:
    """The facts of a kernel.

    Args:
        fprobe: Built with it.
        trampolines: Built with them.
        graph: Built with ``function_graph``.
        hidden: Hides its addresses.
        many: More functions, named ``many_N``.
        cpus: Possible CPUs.
    """
    symbols = KALLSYMS + "".join(f"{0xFFFFFFFF84000000 + 16 * n:x} T many_{n}\n" for n in range(many))
    if hidden:
        symbols = "".join(f"{'0' * 16}{line[16:]}\n" for line in symbols.splitlines())
    listed = []
    for line in symbols.splitlines():
        name, _, module = line.split(" ", 2)[2].partition("\t")
        if name not in _NOT_TRACEABLE:
            listed.append(f"{name} {module}".strip())
    config = "CONFIG_FTRACE=y\n" + ("CONFIG_FUNCTION_GRAPH_TRACER=y\n" if graph else "")
    facts = {
        "kallsyms": symbols.encode(),
        "functions": "\n".join(listed).encode(),
        "blacklist": b"0xffffffff81001500-0xffffffff81001600\tvfs_secret\n",
        "config": config.encode(),
        "btf": _btf(trampolines=trampolines, fprobe=fprobe),
    }
    return KernelFacts(StoredFacts(facts), release="6.12.0", machine="x86_64", cpus=cpus)


FACTS = kernel()
