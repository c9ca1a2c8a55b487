"""``%%ktrace NAME --calls PATTERN`` alone in a cell.

IPython takes a cell magic for one only if something stands below its first line, and
refuses the cell otherwise; patterns on the line need nothing below it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_ALONE = re.compile(r"%%ktrace[ \t][^\n]*--calls\b[^\n]*\s*\Z")


def with_body(lines: list[str]) -> list[str]:
    """The lines of a cell; a comment is put below a ``%%ktrace --calls`` that stands alone."""
    return [lines[0].rstrip("\n") + "\n", "#\n"] if lines and _ALONE.match("".join(lines)) else lines


def register(shell: InteractiveShell) -> None:
    """Have cells go through :func:`with_body` before anything else looks at them."""
    transforms = shell.input_transformer_manager.cleanup_transforms
    if with_body not in transforms:
        transforms.append(with_body)  # behind those that take away blank lines and indentation
