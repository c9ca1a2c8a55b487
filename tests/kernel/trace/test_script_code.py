"""What the C of scripts does in a kernel: dd writes 1009 times 64 bytes, and one knows what must come out."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from ktrace_nb.compiler.client import CompilerWorker
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import script_layout as layout
from ktrace_nb.ir.script import Type
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.targets.base import Target
from tests.codegen import script_kit as k
from tests.kernel.trace.kit import KERNELS, WRITES
from tests.kernel.trace.script_kit import Ran, run

pytestmark = pytest.mark.kernel

COUNT = 1009
Run: TypeAlias = Callable[..., Ran]

IS_DD = ir.Compare("==", k.EXECNAME, k.s("dd"))
IS_64 = ir.Compare("==", ir.Argument(2), k.n(64))
OURS = ir.Logical("&&", IS_DD, IS_64)


def text(name: str) -> ir.Local:
    return k.local(name, Type.STRING)


def ours(*body: ir.Stmt, condition: ir.Expr = OURS, **options: object) -> ir.KernelHandler:
    """A handler for dd's writes of 64 bytes alone."""
    return k.handler(ir.If(condition, body), **options)  # type: ignore[arg-type]


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def worker() -> Iterator[CompilerWorker]:
    worker = CompilerWorker()
    yield worker
    worker.close()


@pytest.fixture
def script(lab: Target, worker: CompilerWorker) -> Run:
    hello = lab.hello
    facts = KernelFacts(
        lab, release=f"{hello.kernel} {hello.version}", machine=hello.machine, cpus=hello.cpus_possible
    )

    def start(placed: ir.Placed, command: str = WRITES, **options: object) -> Ran:
        return run(lab, facts, worker, placed, command, **options)  # type: ignore[arg-type]

    return start


# --- integers --------------------------------------------------------------------------------


def test_integers_are_computed_as_in_c(script: Run) -> None:
    """The processor of this machine is the second source: Python's integers, wrapped and truncated."""
    samples = [0, 1, -1, 7, -7, 64, 3_000_000_000, -(1 << 63), (1 << 63) - 1]
    cases = [
        (op, a, b)
        for op in ("+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^")
        for a in samples
        for b in samples
        if b or op not in "/%"
    ]
    # Adding 0 that only the kernel knows keeps the compiler from computing the values itself.
    zero = ir.Binary("-", ir.Argument(2), k.n(64))
    handlers, records = [], []
    for number, start in enumerate(range(0, len(cases), 60)):
        part = cases[start : start + 60]
        values = tuple(ir.Binary(op, ir.Binary("+", k.n(a), zero), k.n(b)) for op, a, b in part)
        handlers.append(ours(ir.Ship(number + 1, values), number=number))
        records.append([k.LONG] * len(part))
    ran = script(k.placed(*handlers, records=records), "dd if=/dev/zero of=/dev/null bs=64 count=1")
    got = [value for record in sorted(ran.records, key=lambda r: r.number) for value in record.numbers()]
    assert len(got) == len(cases)
    assert [f"{a} {op} {b} = {v}" for (op, a, b), v in zip(cases, got, strict=True)] == [
        f"{a} {op} {b} = {computed(op, a, b)}" for op, a, b in cases
    ]


def computed(op: str, a: int, b: int) -> int:
    """The result in 64 bits."""
    quotient = 0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    result = {
        "+": a + b,
        "-": a - b,
        "*": a * b,
        "&": a & b,
        "|": a | b,
        "^": a ^ b,
        "<<": a << (b & 63),
        ">>": a >> (b & 63),
        "/": quotient,
        "%": a - quotient * b,
    }[op]
    return (result + (1 << 63)) % (1 << 64) - (1 << 63)


