"""The views of a session: their frames over time, what is picked, the window of time."""

from __future__ import annotations

import gc
from typing import Any
from weakref import ref

import pandas as pd
import pytest

from ktrace_nb.errors import OptionError
from ktrace_nb.magics.showing import show_more
from ktrace_nb.magics.source import SessionSource
from ktrace_nb.session import Session
from ktrace_nb.widgets import ViewData
from tests.magics.session_kit import collect, steps, switches, traced


def running() -> Session:
    """A session that was looked at after one second and after two."""
    session = traced()
    collect(
        session,
        1.0,
        latency_ns={5: 3, 6: 9},
        bytes={7: 100, 9: 50},
        counters={0: 1, 1: 5},
        spans={
            4: switches((0.2, 0, 0, "swapper", 7, "ls"), (0.7, 0, 7, "ls", 9, "cat")),
            5: steps((0.1, 77, 7, 2), (0.3, 77, 2, 1)),
        },
    )
    return session


def later(session: Session) -> None:
    collect(
        session,
        2.0,
        latency_ns={5: 3, 6: 10, 8: 1},
        bytes={7: 150, 9: 50},
        counters={0: 3, 1: 5},
        spans={
            4: switches((1.2, 0, 9, "cat", 0, "swapper")),
            5: steps((1.3, 77, 1, 8), (1.4, 78, 7, 2)),
        },
    )
    session.state = "done"  # while it runs, what is dear is looked at more seldom


def views(source: SessionSource) -> dict[str, ViewData]:
    return {view.name: view for view in source.view_data()}


def test_auto_shows_each_output_as_what_suits_it() -> None:
    shown = views(SessionSource(running()))
    assert {name: view.kind for name, view in shown.items()} == {
        "latency_ns": "histogram",
        "bytes": "table",
        "counters per second": "series",
        "counters": "table",
        "switches timeline": "timeline",
        "switches": "table",
        "steps states": "states",
        "steps": "table",
    }


def test_a_histogram_over_time_has_what_was_counted_up_to_each_look() -> None:
    session = running()
    source = SessionSource(session, "heatmap")
    views(source)
    later(session)
    frame = views(source)["latency_ns over time"].frame
    last = frame.xs(2.0, level="at_s")["count"]
    first = frame.xs(1.0, level="at_s")["count"]
    assert {k: int(v) for k, v in last.items() if v} == {5: 3, 6: 10, 8: 1}
    assert {k: int(v) for k, v in first.items() if v} == {5: 3, 6: 9}


def test_rates_of_a_map_are_differences_over_time() -> None:
    session = running()
    source = SessionSource(session, "series", "bytes")
    views(source)
    later(session)
    rates = views(source)["bytes per second"].frame
    assert rates.xs(2.0, level="at_s")["bytes_per_s"].to_dict() == {7: 50.0, 9: 0.0}


def test_events_per_second_are_counted_by_their_own_time() -> None:
    session = running()
    later(session)
    rates = views(SessionSource(session, "series", "steps"))["steps per second"].frame
    assert rates["events_per_s"].to_dict() == {1.0: 2.0, 2.0: 2.0}


def test_a_timeline_is_made_of_switches_as_they_come() -> None:
    session = running()
    source = SessionSource(session, "timeline")
    views(source)
    later(session)
    spells = views(source)["switches timeline"].frame
    ran = {str(name): int(ns) for name, ns in zip(spells["comm"], spells["duration_ns"], strict=True)}
    assert ran == {"ls": 500_000_000, "cat": 500_000_000}


def test_transitions_are_counted() -> None:
    session = running()
    later(session)
    view = views(SessionSource(session, "states"))["steps states"]
    assert view.options["machine"] == "tcp"
    pairs = view.frame.set_index(["from", "to"])["count"]
    assert {pair: int(count) for pair, count in pairs.items()} == {
        ("CLOSE", "SYN_SENT"): 2,
        ("SYN_SENT", "ESTABLISHED"): 1,
        ("ESTABLISHED", "CLOSE_WAIT"): 1,
    }


