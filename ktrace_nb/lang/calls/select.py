"""From patterns to the functions of one kernel, and a reason for each that cannot be recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ktrace_nb.diagnostics import Problem, near_hint
from ktrace_nb.errors import CellError, ProbeNotFoundError
from ktrace_nb.ir.calls import LeftOut, Traced
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kernel.families import built_in_functions, module_name, prefixes_of, today
from ktrace_nb.kernel.source_files import FILES, functions_of_file
from ktrace_nb.kernel.symbols import NameList
from ktrace_nb.lang.calls.patterns import Pattern

MOST = 2_000
"""Functions that are recorded without being asked for twice.

The largest families of one subsystem stay below (``ext4_*`` 622, ``tcp_*`` 450 functions of Linux 6.12), the
patterns that reach into all of them lie above (``*_lock*``, ``bpf_*``): each call of a function in
everybody's way costs the machine a microsecond or two, and nobody reads a million rows of ``kfree``.
"""
LIMIT = 1 << 16
"""Functions of one walk: their numbers have 16 bits, see :data:`ktrace_nb.stream.calls.records.RECORD`."""

_FAMILIES = 4
_FAMILY = 5
"""Functions named alike that make a family."""
_INIT = ("_sinittext", "_einittext")


@dataclass(frozen=True, slots=True)
class Selection:
    """What patterns came to."""

    functions: tuple[Traced, ...]
    """By name."""
    left_out: tuple[LeftOut, ...]
    """By name."""
    problems: tuple[Problem, ...]
    """Notes: what was taken for a module, or is called otherwise today."""


def select(patterns: Sequence[Pattern], facts: KernelFacts, *, insist: bool = False) -> Selection:
    """The functions that patterns mean.

    Args:
        patterns: What is chosen and what is left out again, in any order.
        facts: The kernel.
        insist: Whether more than :data:`MOST` are meant indeed.

    Raises:
        ProbeNotFoundError: A pattern that matches nothing; near matches as hint.
        CellError: Too many functions, or none that can be recorded.
    """
    return _Selector(facts).select(patterns, insist=insist)


class _Selector:
    def __init__(self, facts: KernelFacts) -> None:
        self._facts = facts
        self._problems: list[Problem] = []
        self._others: NameList | None = None
        init = [facts.symbols.addresses(name) for name in _INIT]
        self._init = (init[0][0], init[1][0]) if all(init) else (0, 0)

    def select(self, patterns: Sequence[Pattern], *, insist: bool) -> Selection:
        chosen: dict[str, Pattern] = {}
        for pattern in patterns:
            if not pattern.exclude:
                chosen.update((name, pattern) for name in self._matching(pattern) if name not in chosen)
        for pattern in patterns:
            if pattern.exclude:
                self._exclude(pattern, chosen)
        if not chosen:
            at = next(p for p in patterns if p.exclude).at
            raise CellError("nothing is left of what was chosen", at.source, at.span)
        functions: list[Traced] = []
        left: dict[str, str] = {}
        taken: dict[int, str] = {}
        for name in sorted(chosen):
            places = self._facts.symbols.addresses(name)
            reason = self._reason(name, places)
            address = places[0] if places else 0
            if not reason and address in taken:
                reason = f"another name of {taken[address]}"
            if reason:
                left[name] = reason
                continue
            if address:
                taken[address] = name
            functions.append(Traced(name, self._facts.traceable.get(name, ""), address))
        if not functions:
            raise _all_left_out(chosen, left)
        self._check_count([f.name for f in functions], next(iter(chosen.values())), insist=insist)
        left_out = tuple(LeftOut(name, reason) for name, reason in left.items())
        return Selection(tuple(functions), left_out, tuple(self._problems))

    # --- names --------------------------------------------------------------------

    def _matching(self, pattern: Pattern) -> list[str]:
        """Names that a pattern means, those that cannot be recorded among them."""
        if pattern.module:
            names = self._of_module(pattern)
        elif pattern.is_glob:
            names = self._of_glob(pattern)
        else:
            names = self._of_name(pattern)
        if pattern.kernel_only:
            names = [name for name in names if not self._facts.traceable.get(name)]
        if pattern.file:
            names = self._of_file(pattern, names)
        if not names:
            raise self._missing(pattern)
        return names

    def _of_glob(self, pattern: Pattern) -> list[str]:
        names = self._facts.functions_matching(pattern.names)
        if not names and (new := today(pattern.names)) != pattern.names:
            names = self._facts.functions_matching(new)
            if names:
                self._note(pattern, f"{pattern.names!r} is {new!r} on this kernel")
        known = set(names)
        return [*names, *(n for n in self._untraceable.matching(pattern.names) if n not in known)]

    def _of_name(self, pattern: Pattern) -> list[str]:
        facts, name = self._facts, pattern.names
        for candidate in dict.fromkeys((name, today(name))):
            if candidate in facts.traceable:
                found = [candidate]
            else:
                found = [s for s in facts.siblings(candidate) if s in facts.traceable]
            if found and found != [name]:
                self._note(pattern, f"{name!r} is {', '.join(found)} on this kernel")
            if found:
                return found
        return [name] if name in self._untraceable else []

    def _of_module(self, pattern: Pattern) -> list[str]:
        facts = self._facts
        wanted = module_name(pattern.module)
        modules = {m for m in facts.modules if fnmatchcase(m, wanted)}
        if modules:
            inside = [n for n in facts.functions_matching(pattern.names) if facts.traceable[n] in modules]
            if not inside:
                known = [n for n, module in facts.traceable.items() if module in modules]
                raise self._missing(pattern, f"function of module {pattern.module!r}", pattern.names, known)
            return inside
        names = sorted(set(built_in_functions(facts, wanted, pattern.names)))
        if not names:
            hint = near_hint(wanted, facts.modules) or f"load it first: modprobe {wanted}"
            raise self._missing(pattern, "loaded module", pattern.module, (), hint=hint)
        kinds = ", ".join(f"{prefix}*" for prefix in prefixes_of(wanted))
        self._note(
            pattern,
            f"{pattern.module!r} is no module of this kernel but built in: "
            f"{len(names)} functions named {kinds} are taken for it",
        )
        return names

    def _of_file(self, pattern: Pattern, names: list[str]) -> list[str]:
        inside = functions_of_file(self._facts, pattern.file)
        if inside is None:
            raise self._missing(
                pattern,
                "source file",
                pattern.file,
                FILES,
                hint=near_hint(pattern.file, FILES)
                or "the kernel carries no file names, those of few files are known: name the functions",
            )
        kept = [name for name in names if name in inside]
        if kept:
            what = f"{len(kept)} functions are taken for {pattern.file!r}"
            self._note(pattern, f"{what}: those that stand between its known ones in memory")
        return kept

    @property
    def _untraceable(self) -> NameList:
        """Functions that the kernel's symbols or types know, and that ftrace does not."""
        if self._others is None:
            facts = self._facts
            known = {*facts.symbols.functions, *facts.btf.names(Kind.FUNC)}
            self._others = NameList(known - facts.traceable.keys())
        return self._others

    def _exclude(self, pattern: Pattern, chosen: dict[str, Pattern]) -> None:
        names = set(chosen)
        if pattern.module or pattern.file:
            try:
                names &= set(self._matching(pattern))
            except ProbeNotFoundError:
                names = set()  # what is not there need not be left out
        gone = [n for n in names if fnmatchcase(n, pattern.names) or fnmatchcase(n, today(pattern.names))]
        if not gone:
            self._note(pattern, f"{pattern.text!r} leaves out nothing", near_hint(pattern.names, chosen))
        for name in gone:
            del chosen[name]

    # --- reasons ------------------------------------------------------------------

    def _reason(self, name: str, places: list[int]) -> str:
        """Why a function cannot be recorded; empty if it can."""
        facts = self._facts
        if name.endswith(".cold") or ".cold." in name:
            return f"the part of {name.partition('.')[0]} that seldom runs: it is jumped to, never called"
        if name not in facts.traceable:
            if not facts.symbols.functions or name not in facts.symbols.functions:
                return "inlined wherever it is called: only the kernel's types know it"
            if places and self._init[0] <= places[0] < self._init[1]:
                return "runs only while the kernel boots"
            return "no ftrace site: it is notrace, noinstr or assembly"
        if name in facts.blacklist:
            return "on the kprobes blacklist"
        if len(places) > 1:
            return f"the kernel has {len(places)} functions of this name"
        return ""

    def _check_count(self, names: Sequence[str], first: Pattern, *, insist: bool) -> None:
        if len(names) <= (LIMIT if insist else MOST):
            return
        families = Counter(_family(name) for name in names)
        largest = ", ".join(f"{family} {count:,}" for family, count in families.most_common(_FAMILIES))
        more = "" if insist else "; --yes insists"
        raise CellError(
            f"the patterns match {len(names):,} functions, more than {LIMIT if insist else MOST:,}",
            first.at.source,
            first.at.span,
            hint=f"narrow them, or leave some out by '!PATTERN'; the largest families: {largest}{more}",
        )

    # --- problems -----------------------------------------------------------------

    def _note(self, pattern: Pattern, text: str, hint: str | None = None) -> None:
        self._problems.append(Problem(text, pattern.at.source, pattern.at.span, hint, severity="note"))

    def _missing(
        self,
        pattern: Pattern,
        what: str = "kernel function",
        name: str = "",
        known: Iterable[str] | None = None,
        *,
        hint: str | None = None,
    ) -> ProbeNotFoundError:
        names = self._facts.function_names if known is None else known
        wanted = name or pattern.names
        if hint is None and any(char in wanted for char in "*?["):
            families = Counter(map(_family, names))
            hint = near_hint(wanted, [family for family, count in families.items() if count >= _FAMILY])
        return ProbeNotFoundError(what, wanted, pattern.at.source, pattern.at.span, names, hint=hint)


def _family(name: str) -> str:
    """A pattern of the functions that are named alike: ``ext4_*`` of ``__ext4_iget``."""
    return f"{name.lstrip('_').partition('_')[0]}_*"


def _all_left_out(chosen: Mapping[str, Pattern], left: Mapping[str, str]) -> CellError:
    """Every function that was meant has a reason."""
    (name, pattern), *_ = chosen.items()
    if len(left) == 1:
        message = f"calls of {name!r} cannot be recorded: {left[name]}"
    else:
        common, count = Counter(left.values()).most_common(1)[0]
        message = f"none of the {len(left)} functions can be recorded; {count} of them: {common}"
    hint = "the functions that call it are seen, by their own names"
    return CellError(message, pattern.at.source, pattern.at.span, hint=hint)
