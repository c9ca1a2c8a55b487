"""Sessions on display: the panel of the cell that ran one, and those of ``session.view()``."""

from __future__ import annotations

from ktrace_nb.diagnostics import near_hint
from ktrace_nb.errors import OptionError
from ktrace_nb.export import export_action
from ktrace_nb.magics import sessions
from ktrace_nb.magics.choice import suiting
from ktrace_nb.magics.snapshot_picture import snapshot_picture
from ktrace_nb.magics.source import KINDS, VIEWS, SessionSource, check_view
from ktrace_nb.results import Results
from ktrace_nb.session import Session
from ktrace_nb.stream.calls.outputs import WalkOutputs
from ktrace_nb.widgets import show


def show_session(session: Session, view: str = "auto", only: str = "", *, big: bool = False) -> None:
    """Display a session where the cell that runs puts its output.

    Args:
        session: Which.
        view: One of ``VIEWS``.
        only: The only output to show; empty for all.
        big: Whether it is to be read from the last row of a lecture hall.
    """
    source = SessionSource(session, view, only)
    panel = show(source, big=big)
    # Of several panels the last one's picture is exported: they are of one session.
    session.actions["export"] = lambda form: export_action(session, form, panel.picture)
    entry = sessions.entry_of(session)
    name = entry.variable if entry is not None else session.name
    if entry is not None:
        entry.panels.append(panel)

    def put_in_cell(number: int) -> None:
        for place, kept in enumerate(session.snapshots):
            if kept.number == number:
                panel.insert_snapshot(f"{name}.snapshots[{place}]", snapshot_picture(kept))

    source.put_in_cell = put_in_cell
    session.when_over(panel.finish)


def show_more(results: Results, view: str, only: str, big: bool) -> None:
    """What ``session.view()`` does.

    Raises:
        OptionError: There is no such view, or it suits nothing that the session puts out.
    """
    kinds = [name for name in VIEWS if name != "none"]
    if view in KINDS.values():
        view = next(name for name, kind in KINDS.items() if kind == view)
    if view not in kinds:
        raise OptionError(f"no view {view!r}", hint=near_hint(view, kinds) or f"there is {', '.join(kinds)}")
    check_view(view, calls=isinstance(results.outputs, WalkOutputs))
    if view not in ("auto", "text") and not isinstance(results.outputs, WalkOutputs):
        _check_suits(results, KINDS.get(view, view), only)
    assert isinstance(results, Session)
    show_session(results, view, only, big=big)


def _check_suits(results: Results, kind: str, only: str) -> None:
    names = [only] if only else results.outputs.names
    suited = {name: suiting(results.outputs, name) for name in names}
    if any(kind in kinds for kinds in suited.values()):
        return
    told = "; ".join(f"{name} as {', '.join(kinds)}" for name, kinds in suited.items())
    what = only or f"session {results.name!r}"
    raise OptionError(f"nothing of {what} can be shown as {kind}", hint=told or "it puts out nothing")


Results.viewer = staticmethod(show_more)
