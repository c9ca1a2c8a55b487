"""The exceptions of ktrace_nb.

* KTraceError
  * OptionError          an option or argument does not make sense
    + PatternError       a pattern for kstats is no regular expression; carries a place in it
  * CellError            the cell's text is wrong; carries a place in it
    + CompileError       clang refused the C; one problem per diagnostic
    + ProbeNotFoundError no such probe point on this kernel
    + UnsupportedError   a construct that cannot be translated
  * LoadError            the kernel refused a map, a program or an attachment
    + VerifierError      the verifier refused the program; carries its log
  * TargetError          the machine being traced is out of reach
    + AgentGoneError     the agent died or the channel closed
    + RemoteError        the agent could not do what was asked
  * StreamError          what came from the target is not what was agreed on
  * KstatError           a kstat refuses what was asked of it; carries an ``errno``
  * MissingError         something this machine lacks, and the command that mends it

Catch :class:`KTraceError` to handle anything this package raises on purpose;
every other exception is a bug in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ktrace_nb.diagnostics import Problem, near_hint

if TYPE_CHECKING:
    from ktrace_nb.source import Source, Span


class KTraceError(Exception):
    """Base of everything this package raises on purpose."""

    brief = False
    """Set by the magics: show the message alone, without a Python traceback."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong, one entry per finding; the first is the error itself."""
        return (Problem(self.message, hint=self.hint),)

    def lines(self) -> list[str]:
        """The error as text: message, place with carets, hint."""
        first, *rest = self.problems
        text = first.lines(kind=type(self).__name__)
        for problem in rest:
            text += problem.lines(kind=problem.severity)
        return text

    def __str__(self) -> str:
        return "\n".join(self.lines()).removeprefix(f"{type(self).__name__}: ")

    @property
    def _render_traceback_(self) -> Callable[[], list[str]]:
        # IPython looks this name up with hasattr(): absent means "format the
        # usual traceback", so a user of the Python API still sees one.
        if not self.brief:
            raise AttributeError("_render_traceback_")
        return self.lines


class OptionError(KTraceError):
    """An option or argument does not make sense."""


class CellError(KTraceError):
    """The cell's text is wrong."""

    def __init__(
        self,
        message: str,
        source: Source | None = None,
        span: Span | None = None,
        *,
        hint: str | None = None,
        others: Iterable[Problem] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.source = source
        self.span = span
        self.others = tuple(others)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The error, then whatever else was found in the same go."""
        return (Problem(self.message, self.source, self.span, hint=self.hint), *self.others)


class CompileError(CellError):
    """The compiler refused the cell's C."""


class ProbeNotFoundError(CellError):
    """The kernel being traced has no such probe point."""

    def __init__(
        self,
        what: str,
        name: str,
        source: Source | None,
        span: Span | None,
        known: Iterable[str],
        *,
        hint: str | None = None,
    ) -> None:
        super().__init__(
            f"no {what} {name!r} on this kernel", source, span, hint=hint or near_hint(name, known)
        )
        self.name = name


class UnsupportedError(CellError):
    """A construct of the cell's language that cannot be translated."""


class LoadError(KTraceError):
    """The kernel refused a map, a program or an attachment."""


class VerifierError(CellError, LoadError):
    """The kernel's verifier refused the program."""

    def __init__(
        self,
        message: str,
        source: Source | None,
        span: Span | None,
        *,
        program: str,
        log: str,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, source, span, hint=hint)
        self.program = program
        self.log = log
        """The verifier's log as the kernel wrote it."""


class TargetError(KTraceError):
    """The machine being traced is out of reach."""


class AgentGoneError(TargetError):
    """The agent died or the channel to it closed."""


class RemoteError(TargetError):
    """The agent could not do what was asked of it."""

    def __init__(self, code: str, message: str, fields: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.fields = dict(fields)


class StreamError(KTraceError):
    """What came from the target is not what was agreed on; rows before it are kept."""


class MissingError(KTraceError):
    """Something is missing on this machine."""

    def __init__(self, what: str, *, fix: str) -> None:
        super().__init__(what, hint=fix)
        self.fix = fix
        """The one command that mends it, or what to do where no command can."""
