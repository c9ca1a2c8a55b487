"""Short errors in notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ktrace_nb.errors import KTraceError


class Interrupted(KTraceError):  # noqa: N818 (named for what happened)
    """The user interrupted the cell; nothing of it is attached."""


@contextmanager
def brief_errors(*, enabled: bool = True) -> Iterator[None]:
    """Mark a :class:`KTraceError` that leaves the block as brief; an interrupt becomes one."""
    try:
        yield
    except KTraceError as problem:
        problem.brief = enabled
        raise
    except KeyboardInterrupt:
        # An exception all the same, so that "run all cells" stops here.
        interrupted = Interrupted("nothing is attached")
        interrupted.brief = enabled
        raise interrupted from None
