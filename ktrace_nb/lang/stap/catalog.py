"""What a script can name: probe points with their variables, for listings and completion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from ktrace_nb.errors import CellError, ProbeNotFoundError
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.stap import tree, walk
from ktrace_nb.lang.stap.context import ProbeContext
from ktrace_nb.lang.stap.derive import Derived, Deriver, Uses
from ktrace_nb.lang.stap.infer import Inference
from ktrace_nb.lang.stap.library import Library, tapset_files
from ktrace_nb.lang.stap.macros import Settings
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.lang.stap.points import Settings as PointSettings
from ktrace_nb.lang.stap.symbols import Symbols
from ktrace_nb.lang.stap.variables import describe
from ktrace_nb.lang.stap.variables_types import complete, ctype_text, member_names
from ktrace_nb.source import Source

_NOTHING = tree.Script(Source("", "cell"), (), (), (), ())


@dataclass(frozen=True, slots=True)
class Listed:
    """A probe point of one kernel, and what its handler can read."""

    point: str
    variables: tuple[tuple[str, str], ...]
    """What an alias sets, by name: ``long`` or ``string``."""
    targets: tuple[tuple[str, str], ...]
    """``$name`` and its type in C, ``$return`` first."""
    about: str = ""
    """What the tapset says of it."""
    context: ProbeContext | None = None


@cache
def plain_library() -> Library:
    """The tapset as no particular kernel sees it: for names and documentation."""
    return Library(tapset_files(), Settings())


def probe_points(
    pattern: str, facts: KernelFacts, library: Library, script: tree.Script = _NOTHING
) -> list[Listed]:
    """The probe points that a pattern means on a kernel.

    Args:
        pattern: A point as a script has it, which may have wildcards. Aliases are also
            matched as a whole: ``vfs.*`` has ``vfs.read.return`` too.
        facts: The kernel.
        library: The tapset.
        script: Whose own aliases count too.

    Raises:
        CellError: There is no such point, or it is no probe point.
    """
    own = [str(name) for alias in script.aliases for name in alias.names]
    aliases = [name for name in (*own, *library.alias_names) if fnmatchcase(name, pattern)]
    if not aliases:
        return list(_listed(pattern, facts, library, script))
    found: list[Listed] = []
    for name in dict.fromkeys(aliases):
        try:
            found += _listed(name, facts, library, script)
        except CellError:
            if len(aliases) == 1:
                raise  # one that is asked for by name should be there
    return found


def _listed(text: str, facts: KernelFacts, library: Library, script: tree.Script) -> Iterator[Listed]:
    point = _parsed(text)
    deriver = Deriver(script, library, facts, PointSettings(), [])
    groups: dict[str, list[Derived]] = {}
    for derived in deriver.derive([point], Uses(variables=True)):
        groups.setdefault(derived.alias or derived.resolved.name, []).append(derived)
    for name, members in groups.items():
        context = members[0].resolved.probe_context
        about = " ".join(_doc(name, library).split())
        yield Listed(name, _set_by(members[0], script, library), tuple(describe(context)), about, context)


def _parsed(text: str) -> tree.Point:
    source = Source(f"probe {text} {{ }}", "pattern")
    script = parse(source)
    if len(script.probes) != 1 or len(script.probes[0].points) != 1:
        raise ProbeNotFoundError("probe point", text, None, None, ())
    return script.probes[0].points[0]


def _doc(name: str, library: Library) -> str:
    docs = [alias.doc for _, alias in library.aliases(tuple(name.split("."))) if alias.doc]
    return docs[0] if docs else ""


def _set_by(derived: Derived, script: tree.Script, library: Library) -> tuple[tuple[str, str], ...]:
    """The variables that aliases set in front of a handler, with their types."""
    inference = Inference(Symbols(script, library), {}, lambda _: None)
    names: dict[str, None] = {}
    for block in derived.prologues:
        try:
            inference.statement(block)
        except CellError:
            continue  # its own probe would say so
        for node in walk.nodes(block):
            if isinstance(node, tree.Assign) and isinstance(node.target, tree.Name):
                names[node.target.name] = None
    types = {name: inference.locals[name].type for name in names if name in inference.locals}
    return tuple((n, t.value if t else "long") for n, t in types.items() if not n.startswith("__"))


# --- what is behind a pointer ------------------------------------------------------------


def members(context: ProbeContext, name: str, steps: tuple[str, ...]) -> list[tuple[str, str]]:
    """What may follow ``$name->…->``.

    Args:
        context: Of the probe point.
        name: The variable, with its dollar.
        steps: Names of members on the way, ``[]`` for an index.

    Returns:
        Members with their types in C; none if the way leads nowhere.
    """
    known = [*context.variables, *([context.returns] if context.returns else [])]
    found = next((v for v in known if v.type_id and f"${v.name}" == name), None)
    return _members(found.btf, found.type_id, steps) if found else []


def members_of_type(facts: KernelFacts, type_name: str, steps: tuple[str, ...]) -> list[tuple[str, str]]:
    """What may follow ``@cast(address, "type_name")->…->``."""
    name = type_name.removeprefix("struct ").removeprefix("union ").strip()
    found = facts.btf.find(name, Kind.STRUCT, Kind.UNION, Kind.TYPEDEF)
    return _members(facts.btf, found[0], steps) if found else []


def _members(btf: Btf, type_id: int, steps: tuple[str, ...]) -> list[tuple[str, str]]:
    for step in steps:
        if step == "[]":
            kind, resolved = btf.kind(complete(btf, type_id)), complete(btf, type_id)
            if kind not in (Kind.PTR, Kind.ARRAY):
                return []
            type_id = btf.array(resolved).element_id if kind is Kind.ARRAY else btf.referent(resolved)
            continue
        record = _record(btf, type_id)
        found = btf.member(record, step) if record else None
        if found is None:
            return []
        type_id = found.type_id
    record = _record(btf, type_id)
    named = [(name, btf.member(record, name)) for name in member_names(btf, record)] if record else []
    return [(name, ctype_text(btf, found.type_id)) for name, found in named if found]


def _record(btf: Btf, type_id: int) -> int:
    """The struct or union that a type is or points to; 0 if there is none."""
    resolved = complete(btf, type_id)
    if resolved and btf.kind(resolved) is Kind.PTR:
        resolved = complete(btf, btf.referent(resolved))
    return resolved if resolved and btf.kind(resolved) in (Kind.STRUCT, Kind.UNION) else 0


# --- functions ---------------------------------------------------------------------------

_FUNCTION = re.compile(
    r"^(?:intrinsic\s+)?function\s+(?P<name>\w+)\s*(?::\s*(?P<type>\w+))?\s*\((?P<parameters>[^)]*)\)",
    re.MULTILINE,
)


@cache
def signatures() -> dict[str, str]:
    """The functions of the tapset that are meant for scripts: ``(delta:long) → string`` by name."""
    found: dict[str, str] = {}
    for text in tapset_files().values():
        for match in _FUNCTION.finditer(text):
            if not match["name"].startswith("_"):
                found.setdefault(match["name"], call_form(match["parameters"], match["type"] or ""))
    return dict(sorted(found.items()))


def call_form(parameters: str, type_: str) -> str:
    """How a function is called, as one line: ``(delta:long) → string``."""
    tidy = ", ".join("".join(parameter.split()) for parameter in parameters.split(","))
    return f"({tidy})" + (f" → {type_}" if type_ else "")
