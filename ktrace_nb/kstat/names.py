"""What a kstat and its statistics may be called.

In ``module:instance:name:statistic`` a colon separates and slashes enclose a regular
expression, so that a name with one of them could not be asked for.

illumos cuts the module, name and class of a kstat after 30 bytes without a word, and two
names may become one by that. Here a name that is longer is refused. Statistics may be
longer: the kernel's own ``/proc/vmstat`` has names of more than 30.

Source of the length: illumos ``sys/kstat.h``, ``KSTAT_STRLEN``, 31 with the NUL.
"""

from __future__ import annotations

from ktrace_nb.errors import OptionError
from ktrace_nb.kstat.model import Id

LONGEST_NAME = 30
"""Bytes of a module, a name or a class, UTF-8."""

LONGEST_STATISTIC = 255
"""Bytes of the name of a statistic, UTF-8."""

LONGEST_ERROR = 300
"""Characters of an error that are kept."""

INSTANCES = range(2**31)
"""``ks_instance`` is an ``int``, and never negative."""


def check_id(id: Id, class_: str) -> None:
    """Refuse what a kstat may not be called.

    Raises:
        OptionError: A name is empty, too long or has a sign it may not have, or the instance is no number
            from 0 to 2**31 - 1.
    """
    for what, name in (("module", id.module), ("name", id.name), ("class", class_)):
        check_name(what, name)
    if isinstance(id.instance, bool) or not isinstance(id.instance, int) or id.instance not in INSTANCES:
        raise OptionError(f"the instance of a kstat is a number from 0 to 2**31 - 1, not {id.instance!r}")


def check_name(what: str, name: str, longest: int = LONGEST_NAME, signs: str = ":/") -> None:
    """Refuse a name that is empty, too long, or has a sign that it may not have.

    Args:
        what: Whose name it is, for messages.
        name: The name.
        longest: Bytes it may have.
        signs: Characters it may not have, besides those that do not print.

    Raises:
        OptionError: It is one of these.
    """
    if not isinstance(name, str) or not name:
        raise OptionError(f"the {what} of a kstat is a text that is not empty, not {name!r}")
    wrong = next((sign for sign in name if sign in signs or not sign.isprintable()), None)
    if wrong is not None:
        raise OptionError(f"{what} {name!r} has {wrong!r} in it, which no pattern could ask for")
    if len(name.encode()) > longest:
        raise OptionError(f"{what} {name[:LONGEST_NAME]!r}… has more than {longest} bytes")


def check_statistic(name: str) -> None:
    """Refuse what a statistic may not be called; slashes it may have, for the keys of a map may be paths.

    Raises:
        OptionError: A name is empty, too long or has a sign it may not have.
    """
    check_name("statistic", name, LONGEST_STATISTIC, ":")


def tell(error: BaseException) -> str:
    """An exception as the error of a kstat: its type and message, one line that may be printed."""
    message = " ".join(str(getattr(error, "message", error)).split())
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    text = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
    return text if len(text) <= LONGEST_ERROR else f"{text[: LONGEST_ERROR - 1]}…"
