"""The kernel's own numbers, out of the text of its files."""

from __future__ import annotations

from collections.abc import Mapping

from ktrace_nb.errors import StreamError
from ktrace_nb.health.model import TOTAL, Parse
from ktrace_nb.kstat.files import Snapshot


def text_of(files: Snapshot, path: str) -> str:
    """The content of a file that has to be there.

    Raises:
        StreamError: It is not.
    """
    text = files.text(path)
    if text is None:
        raise StreamError(f"the kernel does not tell {path}: {files.errors.get(path, 'not read')}")
    return text


def line(path: str, name: str) -> Parse:
    """The number in the line that begins with a name, as ``ctxt 4202`` of ``/proc/stat``."""

    def parse(files: Snapshot) -> Mapping[str, int]:
        for words in map(str.split, text_of(files, path).splitlines()):
            if len(words) > 1 and words[0] == name:
                return {TOTAL: int(words[1])}
        raise StreamError(f"{path} has no line {name!r}")

    return parse


def sum_of_lines(path: str, prefix: str) -> Parse:
    """The sum of the lines that begin with a prefix, as ``pgalloc_`` of ``/proc/vmstat``."""

    def parse(files: Snapshot) -> Mapping[str, int]:
        words = map(str.split, text_of(files, path).splitlines())
        return {TOTAL: sum(int(value) for name, value in words if name.startswith(prefix))}

    return parse


def per_cpu(path: str) -> Parse:
    """Sums over CPUs of the lines of ``/proc/interrupts`` or ``/proc/softirqs``.

    The first line names the CPUs that are on. Lines with fewer numbers (``ERR``, ``MIS``) count
    nothing that happens on a CPU, and are left out.
    """

    def parse(files: Snapshot) -> Mapping[str, int]:
        head, *lines = text_of(files, path).splitlines()
        cpus = len(head.split())
        sums = {}
        for text in lines:
            label, _, rest = text.partition(":")
            words = rest.split(maxsplit=cpus)[:cpus]
            if len(words) == cpus and all(word.isdigit() for word in words):
                sums[label.strip()] = sum(map(int, words))
        return sums

    return parse


def slab_objects(caches: Mapping[str, str]) -> Parse:
    """Objects of slab caches, as ``14 N0=14``; label to path. What the kernel has not is left out.

    Raises:
        StreamError: It has none of them, as one without ``CONFIG_SLUB_DEBUG``.
    """

    def parse(files: Snapshot) -> Mapping[str, int]:
        found = {label: files.text(path) for label, path in caches.items()}
        numbers = {label: int(text.split()[0]) for label, text in found.items() if text}
        if not numbers:
            raise StreamError(f"the kernel does not tell {', '.join(caches.values())}")
        return numbers

    return parse


def in_flight(pattern: str) -> Parse:
    """Requests of all disks, reads and writes, as ``0 3`` in ``/sys/block/*/inflight``."""

    def parse(files: Snapshot) -> Mapping[str, int]:
        texts = files.matching(pattern).values()
        return {TOTAL: sum(sum(map(int, text.split())) for text in texts)}

    return parse


def sum_of_files(pattern: str) -> Parse:
    """The sum of files that hold one number each.

    Raises:
        StreamError: There are none.
    """

    def parse(files: Snapshot) -> Mapping[str, int]:
        texts = files.matching(pattern).values()
        if not texts:
            raise StreamError(f"the kernel has no {pattern}")
        return {TOTAL: sum(map(int, texts))}

    return parse


def mib(files: Snapshot, path: str, group: str) -> Mapping[str, int]:
    """A group of ``/proc/net/snmp`` or ``netstat``: a line of names, then one of numbers.

    Raises:
        StreamError: There is no such group.
    """
    lines = [text.split() for text in text_of(files, path).splitlines() if text.startswith(f"{group}:")]
    if len(lines) != 2:
        raise StreamError(f"{path} has no group {group!r}")
    names, values = lines
    return dict(zip(names[1:], map(int, values[1:]), strict=True))