def pick(view: ViewData, labels: list[Any]) -> None:
    assert view.pick is not None
    view.pick(labels)


def marked(view: ViewData) -> list[bool] | None:
    return None if view.marks is None else list(view.marks)


def test_what_is_picked_in_a_table_is_the_selected_frame_and_marked_in_the_other_panels() -> None:
    session = running()
    one, two = SessionSource(session), SessionSource(session, "series", "bytes")
    views(two)
    later(session)
    before = views(one)["bytes"].generation
    pick(views(one)["bytes"], [9])
    assert views(one)["bytes"].generation != before
    assert session.selected["value"].to_dict() == {9: 50}
    assert marked(views(one)["bytes"]) == [False, True]
    series = views(two)["bytes per second"]
    keys = series.frame.index.get_level_values("key")
    assert marked(series) == [key == 9 for key in keys]
    pick(views(one)["bytes"], [])
    assert session.selected.empty
    assert views(one)["bytes"].marks is None


def test_a_spell_that_is_picked_is_the_event_it_begins_with() -> None:
    session = running()
    later(session)
    view = views(SessionSource(session, "timeline"))["switches timeline"]
    pick(view, [view.frame.index[0]])
    assert session.selected["next_comm"].tolist() == ["ls"]
    assert marked(views(SessionSource(session))["switches"]) == [True, False, False]
    again = views(SessionSource(session, "timeline"))["switches timeline"]
    assert marked(again) == [True, False], "another spell of the same CPU is not picked"


def test_a_window_of_time_holds_in_all_views() -> None:
    session = running()
    source = SessionSource(session)
    over = SessionSource(session, "heatmap")
    views(over)
    later(session)
    view = views(over)["latency_ns over time"]
    assert view.set_window is not None
    view.set_window((1.0, 2.0))
    assert session.window == (1.0, 2.0)
    shown = views(source)
    counts = shown["latency_ns"].frame["count"]
    assert counts[counts > 0].to_dict() == {6: 1, 8: 1}
    assert shown["switches"].frame["next_comm"].tolist() == ["swapper"]
    assert len(shown["steps"].frame) == 2
    session.window = None
    assert views(source)["latency_ns"].frame["count"].sum() == 14


@pytest.mark.parametrize(
    ("view", "only", "message"),
    [
        ("bars", "", "no view 'bars'"),
        ("heatmap", "bytes", "nothing of bytes can be shown as heatmap"),
        ("flame", "", "--view flame shows calls"),
    ],
)
def test_a_view_that_would_show_nothing_is_refused(view: str, only: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        show_more(running(), view, only, False)


def test_a_view_without_a_notebook_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    session = running()
    session.view("heatmap", "latency_ns")
    assert capsys.readouterr().out.startswith("trace | running")
    with pytest.raises(KeyError, match="did you mean bytes"):
        session.view("table", "byte")
    assert isinstance(session.selected, pd.DataFrame)


def test_bars_picked_in_a_window_are_the_buckets_of_the_whole_trace() -> None:
    session = running()
    later(session)
    session.window = (1.0, 2.0)
    pick(views(SessionSource(session))["latency_ns"], [6])
    assert session.selected["count"].to_dict() == {6: 10}
    session.window = None
    assert marked(views(SessionSource(session))["latency_ns"]) == [False, True, False, False]


def test_labels_that_fit_no_row_are_refused_before_anything_is_picked() -> None:
    session = running()
    with pytest.raises(KeyError, match="has no frame 'byts'"):
        session.pick("byts", [7])
    session.pick("bytes", [12345])
    assert session.selected.empty
    assert marked(views(SessionSource(session))["bytes"]) == [False, False]


def test_what_is_followed_of_a_session_goes_with_it() -> None:
    session = running()
    views(SessionSource(session))
    gone = ref(session)
    del session
    gc.collect()
    assert gone() is None
