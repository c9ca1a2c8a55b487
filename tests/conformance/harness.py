"""Runs one example through the stages."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.errors import KTraceError
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.lang.stap.script import settings_for
from ktrace_nb.source import Source
from ktrace_nb.targets.base import Target, get_target
from tests.conformance.classify import FEASIBLE, class_of
from tests.conformance.examples import Example

STAGES = ("parse", "type", "compile", "load", "attach", "fire")
WORKLOAD = Path(__file__).with_name("workload.sh").read_text()
RUN_S = 8.0
_HEAD_LINES = 12


@dataclass(slots=True)
class Outcome:
    """How far an example came."""

    example: Example
    kind: str
    """``feasible``, or why not."""
    reached: str = ""
    """The last stage that went well; empty if none did."""
    reason: str = ""
    """Why it went no further."""
    hits: int = 0
    lines: int = 0
    head: list[str] = field(default_factory=list)
    """The first lines it printed."""
    seconds: float = 0.0
    """From the text to everything attached."""
    notes: list[str] = field(default_factory=list)

    def passed(self, stage: str) -> bool:
        """Whether a stage went well."""
        return bool(self.reached) and STAGES.index(self.reached) >= STAGES.index(stage)


MODULES = ("nfsd", "nfs", "autofs4", "null_blk", "scsi_debug")
"""Modules that some scripts are about; their functions are there only while they are loaded."""


def prepare(target: Target) -> None:
    """Load what scripts may ask for, before anything is learnt of the kernel."""
    command = "".join(f"modprobe {module}; " for module in MODULES)
    engine.start(
        Source("probe begin { }"), Options(target=target.name, language="stap", command=command)
    ).wait()


def run(example: Example, target_name: str = "lab") -> Outcome:
    """Take an example as far as it goes."""
    outcome = Outcome(example, class_of(example))
    try:
        _stages(example, outcome, target_name)
    except KTraceError as error:
        outcome.reason = f"{type(error).__name__}: {error.message}" + (
            f" ({error.hint})" if error.hint else ""
        )
    return outcome


def _stages(example: Example, outcome: Outcome, target_name: str) -> None:
    target = get_target(target_name)
    source = Source(example.text, Path(example.name).name)
    options = _options(example, target_name)
    parse(source, settings_for(engine.facts_of(target), options.arguments))
    outcome.reached = "parse"
    started = time.monotonic()
    program = engine.lower(source, options)
    outcome.reached = "type"
    built = engine.compile_for(target, program, options, use_cache=False)
    outcome.reached = "compile"
    outcome.notes = [p.message for p in built.problems]
    engine.trial(target, built, attach=False)
    outcome.reached = "load"
    if outcome.kind != FEASIBLE:
        return
    engine.trial(target, built, attach=True)
    outcome.reached = "attach"
    outcome.seconds = time.monotonic() - started
    _fire(source, options, target, outcome)


def _options(example: Example, target_name: str) -> Options:
    return Options(
        name="example",
        target=target_name,
        language="stap",
        arguments=example.arguments,
        script_limits=example.limits,
        script_globals=example.values,
        seconds=RUN_S,
        command=WORKLOAD if example.command is None else f"({example.command}) ; {WORKLOAD}",
    )


def _fire(source: Source, options: Options, target: Target, outcome: Outcome) -> None:
    session = engine.start(source, options)
    try:
        session.wait(RUN_S + 10)
    finally:
        session.stop()
    text = session.text
    outcome.lines = text.count("\n")
    outcome.head = text.splitlines()[:_HEAD_LINES]
    outcome.hits = sum(p.hits for p in session.outputs.programs.values())
    if session.state == "failed":
        outcome.reason = session.message
    elif outcome.hits or (outcome.lines and not session.built.bundle.programs):
        outcome.reached = "fire"
    else:
        outcome.reason = "nothing of it happened under the workload"
