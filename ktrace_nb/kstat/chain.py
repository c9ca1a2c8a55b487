"""All kstats of one target: the built-in ones, and those that providers here add.

    chain("lab").read(everything)          # list[Kstat], sorted by module, instance, name
    chain("lab").ids()                     # list[Id]
    chain("lab").write(id, {"limit": 5})   # KstatError with .errno

What is built in is read by the target's agent: only the files that the selection needs, in
one request, so that it is all of one moment. Then providers are called, one after the other,
each at most once per read and for one reader at a time.

Times of what is built in and of what a session publishes are of the target's clock. A
provider is a function here, so ``crtime`` and ``snaptime`` of its kstat are this machine's.
"""

from __future__ import annotations

import contextlib
import errno
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from ktrace_nb.errors import OptionError
from ktrace_nb.kstat.entries import Provider, Providers, words
from ktrace_nb.kstat.errors import KstatError
from ktrace_nb.kstat.model import BUILT_IN, Id, Kstat, Scalar
from ktrace_nb.kstat.names import tell
from ktrace_nb.kstat.runner import Runner
from ktrace_nb.kstat.select import Pattern, Selection, Selector, everything
from ktrace_nb.targets.base import Target, get_target

if TYPE_CHECKING:
    from ktrace_nb.kernel.btf import Btf

DEFAULT_TARGET = "lab"
"""As everywhere in ktrace_nb."""

_AnyEntry = TypeVar("_AnyEntry", Provider, Providers)


