"""What goes wrong with kstats."""

from __future__ import annotations

import errno
import os

from ktrace_nb.errors import KTraceError


class KstatError(KTraceError):
    """A kstat refuses what was asked of it, with the number that kstat(3KSTAT) gives for it."""

    def __init__(self, number: int, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"{message}: {errno.errorcode[number]}, {os.strerror(number)}", hint=hint)
        self.errno = number
        """``EACCES``, ``EINVAL``, ``ENXIO``, ``EEXIST``, ``EIO`` or ``EAGAIN``."""
