"""Who may know whom: the table of the design, held by reading every import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("ktrace_nb", "magics", "widgets")
EVERYONE = {"errors", "source", "diagnostics", "ctokens"}

# Part → parts of ktrace_nb it may import besides itself; "*" is everything.
ALLOWED: dict[str, set[str]] = {
    "__init__": {"magics", "comparison", "stream"},
    "wire": set(),
    "agent": {"wire", "packing"},
    "kernel": EVERYONE,
    "lang": EVERYONE | {"ir", "kernel"},
    "ir": EVERYONE | {"kernel", "wire"},
    "codegen": EVERYONE | {"kernel", "ir"},
    "compiler": EVERYONE | {"codegen", "ir", "kernel", "wire", "packing", "system", "paths"},
    "lab": EVERYONE | {"wire", "agent", "progress", "paths"},
    "targets": EVERYONE | {"wire", "agent", "kernel", "lab", "progress", "system"},
    "stream": EVERYONE | {"kernel", "ir", "wire"},
    "governor": {"wire"},
    "results": EVERYONE | {"compiler", "stream", "targets"},
    "starting": EVERYONE | {"compiler", "ir", "wire"},
    "requests": EVERYONE,
    "snapshots": EVERYONE,
    "controls": EVERYONE
    | {"compiler", "ir", "requests", "results", "snapshots", "stream", "targets", "wire"},
    "session": EVERYONE
    | {"compiler", "controls", "governor", "kernel", "results", "starting", "stream", "targets", "wire"},
    "comparison": EVERYONE | {"results", "stream"},
    "engine": {"*"},
    "kstat": EVERYONE
    | {"engine", "ir", "kernel", "progress", "session", "starting", "stream", "targets", "wire"},
    "health": EVERYONE | {"engine", "governor", "kernel", "kstat", "session", "targets", "wire"},
    "widgets": EVERYONE | {"stream"},
    "magics": {"*"},
}
# Third-party modules and the only parts that may import them.
OWNERS = {
    "bcc": {"ktrace_nb/compiler/libbcc.py"},
    "IPython": {"magics", "widgets/display.py", "ktrace_nb/__init__.py"},
    "bqplot": {"widgets"},
    "ipywidgets": {"widgets"},
    "anywidget": {"widgets"},
    "pandas": {
        "ktrace_nb/stream",
        "ktrace_nb/results.py",
        "ktrace_nb/snapshots.py",
        "ktrace_nb/export.py",
        "ktrace_nb/comparison.py",
        "ktrace_nb/kstat",
        "ktrace_nb/health",
        "magics",
        "widgets",
    },
    "numpy": {"ktrace_nb/stream", "ktrace_nb/comparison.py", "ktrace_nb/kstat", "magics", "widgets"},
    "prometheus_client": {"ktrace_nb/kstat/prometheus.py"},
    "pyarrow": {"ktrace_nb/stream", "ktrace_nb/results.py", "widgets"},
    "tqdm": {"ktrace_nb/progress.py"},
}
STANDARD_LIBRARY_ONLY = (
    "ktrace_nb/wire",
    "ktrace_nb/agent",
    "ktrace_nb/kernel",
    "ktrace_nb/lang",
    "ktrace_nb/ir",
)


def files() -> list[Path]:
    return sorted(
        f for folder in FOLDERS for f in (ROOT / folder).rglob("*.py") if "__pycache__" not in f.parts
    )


def part_of(file: Path) -> str:
    relative = file.relative_to(ROOT)
    if relative.parts[0] in ("magics", "widgets"):
        return relative.parts[0]
    return relative.parts[1].removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            base = node.module or ""
            if base == "ktrace_nb":
                yield from ((f"ktrace_nb.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield base, node.lineno


def test_parts_import_only_what_the_design_allows() -> None:
    wrong = []
    for file in files():
        allowed = ALLOWED.get(part_of(file), {"*"})
        for name, line in imports(file):
            if not name.startswith("ktrace_nb.") or "*" in allowed:
                continue
            other = name.split(".")[1]
            if other not in allowed | {part_of(file), "__version__"}:
                wrong.append(f"{file.relative_to(ROOT)}:{line} imports {name}")
    assert not wrong


def test_heavy_libraries_stay_where_they_belong() -> None:
    wrong = []
    for file in files():
        relative = str(file.relative_to(ROOT))
        for name, line in imports(file):
            owners = OWNERS.get(name.split(".")[0])
            if owners is not None and not any(relative.startswith(owner) for owner in owners):
                wrong.append(f"{relative}:{line} imports {name}")
    assert not wrong


def test_what_travels_needs_the_standard_library_only() -> None:
    wrong = []
    for file in files():
        relative = str(file.relative_to(ROOT))
        if relative.startswith(STANDARD_LIBRARY_ONLY):
            for name, line in imports(file):
                top = name.split(".")[0]
                if top != "ktrace_nb" and top not in sys.stdlib_module_names:
                    wrong.append(f"{relative}:{line} imports {name}")
    assert not wrong


@pytest.mark.parametrize("folder", ["agent", "wire"])
def test_what_travels_is_python_3_9(folder: str) -> None:
    for file in (ROOT / "ktrace_nb" / folder).glob("*.py"):
        tree = ast.parse(file.read_text(), feature_version=(3, 9))
        for node in ast.walk(tree):
            # Keywords of dataclass() that came with 3.10.
            if isinstance(node, ast.keyword):
                assert node.arg not in ("slots", "kw_only", "strict"), f"{file}:{node.value.lineno}"


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = set(OWNERS) | {"jupyter_client", "ctypes"}
    code = f"import sys, ktrace_nb; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["magics", "widgets"])
def test_the_moved_folders_cannot_be_imported_twice(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert f"import ktrace_nb.{name}, not {name}" in done.stderr
