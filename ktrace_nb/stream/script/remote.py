"""Globals that live in the kernel, as handlers beside the notebook see and change them.

A handler works on a copy: before it runs, the copy is made from a fresh snapshot;
after it, what it changed is written back by key.

Where the kernel only adds to a global, nothing may be lost between the reading and
the writing. There the value is the kernel's plus a *base* kept on this side, and
what a handler changes goes to the base. Entries that it deletes are taken out of the
kernel, each read and removed in one step, and what was added to them after the
snapshot that the handler saw becomes their new base. Counts, sums and buckets are
exact. The least and the greatest value since a deletion are exact if nothing was
added between snapshot and removal; else they are those of all that was removed. A
scalar cannot be removed: its least and greatest value go on from before.

Elsewhere an event that falls between reading and writing a key is overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping

from ktrace_nb.ir.script import KernelGlobal
from ktrace_nb.stream.maps import MapSnapshot
from ktrace_nb.stream.script.arrays import Entries
from ktrace_nb.stream.script.codec import Codec, Value, is_nothing, minus, plus
from ktrace_nb.stream.script.port import Change
from ktrace_nb.stream.script.statistics import Statistics
from ktrace_nb.stream.script.values import Key


class Remote:
    """One global in the kernel.

    Args:
        kernel_global: The global.
        codec: Of its maps.
    """

    def __init__(self, kernel_global: KernelGlobal, codec: Codec) -> None:
        self.variable = kernel_global.variable
        self.codec = codec
        self._keeps_base = kernel_global.added and not kernel_global.read
        self._base: Entries = {}
        self._kernel: Entries = {}
        self._seen: Entries = {}
        self._counts: dict[Key, int] = {}
        self._gone: list[Key] = []

    def forget(self) -> None:
        """Begin anew: the maps are empty."""
        self._base, self._kernel, self._seen, self._counts, self._gone = {}, {}, {}, {}, []

    # --- before a handler --------------------------------------------------------------------

    def look(self, snapshots: Mapping[str, MapSnapshot]) -> Entries:
        """The entries as they are; the caller may change them, and then ask for :meth:`changes`."""
        self._kernel = self.codec.decode(snapshots)
        self._seen = self._combined(self._kernel)
        self._counts = {k: v.count for k, v in self._seen.items() if isinstance(v, Statistics)}
        return dict(self._seen)

    def shown(self, snapshots: Mapping[str, MapSnapshot]) -> Entries:
        """The entries for showing, which nobody changes."""
        return self._combined(self.codec.decode(snapshots))

    def _combined(self, kernel: Entries) -> Entries:
        found: Entries = {}
        for key in (*kernel, *(k for k in self._base if k not in kernel)):
            value = plus(kernel.get(key), self._base.get(key))
            # What was taken away from statistics and not added to since is no entry.
            if value is not None and not (isinstance(value, Statistics) and value.count <= 0):
                found[key] = value
        return found

    # --- after it ------------------------------------------------------------------------------

    def changes(self, after: Entries) -> list[Change]:
        """What the kernel must be told of what a handler made of the entries."""
        self._gone = gone = [k for k in self._seen if k not in after or self._is_replaced(k, after[k])]
        changed = {k: v for k, v in after.items() if k in gone or self._is_changed(k, v)}
        if self._keeps_base:
            return self._move_to_base(gone, changed, after)
        return self._write(gone, changed, after)

    def _is_replaced(self, key: Key, value: Value) -> bool:
        return isinstance(value, Statistics) and value is not self._seen[key]

    def _is_changed(self, key: Key, value: Value) -> bool:
        if key not in self._seen:
            return not (isinstance(value, Statistics) and not value.count)
        if isinstance(value, Statistics):
            return value.count != self._counts[key]
        return value != self._seen[key]

    def _move_to_base(self, gone: list[Key], changed: Entries, after: Entries) -> list[Change]:
        for key in gone:
            self._base.pop(key, None)
        is_scalar = not self.variable.keys
        for key, value in changed.items():
            # What is gone will have left the kernel when this counts; a scalar cannot leave.
            kept = None if key in gone and not is_scalar else self._kernel.get(key)
            self._set_base(key, minus(value, kept))
        if is_scalar:
            for key in gone:
                if key not in changed:
                    self._set_base(key, minus(None, self._kernel.get(key)))
            return []
        if not gone:
            return []
        everything = len(gone) == len(self._seen)
        keys = () if everything else tuple(map(self.codec.encode_key, gone))
        changes = [Change("take", self.codec.map, keys)]
        if everything:
            changes += [Change("take", name) for name in self.codec.bucket_maps]
        else:
            for number, name in enumerate(self.codec.bucket_maps):
                found = [
                    bucket for key in gone for bucket, _ in self._buckets(key, self._kernel.get(key), number)
                ]
                changes += [Change("take", name, tuple(found))] if found else []
        return changes

    def settle(self, taken: Mapping[str, MapSnapshot]) -> None:
        """Take note of what was taken out of the kernel: what had come since the snapshot stays counted."""
        if self.codec.map not in taken:
            return
        removed = self.codec.decode(taken, loose=True)
        # Where a map was too busy to be emptied at once, the rest is still in it. One
        # that throws old entries out may have done so.
        left = (
            [] if self.variable.wraps else [k for k in self._gone if k in self._kernel and k not in removed]
        )
        for key in (*removed, *left):
            late = minus(removed.get(key), self._kernel.get(key))
            if not is_nothing(late):
                self._set_base(key, plus(self._base.get(key), late))

    def _set_base(self, key: Key, value: Value | None) -> None:
        if value is None or is_nothing(value):
            self._base.pop(key, None)
        else:
            self._base[key] = value

    def _write(self, gone: list[Key], changed: Entries, after: Entries) -> list[Change]:
        codec = self.codec
        changes: list[Change] = []
        removed = [key for key in gone if key not in after]
        if removed and self.variable.keys:
            changes.append(Change("delete", codec.map, tuple(map(codec.encode_key, removed))))
        if changed:
            keys = tuple(map(codec.encode_key, changed))
            changes.append(
                Change("update", codec.map, keys, tuple(map(codec.encode_value, changed.values())))
            )
        for number, name in enumerate(codec.bucket_maps):
            old = [b for key in gone for b, _ in self._buckets(key, self._kernel.get(key), number)]
            new = [pair for key, value in changed.items() for pair in self._buckets(key, value, number)]
            changes += [Change("delete", name, tuple(old))] if old else []
            changes += (
                [Change("update", name, tuple(k for k, _ in new), tuple(v for _, v in new))] if new else []
            )
        return changes

    def _buckets(self, key: Key, value: Value | None, number: int) -> list[tuple[bytes, bytes]]:
        return self.codec.encode_buckets(key, value, number) if isinstance(value, Statistics) else []

    def first_value(self) -> list[Change]:
        """What sets a scalar to what the script says it begins with."""
        initial = self.variable.initial
        if self.variable.keys or not initial:
            return []
        return [
            Change(
                "update", self.codec.map, (self.codec.encode_key(()),), (self.codec.encode_value(initial),)
            )
        ]
