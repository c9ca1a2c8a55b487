"""Which views suit which output."""

from __future__ import annotations

import pytest

from ktrace_nb.magics.choice import at_first, machine_of, suiting
from tests.magics.session_kit import collect, steps, switches, traced


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("latency_ns", ("histogram", "heatmap", "table")),
        ("bytes", ("table", "series")),
        ("counters", ("series", "table")),
        ("switches", ("timeline", "table", "series")),
        ("steps", ("states", "table", "series")),
    ],
)
def test_the_kinds_that_suit_an_output_are_told_by_its_columns(name: str, kinds: tuple[str, ...]) -> None:
    session = traced()
    collect(
        session,
        1.0,
        latency_ns={5: 3},
        bytes={7: 100},
        counters={0: 1, 1: 5},
        spans={4: switches((0.5, 0, 0, "swapper", 7, "ls")), 5: steps((0.1, 77, 7, 2))},
    )
    assert suiting(session.outputs, name) == kinds


def test_what_is_drawn_over_time_comes_with_its_numbers() -> None:
    assert at_first(("timeline", "table", "series")) == ("timeline", "table")
    assert at_first(("series", "table")) == ("series", "table")
    assert at_first(("histogram", "heatmap", "table")) == ("histogram",)
    assert at_first(("table", "series")) == ("table",)


def test_states_of_sockets_are_those_of_tcp() -> None:
    assert machine_of({"ts", "skaddr", "oldstate", "newstate"}) == "tcp"
    assert machine_of({"oldstate", "newstate"}) == ""
    assert machine_of({"prev_pid", "prev_state", "next_pid"}) == "task"
