"""ktrace_nb: see a Linux kernel at work from a Jupyter notebook.

``%load_ext ktrace_nb`` in a notebook gives the ``%%ktrace`` cell magic;
``ktrace-nb`` on the command line does the same without one. Importing this
package imports nothing heavy: the agent and the compiler worker do it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """What ``%load_ext ktrace_nb`` calls."""
    from ktrace_nb.magics import load

    load(ipython)
