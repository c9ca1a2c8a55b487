"""The calls of a command as ftrace's function_graph tracer writes them: the second source for our own.

Format of the text: Linux ``Documentation/trace/ftrace.rst``, "function graph tracer".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from typing import NamedTuple

Run = Callable[[str], str]
"""Runs a shell command in the guest and gives what it printed."""

_TRACING = "/sys/kernel/tracing"

# The shell that says its number becomes the command: its children are followed, too.
# The tracer goes on for a moment after the command has ended; nothing else is traced.
_RECORD = f"""
cd {_TRACING} && echo 0 >tracing_on && echo nop >current_tracer
echo 1 >options/function-fork && echo 32768 >buffer_size_kb
cat >set_ftrace_filter <<'END'
LINES
END
echo function_graph >current_tracer
echo 1 >options/funcgraph-proc && echo 1 >options/funcgraph-tail && echo 0 >options/funcgraph-overhead
cat >/tmp/traced <<'END'
echo $$ >{_TRACING}/set_ftrace_pid
echo 1 >{_TRACING}/tracing_on
COMMAND
END
sh /tmp/traced >/tmp/traced.out 2>&1
echo 0 >tracing_on
cat per_cpu/cpu*/stats | grep -E "overrun|dropped"
cat trace
echo >set_ftrace_pid && echo nop >current_tracer && echo >set_ftrace_filter
echo 0 >options/function-fork && echo 1408 >buffer_size_kb && echo 1 >tracing_on
"""

_LINE = re.compile(r"\s*(\d+)\)\s+(.+)-(\d+)\s+\|[^|]*\|\s(\s*)(.*)")
_LOST = re.compile(r"(?:overrun|dropped events): *([1-9]\d*)")


class Call(NamedTuple):
    """A call, in the order of entries."""

    function: str
    depth: int
    """0 is the outermost of the traced functions."""
    returned: bool


def graph_of(run: Run, command: str, functions: str) -> dict[int, list[Call]]:
    """Run a command under the function_graph tracer.

    Args:
        run: Runs a shell command in the guest.
        command: A shell's text. The shell is traced like all it starts.
        functions: Names or patterns of functions, separated by blanks.

    Returns:
        The calls by thread.
    """
    # By line: a name is compared with every function's, which takes half a minute for some hundreds.
    offered = run(f"cut -d' ' -f1 {_TRACING}/available_filter_functions").splitlines()
    wanted = re.compile("|".join(map(translate, functions.split())))
    lines = [str(number) for number, name in enumerate(offered, 1) if wanted.fullmatch(name)]
    text = run(_RECORD.replace("LINES", "\n".join(lines)).replace("COMMAND", command))
    assert not _LOST.search(text), "ftrace lost events"
    return parse_graph(text)


def parse_graph(text: str) -> dict[int, list[Call]]:
    """Read the text of the trace, written with the options funcgraph-proc and funcgraph-tail."""
    calls: dict[int, list[Call]] = {}
    open_calls: dict[int, list[int]] = {}
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found is None or found[5].startswith("/*"):
            continue
        thread, depth, what = int(found[3]), len(found[4]) // 2, found[5].strip()
        mine, stack = calls.setdefault(thread, []), open_calls.setdefault(thread, [])
        if what.endswith("() {"):
            stack.append(len(mine))
            mine.append(Call(what[:-4], depth, False))
        elif what.endswith("();"):
            mine.append(Call(what[:-3], depth, True))
        elif what.startswith("}"):
            entered = mine[stack[-1]]
            assert what == f"}} /* {entered.function} */" and depth == entered.depth, line
            mine[stack.pop()] = entered._replace(returned=True)
        else:
            raise AssertionError(f"not a line of function_graph: {line!r}")
    return calls