def test_comparisons_have_a_sign(script: Run) -> None:
    minus = ir.Unary("-", ir.Argument(2))
    pairs = [
        ("<", minus, k.n(1)),
        (">", minus, k.n(1)),
        ("<=", ir.Argument(2), k.n(64)),
        (">=", minus, k.n(-64)),
        ("==", minus, k.n(-64)),
        ("!=", minus, k.n(-64)),
    ]
    values = tuple(ir.Compare(op, a, b) for op, a, b in pairs)
    more = (
        ir.Unary("!", ir.Argument(2)),
        ir.Unary("~", ir.Argument(2)),
        ir.Extend(ir.Binary("*", ir.Argument(2), k.n(3)), 1, True),
        ir.Extend(ir.Binary("*", ir.Argument(2), k.n(3)), 1, False),
    )
    ran = script(
        k.placed(ours(ir.Ship(1, values + more)), records=[[k.LONG] * 10]),
        "dd if=/dev/zero of=/dev/null bs=64 count=1",
    )
    assert ran.records[0].numbers() == (1, 0, 1, 1, 1, 0, 0, ~64, -64, 192)


def test_values_before_and_after_a_step_and_their_order(script: Run) -> None:
    x, y = k.local("x"), k.local("y")
    ran = script(
        k.placed(
            ours(
                k.assign(x, k.n(5)),
                k.assign(y, ir.Binary("+", x, ir.Step(x, 1, False))),
                ir.Ship(1, (x, y, ir.Step(x, 1, True), x, ir.Assign(x, "*", k.n(3)), x)),
                locals_=[k.kernel_local("x"), k.kernel_local("y")],
            ),
            records=[[k.LONG] * 6],
        )
    )
    assert {record.numbers() for record in ran.records} == {(6, 10, 7, 7, 21, 21)}
    assert len(ran.records) == COUNT


def test_the_right_side_counts_only_where_it_must(script: Run) -> None:
    n = k.scalar("n")
    first = ir.Logical("&&", k.n(0), ir.Step(n, 1, False))
    second = ir.Logical("||", ir.Argument(2), ir.Step(n, 1, False))
    third = ir.Logical("&&", ir.Argument(2), ir.Step(n, 1, True))
    ran = script(
        k.placed(
            ours(ir.Ship(1, (first, second, third))), globals_=[k.kernel_global("n")], records=[[k.LONG] * 3]
        )
    )
    assert ran.scalar("n") == COUNT
    assert {r.numbers() for r in ran.records} == {(0, 1, 1)}


# --- globals -----------------------------------------------------------------------------------


def test_entries_are_counted_read_found_and_deleted(script: Run) -> None:
    n, calls = k.scalar("n"), k.element("calls", k.EXECNAME, k.scalar("n"))
    found = ir.Contains("calls", (k.EXECNAME, k.scalar("n")))
    ran = script(
        k.placed(
            ours(
                ir.If(
                    ir.Compare("==", ir.Binary("%", n, k.n(10)), k.n(0)),
                    (ir.Delete(k.element("calls", k.EXECNAME, k.n(0))),),
                ),
                k.add(k.element("calls", k.EXECNAME, k.n(0))),
                k.assign(k.element("last", k.EXECNAME), n),
                k.assign(k.element("sum", k.EXECNAME), k.element("last", k.EXECNAME), "+"),
                k.assign(k.element("or", k.n(1)), n, "|"),
                ir.If(
                    found,
                    (k.add(k.scalar("found")),),
                    (k.assign(k.scalar("absent"), ir.Binary("+", calls, k.n(1)), "+"),),
                ),
                k.add(n),
            ),
            globals_=[
                *(k.kernel_global(name) for name in ("n", "found", "absent")),
                k.kernel_global("calls", keys=[k.TEXT16, k.LONG]),
                *(k.kernel_global(name, keys=[k.TEXT16]) for name in ("last", "sum")),
                k.kernel_global("or", keys=[k.LONG]),
            ],
        )
    )
    dd = b"dd".ljust(16, b"\0")
    assert ran.scalar("n") == COUNT
    assert ran.array("calls") == {dd + bytes(8): 9}  # 1000 deleted it last
    assert ran.array("last") == {dd: COUNT - 1}
    assert ran.array("sum") == {dd: sum(range(COUNT))}
    assert ran.array("or") == {struct.pack("<q", 1): 1023}
    assert (ran.scalar("found"), ran.scalar("absent")) == (1, COUNT - 1)


