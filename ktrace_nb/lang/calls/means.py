"""Which means of seeing functions a walk uses, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ktrace_nb.errors import OptionError
from ktrace_nb.ir.calls import FENTRY, GRAPH, KPROBE, KPROBE_MULTI, Focus, Traced
from ktrace_nb.ir.gather import RETURNS
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.calls.prototypes import Prototypes

MEANS = (KPROBE_MULTI, FENTRY, GRAPH, KPROBE)
"""What ``--means`` takes."""

MOST_FENTRY = 8
"""Functions that get a trampoline each: every one takes two programs and an update of the kernel's text."""
FEW = 32
"""Functions that get single kprobes where both they and function_graph would do: each takes some
tens of milliseconds to come and to go, and shows arguments and results."""

MOST_KPROBES = 200
"""Functions that get single kprobes without being asked for twice.

The kernel puts them in and takes them away one after the other. In the lab, Linux 6.1 and 6.12
alike, 200 functions, two probes each, take 2.7 s to come and 3.5 s to go, all 607 of ext4 27 s;
where it waits for grace periods at leisure, and beside other work, more.
"""
_KPROBE_S = 0.05
"""Of one function, to come and to go, with something to spare."""

NEVER_RETURN = frozenset(
    (
        *("do_exit", "do_group_exit", "make_task_dead", "rewind_stack_and_make_dead"),
        *("kthread_exit", "kthread_complete_and_exit", "__module_put_and_kthread_exit"),
        *("__x64_sys_exit", "__x64_sys_exit_group", "__ia32_sys_exit", "__ia32_sys_exit_group"),
        *("kunit_try_catch_throw", "__kunit_abort"),
    )
)
"""Functions at which a program cannot wait for the return.

Newer kernels refuse it, others keep the trampoline for good, since whoever went in does not come
out. Sources: ``noreturn_deny`` in Linux ``kernel/bpf/verifier.c``, and of the other functions that
end a thread ``tools/objtool/noreturns.h``.
"""


def choose(
    facts: KernelFacts,
    functions: Sequence[Traced],
    focus: Focus,
    forced: str = "",
    *,
    insist: bool = False,
) -> tuple[str, str]:
    """The means, and the reason as a sentence.

    Args:
        facts: The kernel.
        functions: What is to be recorded.
        focus: Which calls of them.
        forced: What ``--means`` says; empty for the best there is.
        insist: ``--yes``: however long it takes.

    Raises:
        OptionError: What is forced cannot be, or single kprobes of too many functions would be needed.
    """
    if forced:
        if forced not in MEANS:
            raise OptionError(f"no means {forced!r}", hint=f"one of {', '.join(MEANS)}")
        problem = _PROBLEMS[forced](facts, functions, focus)
        if problem:
            _, why = _best(facts, functions, focus)
            raise OptionError(f"--means {forced}: {problem}", hint=f"without it: {why}")
        means, why = forced, f"{_NAMES[forced]}, as --means says"
        if means == KPROBE and len(functions) > FEW:
            why += f"; {_patience(len(functions))}"
    else:
        means, why = _best(facts, functions, focus)
    if means == KPROBE and len(functions) > MOST_KPROBES and not insist:
        raise _too_many(facts, functions, focus)
    return means, why


def _too_many(facts: KernelFacts, functions: Sequence[Traced], focus: Focus) -> OptionError:
    ways = [f"choose {MOST_KPROBES} functions or fewer"]
    if not _multi(facts, functions, focus):
        ways.append("leave --means out")
    elif not _graph(facts, functions, Focus()):
        told = [flag for flag, value in (("--errors", focus.errors), ("--follow", focus.follow)) if value]
        ways.append(f"leave {' and '.join(told) or '--means'} out, function_graph sees them all at once")
    return OptionError(
        f"{len(functions):,} functions by single kprobes, one by one: {_patience(len(functions))}",
        hint=f"{'; '.join(ways)}; --yes insists",
    )


