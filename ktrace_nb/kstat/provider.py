"""Statistics of one's own beside the kernel's: a function that says them becomes a kstat.

    @provider("lesson", "queue", chain=chain("lab"))
    def queue():
        return {"depth": len(waiting), "served": Value(value=served, counter=True)}

The function is called once whenever the kstat is read, never by two readers at a time, in
a thread that is not the caller's. What it raises is told as that kstat's error; if it takes
too long that is, too, and the other kstats are read meanwhile.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ktrace_nb.errors import OptionError
from ktrace_nb.kstat.chain import DEFAULT_TARGET, Chain
from ktrace_nb.kstat.chain import chain as chain_of
from ktrace_nb.kstat.entries import TIMEOUT_S, Lock, Provider, Providers
from ktrace_nb.kstat.model import Id, Kind, Kstat
from ktrace_nb.kstat.values import Data

if TYPE_CHECKING:
    from ktrace_nb.kernel.btf import Btf
    from ktrace_nb.targets.base import Target


def provider(
    module: str,
    name: str,
    instance: int = 0,
    class_: str = "misc",
    kind: Kind = Kind.NAMED,
    *,
    writable: bool = False,
    wraps: bool = False,
    raw_type: str = "",
    btf: Btf | None = None,
    lock: Lock | None = None,
    timeout_s: float = TIMEOUT_S,
    replace: bool = False,
    chain: Chain | Target | str = DEFAULT_TARGET,
) -> Callable[[Callable[..., Data]], Provider]:
    """Make a function the provider of a kstat.

    What the function gives is checked: a value that its type has no room for, or a name that no pattern
    could ask for, is the kstat's error. A name may have neither colons nor slashes nor what does not print,
    and at most 30 bytes; illumos cuts longer ones.

    Args:
        module: Module of the kstat.
        name: Its name.
        instance: Its instance, from 0.
        class_: Its class.
        kind: What the function gives: ``NAMED`` names and values (:class:`Value`, or plain numbers and
            texts: then integers are INT64), ``INTR``, ``IO`` and ``TIMER`` an :class:`Intr`, :class:`Io` or
            :class:`Timer`, ``RAW`` bytes.
        writable: Whether :meth:`Chain.write` may change it. The function then takes an argument: None to
            read, else the statistics to change by name, already checked.
        wraps: Unsigned counters that have grown too large begin at 0 again, as they do in C; without it
            that is an error.
        raw_type: Of kind ``RAW``: the C type of the bytes, ``struct tcp_mib``.
        btf: Where that type is described; by default in the types of the target's kernel.
        lock: Held while the function is called, for data that others change.
        timeout_s: Seconds the function may take.
        replace: Whether it takes the place of a provider of that name, as a cell that is run again wants.
        chain: To which it is added: a chain, a target or a target's name.

    Returns:
        Decorates the function. What it gives can be called as before; ``chain.remove()`` takes it.

    Raises:
        OptionError: A name that cannot be; bytes without a type; a function that cannot be called so.
        KstatError: ``EEXIST``, there is a provider of that name.
    """
    if (kind is Kind.RAW) != bool(raw_type):
        raise OptionError(
            "kind RAW and raw_type go together: bytes without a type are of no use to a reader",
            hint="kind=RAW, raw_type='struct ...' names the C type of the bytes",
        )
    if kind is Kind.RAW and writable:
        raise OptionError("what is RAW cannot be written")
    to = chain_of(chain)

    def add(function: Callable[..., Data]) -> Provider:
        _check_function(function, 1 if writable else 0)
        entry = Provider(
            function,
            Id(module=module, instance=instance, name=name),
            class_,
            kind,
            writable=writable,
            wraps=wraps,
            raw_type=raw_type,
            types=(lambda: to.btf() if btf is None else btf) if raw_type else None,
            lock=lock,
            timeout_s=timeout_s,
        )
        return to.add(entry, replace=replace)

    return add


def providers(
    module: str,
    class_: str | tuple[str, ...] = "misc",
    *,
    wraps: bool = False,
    lock: Lock | None = None,
    timeout_s: float = TIMEOUT_S,
    replace: bool = False,
    chain: Chain | Target | str = DEFAULT_TARGET,
) -> Callable[[Callable[[], Iterable[Kstat]]], Providers]:
    """Make a function the provider of kstats that come and go, such as one per disk.

    The function yields :class:`Kstat`; of kind ``IO``, for example, with ``data=dict(Io(...).values())``. One
    whose ``crtime_ns`` is 0 gets the moment it was first seen, or seen again, one whose ``snaptime_ns`` is 0
    the moment it was given. If the function fails, what it has given until then is there, and its error is a
    kstat of instance 0 and of the function's name.

    Args:
        module: Module of all of them; others are an error.
        class_: Class or classes they may be of.
        wraps: As of :func:`provider`, and so are the others.
        lock: Held while the function is called.
        timeout_s: Seconds it may take for all together.
        replace: Whether it takes the place of one of the same module and function's name.
        chain: To which it is added.

    Returns:
        Decorates the function.

    Raises:
        OptionError: A name that cannot be, or a function that cannot be called so.
        KstatError: ``EEXIST``, there is one of that name.
    """
    classes = (class_,) if isinstance(class_, str) else tuple(class_)

    def add(function: Callable[[], Iterable[Kstat]]) -> Providers:
        _check_function(function, 0, generator=True)
        entry = Providers(function, module, classes, wraps=wraps, lock=lock, timeout_s=timeout_s)
        return chain_of(chain).add(entry, replace=replace)

    return add


def _check_function(function: Callable[..., Any], arguments: int, *, generator: bool = False) -> None:
    """Refuse at once what would fail at every read."""
    name = getattr(function, "__name__", repr(function))
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise OptionError(f"{name}() is asynchronous; a provider is a plain function")
    if inspect.isgeneratorfunction(function) and not generator:
        raise OptionError(
            f"{name}() yields; a provider of one kstat returns", hint="@providers(...) is for many"
        )
    try:
        inspect.signature(function).bind(*[None] * arguments)
    except TypeError:
        takes = "one argument, None to read or what to change," if arguments else "no arguments"
        raise OptionError(f"{name}() is called with {takes} and cannot be") from None
    except ValueError:  # a built-in function that does not tell
        return