def test_a_full_array_is_an_error_that_stops_the_script(script: Run) -> None:
    size = 16
    handler = ours(k.add(k.scalar("n")), k.add(k.element("a", k.scalar("n"))))
    globals_ = [k.kernel_global("n"), k.kernel_global("a", keys=[k.LONG], size=size)]
    ran = script(k.placed(handler, globals_=globals_))
    ((site, _),) = ran.errors()
    assert (site.code, site.name) == (layout.ARRAY_FULL, "a")
    assert len(ran.array("a")) >= size
    assert ran.scalar("n") == len(ran.array("a")) + 1
    assert ran.ledger[2]["full"] == 1


def test_with_errors_allowed_it_goes_on(script: Run) -> None:
    limits = ir.Limits(max_errors=10_000)
    handler = ours(
        k.assign(k.scalar("x"), ir.Binary("/", k.n(1), ir.Binary("-", ir.Argument(2), k.n(64)))),
        k.add(k.scalar("behind")),
    )
    globals_ = [k.kernel_global("x"), k.kernel_global("behind")]
    ran = script(k.placed(handler, globals_=globals_, limits=limits))
    assert [site.code for site, _ in ran.errors()] == [layout.DIVISION] * COUNT
    assert ran.scalar("behind") == 0


def test_an_array_that_wraps_makes_room(script: Run) -> None:
    handler = ours(k.add(k.scalar("n")), k.add(k.element("a", k.scalar("n"))))
    globals_ = [k.kernel_global("n"), k.kernel_global("a", keys=[k.LONG], size=64, wraps=True)]
    ran = script(k.placed(handler, globals_=globals_))
    assert ran.errors() == []
    assert 0 < len(ran.array("a")) <= 64
    assert ran.ledger[2]["inserted"] == COUNT


# --- statistics --------------------------------------------------------------------------------


def test_statistics_of_scalars_and_arrays(script: Run) -> None:
    """Against the sums of 0, 1, ..., 1008, by formula."""
    log, linear = ir.HistogramShape(), ir.HistogramShape(100, 900, 100)
    minus = ir.Binary("-", k.scalar("n"), k.n(4))
    ran = script(
        k.placed(
            ours(
                ir.Accumulate(k.scalar("s", k.STATS), minus),
                ir.Accumulate(k.element("a", k.EXECNAME, type_=k.STATS), k.scalar("n")),
                ir.Accumulate(k.element("plain", k.EXECNAME, type_=k.STATS), k.scalar("n")),
                k.add(k.scalar("n")),
            ),
            globals_=[
                k.kernel_global("n"),
                k.kernel_global("s", statistics=True, histograms=[log, linear], variance=True),
                k.kernel_global("a", keys=[k.TEXT16], statistics=True, histograms=[log, linear]),
                k.kernel_global("plain", keys=[k.TEXT16], statistics=True, variance=True),
            ],
        )
    )
    dd = b"dd".ljust(16, b"\0")
    s = ran.per_cpu("g_s")
    expected = range(-4, COUNT - 4)
    assert sum(words[0] for words in s) == COUNT
    assert sum(words[1] for words in s) == sum(expected)
    assert min(words[2] for words in s if words[0]) == -4
    assert max(words[3] for words in s if words[0]) == COUNT - 5
    squares = sum((words[4] & (1 << 64) - 1) + (words[5] << 64) for words in s)
    assert squares == sum(v * v for v in expected)
    for offset, shape in zip((6, 6 + 128), (log, linear), strict=True):
        counts = [sum(words[offset + i] for words in s) for i in range(layout.bucket_count(shape))]
        assert counts == [
            sum(layout.bucket_of(shape, v) == i for v in expected) for i in range(layout.bucket_count(shape))
        ]
    a = ran.per_cpu("g_a", dd)
    assert sum(words[0] for words in a) == COUNT
    assert sum(words[1] for words in a) == sum(range(COUNT))
    for i, shape in enumerate((log, linear)):
        buckets = {
            struct.unpack("<q", key[16:])[0]: sum(struct.unpack(f"<{len(value) // 8}Q", value))
            for key, value in ran.maps[layout.buckets_map_name("a", i)].items()
        }
        wanted = [layout.bucket_of(shape, v) for v in range(COUNT)]
        assert buckets == {bucket: wanted.count(bucket) for bucket in set(wanted)}
    plain = ran.per_cpu("g_plain", dd)
    assert sum(words[4] for words in plain) == sum(v * v for v in range(COUNT))


