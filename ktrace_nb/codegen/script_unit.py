"""What all programs of one script share: its globals, functions and places of errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ktrace_nb.ir import script as ir
from ktrace_nb.ir import script_layout as layout

if TYPE_CHECKING:
    from ktrace_nb.source import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptOptions:
    """What is said beside the script that the C depends on."""

    pid: int | None = None
    """The only process that handlers run for."""
    capped: bool = False
    """Whether records are admitted at a rate that is set while programs run."""
    throttled: bool = False
    """Whether programs run for a share of the time that is set while they do."""
    ring_pages: int = 4096
    """Pages of the ring of records, a power of two: 16 MiB."""


@dataclass
class Unit:
    """One text of C being made."""

    placed: ir.Placed
    options: ScriptOptions
    globals: dict[str, ir.KernelGlobal] = field(init=False)
    functions: dict[str, ir.KernelFunction] = field(init=False)
    records: dict[int, ir.Record] = field(init=False)
    sites: list[layout.Site] = field(default_factory=list)
    scratch_bytes: int = 0
    """What the program that needs most scratch memory needs of it."""
    uses_stacks: bool = False

    def __post_init__(self) -> None:
        self.globals = {g.variable.name: g for g in self.placed.kernel_globals}
        self.functions = {f.function.name: f for f in self.placed.kernel_functions}
        self.records = {r.number: r for r in self.placed.records}

    @property
    def limits(self) -> ir.Limits:
        """Limits of the script."""
        return self.placed.script.limits

    @property
    def after_error(self) -> list[str]:
        """C that counts an error; beyond ``MAXERRORS`` no handler begins any more."""
        most = self.limits.max_errors
        if not most:
            return ["state->stopping = 1;"]
        counted = "__sync_fetch_and_add(&state->errors, 1);"
        return [counted, f"if (state->errors > {most})", "\tstate->stopping = 1;"]

    def site(self, code: int, at: Place | None, name: str = "") -> int:
        """The number of a place where something can go wrong."""
        site = layout.Site(code, at, name)
        if site not in self.sites:
            self.sites.append(site)
        return self.sites.index(site)

    def shape_of(self, expr: ir.Expr) -> ir.Shape | None:
        """How a global or an entry is kept; None of anything else."""
        if isinstance(expr, ir.Global):
            return self.globals[expr.name].value
        if isinstance(expr, ir.Element):
            return self.globals[expr.array].value
        return None