def _patience(count: int) -> str:
    return f"to attach and to let go may take {count * _KPROBE_S:.0f} s"


def _best(facts: KernelFacts, functions: Sequence[Traced], focus: Focus) -> tuple[str, str]:
    count = len(functions)
    several = f"{count:,} functions" if count != 1 else "1 function"
    problems = {means: _PROBLEMS[means](facts, functions, focus) for means in MEANS}
    if count <= MOST_FENTRY and not problems[FENTRY]:
        return FENTRY, f"{_NAMES[FENTRY]}: the cheapest for few functions, here {several}"
    nodes = 2 * count * facts.cpus
    if not problems[KPROBE_MULTI] and count <= FEW and nodes < RETURNS:
        return KPROBE, (
            f"{_NAMES[KPROBE]}: kprobe_multi sees only {nodes} returns of {several} at once, and they are few"
        )
    if not problems[KPROBE_MULTI]:
        return KPROBE_MULTI, f"{_NAMES[KPROBE_MULTI]}: this kernel attaches {several} at once"
    lacking = f"this kernel cannot attach many at once ({problems[KPROBE_MULTI]})"
    if count > FEW and not problems[GRAPH]:
        return GRAPH, f"{_NAMES[GRAPH]}, without arguments and results: {lacking}, and {several} are many"
    if count > FEW:
        return KPROBE, f"{_NAMES[KPROBE]}, {several} one by one: {problems[GRAPH]}; {_patience(count)}"
    return KPROBE, f"{_NAMES[KPROBE]}: {lacking}, and {several} are few"


_NAMES = {
    KPROBE_MULTI: "kprobe_multi (fprobe)",
    FENTRY: "fentry (trampolines)",
    GRAPH: "function_graph (ftrace's tracer)",
    KPROBE: "single kprobes",
}


def _multi(facts: KernelFacts, _: Sequence[Traced], __: Focus) -> str:
    if not facts.has_kprobe_multi:
        return "the kernel was built without fprobe"
    if not facts.kprobe_multi_has_registers:
        return "fprobe of this kernel does not tell where in the stack a call returns"
    return ""


def _fentry(facts: KernelFacts, functions: Sequence[Traced], _: Focus) -> str:
    if not facts.has_trampolines:
        return "the kernel has no BPF trampolines"
    if len(functions) > MOST_FENTRY:
        return f"{len(functions):,} functions, of which each takes two programs, at most {MOST_FENTRY}"
    prototypes = Prototypes(facts)
    for function in functions:
        if function.name in NEVER_RETURN:
            return f"{function.name!r} never returns, and the kernel lets no program wait for that"
        if not prototypes.of(function).is_known:
            return f"the kernel has no type of {function.name!r}"
        if not prototypes.fits_trampoline(function):
            return f"{function.name!r} takes or returns what a trampoline cannot pass on"
    return ""


def _graph(facts: KernelFacts, functions: Sequence[Traced], focus: Focus) -> str:
    if focus.errors or focus.follow:
        wanted = "--errors needs results" if focus.errors else "--follow needs arguments"
        return f"{wanted}, which function_graph does not record"
    if not all(f.address for f in functions):
        return "the kernel hides its addresses, by which ftrace tells functions"
    # A kernel that does not tell its configuration has the function all the same.
    if "CONFIG_FUNCTION_GRAPH_TRACER" not in facts.config and not facts.has_function("register_ftrace_graph"):
        return "the kernel was built without function_graph"
    return ""


def _kprobe(_: KernelFacts, __: Sequence[Traced], ___: Focus) -> str:
    return ""


_PROBLEMS: dict[str, Callable[[KernelFacts, Sequence[Traced], Focus], str]] = {
    KPROBE_MULTI: _multi,
    FENTRY: _fentry,
    GRAPH: _graph,
    KPROBE: _kprobe,
}
"""Why a means cannot be used; empty if it can."""
