"""Remarks on scripts that run, and may not measure what they say.

Each is a mistake that the scripts this project began with really make. A remark
names the place and the way out; none of them keeps a script from running.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ktrace_nb.diagnostics import Problem
from ktrace_nb.lang.stap import tree, walk

_TASK_FUNCTIONS = ("pid", "tid", "execname", "uid", "ppid", "pexecname", "cmdline_str", "task_current")
_RETURN_TEXTS = ("returnstr", "return_str", "retstr", "errno_str")
# Points that run in whatever task happens to be interrupted.
_INTERRUPTING = (
    ("netdev", "receive"),
    ("netdev", "rx"),
    ("softirq", ""),
    ("irq_handler", ""),
    ("tcp", "receive"),
    ("ioblock", "end"),
    ("ioblock_trace", "end"),
)
_INTERRUPTING_FUNCTIONS = (
    "netif_receive_skb", "__netif_receive_skb", "netif_rx", "ip_rcv", "tcp_v4_rcv", "udp_rcv",
    "blk_account_io_done", "block_rq_complete", "net_rx_action", "tcp_ack",
)  # fmt: skip
_SCALES = frozenset((1000, 1000_000, 1000_000_000, 1024, 1024 * 1024, 1 << 30, 100))


def lint(script: tree.Script) -> list[Problem]:
    """The remarks on a script, in the order of its text."""
    found = [problem for rule in RULES for problem in rule(script)]
    return sorted(found, key=lambda p: p.span.start if p.span else 0)


def _note(node: tree.Node, message: str, hint: str) -> Problem:
    return Problem(message, node.at.source, node.at.span, hint, "note")


def _is_return(probe: tree.Probe) -> bool:
    return any(point.components[-1].name == "return" for point in probe.points)


def _calls(root: object, *names: str) -> Iterator[tree.Call]:
    return (n for n in walk.nodes(root) if isinstance(n, tree.Call) and n.name in names)


def _elements(root: object) -> Iterator[tuple[str, tree.Index]]:
    for node in walk.nodes(root):
        if isinstance(node, tree.Index) and isinstance(node.base, tree.Name):
            yield node.base.name, node


# --- values that threads share -------------------------------------------------------------


def keyed_by_process(script: tree.Script) -> Iterator[Problem]:
    """A value put aside at the call under ``pid()`` and taken back at the return."""
    kept: dict[str, tree.Index] = {}
    for probe in script.probes:
        if _is_return(probe):
            continue
        for node in walk.nodes(probe.body):
            if isinstance(node, tree.Assign) and node.op == "=" and isinstance(node.target, tree.Index):
                keys = node.target.keys
                if (
                    isinstance(node.target.base, tree.Name)
                    and any(_calls(keys, "pid"))
                    and not any(_calls(keys, "tid", "task_tid"))
                ):
                    kept.setdefault(node.target.base.name, node.target)
    taken = {name for probe in script.probes if _is_return(probe) for name, _ in _elements(probe.body)}
    for name, node in kept.items():
        if name in taken:
            yield _note(
                node,
                f"{name!r} is keyed by pid() and read at the return: two threads overwrite each other",
                "key it by tid(), or take the value with @entry(...) in the return probe alone",
            )


# --- results compared as text --------------------------------------------------------------


def result_as_text(script: tree.Script) -> Iterator[Problem]:
    """``returnstr(1) != "0"`` and the like."""
    for node in walk.nodes((script.probes, script.functions, script.aliases)):
        if not isinstance(node, tree.Binary) or node.op not in ("==", "!=", "<", ">", "<=", ">="):
            continue
        sides = (node.left, node.right)
        if any(isinstance(s, tree.String) for s in sides) and any(map(_is_result_text, sides)):
            yield _note(
                node,
                "a result is compared as text, which depends on how it is written: 0, 0x0 and 00 differ",
                "compare the number: returnval() < 0 is every error, errno_str(returnval()) names it",
            )


def _is_result_text(node: tree.Expression) -> bool:
    return (isinstance(node, tree.Call | tree.Name)) and node.name in _RETURN_TEXTS


# --- one array walked, another one printed -------------------------------------------------


def other_array_printed(script: tree.Script) -> Iterator[Problem]:
    """``foreach (k in a-)`` whose body shows ``b[k]`` as well: what only ``b`` has is left out."""
    for node in walk.nodes((script.probes, script.functions)):
        if not isinstance(node, tree.Foreach) or not isinstance(node.array, tree.Name):
            continue
        names = tuple(name.name for name in node.names)
        walked = {
            _array(f) for f in walk.nodes((script.probes, script.functions)) if isinstance(f, tree.Foreach)
        }
        others = {
            name
            for name, element in _elements(node.body)
            if name != node.array.name and name not in walked and _key_names(element) == names
        } - _filled_alike(script, node.array.name)
        for other in sorted(others):
            yield _note(
                node.array,
                f"only the keys of {node.array.name!r} are walked: what {other!r} alone has is never shown",
                f"walk {other!r} too, or keep both in arrays that always get the same keys",
            )


def _filled_alike(script: tree.Script, array: str) -> set[str]:
    """Arrays that get an entry whenever another one does, under the same keys."""
    alike: set[str] = set()
    for body in (*(p.body for p in script.probes), *(f.body for f in script.functions)):
        filled: dict[tuple[tree.Expression | None, ...], set[str]] = {}
        for node in walk.nodes(body):
            if isinstance(node, tree.Assign | tree.Step) and isinstance(node.target, tree.Index):
                base = node.target.base
                if isinstance(base, tree.Name):
                    filled.setdefault(node.target.keys, set()).add(base.name)
        alike |= {name for names in filled.values() if array in names for name in names}
    return alike


def _array(node: tree.Foreach) -> str:
    return node.array.name if isinstance(node.array, tree.Name) else ""


def _key_names(element: tree.Index) -> tuple[str, ...]:
    return tuple(key.name if isinstance(key, tree.Name) else "" for key in element.keys)


# --- who is charged -----------------------------------------------------------------------


def interrupted_task(script: tree.Script) -> Iterator[Problem]:
    """``pid()`` where the event runs in whatever task was interrupted."""
    for probe in script.probes:
        point = next((p for p in probe.points if _interrupts(p)), None)
        call = next(_calls(probe.body, *_TASK_FUNCTIONS), None)
        if point is not None and call is not None:
            yield _note(
                call,
                f"{point} happens in an interrupt: {call.name}() tells the task that was interrupted",
                "whose it is, is known where it waits: probe the system call, tcp.recvmsg or udp.recvmsg",
            )


def _interrupts(point: tree.Point) -> bool:
    names = [component.name for component in point.components]
    for first, second in _INTERRUPTING:
        if names[0] == first and (not second or second in names[1:2]):
            return True
    arguments = [c.argument for c in point.components if isinstance(c.argument, str)]
    return any(argument.partition("@")[0] in _INTERRUPTING_FUNCTIONS for argument in arguments)


# --- rates ---------------------------------------------------------------------------------


def integer_rate(script: tree.Script) -> Iterator[Problem]:
    """A count divided by seconds: what is below one a second becomes 0."""
    for node in walk.nodes((script.probes, script.functions)):
        if not isinstance(node, tree.Binary) or node.op != "/" or not isinstance(node.right, tree.Number):
            continue
        seconds = node.right.value
        if seconds > 1 and seconds not in _SCALES and _is_count(node.left):
            yield _note(
                node,
                "division truncates: a rate below 1 becomes 0, and any other loses its fraction",
                f'print a decimal: printf("%d.%d", n / {seconds}, n % {seconds} * 10 / {seconds})',
            )


def _is_count(node: tree.Expression) -> bool:
    return isinstance(node, tree.Index) or (isinstance(node, tree.Operator) and node.name in ("count", "sum"))


RULES: tuple[Callable[[tree.Script], Iterator[Problem]], ...] = (
    keyed_by_process,
    result_as_text,
    other_array_printed,
    interrupted_task,
    integer_rate,
)
"""All rules."""