def test_large_squares_do_not_wrap(script: Run) -> None:
    big = ir.Binary("-", k.n(-(1 << 62)), k.scalar("n"))
    handler = ours(ir.Accumulate(k.scalar("s", k.STATS), big), k.add(k.scalar("n")))
    globals_ = [k.kernel_global("n"), k.kernel_global("s", statistics=True, variance=True)]
    ran = script(k.placed(handler, globals_=globals_))
    squares = sum((w[4] & (1 << 64) - 1) + ((w[5] & (1 << 64) - 1) << 64) for w in ran.per_cpu("g_s"))
    assert squares % (1 << 128) == sum(((1 << 62) + i) ** 2 for i in range(COUNT)) % (1 << 128)


def test_deleted_statistics_are_gone_with_their_buckets(script: Run) -> None:
    a = k.element("a", k.EXECNAME, type_=k.STATS)
    last = ir.Compare("==", k.scalar("n"), k.n(1000))
    ran = script(
        k.placed(
            ours(k.add(k.scalar("n")), ir.If(last, (ir.Delete(a),)), ir.Accumulate(a, k.n(5))),
            globals_=[
                k.kernel_global("n"),
                k.kernel_global("a", keys=[k.TEXT16], statistics=True, histograms=[ir.HistogramShape()]),
            ],
        )
    )
    assert sum(words[0] for words in ran.per_cpu("g_a", b"dd".ljust(16, b"\0"))) == 10
    ((key, value),) = ran.maps["h0_a"].items()
    assert key == b"dd".ljust(16, b"\0") + struct.pack("<q", 67)
    assert sum(struct.unpack(f"<{len(value) // 8}Q", value)) == 10


# --- strings -----------------------------------------------------------------------------------


def test_strings_are_joined_compared_and_kept(script: Run) -> None:
    def joined(a: ir.Expr, b: ir.Expr) -> ir.Expr:
        return ir.Concat(a, b, type=Type.STRING)

    def counted(name: str, op: str, a: ir.Expr, b: ir.Expr) -> ir.Stmt:
        return ir.If(ir.Compare(op, a, b), (k.add(k.scalar(name)),))

    a, b, short = text("a"), text("b"), text("short")
    ran = script(
        k.placed(
            ours(
                k.assign(a, joined(k.EXECNAME, k.s(" writes a long line"))),
                k.assign(b, a),
                k.assign(b, k.s("!"), "."),
                k.assign(short, a),
                counted("yes", "!=", a, b),
                counted("yes", "<", a, b),
                counted("yes", ">", b, short),
                counted("yes", "<=", short, a),
                counted("yes", ">", a, k.s("dc")),
                counted("yes", ">", k.s("de"), a),
                counted("yes", "==", short, k.s("dd writes a lon")),
                counted("no", "==", a, short),
                counted("no", "==", k.EXECNAME, k.s("dd ")),
                counted("no", "==", k.EXECNAME, k.s("a name that is longer than any")),
                k.assign(k.scalar("kept", Type.STRING), b),
                k.assign(k.element("m", b, k.n(1), type_=Type.STRING), short),
                ir.Ship(
                    1,
                    (
                        k.element("m", b, k.n(1), type_=Type.STRING),
                        k.element("m", b, k.n(2), type_=Type.STRING),
                        joined(a, a),
                    ),
                ),
                locals_=[
                    k.kernel_local("a", k.TEXT),
                    k.kernel_local("b", k.TEXT),
                    k.kernel_local("short", k.TEXT16),
                ],
            ),
            globals_=[
                k.kernel_global("yes"),
                k.kernel_global("no"),
                k.kernel_global("kept", k.TEXT),
                k.kernel_global("m", k.TEXT16, [k.TEXT, k.LONG]),
            ],
            records=[[k.TEXT16, k.TEXT16, ir.Shape(32, text=True)]],
        )
    )
    assert (ran.scalar("yes"), ran.scalar("no")) == (7 * COUNT, 0)
    whole = b"dd writes a long line!"
    assert ran.text("kept") == whole.ljust(128, b"\0")
    assert ran.maps["g_m"] == {
        whole.ljust(128, b"\0") + struct.pack("<q", 1): b"dd writes a lon\0",
    }
    values = ran.records[0].values
    cut = [values[:16], values[16:32], values[32:64]]
    assert [v.split(b"\0")[0] for v in cut] == [b"dd writes a lon", b"", b"dd writes a long linedd writes "]


