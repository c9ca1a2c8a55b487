"""Which functions of this kernel a script means: patterns, modules, clones, old names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ktrace_nb.errors import ProbeNotFoundError
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kernel.families import built_in_functions, module_name, prefixes_of, today
from ktrace_nb.kernel.old_names import FUNCTIONS, PREFIXES, Renamed
from ktrace_nb.kernel.source_files import functions_of_file
from ktrace_nb.lang.stap.point_types import Request, is_glob

_PATTERN = re.compile(
    r"(?P<name>[^@]+?)(?:\+(?P<offset>0x[0-9a-fA-F]+|\d+))?(?:@(?P<file>[^:+]+)(?:[:+](?P<line>.+))?)?"
)
_ABSENT = "it may be inlined into its callers, or in a module that is not loaded"
_LOAD = "load it first: modprobe {}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """``function+offset@file:line``."""

    name: str
    offset: int
    file: str
    line: str


@dataclass(frozen=True, slots=True)
class Found:
    """A function of this kernel."""

    name: str
    renamed: Renamed | None = None
    """What changed since the script was written."""


def parse(request: Request, text: str) -> Wanted:
    """Take a pattern apart.

    Raises:
        CellError: It has another form.
    """
    match = _PATTERN.fullmatch(text)
    if not match:
        raise request.fault(f"expected a function, function@file or function+offset, found {text!r}")
    return Wanted(match["name"], int(match["offset"] or "0", 0), match["file"] or "", match["line"] or "")


def functions(request: Request, wanted: Wanted, module: str | None) -> list[Found]:
    """The functions meant.

    Args:
        request: The point.
        wanted: The pattern.
        module: Name or pattern of a module; None for anything in the kernel itself.

    Raises:
        ProbeNotFoundError: There is none that can be probed.
    """
    if module is None:
        # kernel.function("*") means the kernel itself; a single name may also be in a module.
        return _in_kernel(request, wanted)
    modules = sorted(m for m in request.facts.modules if fnmatchcase(m, module_name(module)))
    if modules:
        return _in_modules(request, wanted, module, modules)
    return _built_in(request, wanted, module)


def _in_kernel(request: Request, wanted: Wanted) -> list[Found]:
    if is_glob(wanted.name):
        names = [n for n in _matching(request.facts, wanted.name) if not request.facts.traceable.get(n)]
        names = _of_file(request, wanted, names)
        if not names and (renamed := _renamed_pattern(request, wanted.name)):
            names = renamed
        return [Found(name) for name in _probeable(request, wanted.name, names)]
    if wanted.file:
        request.note(f"{wanted.name!r} is taken from any file: the kernel does not say which one it is from")
    return [_single(request, wanted.name)]


def _in_modules(request: Request, wanted: Wanted, module: str, modules: list[str]) -> list[Found]:
    facts = request.facts
    names = [n for n in _matching(facts, wanted.name) if facts.traceable.get(n) in modules]
    if not names:
        inside = [n for n, owner in facts.traceable.items() if owner in modules]
        raise request.missing(f"function in module {module!r}", wanted.name, inside)
    return [Found(name) for name in _probeable(request, wanted.name, names)]


def _built_in(request: Request, wanted: Wanted, module: str) -> list[Found]:
    """A module that is part of this kernel: functions go by its name."""
    facts = request.facts
    name = module_name(module)
    if is_glob(name):
        raise request.missing("loaded module", module, facts.modules)
    names = built_in_functions(facts, name, wanted.name)
    if names and is_glob(wanted.name):
        names = sorted(set(names))
        kinds = ", ".join(f"{prefix}*" for prefix in prefixes_of(name))
        request.note(
            f"{module!r} is no module of this kernel but built in: "
            f"{len(names)} functions named {kinds} are taken for it"
        )
        return [Found(n) for n in _probeable(request, wanted.name, names)]
    if not is_glob(wanted.name):
        known = facts.can_probe(wanted.name) or wanted.name in FUNCTIONS or today(wanted.name) != wanted.name
        if names or known:
            try:
                found = _single(request, wanted.name)
            except ProbeNotFoundError:
                raise request.missing(
                    "loaded module", module, facts.modules, hint=_LOAD.format(name)
                ) from None
            request.note(
                f"{module!r} is no module of this kernel: {found.name!r} is taken from the kernel itself"
            )
            return [found]
    raise request.missing("loaded module", module, facts.modules, hint=_LOAD.format(name))


def _single(request: Request, name: str) -> Found:
    facts = request.facts
    if facts.can_probe(name):
        return Found(name)
    clones = [s for s in facts.siblings(name) if not s.endswith(".cold") and facts.can_probe(s)]
    if clones:
        request.note(
            f"{name!r} exists only as {', '.join(clones)}; probing {clones[0]!r}",
            "the compiler may have changed its arguments",
        )
        return Found(clones[0])
    if (found := _renamed(request, name)) is not None:
        return found
    row = FUNCTIONS.get(name)
    if row is not None and row.instead:
        raise request.missing("function to probe", name, hint=row.instead)
    if name in facts.blacklist:
        raise request.missing("function to probe", name, hint="it exists, but is on the kprobes blacklist")
    if facts.has_function(name):
        raise request.missing(
            "function to probe", name, hint="it exists, but the kernel does not let it be traced"
        )
    raise request.missing("kernel function", name, facts.function_names, hint=_ABSENT)


def _renamed(request: Request, name: str) -> Found | None:
    """What a function is called today, said in a note."""
    facts = request.facts
    row = FUNCTIONS.get(name)
    if row is None and (new_name := today(name)) != name:
        since = next(since for prefix, (_, since) in PREFIXES.items() if name.startswith(prefix))
        row = FUNCTIONS.get(new_name) or Renamed((new_name,), since)
        row = Renamed((new_name, *row.to), since, row.parameters)
    for candidate in row.to if row is not None else ():
        names = [candidate, *(s for s in facts.siblings(candidate) if not s.endswith(".cold"))]
        for function in names:
            if facts.can_probe(function):
                since = f" (Linux {row.since})" if row and row.since[:1].isdigit() else ""
                request.note(f"{name!r} is {function!r} on this kernel{since}")
                return Found(function, row)
    return None


def _renamed_pattern(request: Request, pattern: str) -> list[str]:
    new_name = today(pattern)
    names = _matching(request.facts, new_name) if new_name != pattern else []
    if names:
        request.note(f"{pattern!r} is {new_name!r} on this kernel")
    return names


def _matching(facts: KernelFacts, pattern: str) -> list[str]:
    if is_glob(pattern):
        return facts.functions_matching(pattern)
    return [pattern] if pattern in facts.traceable else []


def _of_file(request: Request, wanted: Wanted, names: list[str]) -> list[str]:
    if not wanted.file:
        return names
    inside = functions_of_file(request.facts, wanted.file)
    if inside is None:
        raise request.unsupported(
            f"which functions are in {wanted.file!r} is not known: the kernel carries no file names",
            'name the functions by a pattern of their own: kernel.function("sock_*")',
        )
    kept = [name for name in names if name in inside]
    request.note(
        f"{len(kept)} functions are taken for {wanted.file!r}: "
        "those that stand between its known ones in memory"
    )
    return kept


def _probeable(request: Request, pattern: str, names: list[str]) -> list[str]:
    """Those that the kernel lets be probed, the others in a note.

    What the compiler made of a function in place of it has other parameters: such
    clones are for handlers that use none.
    """
    kept = [name for name in names if request.facts.can_probe(name)]
    if request.settings.variables_used:
        kept = [name for name in kept if "." not in name] or kept
    if not kept:
        hint = "the kernel does not let those that match be probed" if names else None
        raise request.missing("kernel function", pattern, request.facts.function_names, hint=hint)
    left = sorted(set(names) - set(kept))
    if left:
        shown = ", ".join(left[:5]) + (" …" if len(left) > 5 else "")
        request.note(f"{len(left)} of {len(names)} functions that match {pattern!r} are left out: {shown}")
    return kept
