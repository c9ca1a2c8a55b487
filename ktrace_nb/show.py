"""What the stages of the pipeline made of a cell, as text: ``--show``."""

from __future__ import annotations

import re
from collections.abc import Callable

from ktrace_nb.compiler.build import Built
from ktrace_nb.compiler.disasm import disassemble
from ktrace_nb.errors import OptionError
from ktrace_nb.ir.calls import Walk
from ktrace_nb.ir.program import Program
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.script_listing import placed_text

_HELPER_ENUM = "BPF_FUNC_map_lookup_elem"


def check_stage(stage: str | None, language: str) -> None:
    """Refuse a stage that cells of a language do not have, before anything is done.

    Args:
        stage: What ``--show`` says.
        language: The cell's.

    Raises:
        OptionError: ``ast`` of what is no script.
    """
    if stage == "ast" and language == "calls":
        raise OptionError("patterns of calls have no tree", hint="--show facts lists what they mean")
    if stage == "ast" and language != "stap":
        raise OptionError("a C cell has no tree of its own", hint="--show c is what bcc is given")


def show_program(stage: str, program: Program) -> str | None:
    """One stage as text, as far as it can be told before anything is compiled; None if it cannot.

    Args:
        stage: ``ast`` (the tree of a script), ``ir`` of a script, or ``facts`` of patterns of calls (the
            functions they mean); all others take compiling.
        program: The cell.
    """
    if stage == "ast":
        return program.tree
    if stage == "ir" and program.script is not None:
        return placed_text(program.script)
    if stage == "facts" and program.walk is not None:
        return _functions(program.walk)
    return None


def show(stage: str, built: Built, btf: Btf) -> str:
    """One stage as text, of those that :func:`show_program` cannot tell.

    Args:
        stage: ``c`` (what bcc is given), ``ir`` (what goes where),
            ``bytecode`` (what the kernel is given) or ``facts`` (what of the
            kernel the cell uses).
        built: The compiled cell.
        btf: The kernel's types, for the names of helpers.

    Raises:
        KeyError: No such stage.
    """
    return STAGES[stage](built, btf)


def _c(built: Built, _: Btf) -> str:
    types = built.files.get("include/asm/page.h", "")
    return f"/* the kernel's types */\n{types.strip()}\n\n/* the cell */\n{built.text.strip()}\n"


def _functions(walk: Walk) -> str:
    """What patterns came to."""
    lines = [walk.why, f"{len(walk.functions):,} recorded"]
    lines += [f"  {f.name} [{f.module}]" if f.module else f"  {f.name}" for f in walk.functions]
    if walk.left_out:
        lines.append(f"{len(walk.left_out):,} left out")
        lines += [f"  {left.name}: {left.reason}" for left in walk.left_out]
    return "\n".join(lines) + "\n"


def _focus(walk: Walk) -> list[str]:
    """Which calls are wanted."""
    focus = walk.focus
    wishes = {
        "below": ", ".join(focus.roots),
        "levels": str(focus.depth or ""),
        "errors only": "yes" if focus.errors else "",
        "at least": f"{focus.longer_ns:,} ns" if focus.longer_ns else "",
        "with": focus.follow,
        "tracked processes only": "yes" if focus.tracked else "",
    }
    return [f"{what}: {wish}" for what, wish in wishes.items() if wish]


def _ir(built: Built, _: Btf) -> str:
    walk = built.program.walk
    lines = [f"means: {walk.why}", *_focus(walk)] if walk else []
    for program in built.bundle.programs:
        lines.append(f"program {program.name}: {len(program.insns) // 8} instructions")
        for point in built.bundle.attach:
            if point.program == program.name:
                place = ":".join(part for part in (point.kind, point.path, point.target) if part)
                lines.append(f"  {place}" + (f"+{point.offset:#x}" if point.offset else ""))
    for definition in built.bundle.maps:
        entries = definition.max_entries or "one per CPU"
        sizes = f"{definition.key_size} → {definition.value_size} bytes"
        lines.append(f"map {definition.name}: type {definition.type}, {entries} entries, {sizes}")
    for output in built.program.outputs:
        scale = f", {output.scale}" if output.kind == "histogram" else ""
        lines.append(f"frame {output.name}: {output.kind}{scale}")
    return "\n".join(lines) + "\n"


def _bytecode(built: Built, btf: Btf) -> str:
    enum = btf.enumerator(_HELPER_ENUM)
    prefix = re.compile(r"^BPF_FUNC_")
    helpers = {e.value: prefix.sub("bpf_", e.name) for e in btf.enumerators(enum)} if enum is not None else {}
    parts = [disassemble(p, built.bundle, built.program, helpers) for p in built.bundle.programs]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _facts(built: Built, _: Btf) -> str:
    used = built.provided
    lines = [
        *(f"struct {name}" for name in used.structs),
        *(f"union {name}" for name in used.unions),
        *(f"enum {name}" for name in used.enums),
        *(f"typedef {name}" for name in used.typedefs),
        *(f"tracepoint {name}" for name in used.tracepoints),
        *(f"{name} = {value}" for name, value in used.constants.items()),
        *(f"{name}={value}" for name, value in used.settings.items()),
        *(f"macro {name}" for name in used.macros),
        *(f"inline function {name}" for name in used.functions),
    ]
    return "\n".join(lines) + "\n"


STAGES: dict[str, Callable[[Built, Btf], str]] = {"c": _c, "ir": _ir, "bytecode": _bytecode, "facts": _facts}
"""What ``--show`` takes."""
