"""Scripts in SystemTap's language beside C cells that do the same.

    python -m benchmarks.script [--quick] [--only WORD ...]

One line per claim: the script's figure, the C's of the same run, how many times it is
that, and what is to be reached. The lab and the compiler are warm, as they are in a
notebook after its first cell; "never seen" texts are compiled, of the others the
compiler's cache has the result. What SystemTap needs from a script to its probes, 10 to
30 s, is told by the project's source documents.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import tempfile
import time
from collections.abc import Iterator

from benchmarks import script_cost
from benchmarks.first_row import on_this_kernel
from benchmarks.script_cost import Row
from benchmarks.script_texts import DOCUMENTS, PAIRS, WALK, long_script
from benchmarks.streaming_kit import Load, Rivals, median
from ktrace_nb import engine, starting
from ktrace_nb.codegen.script import ScriptOptions, program_of
from ktrace_nb.engine import Options
from ktrace_nb.ir import script as ir
from ktrace_nb.ir.placement import place
from ktrace_nb.lang.stap import script as stap
from ktrace_nb.lang.stap.lower import lower
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.session import Session
from ktrace_nb.source import Source
from ktrace_nb.targets.base import get_target

_unseen = (f"t{time.time_ns()}_{n}" for n in itertools.count())


def attached(text: str, language: str) -> float:
    """Milliseconds from a text to its probes attached in the lab."""
    options = Options(target="lab", language=language)
    began = time.perf_counter()
    session = engine.start(Source(text), options)
    elapsed = time.perf_counter() - began
    session.stop(180)
    return 1e3 * elapsed


def pairs(load: Load, rivals: Rivals, rounds: int) -> Iterator[Row]:
    """From a text to attached: a script, and a C cell of the same content."""
    for what, texts in PAIRS.items():
        seen = [
            (text.replace("UNSEEN", "seen"), lang) for text, lang in zip(texts, ("stap", "c"), strict=True)
        ]
        for text, language in seen:
            attached(text, language)
        new: dict[str, list[float]] = {"stap": [], "c": []}
        known: dict[str, list[float]] = {"stap": [], "c": []}
        for _ in range(rounds):
            for (text, language), raw in zip(seen, texts, strict=True):
                new[language].append(attached(raw.replace("UNSEEN", next(_unseen)), language))
                known[language].append(attached(text, language))
        yield Row(f"to attached, {what}, never seen", median(new["stap"]), median(new["c"]), "ms", "<= 2x")
        yield Row("... unchanged", median(known["stap"]), median(known["c"]), "ms", "<= 2x")


def documents(load: Load, rivals: Rivals, rounds: int) -> Iterator[Row]:
    """From a text never seen to attached: what the scripts of the source documents do."""
    for what, text in DOCUMENTS.items():
        if what == WALK:
            continue
        times = [attached(text.replace("UNSEEN", next(_unseen)), "stap") for _ in range(rounds)]
        yield Row(f"to attached, {what}", median(times), unit="ms", goal="<= 1000")


def walk(load: Load, rivals: Rivals, rounds: int) -> Iterator[Row]:
    """The one of them that has a probe in every function of a module: once, for it takes long to let go."""
    text = DOCUMENTS[WALK].replace("UNSEEN", next(_unseen))
    yield Row(f"to attached, {WALK}", attached(text, "stap"), unit="ms", goal="<= 1000")


def stages(load: Load, rivals: Rivals, rounds: int) -> Iterator[Row]:
    """Where the time of a script of 200 lines goes."""
    spent: dict[str, list[float]] = {}
    target = get_target("lab")
    facts = engine.facts_of(target)
    library = stap.library_for(facts)
    options = Options(target="lab", language="stap")
    for _ in range(rounds):
        source = Source(long_script(200).replace("UNSEEN", next(_unseen)))
        times = [time.perf_counter()]

        def lap(stage: str, times: list[float] = times) -> None:
            times.append(time.perf_counter())
            spent.setdefault(stage, []).append(1e3 * (times[-1] - times[-2]))

        script = parse(source, stap.settings_for(facts))
        lap("parse")
        lowered = lower(script, facts, library, ir.Limits())
        lap("lower")
        placed = place(lowered.script)
        lap("place")
        program = program_of(placed, ScriptOptions())
        lap("generate")
        built = engine.compile_for(target, program, options, use_cache=False)
        lap("compile")
        session = Session("benchmark", target, facts, built, options)
        target.connection.call("open", session=session._id)
        try:
            lap("open")
            starting.load(target.connection.call, session._id, built)
            lap("load")
            session._attach()
            lap("attach")
        finally:
            session._let_go()
    lines, made = source.text.count("\n") + 1, program.source.text.count("\n")
    yield Row(f"a script of {lines} lines, {made} lines of C", sum(map(median, spent.values())), unit="ms")
    for stage, times in spent.items():
        yield Row(f"... {stage}", median(times), unit="ms")


MEASURES = (pairs, documents, stages, script_cost.on_this_machine, script_cost.in_the_lab, walk)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round of each")
    parser.add_argument("--only", nargs="+", metavar="WORD", help=", ".join(m.__name__ for m in MEASURES))
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}")
    print(f"{'':<58}{'script':>11}{'C':>12} {'':<4}{'ratio':>8}  to reach")
    with tempfile.TemporaryDirectory() as folder:
        load, rivals = Load(folder), Rivals(folder)
        try:
            for measure in MEASURES:
                if not options.only or measure.__name__ in options.only:
                    for row in measure(load, rivals, 1 if options.quick else 7):
                        print(row.text(), flush=True)
        finally:
            load.close()


if __name__ == "__main__":
    on_this_kernel(main)
