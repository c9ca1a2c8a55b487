"""What a chain holds besides the built-in kstats: providers of one kstat, and of many."""

from __future__ import annotations

import contextlib
import errno
import functools
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from ktrace_nb.errors import KTraceError, OptionError
from ktrace_nb.kstat.errors import KstatError
from ktrace_nb.kstat.model import Id, Kind, Kstat, Scalar, Value
from ktrace_nb.kstat.names import LONGEST_NAME, check_id, check_name, tell
from ktrace_nb.kstat.raw import decode_raw
from ktrace_nb.kstat.runner import FailedError, HungError, Runner
from ktrace_nb.kstat.values import check_data, check_value

if TYPE_CHECKING:
    from ktrace_nb.kernel.btf import Btf

TIMEOUT_S = 5.0
"""How long a provider may take, unless it says so itself."""

MOST_KSTATS = 10_000
"""Kstats that a provider of many may give at a time."""

T = TypeVar("T")
Lock = AbstractContextManager[Any]


class RemovedError(Exception):
    """The provider was removed before its turn came."""


class Entry:
    """A provider's function, called for one reader at a time, and never waited for without end.

    Args:
        function: What is called.
        lock: The provider's own lock, held during the call.
        timeout_s: Seconds it may take.
    """

    def __init__(self, function: Callable[..., Any], lock: Lock | None, timeout_s: float) -> None:
        if not timeout_s > 0:
            raise OptionError(f"a provider needs some time, not {timeout_s:g} s")
        functools.update_wrapper(self, function)
        self.function = function
        self.removed = False
        self._lock = contextlib.nullcontext() if lock is None else lock
        self._timeout_s = timeout_s
        self._turn = threading.Lock()
        self._caller = 0
        self._hangs_since: float | None = None

    def __call__(self, *args: Any) -> Any:
        """The provider's function as it was."""
        return self.function(*args)

    def run(self, runner: Runner, work: Callable[[], T]) -> T:
        """Do something with the provider's function while it is this reader's turn.

        Raises:
            HungError: It does not come back in time, or has not yet.
            FailedError: It raised something.
        """
        asked, since = time.monotonic(), self._hangs_since
        if self._caller == threading.get_ident():
            raise HungError("it asked for itself while it was asked")
        if since is not None and self._turn.locked():
            raise HungError(f"it has not answered for {asked - since:.0f} s")
        try:
            # Who waits for another reader's turn to end has as long again for his own.
            turns = 2 if self._turn.locked() else 1
            return runner.run(lambda: self._held(work), turns * self._timeout_s)
        except HungError:
            self._hangs_since = asked if since is None else since
            raise

    def _held(self, work: Callable[[], T]) -> T:
        """In the thread that calls."""
        if not self._turn.acquire(timeout=self._timeout_s):
            raise TimeoutError(f"another reader has been at it for {self._timeout_s:g} s")
        self._caller, self._hangs_since = threading.get_ident(), None
        try:
            if self.removed:
                raise RemovedError
            with self._lock:
                return work()
        finally:
            self._caller = 0
            self._turn.release()

    def retire(self) -> None:
        """Have it not be called any more; waits for a call under way, but not for one that hangs."""
        self.removed = True
        if self._caller != threading.get_ident() and self._turn.acquire(timeout=self._timeout_s):
            self._turn.release()