def test_strings_and_bytes_are_read_from_memory(script: Run) -> None:
    """The path that openat got; when it returns, the kernel has just read it too."""
    path = k.intrinsic("user_string", ir.Argument(1), type_=Type.STRING)
    path5 = k.intrinsic("user_string_n", ir.Argument(1), k.n(5), type_=Type.STRING)
    data = k.intrinsic("__user_bytes", ir.Argument(1), k.n(10), type_=Type.STRING)
    nothing = k.intrinsic("kernel_string2", k.n(8), k.s("<none>"), type_=Type.STRING)
    handler = ours(
        ir.If(ir.Compare("==", path, k.s("/dev/zero")), (ir.Ship(1, (path, path5, data, nothing)),)),
        condition=IS_DD,
        context="sys_exit",
        target="sys_exit",
        syscalls=(257,),  # openat
    )
    ran = script(k.placed(handler, records=[[k.TEXT, k.TEXT16, k.TEXT16, k.TEXT16]]))
    (record,) = ran.records
    assert (record.number, record.faults) == (1, 0)
    values = [record.values[:128], *(record.values[i : i + 16] for i in (128, 144, 160))]
    # The NUL behind the name is a blank among bytes.
    assert [v.split(b"\0")[0] for v in values] == [b"/dev/zero", b"/dev/", b"/dev/zero ", b"<none>"]


# --- errors ------------------------------------------------------------------------------------


def test_a_fault_in_a_record_is_noted_beside_the_value(script: Run) -> None:
    bad = ir.Load(k.n(0x1008), 4, True)
    unread = k.intrinsic("kernel_string", k.n(0x2000), type_=Type.STRING)
    ran = script(
        k.placed(ours(ir.Ship(1, (k.n(1), bad, unread, k.n(4)))), records=[[k.LONG, k.LONG, k.TEXT, k.LONG]])
    )
    assert len(ran.records) == COUNT
    assert {r.faults for r in ran.records} == {0b110}
    values = ran.records[0].values
    assert struct.unpack("<3q", values[:24]) == (1, 0x1008, 0x2000)
    assert struct.unpack("<q", values[-8:]) == (4,)


def test_a_fault_elsewhere_ends_the_handler_and_the_script(script: Run) -> None:
    handler = ours(k.assign(k.scalar("x"), ir.Load(k.n(0x1008), 8, False)), k.add(k.scalar("behind")))
    ran = script(k.placed(handler, globals_=[k.kernel_global("x"), k.kernel_global("behind")]))
    ((site, detail),) = ran.errors()
    assert (site.code, detail) == (layout.FAULT, 0x1008)
    assert ran.scalar("behind") == 0


def test_a_loop_has_an_end(script: Run) -> None:
    i = k.local("i")
    forever = ir.While(k.n(1), (k.assign(i, k.n(1), "+"), k.add(k.scalar("rounds"))))
    limits = ir.Limits(max_action=250)
    script_ = k.placed(
        ours(forever, locals_=[k.kernel_local("i")]), globals_=[k.kernel_global("rounds")], limits=limits
    )
    ran = script(script_)
    ((site, _),) = ran.errors()
    assert site.code == layout.TOO_MANY_ACTIONS
    assert ran.scalar("rounds") == 250


