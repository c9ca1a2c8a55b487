"""ktrace_nb: see a Linux kernel at work from a Jupyter notebook.

``%load_ext ktrace_nb`` in a notebook gives the ``%%ktrace`` cell magic;
``ktrace-nb`` on the command line does the same without one. Importing this
package imports nothing heavy: the agent and the compiler worker do it too.
"""

from __future__ import annotations

__version__ = "0.1.0"
