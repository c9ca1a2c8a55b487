"""``python -m tests.conformance [--only GLOB] [--show] [--write FILE]``."""

from __future__ import annotations

import argparse
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

from ktrace_nb.targets.base import close_targets, get_target
from tests.conformance.classify import FEASIBLE
from tests.conformance.examples import FOLDER, examples
from tests.conformance.harness import STAGES, Outcome, prepare, run


def main() -> None:
    """Run the examples and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--only", default="*", metavar="GLOB")
    parser.add_argument("--target", default="lab")
    parser.add_argument("--show", action="store_true", help="print what each script printed")
    parser.add_argument("--write", type=Path, metavar="FILE")
    args = parser.parse_args()
    prepare(get_target(args.target))
    outcomes = []
    for example in examples(args.folder):
        if not fnmatchcase(example.name, args.only):
            continue
        outcome = run(example, args.target)
        outcomes.append(outcome)
        result = outcome.reason or f"{outcome.hits} hits, {outcome.lines} lines"
        print(f"{outcome.reached or '-':8} {example.name}: {result}", flush=True)
        if args.show:
            print("".join(f"    {line}\n" for line in (*outcome.notes, "--", *outcome.head)), flush=True)
    close_targets()
    print(summary(outcomes))
    if args.write:
        args.write.write_text(table(outcomes))


def summary(outcomes: list[Outcome]) -> str:
    """How many came how far."""
    feasible = [o for o in outcomes if o.kind == FEASIBLE]
    counts = [f"{stage} {sum(o.passed(stage) for o in feasible)}" for stage in STAGES]
    others = Counter(o.kind for o in outcomes if o.kind != FEASIBLE)
    lines = [f"{len(feasible)} of {len(outcomes)} scripts are feasible here; of these: {', '.join(counts)}"]
    lines += [f"{count} not: {kind}" for kind, count in others.most_common()]
    return "\n".join(lines)


def table(outcomes: list[Outcome]) -> str:
    """``docs/conformance.md``."""
    lines = [
        "# SystemTap's own examples here",
        "",
        "Written by `./run conformance`: the example scripts of Debian's `systemtap-doc`, unchanged, on the",
        "lab's kernel. A script *fires* if a kernel event of it happened under the harness's workload; one",
        "that waits for none, if it printed something.",
        "What keeps a class of scripts out is told by what they contain, not by their names.",
        "",
        *(f"- {line}" for line in summary(outcomes).splitlines()),
        "",
        "| script | came to | hits | why no further |",
        "|---|---|---|---|",
    ]
    for o in outcomes:
        reason = (
            (o.reason if o.kind == FEASIBLE else f"{o.kind}. {o.reason}".strip())
            .replace("|", "\\|")
            .replace("\n", " ")
        )
        lines.append(f"| {o.example.name} | {o.reached or 'nothing'} | {o.hits or ''} | {reason[:300]} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
