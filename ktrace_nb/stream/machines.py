"""State machines of the kernel that are known by name: what their states are called, and their diagrams.

A kernel reports states as numbers or letters. Those of other machines are shown as they come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is known of a state machine before anything is measured."""

    name: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    """What the states are called, by how a kernel writes them: ``"7"`` or ``"S"``."""

    prefixes: tuple[str, ...] = ()
    """What may stand in front of a name, the longest first."""

    states: tuple[str, ...] = ()
    """States that are drawn although they were not seen, by name."""

    links: frozenset[tuple[str, str]] = frozenset()
    """Transitions of its diagram; empty if there is none."""

    diagram: str = ""
    """Where that diagram is."""

    ends: frozenset[str] = frozenset()
    """States in which an object may have ended: its number or address is then given to another."""

    def call(self, value: object) -> str:
        """What a state is called that a kernel writes so."""
        text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
        known = self.names.get(text)
        if known is not None:
            return known
        prefix = next((prefix for prefix in self.prefixes if text.startswith(prefix)), "")
        return text.removeprefix(prefix)


_TCP = (
    *("ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE"),
    *("CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV", "BOUND_INACTIVE"),
)
"""From 1 on: Linux ``include/net/tcp_states.h``, and as ``BPF_TCP_...`` ``include/uapi/linux/bpf.h``."""

TCP = Machine(
    name="tcp",
    names={str(number): name for number, name in enumerate(_TCP, 1)},
    prefixes=("BPF_TCP_", "TCP_"),
    # The last two are Linux' own and seen seldom.
    states=_TCP[:-2],
    # RFC 9293, section 3.3.2, figure 5 and its notes 1 and 2: a reset leads from SYN-RECEIVED back to
    # LISTEN, and a FIN with the last acknowledgement from FIN-WAIT-1 to TIME-WAIT. CLOSED is CLOSE here.
    links=frozenset(
        {
            ("CLOSE", "LISTEN"),
            ("CLOSE", "SYN_SENT"),
            ("LISTEN", "SYN_RECV"),
            ("LISTEN", "SYN_SENT"),
            ("LISTEN", "CLOSE"),
            ("SYN_SENT", "SYN_RECV"),
            ("SYN_SENT", "ESTABLISHED"),
            ("SYN_SENT", "CLOSE"),
            ("SYN_RECV", "ESTABLISHED"),
            ("SYN_RECV", "FIN_WAIT1"),
            ("SYN_RECV", "LISTEN"),
            ("ESTABLISHED", "FIN_WAIT1"),
            ("ESTABLISHED", "CLOSE_WAIT"),
            ("FIN_WAIT1", "FIN_WAIT2"),
            ("FIN_WAIT1", "CLOSING"),
            ("FIN_WAIT1", "TIME_WAIT"),
            ("FIN_WAIT2", "TIME_WAIT"),
            ("CLOSING", "TIME_WAIT"),
            ("CLOSE_WAIT", "LAST_ACK"),
            ("LAST_ACK", "CLOSE"),
            ("TIME_WAIT", "CLOSE"),
        }
    ),
    diagram="RFC 9293's diagram",
    ends=frozenset({"CLOSE"}),
)

_TASK = (
    *(("R", "running"), ("S", "sleeping"), ("D", "disk sleep"), ("T", "stopped"), ("t", "traced")),
    *(("X", "dead"), ("Z", "zombie"), ("P", "parked"), ("I", "idle"), ("R+", "preempted")),
)
"""Linux ``fs/proc/array.c``, ``task_state_array``; ``R+`` is what ``sched_switch`` prints of a task that
could go on."""

_TASK_BITS = {0: "R", 1: "S", 2: "D", 4: "T", 8: "t", 16: "X", 32: "Z", 64: "P", 128: "I", 256: "R+"}
"""``prev_state`` of ``sched_switch``: Linux ``include/linux/sched.h``, ``TASK_REPORT`` and what follows."""

TASK = Machine(
    name="task",
    names={letter: f"{letter} {name}" for letter, name in _TASK}
    | {str(bit): f"{letter} {dict(_TASK)[letter]}" for bit, letter in _TASK_BITS.items()},
    prefixes=("TASK_",),
    ends=frozenset({"X dead", "Z zombie"}),
)

MACHINES: Mapping[str, Machine] = {"": Machine(), "tcp": TCP, "task": TASK}


def machine_of(name: str) -> Machine:
    """What is known of a machine; nothing of that without a name.

    Raises:
        ValueError: There is no such machine.
    """
    if name not in MACHINES:
        known = " or ".join(repr(other) for other in MACHINES if other)
        raise ValueError(f"no machine called {name!r}, wanted {known}, or none to show states as they come")
    return MACHINES[name]
