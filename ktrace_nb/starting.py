"""Loading and attaching: what the kernel refuses is told at its place in the cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ktrace_nb.compiler.build import Built
from ktrace_nb.compiler.verifier import verifier_error
from ktrace_nb.errors import CellError, KTraceError, LoadError, ProbeNotFoundError, RemoteError
from ktrace_nb.ir.gather import refusals
from ktrace_nb.wire.bundle import encode_bundle
from ktrace_nb.wire.frames import Call

_LOAD_S = 120.0


def load(call: Call, session: str, built: Built) -> None:
    """Have the agent load a cell's maps and programs.

    Args:
        call: The agent.
        session: The session's name there.
        built: The compiled cell.

    Raises:
        VerifierError: The kernel refused a program.
        RemoteError: It refused something else; see :func:`load_error`.
    """
    try:
        call("load", encode_bundle(built.bundle), session=session, timeout_s=_LOAD_S)
    except RemoteError as error:
        if error.code != "verifier":
            raise
        definition = next(p for p in built.bundle.programs if p.name == error.fields["program"])
        log = str(error.fields.get("log", ""))
        raise verifier_error(log, error.message, built.program, definition) from None


def attach(call: Call, session: str, built: Built, *, timeout_s: float) -> tuple[Mapping[str, Any], Built]:
    """Have the agent attach what was loaded.

    Args:
        call: The agent.
        session: The session's name there.
        built: The compiled cell.
        timeout_s: Seconds to wait.

    Returns:
        The head of the agent's reply, and the cell with remarks on optional probes that were refused.

    Raises:
        ProbeNotFoundError: A symbol that only the target knows does not exist.
        CellError: The kernel refused a probe.
        RemoteError: It refused something else; see :func:`load_error`.
    """
    try:
        head = call("attach", session=session, timeout_s=timeout_s).head
    except RemoteError as error:
        index = error.fields.get("point")
        if not isinstance(index, int):
            raise
        request = built.plan.request(index, int(error.fields.get("place", 0)))
        if error.code == "no_symbol":
            what, name = f"{request.kind} target", str(error.fields.get("name"))
            known = [str(k) for k in error.fields.get("known", ())]
            raise ProbeNotFoundError(what, name, request.source, request.span, known) from None
        raise CellError(error.message, request.source, request.span, hint=_attach_hint(error)) from None
    left_out = refusals(built.plan, head["refused"])
    return head, replace(built, problems=(*built.problems, *left_out))


def load_error(error: RemoteError) -> KTraceError:
    """What to tell the user of an error of the agent that has no place in the cell."""
    if error.code == "workload":
        return KTraceError(error.message)
    hint = None
    if error.fields.get("errno") in ("EPERM", 1):
        hint = "the agent lacks the privilege; run it as root"
    return LoadError(error.message, hint=hint)


def _attach_hint(error: RemoteError) -> str | None:
    number = error.fields.get("errno")
    return {
        1: "the agent lacks the privilege; run it as root",
        2: "the function cannot be probed: it is not there, inlined, or in a module that is not loaded",
        22: "the kernel does not allow a probe here",
        99: "the kernel has several functions of this name; a tracepoint or fentry names one exactly",
        524: "this kernel was built without this kind of probe; --target lab has it",
        95: "this kernel was built without this kind of probe; --target lab has it",
    }.get(number if isinstance(number, int) else 0)
