"""What line magics beside ``%ktrace`` have in common."""

from __future__ import annotations

import shlex

from IPython.core.error import UsageError
from IPython.core.magic import Magics

from ktrace_nb.magics.cell import KTraceMagics


def settings_of(magics: Magics) -> KTraceMagics:
    """The settings of ``%ktrace`` (``%config KTraceMagics``), which are theirs, too."""
    assert magics.shell is not None
    registered: KTraceMagics = magics.shell.magics_manager.registry["KTraceMagics"]
    return registered


def split(line: str, magic: str) -> list[str]:
    """The words of a magic's line as a shell would read them, quotes and all.

    Raises:
        UsageError: A quote does not close.
    """
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"%{magic}: {str(error).lower()} in {line!r}") from None
