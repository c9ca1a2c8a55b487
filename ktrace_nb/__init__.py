"""ktrace_nb: see a Linux kernel at work from a Jupyter notebook.

``%load_ext ktrace_nb`` in a notebook gives the ``%%ktrace`` cell magic;
``ktrace-nb`` on the command line does the same without one. Importing this
package imports nothing heavy: the agent and the compiler worker do it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ktrace_nb.comparison import compare as compare
    from ktrace_nb.stream.calls.export import write_calls as write_calls

__version__ = "0.1.0"

# Loaded when asked for: they need pandas.
_LAZY = {"compare": "ktrace_nb.comparison", "write_calls": "ktrace_nb.stream.calls.export"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_LAZY]


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """What ``%load_ext ktrace_nb`` calls."""
    from ktrace_nb.magics import load

    load(ipython)