def test_loops_nest_break_and_continue(script: Run) -> None:
    i, j, n = k.local("i"), k.local("j"), k.scalar("n")
    odd = ir.If(ir.Binary("&", j, k.n(1)), (ir.Continue(),))
    far = ir.If(ir.Compare(">", j, k.n(7)), (ir.Break(),))
    inner = ir.While(ir.Compare("<", j, k.n(20)), (odd, far, k.add(n)), (k.add(j),))
    outer = ir.While(ir.Compare("<", i, k.n(30)), (k.assign(j, k.n(0)), inner), (k.add(i),))
    handler = ours(k.assign(i, k.n(0)), outer, locals_=[k.kernel_local("i"), k.kernel_local("j")])
    ran = script(k.placed(handler, globals_=[k.kernel_global("n")]))
    assert ran.errors() == []
    assert ran.scalar("n") == COUNT * 30 * 4  # 0, 2, 4 and 6


def test_error_and_exit_are_told_and_nothing_runs_afterwards(script: Run) -> None:
    n = k.scalar("n")
    globals_ = [k.kernel_global("n")]
    at_ten = ir.If(ir.Compare("==", n, k.n(10)), (k.do(k.intrinsic("exit")), k.add(n)))
    ran = script(k.placed(ours(k.add(n), at_ten), globals_=globals_))
    assert ran.scalar("n") == 11  # exit() does not leave the handler
    assert [r.number for r in ran.records] == [layout.EXIT]
    error = k.do(k.intrinsic("error", k.s("no more")))
    ran = script(k.placed(ours(k.add(n), error, k.add(n)), globals_=globals_))
    assert [(site.code, site.name) for site, _ in ran.errors()] == [(layout.RAISED, "no more")]
    assert ran.scalar("n") == 1
    ran = script(k.placed(ours(k.do(k.intrinsic("error", k.EXECNAME)))))
    assert [(r.number, r.values.split(b"\0")[0]) for r in ran.records] == [(layout.ERROR_TEXT, b"dd")]


def test_nothing_runs_while_the_script_is_stopping(script: Run) -> None:
    ran = script(k.placed(ours(k.add(k.scalar("n"))), globals_=[k.kernel_global("n")]), state={"stopping": 1})
    assert ran.scalar("n") == 0
    assert ran.hits == {"probe_0": 0}


# --- functions ---------------------------------------------------------------------------------


def test_functions_of_the_script(script: Run) -> None:
    x = k.local("x")
    larger = k.function(
        "larger",
        [ir.If(ir.Compare(">", x, k.local("y")), (ir.Return(x),)), ir.Return(k.local("y"))],
        [k.kernel_local("x"), k.kernel_local("y")],
    )
    greet = k.function(
        "greet",
        [
            ir.If(
                ir.Compare("==", text("who"), k.s("dd")),
                (ir.Return(ir.Concat(k.s("hello "), text("who"), type=Type.STRING)),),
            ),
            ir.Return(k.s("who?")),
        ],
        [k.kernel_local("who", k.TEXT16)],
        result=k.TEXT,
    )
    call = ir.Call("larger", (ir.Call("larger", (k.n(3), ir.Argument(2))), k.n(10)))
    hello = ir.Call("greet", (k.EXECNAME,), type=Type.STRING)
    ran = script(
        k.placed(ours(ir.Ship(1, (call, hello))), functions=[larger, greet], records=[[k.LONG, k.TEXT]])
    )
    assert len(ran.records) == COUNT
    assert struct.unpack("<q", ran.records[0].values[:8]) == (64,)
    assert ran.records[0].values[8:].split(b"\0")[0] == b"hello dd"


# --- contexts ----------------------------------------------------------------------------------


