"""The views of a walk, from records to what the panel is given."""

from __future__ import annotations

import errno
from typing import Any

import numpy as np
import pytest

from ktrace_nb import compare
from ktrace_nb.errors import OptionError
from ktrace_nb.magics.source import SessionSource, check_view
from ktrace_nb.session import Session
from ktrace_nb.stream.calls.feed import FrameFeed
from ktrace_nb.widgets import Panel, ViewData
from ktrace_nb.widgets.indent import IndentView
from tests.magics.walks import outputs_of, walk_session
from tests.stream.calls.test_outputs import collected, ring_span
from tests.stream.calls.trees import written

TWO_CALLS = "7 in a 100\n7 in b 50\n7 out b 50\n7 out a 100"


def end(session: Session) -> None:
    outputs_of(session).finish(10_000)
    session._end("done", "the command ended with status 0")


def views(source: SessionSource) -> dict[str, ViewData]:
    return {view.name: view for view in source.view_data()}


def test_a_walk_has_lines_pictures_and_its_functions() -> None:
    session = walk_session(["a", "b"])
    outputs_of(session).store.add(written(TWO_CALLS))
    shown = views(SessionSource(session))
    assert [(view.name, view.kind) for view in shown.values()] == [
        ("calls", "indent"),
        ("flame", "flame"),
        ("callgraph", "callgraph"),
        ("functions", "table"),
    ]
    assert shown["functions"].frame["count"].to_dict() == {"a": 1, "b": 1}
    assert list(views(SessionSource(session, "table"))) == ["functions", "edges", "calls", "left_out"]
    assert list(views(SessionSource(session, "callgraph"))) == ["callgraph"]


def test_every_frame_of_a_walk_says_what_its_calls_lack() -> None:
    session = walk_session(["a", "b"])
    span = ring_span(written(TWO_CALLS))
    collected(outputs_of(session), span, submitted=11, dropped=7)
    assert session.losses == {"ring full": 7}
    for name in ("calls", "functions", "edges"):
        about = session.frame(name).attrs["ktrace"]
        assert (about["lost"], about["complete"]) == ({"ring full": 7}, False)
    assert session.frame("left_out").attrs["ktrace"]["complete"]
    assert compare(session, session).attrs["ktrace"]["complete"] is False


@pytest.mark.parametrize(("view", "calls"), [("indent", False), ("flame", False), ("hist", True)])
def test_a_view_that_would_be_empty_is_refused(view: str, calls: bool) -> None:
    with pytest.raises(OptionError):
        check_view(view, calls=calls)


def test_while_it_runs_a_dear_view_stays_and_the_last_one_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ktrace_nb.magics.resting.SHARE", 1e-9)  # each look is dear
    session = walk_session(["a", "b"])
    source = SessionSource(session)
    outputs_of(session).store.add(written(TWO_CALLS))
    first = views(source)
    outputs_of(session).store.add(written(TWO_CALLS))
    second = views(source)
    for name in ("flame", "callgraph", "functions"):
        assert second[name] is first[name]
    assert second["calls"].generation == 8, "lines are not made of a frame"
    end(session)
    last = views(source)
    assert last["functions"].frame["count"].to_dict() == {"a": 2, "b": 2}
    assert last["callgraph"].frame.loc[("a", "b"), "count"] == 2
    assert len(last["flame"].frame) == 4
    for name in ("flame", "callgraph", "functions"):
        assert last[name].generation != second[name].generation, "or the panel would not draw it"
        assert views(source)[name] is last[name]


def test_pointing_at_a_line_makes_no_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    session = walk_session(["a", "b"])
    outputs_of(session).store.add(written(TWO_CALLS))
    end(session)
    panel = Panel(SessionSource(session))
    assert panel.widget is not None
    view = panel.shown("calls")
    assert isinstance(view, IndentView)
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(view, "send", lambda content, buffers=None: sent.append(content))

    def refuse(*_: object) -> None:
        raise AssertionError("a frame was made")

    monkeypatch.setattr(outputs_of(session), "frame", refuse)
    monkeypatch.setattr(outputs_of(session), "paths", refuse)
    view.receive({"tell": 0})
    panel.finish()
    assert panel.problem is None
    assert sent[-1]["text"].startswith("a(n=0) = ")
    panel.close()


def test_calls_sent_when_they_are_over_stand_in_the_order_of_entry_at_last() -> None:
    session = walk_session(["a", "b"], completed=True)
    # As the kernel sends them with --errors: both records of a call at its return, so b, then a.
    records = written("7 in b 50\n7 out b 50\n7 in a 100\n7 out a 100")
    records["at"] = [1200, 1700, 1000, 2000]
    records["depth"] = [1, 1, 0, 0]
    records["values"][3, 0] = (1 << 32) - errno.ENOENT
    outputs_of(session).store.add(records)
    source = SessionSource(session, "indent")
    running = views(source)["calls"]
    assert running.feed is outputs_of(session).feed
    end(session)
    over = views(source)["calls"]
    assert isinstance(over.feed, FrameFeed)
    assert over.generation != running.generation
    assert views(source)["calls"].feed is over.feed, "a page would start afresh"
    steps = over.feed.steps(0, 4)
    lines = [
        (over.feed.functions[function], depth, kind)
        for function, depth, kind in zip(
            steps.function.tolist(), steps.depth.tolist(), steps.kind.tolist(), strict=True
        )
    ]
    assert lines == [("a", 0, 0), ("b", 1, 0), ("b", 1, 1), ("a", 0, 2)]
    assert np.array_equal(steps.at, np.array([1000, 1200, 1700, 2000], np.uint64))
    assert steps.call.tolist() == [1, 0, 0, 1], "rows of the frame calls"


def test_other_walks_keep_their_lines_at_the_end() -> None:
    session = walk_session(["a", "b"])
    outputs_of(session).store.add(written(TWO_CALLS))
    source = SessionSource(session, "indent")
    running = views(source)["calls"].feed
    end(session)
    assert views(source)["calls"].feed is running