class Chain:
    """All kstats of one target.

    Args:
        target: The target, or its name; it is reached when something built in is read first.
            None for a chain that has nothing built in.
    """

    def __init__(self, target: Target | str | None = None) -> None:
        self._target = None if isinstance(target, str) else target
        self.name = target if isinstance(target, str) else target.name if target else ""
        self._bare = target is None
        self.generation = 0
        """Grows with every provider that comes or goes, as illumos' ``kstat_chain_id``."""
        self._entries: dict[Id, Provider | Providers] = {}
        self._lock = threading.Lock()
        self._accounts: list[Callable[[], Iterable[Kstat]]] = []

    # --- readers ---------------------------------------------------------------------

    def read(self, selection: Selection | None = None) -> list[Kstat]:
        """Read what is selected.

        Args:
            selection: Which kstats; all by default. Their statistics are all there:
                :meth:`~ktrace_nb.kstat.select.Selection.narrow` leaves out those that were not asked for.

        Returns:
            Sorted by module, instance and name. A kstat that its provider fails to give has no data, and why
            as its ``error``.

        Raises:
            TargetError: The target is out of reach.
        """
        selection = selection or everything
        found = {kstat.id: kstat for kstat in self._built_in(selection)}
        if _possible(selection, (), ("disk",)):
            for account in tuple(self._accounts):
                found.update((kstat.id, kstat) for kstat in account())
        with Runner() as runner:
            for entry in self._selected(selection):
                for kstat in entry.read(runner):
                    # What the kernel tells goes first.
                    found.setdefault(kstat.id, kstat)
        kstats = [kstat for kstat in found.values() if selection.concerns(kstat)]
        return sorted(kstats, key=lambda kstat: (kstat.id.module, kstat.id.instance, kstat.id.name))

    def ids(self, selection: Selection | None = None) -> list[Id]:
        """Names of the kstats there are, sorted as :meth:`read` does; they have to be read to be known.

        Raises:
            TargetError: The target is out of reach.
        """
        return [kstat.id for kstat in self.read(selection)]

    def write(self, id: Id, values: Mapping[str, Scalar]) -> None:
        """Change statistics; those that are not named stay.

        Args:
            id: Of which kstat.
            values: Names and what they are to be.

        Raises:
            KstatError: With an ``errno`` as kstat_write(3KSTAT) has it: ``ENXIO``, no such kstat;
                ``EACCES``, it is not writable, as nothing built in is; ``EINVAL``, it has no such
                statistic, or one of another type or range, and nothing was changed; ``EAGAIN``,
                its provider hangs and may do it yet; ``EIO``, its provider failed.
            TargetError: It may be built in, and the target is out of reach.
        """
        with self._lock:
            entry = self._entries.get(id)
        if isinstance(entry, Provider):
            with Runner() as runner:
                return entry.write(runner, values)
        if not self.read(only(id)):
            raise KstatError(errno.ENXIO, f"no kstat {words(id)}")
        raise KstatError(errno.EACCES, f"kstat {words(id)} is not writable")

    # --- providers ---------------------------------------------------------------------

    def add(self, entry: _AnyEntry, *, replace: bool = False) -> _AnyEntry:
        """Take a provider in; :func:`ktrace_nb.kstat.provider` and its like do.

        Args:
            entry: The provider.
            replace: Whether it takes the place of one of the same name; else that is an error.

        Raises:
            KstatError: ``EEXIST``, there is one of that name.
        """
        with self._lock:
            before = self._entries.get(entry.id)
            if before is not None and not replace:
                raise KstatError(
                    errno.EEXIST,
                    f"kstat {words(entry.id)} is there already",
                    hint="replace=True puts the new one in its place",
                )
            self._entries[entry.id] = entry
            self.generation += 1
        if before is not None:
            before.retire()
        return entry

    def remove(self, what: Id | Provider | Providers) -> None:
        """Take a provider away; when this returns it is not called any more, unless it hangs.

        Raises:
            KstatError: ``ENXIO``, there is none of that name.
        """
        id = what if isinstance(what, Id) else what.id
        with self._lock:
            entry = self._entries.get(id)
            if entry is None or (entry is not what and what is not id):
                raise KstatError(errno.ENXIO, f"no provider of kstat {words(id)}")
            del self._entries[id]
            self.generation += 1
        entry.retire()

    @contextlib.contextmanager
    def covered(self, account: Callable[[], Iterable[Kstat]]) -> Iterator[None]:
        """Have an account of disks stand in for what is built in, as long as it is kept.

        Args:
            account: Gives kstats of class ``disk``, checked and with their times; they take the place of
                others of the same name.
        """
        self._accounts.append(account)
        try:
            yield
        finally:
            self._accounts.remove(account)

    @property
    def boot_id(self) -> str:
        """Tells one life of the target's kernel from another; empty if it has not been reached yet."""
        return "" if self._target is None else self._target.hello.boot_id

    def btf(self) -> Btf:
        """The types of the target's kernel.

        Raises:
            TargetError: It does not tell.
        """
        from ktrace_nb.engine import facts_of

        return facts_of(self._reach()).btf

    def _selected(self, selection: Selection) -> list[Provider | Providers]:
        with self._lock:
            entries = list(self._entries.values())
        return [
            entry
            for entry in entries
            if (
                selection.kstat(entry.id, entry.class_)
                if isinstance(entry, Provider)
                else _possible(selection, (entry.module,), entry.classes)
            )
        ]

    # --- what is built in ------------------------------------------------------------------

    def _built_in(self, selection: Selection) -> Iterator[Kstat]:
        if self._bare:
            return
        from ktrace_nb.kstat import builtin
        from ktrace_nb.kstat.files import Files

        modules = [
            module
            for module in builtin.MODULES
            if _possible(selection, getattr(module, "KSTAT_MODULES", ()), getattr(module, "CLASSES", ()))
        ]
        if not modules:
            return
        paths = dict.fromkeys(path for module in modules for path in module.SOURCES)
        snapshot = Files(self._reach().connection.call).read(paths)
        for module in modules:
            try:
                yield from module.kstats(snapshot)
            except Exception as error:  # a kernel told what nobody expected: the others are read on
                name = str(getattr(module, "__name__", "")).rpartition(".")[2]
                id = Id(module=BUILT_IN, instance=0, name=name)
                yield Kstat(id=id, class_="kstat", snaptime_ns=snapshot.monotonic_ns, error=tell(error))

    def _reach(self) -> Target:
        """The target, anew if it has gone."""
        if self._bare:
            raise KstatError(errno.ENXIO, "a chain without a target has no kernel")
        if self._target is None or not self._target.connection.alive:
            # Imported so that their kinds are registered.
            from ktrace_nb.targets import lab, local

            assert lab and local
            try:
                self._target = get_target(self.name)
            except OptionError:
                # One that was given and cannot be opened by its name: it says itself why it is gone.
                if self._target is None:
                    raise
        return self._target


def only(id: Id) -> Selection:
    """Selects one kstat by its exact name, whatever signs are in it."""
    module, instance, name = (
        Pattern(f"exactly {word}", re.compile(re.escape(word)).fullmatch)
        for word in (id.module, str(id.instance), id.name)
    )
    return Selection(selectors=(Selector(module=module, instance=instance, name=name),))


def _possible(selection: Selection, modules: Iterable[str], classes: Iterable[str]) -> bool:
    """Whether kstats of these modules and classes may be selected; none stands for any."""
    return (
        not (modules := tuple(modules))
        or any(one.module.matches(module) for one in selection.selectors for module in modules)
    ) and (not (classes := tuple(classes)) or any(map(selection.class_.matches, classes)))


_chains: dict[str, Chain] = {}
_chains_lock = threading.Lock()


def chain(target: Target | str | Chain = DEFAULT_TARGET) -> Chain:
    """The chain of a target, the same one whenever the name of the target is the same.

    Args:
        target: The target or its name; a chain is given back.
    """
    if isinstance(target, Chain):
        return target
    name = target if isinstance(target, str) else target.name
    with _chains_lock:
        known = _chains.setdefault(name, Chain(name))
    if not isinstance(target, str):
        known._target = target
    return known
