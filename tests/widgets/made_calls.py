"""Frames of calls made by hand, with the columns that views read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ktrace_nb.stream.calls.sums import by_edge
from ktrace_nb.widgets import PanelStatus, ViewData


@dataclass
class Call:
    """A call and the calls made from it."""

    function: str
    duration: int | None
    """Nanoseconds; None is a call that has not returned."""
    inside: list[Call] = field(default_factory=list)
    error: str | None = None


def call(function: str, duration: int | None, *inside: Call, error: str | None = None) -> Call:
    """A call that took so many nanoseconds, and what was called from it."""
    return Call(function, duration, list(inside), error)


def frame_of(*roots: Call, first: int = 0) -> pd.DataFrame:
    """The frame of calls in order of entry, the first of them numbered ``first``."""
    rows = [row for root in roots for row in _rows(root, 0, None)]
    number = {id(made): first + place for place, (made, _, _) in enumerate(rows)}
    known = [made.duration is not None for made, _, _ in rows]
    durations = [made.duration or 0 for made, _, _ in rows]
    own = [
        duration - sum(part.duration or 0 for part in made.inside)
        for duration, (made, _, _) in zip(durations, rows, strict=True)
    ]
    missing = ~np.array(known, dtype=bool)
    return pd.DataFrame(
        {
            "function": pd.Categorical([made.function for made, _, _ in rows]),
            "depth": np.array([depth for _, depth, _ in rows], dtype=np.int16),
            "parent": np.array(
                [-1 if above is None else number[id(above)] for _, _, above in rows], dtype=np.int64
            ),
            "start_ns": np.arange(len(rows), dtype=np.int64),
            "duration_ns": pd.arrays.IntegerArray(np.array(durations, dtype=np.int64), missing),
            "self_ns": pd.arrays.IntegerArray(np.array(own, dtype=np.int64), missing),
            "error": pd.Categorical([made.error for made, _, _ in rows]),
        },
        index=pd.RangeIndex(first, first + len(rows), name="call"),
    )


def _rows(made: Call, depth: int, above: Call | None) -> Iterator[tuple[Call, int, Call | None]]:
    yield made, depth, above
    for part in made.inside:
        yield from _rows(part, depth + 1, made)


def edges_of(*roots: Call) -> pd.DataFrame:
    """The frame of edges of the same calls."""
    return by_edge(frame_of(*roots))


# What listing and reading files of an ext4 file system looks like: function, weight of its own time, callees.
_SHAPE: dict[str, tuple[int, tuple[str, ...]]] = {
    "ext4_readdir": (900, ("ext4_dx_readdir", "ext4_htree_fill_tree", "ext4_dir_llseek")),
    "ext4_dx_readdir": (300, ("ext4_htree_free_dir_info",)),
    "ext4_htree_fill_tree": (700, ("htree_dirblock_to_tree", "ext4_htree_next_block")),
    "htree_dirblock_to_tree": (1500, ("__ext4_read_dirblock", "ext4_htree_store_dirent", "ext4fs_dirhash")),
    "__ext4_read_dirblock": (500, ("ext4_bread", "ext4_dirblock_csum_verify")),
    "ext4_bread": (200, ("ext4_getblk",)),
    "ext4_getblk": (400, ("ext4_map_blocks",)),
    "ext4_map_blocks": (800, ("ext4_es_lookup_extent", "ext4_ext_map_blocks")),
    "ext4_ext_map_blocks": (900, ("ext4_find_extent", "ext4_ext_determine_hole")),
    "ext4_find_extent": (600, ("__read_extent_tree_block", "ext4_cache_extents")),
    "ext4_cache_extents": (150, ("ext4_es_cache_extent",)),
    "ext4_lookup": (800, ("ext4_fname_prepare_lookup", "__ext4_find_entry", "__ext4_iget")),
    "__ext4_find_entry": (900, ("ext4_dx_find_entry", "ext4_search_dir")),
    "ext4_dx_find_entry": (400, ("dx_probe", "__ext4_read_dirblock", "ext4_search_dir")),
    "dx_probe": (300, ("__ext4_read_dirblock", "ext4fs_dirhash")),
    "__ext4_iget": (2500, ("__ext4_get_inode_loc", "ext4_set_inode_flags", "ext4_inode_csum_verify")),
    "ext4_file_read_iter": (400, ("ext4_mpage_readpages", "ext4_file_accessed")),
    "ext4_mpage_readpages": (2600, ("ext4_map_blocks", "ext4_get_inode_loc")),
    "ext4_getattr": (300, ("ext4_file_getattr",)),
    "ext4_dirty_inode": (500, ("__ext4_journal_start_sb", "__ext4_mark_inode_dirty")),
    "__ext4_mark_inode_dirty": (900, ("ext4_reserve_inode_write", "ext4_mark_iloc_dirty")),
    "ext4_mark_iloc_dirty": (700, ("ext4_do_update_inode",)),
}
_ROOTS = ("ext4_readdir", "ext4_lookup", "ext4_file_read_iter", "ext4_getattr", "ext4_dirty_inode")


def workload(count: int, seed: int = 1) -> list[Call]:
    """Outermost calls of a made-up walk through a file system, the same for the same seed."""
    rng = np.random.default_rng(seed)

    def grow(function: str) -> Call:
        weight, callees = _SHAPE.get(function, (250, ()))
        inside = [grow(callee) for callee in callees if rng.random() < 0.8]
        own = int(weight * rng.lognormal(0, 0.4))
        error = "ENOENT" if function in ("__ext4_find_entry", "ext4_lookup") and rng.random() < 0.15 else None
        return call(function, own + sum(part.duration or 0 for part in inside), *inside, error=error)

    return [grow(_ROOTS[number]) for number in rng.integers(0, len(_ROOTS), count)]


class LiveWalk:
    """A walk that goes on: a source whose frames of calls grow.

    Args:
        calls: Outermost calls in all.
        seconds: How long they take to come in.
    """

    name = "ext4 walk"

    def __init__(self, calls: int = 2000, seconds: float = 20) -> None:
        self.whole = frame_of(*workload(calls))
        self.seconds = seconds
        self.started = time.monotonic()
        self.stopped = False

    def share(self) -> float:
        """How much of it has come in."""
        return 1.0 if self.stopped else min(1.0, (time.monotonic() - self.started) / self.seconds)

    def status(self) -> PanelStatus:
        share = self.share()
        return PanelStatus(
            state="done" if share == 1 else "running",
            elapsed_s=share * self.seconds,
            hits=int(share * len(self.whole)),
        )

    def request_stop(self) -> None:
        self.stopped = True

    def request(self, action: str, argument: str = "") -> None:
        """Nothing can be asked for."""

    def view_data(self) -> Sequence[ViewData]:
        count = int(self.share() * len(self.whole))
        calls = self.whole.iloc[:count]
        return [
            ViewData(name="flame", kind="flame", frame=calls, generation=count),
            ViewData(name="call graph", kind="callgraph", frame=by_edge(calls), generation=count),
        ]
