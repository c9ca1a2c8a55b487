"""A running walk: what the agent is told of it, and what it tells."""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ktrace_nb.errors import LoadError, RemoteError
from ktrace_nb.ir.calls import GRAPH, TRACKED, LeftOut, Walk
from ktrace_nb.stream.calls.listing import descendants, parse_listing
from ktrace_nb.stream.calls.outputs import WalkOutputs
from ktrace_nb.wire import bundle as b
from ktrace_nb.wire.frames import Call


class WalkRun:
    """The part of a session that is about calls.

    Args:
        walk: What is recorded.
        outputs: Where it goes.
        call: The agent.
        session: The session's name there.
    """

    def __init__(self, walk: Walk, outputs: WalkOutputs, call: Call, session: str) -> None:
        self.walk = walk
        self.outputs = outputs
        self._call = call
        self._session = session

    def track(self, processes: Collection[int]) -> None:
        """Have programs record some processes and the children they get, if not all are recorded.

        Raises:
            LoadError: There are more than the kernel takes.
        """
        if self.walk.focus.tracked and processes:
            keys = b"".join(struct.pack("<I", process) for process in processes)
            steps = [["update", TRACKED, len(processes)]]
            reply = self._call("change", keys + b"\x01" * len(processes), session=self._session, steps=steps)
            if refused := int(reply.head.get("refused", 0)):
                raise LoadError(
                    f"{refused:,} of {len(processes):,} processes cannot be told apart from the others: "
                    f"the map {TRACKED!r} is full",
                    hint="name a process that has fewer children, or leave -x out to record all processes",
                )

    def attached(self, head: Mapping[str, Any], processes: Sequence[int]) -> int:
        """Everything is attached: take in what the kernel refused, and which threads there are, and record.

        Args:
            head: Of the agent's reply.
            processes: What :meth:`track` was told; the children they have are recorded, too.

        Returns:
            Since when calls are recorded, ``CLOCK_MONOTONIC``.

        Raises:
            LoadError: One of the processes is not there, or they are too many.
        """
        self.outputs.refuse(list(head.get("refused", ())))
        # Named as ftrace lists them: NAME, or NAME [MODULE].
        not_offered = (str(name).split()[0] for name in head.get("graph", {}).get("refused", ()))
        self.outputs.leave_out(
            [LeftOut(name, "ftrace does not offer it to function_graph") for name in not_offered]
        )
        since_ns = int(head["monotonic_ns"])
        if self.walk.focus.tracked and processes:
            since_ns = self._track_families(processes) or since_ns
        self.outputs.add_threads(bytes(self._call("threads").blob))
        return self._switch(b.ON) or since_ns

    def _track_families(self, processes: Sequence[int]) -> int:
        """Track processes and all that come from them; gives since when the last of them is, 0 if unknown.

        From then on the kernel tells of children. One that came between the list and that is in no
        list yet: only of processes tracked since the list before can there be such.

        Raises:
            LoadError: One of the processes is not there, or they are too many.
        """
        since_ns = 0
        done: set[int] = set()
        fresh = set(processes)
        while True:
            listed = parse_listing(bytes(self._call("threads").blob))
            if not done and (gone := fresh - {thread.process for thread in listed}):
                raise LoadError(
                    f"there is no process {min(gone)}",
                    hint="ps -e lists those of the machine that is traced; -c COMMAND starts one",
                )
            new = descendants(listed, fresh) - done
            if not new:
                return since_ns
            self.track(new)
            if self.walk.means == GRAPH:
                since_ns = max(since_ns, *map(self._track_by_graph, sorted(new)))
            done |= new
            fresh = new

    def _track_by_graph(self, process: int) -> int:
        """Have ftrace record a process; gives since when, 0 if it has ended."""
        try:
            reply = self._call("graph_track", session=self._session, pid=process)
        except RemoteError as error:
            if error.code != "no_process":
                raise
            return 0
        return int(reply.head["monotonic_ns"])

    def hold(self) -> None:
        """Record nothing: functions are attached and let go one by one, calls would be seen by halves."""
        self._switch(b.SILENT)

    def _switch(self, word: int) -> int:
        """Have programs record or not; gives when that was, 0 where it is not in their hands."""
        rows = sorted({row for both in self.outputs.switches.values() for row in both})
        if not rows:
            return 0
        reply = self._call("switch", session=self._session, rows=[[row, word] for row in rows])
        return int(reply.head["monotonic_ns"])

    def resume(self, at_ns: int) -> None:
        """Begin again with no call open: what went on during a pause is not known.

        Args:
            at_ns: When it ended, ``CLOCK_MONOTONIC``.

        Raises:
            TargetError: The target is out of reach.
        """
        if open_calls := self.outputs.emptied:
            self._call("clear", session=self._session, maps=open_calls)
        self.outputs.cut(at_ns)

    def finish(self, at_ns: int) -> None:
        """Nothing comes any more: calls that are open stay so."""
        self.outputs.finish(at_ns)