def test_a_return_knows_what_the_call_got(script: Run) -> None:
    entry = [(ir.Argument(2), k.LONG), (k.EXECNAME, k.TEXT16), (ir.Load(k.n(8), 4, True), k.LONG)]
    values = (ir.EntryValue(0), ir.EntryValue(1, type=Type.STRING), ir.Result())
    condition = ir.Logical("&&", IS_DD, ir.Compare("==", ir.EntryValue(0), k.n(64)))
    for context, before, target in (("kretprobe", "kprobe", "vfs_write"), ("sys_exit", "sys_enter", "")):
        handler = ours(
            ir.Ship(1, values),
            condition=condition,
            context=context,
            target=target or context,
            syscalls=(1,),
            entry=entry,
            entry_context=before,
            entry_target=target or before,
        )
        ran = script(k.placed(handler, records=[[k.LONG, k.TEXT16, k.LONG]]))
        assert len(ran.records) == COUNT
        assert {r.values for r in ran.records} == {struct.pack("<q16sq", 64, b"dd", 64)}
        # What is put aside is let go again.
        assert len(ran.maps["calls_0"]) <= 2
        # What could not be read then matters when it is used.
        handler = ours(
            k.assign(k.scalar("x"), ir.EntryValue(2)),
            condition=condition,
            context=context,
            target=target or context,
            syscalls=(1,),
            entry=entry,
            entry_context=before,
            entry_target=target or before,
        )
        ran = script(k.placed(handler, globals_=[k.kernel_global("x")]))
        assert [(site.code, detail) for site, detail in ran.errors()] == [(layout.FAULT, 8)]


def test_calls_and_returns_pair_up_on_all_cpus(script: Run) -> None:
    """What a read is asked for is at least what it gives, and each is of the same file."""
    entry = [(ir.Argument(0), k.LONG), (ir.Argument(2), k.LONG)]
    wrong = ir.Compare(">", ir.Result(), ir.EntryValue(1))
    handler = k.handler(
        ir.If(wrong, (ir.Ship(1, (ir.EntryValue(0), ir.EntryValue(1), ir.Result(), k.intrinsic("tid"))),)),
        k.add(k.scalar("returns")),
        context="kretprobe",
        target="vfs_read",
        entry=entry,
        entry_context="kprobe",
    )
    script_ = k.placed(handler, globals_=[k.kernel_global("returns")], records=[[k.LONG] * 4])
    ran = script(script_, "sh -c 'for i in 1 2 3 4 5; do cat /etc/passwd | cat; done'")
    assert ran.scalar("returns") > 10
    assert [r.numbers() for r in ran.records] == [], ran.ledger[0]


def test_a_trampoline_has_arguments_and_result_at_once(script: Run) -> None:
    inode_mode = ir.Load(ir.Binary("+", ir.Argument(0), k.n(0)), 8, False)
    values = (
        ir.Argument(2),
        ir.Result(),
        ir.Binary("&", ir.Argument(0), k.n(7)),
        ir.Compare("!=", inode_mode, k.n(0)),
    )
    ran = script(k.placed(ours(ir.Ship(1, values), context="fexit", arguments=4), records=[[k.LONG] * 4]))
    assert len(ran.records) == COUNT
    assert {r.numbers()[:3] for r in ran.records} == {(64, 64, 0)}


@pytest.mark.parametrize("context", ["kprobe", "kretprobe", "fentry", "fexit"])
def test_the_probed_function_is_known(script: Run, lab: Target, context: str) -> None:
    condition = IS_DD
    ran = script(
        k.placed(
            ours(ir.Ship(1, (k.PROBEFUNC,)), condition=condition, context=context, arguments=4),
            records=[[k.SYMBOL]],
        )
    )
    reply = lab.connection.call("exec", argv=["sh", "-c", "grep ' vfs_write$' /proc/kallsyms"])
    address = int(reply.blob[: reply.head["stdout"]].split()[0], 16)
    assert {r.numbers()[0] & (1 << 64) - 1 for r in ran.records} == {address}


