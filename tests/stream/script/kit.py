"""A session for scripts without a kernel, and short ways to write IR."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ktrace_nb.agent.peek import Peek, Wanted
from ktrace_nb.ir import script as ir
from ktrace_nb.ir.format_text import parse_format
from ktrace_nb.ir.script import Expr, Number, Text, Type
from ktrace_nb.kernel.symbols import Symbols
from ktrace_nb.stream.script.arrays import Array, Scalar, ScalarStatistics
from ktrace_nb.stream.script.environment import Task, Zone
from ktrace_nb.stream.script.formats import Formats
from ktrace_nb.stream.script.pycode import Captured, Routine, compile_script
from ktrace_nb.stream.script.symbols import Location, TargetNames
from ktrace_nb.stream.script.values import MASK, Cutter, Value

KALLSYMS = """\
ffffffff81000000 T _stext
ffffffff81000010 T vfs_read
ffffffff81000150 T vfs_write
ffffffff81000400 t nobody
ffffffffc0281000 t nfs_file_read\t[nfs]
ffffffffc0281100 t nfs_file_end\t[nfs]
"""


class Session:
    """An :class:`Environment` that keeps what it is told."""

    def __init__(self, *, max_string: int = 128, max_nesting: int = 128) -> None:
        self.cut = Cutter(max_string)
        self.max_nesting = max_nesting
        self.symbols = TargetNames(
            Symbols(KALLSYMS),
            stacks={7: (0xFFFFFFFF81000012, 0xFFFFFFFF81000151)}.__getitem__,
            user_locations=lambda address, process: (
                Location("main", address - 0x400000, 0x90, "bash") if address < 0x400090 else None
            ),
            user_stacks=lambda number: (0x400010,) * number,
            system_calls={0: "read"},
            devices={(8 << 20) | 1: "sda1"},
        )
        self.random = random.Random(1)
        self.task = Task(1234, 1235, 1000, 100, "python3")
        self.zone = Zone(-7200, "CEST")
        self.target_pid = 42
        self.reply = ""
        self.text = ""
        self.printed: list[tuple[int, tuple[Value, ...]]] = []
        self.warnings: list[str] = []
        self.commands: list[str] = []
        self.exits = 0
        self.now_ns = 1_700_000_000_123_456_789
        self._formats = Formats()

    def print(self, site: int, pieces: Sequence[ir.Piece], values: Sequence[Value]) -> None:
        self.printed.append((site, tuple(values)))
        self.text += self._formats(pieces)(values)

    def write(self, text: str) -> None:
        self.text += text

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def exit(self) -> None:
        self.exits += 1

    def system(self, command: str) -> None:
        self.commands.append(command)

    def realtime_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return 5_000_000_000

    def read_kernel(self, address: int, size: int) -> bytes | None:
        """This machine's kernel, which only root may read."""
        return self._read(Wanted(address & MASK, size, False))

    def read_kernel_string(self, address: int, size: int) -> bytes | None:
        return self._read(Wanted(address & MASK, size, True))

    def _read(self, wanted: Wanted) -> bytes | None:
        peek = Peek()
        try:
            return peek.read([wanted])[0]
        finally:
            peek.close()


class World:
    """Globals, functions and a session; runs bodies."""

    def __init__(self, session: Session | None = None, functions: Sequence[ir.Function] = ()) -> None:
        self.session = session or Session()
        self.functions = functions
        self.globals: dict[str, Scalar | ScalarStatistics | Array] = {
            "n": Scalar(0),
            "s": Scalar(""),
            "a": Array(size=2048),
            "names": Array("", size=2048),
            "x": ScalarStatistics((LOG, LINEAR)),
            "xs": Array(size=2048, shapes=(LOG, LINEAR)),
        }

    def run(self, *body: ir.Stmt, captured: Captured = (), variables: str = "i j k t:s") -> str:
        """Run statements; what they print."""
        self.session.text = ""
        made = tuple(
            ir.LocalVariable(v.removesuffix(":s"), Type.STRING if v.endswith(":s") else Type.LONG)
            for v in variables.split()
        )
        routines = [Routine("it", tuple(body), made)]
        compile_script(self.functions, routines, self.globals, self.session)["it"](captured)
        return self.session.text

    def value(self, expr: Expr, captured: Captured = ()) -> Value:
        """What an expression gives."""
        self.session.printed.clear()
        self.run(show("%s" if expr.type is Type.STRING else "%d", expr), captured=captured)
        return self.session.printed[0][1][0]


LOG = ir.HistogramShape()
LINEAR = ir.HistogramShape(low=0, high=100, step=10)


def lit(value: int | str) -> Expr:
    """A constant."""
    return Number(value) if isinstance(value, int) else Text(value, type=Type.STRING)


def local(name: str) -> ir.Local:
    """A local; ``t`` is a string."""
    return ir.Local(name, type=Type.STRING if name == "t" else Type.LONG)


def show(text: str, *arguments: Expr) -> ir.Print:
    """``printf``."""
    return ir.Print(1, parse_format(text), arguments)


def put(target: ir.Local | ir.Global | ir.Element, value: Expr, op: str = "") -> ir.Evaluate:
    """``target op= value``."""
    return ir.Evaluate(ir.Assign(target, op, value, type=value.type))


def call(name: str, *arguments: Expr, type: Type = Type.LONG) -> ir.Intrinsic:
    """An intrinsic."""
    return ir.Intrinsic(name, arguments, type=type)
