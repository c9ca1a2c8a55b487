"""Which examples can run here at all; by what they contain, not by their names."""

from __future__ import annotations

import re

from tests.conformance.examples import Example

FEASIBLE = "feasible"

_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("games and puzzles", re.compile(r"^stapgames/")),
    ("guru mode or embedded C", re.compile(r"%\{|^\s*@define\s+\w+[^\n]*%\{", re.MULTILINE)),
    (
        "probes of user space by debug information",
        re.compile(
            r"process(\([^)]*\))?\s*\.\s*(function|statement|mark|plt|library|provider|insn)"
            r"|\b(java|hotspot|python[23]?|tcl|php|libvirt|qemu|glib)\w*\s*(\(|\.)\w*"
            r"|\bprobe\s+process\(@\d\)|stap\.|\bstapio\b"
        ),
    ),
    ("a probe point given as an argument of user space", re.compile(r"process\(@1\)")),
    ("input of the person who runs it", re.compile(r"\binput\.(char|line)")),
    ("files of procfs or a Prometheus exporter", re.compile(r"probe\s+procfs|procfs\(")),
)


def class_of(example: Example) -> str:
    """``feasible``, or what keeps an example from running."""
    if example.guru:
        return "guru mode or embedded C"
    code = re.sub(r"/\*.*?\*/|//[^\n]*|^\s*#[^\n]*", "", example.text, flags=re.DOTALL | re.MULTILINE)
    for name, pattern in _RULES:
        if pattern.search(example.name if pattern.pattern.startswith("^stap") else code):
            return name
    if re.search(r"\$\w+(->\w+|\[[^\]]*\])*\s*(=(?!=|~)|\+=|-=|\+\+|--)", code):
        return "writes to the kernel's memory"
    return FEASIBLE
