"""A walk without a target: a real session, given records by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from ktrace_nb.governor import Limits
from ktrace_nb.ir import calls as ir
from ktrace_nb.ir.calls import Focus, Traced, Walk
from ktrace_nb.ir.program import Program
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.session import Session
from ktrace_nb.source import Edited, Source
from ktrace_nb.stream.calls.outputs import WalkOutputs
from ktrace_nb.targets.connection import Hello
from ktrace_nb.wire import bundle as b
from tests.stream.calls.test_outputs import CPUS, Types

RELEASE = "6.12"


def walk_session(functions: list[str], *, completed: bool = False, text: str = "") -> Session:
    """A session that records calls of these functions, as if it had just been started."""
    focus = Focus(errors=completed)
    walk = Walk(functions=tuple(map(Traced, functions)), focus=focus)
    source = Source("")
    program = Program(source, Edited(source, []), (), (), walk=walk)
    maps = (b.MapDef(4, ir.RING, b.RINGBUF, 0, 0, 4096, slot=0, role="ring"),)
    built: Any = SimpleNamespace(program=program, bundle=b.Bundle(maps, (), ()), events={}, problems=())
    hello = Hello(RELEASE, "", "x86_64", "nowhere", CPUS, (0, 1), "", 0, 1, 0, 0)
    target: Any = SimpleNamespace(name="nowhere", hello=hello, connection=SimpleNamespace(call=None))
    facts = KernelFacts(Types(), release=RELEASE, machine="x86_64", cpus=CPUS)
    return Session("walk", target, facts, built, Limits(), text=text)


def outputs_of(session: Session) -> WalkOutputs:
    """What the session has of its calls."""
    return cast(WalkOutputs, session.outputs)
