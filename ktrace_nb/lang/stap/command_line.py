"""``argc``, ``argv_1`` and ``argv[1]``: a script's arguments as globals.

``$1`` and ``@1`` are replaced in the text; these are variables that a handler can
look at while it runs. Source of the names: the SystemTap tapset reference, "argv".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ktrace_nb.lang.stap import tree, walk
from ktrace_nb.source import Place

_FIRST = -(1 << 63)
"""Order of the probe that fills ``argv``: before every other."""


def with_arguments(script: tree.Script, arguments: Sequence[str]) -> tree.Script:
    """A script with globals for those of its arguments that it names and does not declare."""
    declared = {g.name for g in script.globals}
    used: dict[str, Place] = {}
    for node in walk.nodes((script.probes, script.functions, script.aliases)):
        if (
            isinstance(node, tree.Name)
            and re.fullmatch(r"argc|argv(_\d+)?", node.name)
            and node.name not in declared
        ):
            used.setdefault(node.name, node.at)
    if not used:
        return script
    texts = [tree.bytes_of_text(argument) for argument in arguments]
    made = tuple(tree.Global(at, name, initial=_initial(name, at, texts)) for name, at in used.items())
    probes = script.probes
    if "argv" in used:
        probes = (_filling(used["argv"], texts), *probes)
    return replace(script, globals=(*script.globals, *made), probes=probes)


def _initial(name: str, at: Place, texts: Sequence[str]) -> tree.Number | tree.String | None:
    if name == "argc":
        return tree.Number(at, len(texts))
    if name == "argv":
        return None
    number = int(name.removeprefix("argv_"))
    return tree.String(at, texts[number - 1] if 0 < number <= len(texts) else "")


def _filling(at: Place, texts: Sequence[str]) -> tree.Probe:
    array = tree.Name(at, "argv")
    entries = [
        tree.Evaluate(
            at, tree.Assign(at, "=", tree.Index(at, array, (tree.Number(at, n),)), tree.String(at, text))
        )
        for n, text in enumerate(texts, 1)
    ]
    # Tells that the values are strings where there is no argument.
    entries.append(
        tree.Evaluate(
            at, tree.Binary(at, "==", tree.Index(at, array, (tree.Number(at, 0),)), tree.String(at, ""))
        )
    )
    point = tree.Point(at, (tree.Component(at, "begin", _FIRST),))
    return tree.Probe(at, (point,), tree.Block(at, tuple(entries)))
