"""The wheel holds everything, and nothing the checkout alone would hide is missing."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = {
    "ktrace_nb": ROOT / "ktrace_nb",
    "ktrace_nb/magics": ROOT / "magics",
    "ktrace_nb/widgets": ROOT / "widgets",
}


def wanted() -> set[str]:
    """Every file of the package but caches, by its place in the wheel."""
    found = set()
    for place, folder in SOURCES.items():
        for file in folder.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                found.add(f"{place}/{file.relative_to(folder)}")
    return found


def test_the_wheel_built_through_an_sdist_is_complete(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    assert names == wanted()


def test_every_package_is_listed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {".".join(Path(name).parent.parts) for name in wanted() if name.endswith("/__init__.py")}
    assert set(settings["packages"]) == found


def test_every_dependency_has_a_reason_beside_it() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    for head in ("dependencies = [", "test = ["):
        start = lines.index(head)
        for line in lines[start + 1 : lines.index("]", start)]:
            assert "#" in line or '"ktrace_nb[' in line, line
