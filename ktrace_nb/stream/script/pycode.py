"""Handlers of a script made runnable: IR turned into Python's own code.

:func:`compile_script` builds Python syntax trees from the IR and has Python compile
them. Integers stay Python integers, put back into 64 bits by a comparison where they
may have left them; globals are reached through their methods alone, so that it makes
no difference where they live; where a failure came from is read off the traceback.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from ktrace_nb.ir import script as ir
from ktrace_nb.stream.script import arrays, values, walking
from ktrace_nb.stream.script.environment import Environment
from ktrace_nb.stream.script.errors import Fault, LimitError, ScriptError
from ktrace_nb.stream.script.functions import functions_of
from ktrace_nb.stream.script.histograms import histogram_text
from ktrace_nb.stream.script.pycode_body import HANDLER_NEXT, BodyWriter
from ktrace_nb.stream.script.pycode_expr import ExpressionWriter
from ktrace_nb.stream.script.pytree import FILE, Places
from ktrace_nb.stream.script.statistics import bucket_count

MOST_ROUNDS = 10_000_000
"""Rounds of its loops that a handler may run."""

Captured: TypeAlias = tuple[values.Value | Fault, ...]
Handler: TypeAlias = Callable[[Captured], None]
"""Runs a body with the values the kernel sent along; raises :class:`ScriptError`."""


@dataclass(frozen=True, slots=True)
class Routine:
    """A body to be run: of a record, or of a handler of this side."""

    name: str
    """Unique."""
    body: ir.Body
    locals: tuple[ir.LocalVariable, ...] = ()


class NextHandler(Exception):  # noqa: N818 - nothing went wrong
    """Leaves the handler out of a function."""


def compile_script(
    functions: Sequence[ir.Function],
    routines: Sequence[Routine],
    globals_: Mapping[str, arrays.Store],
    environment: Environment,
) -> dict[str, Handler]:
    """Make routines runnable.

    Args:
        functions: Functions they call.
        routines: What is to be run.
        globals_: All globals they use, by name.
        environment: The session.

    Returns:
        A function for each routine, by its name.

    Raises:
        ValueError: Something that only runs in the kernel, or a regular expression that is none.
    """
    places = Places()
    names = _runtime(environment)
    for global_name, store in globals_.items():
        names[f"g_{global_name}"] = store
        names |= {f"g_{global_name}_{what}": getattr(store, what) for what in _methods(store)}
    names |= {f"i_{name}": function for name, function in functions_of(environment).items()}
    with_keys = frozenset(name for name, store in globals_.items() if hasattr(store, "clear"))
    writer = BodyWriter(ExpressionWriter(places, arrays=with_keys, constants=names, environment=environment))
    tree = ast.Module(
        [
            *(writer.function(function, environment.max_nesting) for function in functions),
            *(writer.handler(f"h_{routine.name}", routine.body, routine.locals) for routine in routines),
        ],
        [],
    )
    exec(compile(tree, FILE, "exec"), names)
    return {routine.name: _guarded(names[f"h_{routine.name}"], places) for routine in routines}


_METHODS = ("get", "set", "reset", "accumulate", "stat", "contains", "delete", "clear")


def _methods(store: arrays.Store) -> list[str]:
    return [what for what in _METHODS if hasattr(store, what)]


def _runtime(environment: Environment) -> dict[str, Any]:
    """What generated code finds by name."""

    def nested_too_deep() -> NoReturn:
        raise ScriptError("MAXNESTING exceeded")

    def run_wild() -> NoReturn:
        raise LimitError(f"a handler ran more than {MOST_ROUNDS} rounds of its loops")

    def fault(value: Fault) -> NoReturn:
        raise value.error()

    return {
        "wrap": values.wrap,
        "divide": values.divide,
        "remainder": values.remainder,
        "shift_left": values.shift_left,
        "shift_right": values.shift_right,
        "cut": environment.cut,
        "walk": walking.walk,
        "contains_any": walking.contains_any,
        "delete_all": walking.delete_all,
        "histogram_text": histogram_text,
        "bucket_count": bucket_count,
        "put_out": environment.print,
        "Fault": Fault,
        "fault": fault,
        "ScriptError": ScriptError,
        "LimitError": LimitError,
        HANDLER_NEXT: NextHandler,
        "nested_too_deep": nested_too_deep,
        "run_wild": run_wild,
    }


def _guarded(body: Callable[[Captured, Any], None], places: Places) -> Handler:
    """A handler whose errors say where in the script they are."""

    def run(captured: Captured) -> None:
        try:
            body(captured, iter(range(MOST_ROUNDS)))
        except ScriptError as error:
            error.at = error.at or places.of(error.__traceback__)
            raise
        except NextHandler:
            pass
        except RecursionError as error:
            raise ScriptError("MAXNESTING exceeded", places.of(error.__traceback__)) from None

    return run