class Provider(Entry):
    """A provider of one kstat, as :func:`ktrace_nb.kstat.provider` makes it.

    It may still be called as the function it was.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        id: Id,
        class_: str,
        kind: Kind,
        *,
        writable: bool = False,
        wraps: bool = False,
        raw_type: str = "",
        types: Callable[[], Btf] | None = None,
        lock: Lock | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        check_id(id, class_)
        super().__init__(function, lock, timeout_s)
        self.id = id
        self.class_ = class_
        self.kind = kind
        self.writable = writable
        self.crtime_ns = time.monotonic_ns()
        self._wraps = wraps
        self._raw_type = raw_type
        self._types = types

    def read(self, runner: Runner) -> list[Kstat]:
        """The kstat as it stands; what goes wrong is in its ``error``."""
        kstat = Kstat(id=self.id, class_=self.class_, kind=self.kind, crtime_ns=self.crtime_ns)
        try:
            # Asked of the target here, which may take longer than a provider may.
            btf = self._types() if self._types else None
            data, at_ns = self.run(runner, lambda: self._take(btf))
        except (HungError, FailedError, KTraceError) as error:
            if _is_removed(error):
                return []
            return [replace(kstat, snaptime_ns=time.monotonic_ns(), error=_told(error))]
        return [replace(kstat, snaptime_ns=at_ns, data=data)]

    def _take(self, btf: Btf | None) -> tuple[dict[str, Value], int]:
        data = self.function(None) if self.writable else self.function()
        at_ns = time.monotonic_ns()
        if btf is not None:
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise OptionError(f"a provider of kind RAW gives bytes, not a {type(data).__name__}")
            data = decode_raw(bytes(data), btf, self._raw_type)
        return check_data(data, self.kind, wraps=self._wraps), at_ns

    def write(self, runner: Runner, values: Mapping[str, Scalar]) -> None:
        """Have statistics changed.

        Raises:
            KstatError: As :meth:`ktrace_nb.kstat.chain.Chain.write`.
        """
        if not self.writable:
            raise KstatError(errno.EACCES, f"kstat {words(self.id)} is not writable")
        try:
            self.run(runner, lambda: self._change(values))
        except HungError as error:
            raise KstatError(errno.EAGAIN, f"kstat {words(self.id)}: {error}") from None
        except FailedError as error:
            if _is_removed(error):
                raise KstatError(errno.ENXIO, f"no kstat {words(self.id)}") from None
            if isinstance(error.cause, KstatError):
                raise error.cause from None
            number = errno.EACCES if isinstance(error.cause, PermissionError) else errno.EIO
            raise KstatError(number, f"kstat {words(self.id)}: {tell(error.cause)}") from error.cause

    def _change(self, values: Mapping[str, Scalar]) -> None:
        known, _ = self._take(None)
        changes = {}
        for name, value in values.items():
            if name not in known:
                raise KstatError(errno.EINVAL, f"kstat {words(self.id)} has no statistic {name!r}")
            try:
                changes[name] = check_value(name, replace(known[name], value=value)).value
            except OptionError as error:
                raise KstatError(errno.EINVAL, f"kstat {words(self.id)}: {error.message}") from None
        self.function(changes)


class Providers(Entry):
    """A provider of kstats that come and go, as :func:`ktrace_nb.kstat.providers` makes it."""

    def __init__(
        self,
        function: Callable[..., Any],
        module: str,
        classes: tuple[str, ...],
        *,
        id: Id | None = None,
        wraps: bool = False,
        lock: Lock | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        check_name("module", module)
        for class_ in classes:
            check_name("class", class_)
        super().__init__(function, lock, timeout_s)
        self.module = module
        self.classes = classes
        name = getattr(function, "__name__", type(function).__name__).strip("<>")[:LONGEST_NAME]
        self.id = id or Id(module=module, instance=0, name=name)
        """Whose error it is if the function fails."""
        self._wraps = wraps
        self._created: dict[Id, int] = {}

    def read(self, runner: Runner) -> list[Kstat]:
        """The kstats there are; what goes wrong with one, or with all, is in an ``error``."""
        try:
            return self.run(runner, self._take)
        except (HungError, FailedError) as error:
            if _is_removed(error):
                return []
            now_ns = time.monotonic_ns()
            return [Kstat(id=self.id, class_=self.classes[0], snaptime_ns=now_ns, error=_told(error))]

    def _take(self) -> list[Kstat]:
        found: dict[Id, Kstat] = {}
        # Those that came before are there, whatever happens to the others.
        try:
            for kstat in self.function():
                checked = self._checked(kstat)
                if checked.id in found:
                    raise OptionError(f"kstat {words(checked.id)} was given twice")
                found[checked.id] = checked
                if len(found) > MOST_KSTATS:
                    raise OptionError(f"a provider of many gives at most {MOST_KSTATS} kstats")
        except Exception as error:
            found[self.id] = Kstat(
                id=self.id, class_=self.classes[0], snaptime_ns=time.monotonic_ns(), error=tell(error)
            )
        else:
            self._created = {id: found[id].crtime_ns for id in found}
        return list(found.values())

    def _checked(self, kstat: object) -> Kstat:
        if not isinstance(kstat, Kstat):
            raise OptionError(f"a provider of many gives kstats, not a {type(kstat).__name__}")
        check_id(kstat.id, kstat.class_)
        if kstat.id.module != self.module or kstat.class_ not in self.classes:
            raise OptionError(
                f"kstat {words(kstat.id)} of class {kstat.class_!r} is not of module {self.module!r} "
                f"and class {' or '.join(map(repr, self.classes))}"
            )
        now_ns = time.monotonic_ns()
        kstat = replace(
            kstat,
            crtime_ns=kstat.crtime_ns or self._created.get(kstat.id, now_ns),
            snaptime_ns=kstat.snaptime_ns or now_ns,
        )
        if kstat.error:
            return kstat
        try:
            return replace(kstat, data=check_data(kstat.data, Kind.NAMED, wraps=self._wraps))
        except KTraceError as error:
            return replace(kstat, data={}, error=tell(error))


def words(id: Id) -> str:
    """A kstat's name as it is written."""
    return f"{id.module}:{id.instance}:{id.name}"


def _is_removed(error: Exception) -> bool:
    return isinstance(error, FailedError) and isinstance(error.cause, RemovedError)


def _told(error: HungError | FailedError | KTraceError) -> str:
    if isinstance(error, HungError):
        return str(error)
    return tell(error.cause if isinstance(error, FailedError) else error)