def test_the_task_is_known(script: Run) -> None:
    names = ("pid", "tid", "uid", "gid", "target", "user_mode")
    values = tuple(k.intrinsic(name) for name in names)
    clocks = (k.intrinsic("ktime_get_ns"), k.intrinsic("gettimeofday_ns"), k.intrinsic("gettimeofday_s"))
    ran = script(
        k.placed(ours(ir.Ship(1, values + clocks)), records=[[k.LONG] * 9]),
        f"sh -c 'echo $$; exec {WRITES}'",
        state={"target_pid": 77, "realtime_offset_ns": 5_000_000_000},
    )
    pid = int(ran.stdout.split()[0])
    assert {r.numbers()[:6] for r in ran.records} == {(pid, pid, 0, 0, 77, 0)}
    for record in ran.records:
        ktime, real, seconds = record.numbers()[6:]
        assert 0 <= real - ktime - 5_000_000_000 < 100_000_000
        assert seconds in (real // 10**9, real // 10**9 + 1)


def test_samples_raw_tracepoints_and_user_functions(script: Run) -> None:
    sample = k.handler(
        k.add(k.element("mode", k.intrinsic("user_mode"))),
        k.assign(k.scalar("ip"), k.intrinsic("addr")),
        context="perf",
        kind="profile",
        target="hz:997",
    )
    switch = k.handler(
        k.add(k.scalar("switches")),
        k.assign(k.scalar("next"), ir.Argument(2)),
        context="raw_tracepoint",
        target="sched_switch",
        number=1,
    )
    globals_ = [
        k.kernel_global("mode", keys=[k.LONG]),
        *(k.kernel_global(n) for n in ("ip", "switches", "next")),
    ]
    ran = script(k.placed(sample, switch, globals_=globals_))
    assert set(ran.array("mode")) <= {bytes(8), struct.pack("<q", 1)}
    assert sum(ran.array("mode").values()) == ran.hits["probe_0"] > 0
    assert ran.scalar("switches") == ran.hits["probe_1"] > 0
    assert ran.scalar("ip") != 0 and ran.scalar("next") != 0


def test_user_functions_and_their_returns(script: Run) -> None:
    target = "c:write"
    entry = [(ir.Argument(2), k.LONG)]
    condition = ir.Logical("&&", IS_DD, ir.Compare("==", ir.EntryValue(0), k.n(64)))
    handler = ours(
        ir.Ship(1, (ir.EntryValue(0), ir.Result())),
        condition=condition,
        context="uretprobe",
        target=target,
        entry=entry,
        entry_context="uprobe",
    )
    ran = script(k.placed(handler, records=[[k.LONG, k.LONG]]))
    assert {r.numbers() for r in ran.records} == {(64, 64)}
    assert len(ran.records) == COUNT


def test_stacks_have_numbers(script: Run) -> None:
    values = (k.intrinsic("backtrace"), k.intrinsic("ubacktrace"))
    ran = script(k.placed(ours(ir.Ship(1, values)), records=[[k.LONG, k.LONG]]))
    kernel_stacks = {r.numbers()[0] for r in ran.records}
    assert len(kernel_stacks) < 5 and min(kernel_stacks) >= 0
    assert all(struct.pack("<I", number) in ran.maps[layout.STACKS] for number in kernel_stacks)


def test_only_the_chosen_process_runs_handlers(script: Run) -> None:
    ran = script(k.placed(k.handler(k.add(k.scalar("n"))), globals_=[k.kernel_global("n")]), pid=1)
    assert ran.scalar("n") < COUNT


def test_system_calls_are_chosen_by_number_and_hits_count_behind(script: Run) -> None:
    handler = ours(
        k.add(k.scalar("n")), condition=IS_DD, context="sys_enter", target="sys_enter", syscalls=(0,)
    )
    ran = script(k.placed(handler, globals_=[k.kernel_global("n")]))
    assert COUNT <= ran.scalar("n") < COUNT + 20  # and what the loader reads
    assert ran.hits["probe_0"] < COUNT + 200


@pytest.mark.parametrize("context", k.CONTEXTS)
def test_the_kernel_accepts_every_intrinsic_in_every_context(script: Run, context: str) -> None:
    ran = script(k.every_intrinsic(context))
    # All of them but exit() and error() come after a read that fails.
    assert {site.code for site, _ in ran.errors()} <= {layout.FAULT}


def test_registers_of_the_program_are_known_in_the_kernel(script: Run) -> None:
    values = (
        k.intrinsic("__user_register", k.s("rdx")),
        k.intrinsic("__register", k.s("edx")),
        k.intrinsic("__argument", k.n(3)),
        k.intrinsic("__argument", ir.Binary("-", ir.Argument(2), k.n(61))),
    )
    ran = script(k.placed(ours(ir.Ship(1, values)), records=[[k.LONG] * 4]))
    assert {r.numbers() for r in ran.records} == {(64, 64, 64, 64)}
    assert len(ran.records) == COUNT
