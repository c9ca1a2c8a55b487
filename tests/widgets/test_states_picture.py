"""What stays of a state machine: a picture and a text."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.widgets import ViewData, static_bundle
from ktrace_nb.widgets.machine import state_graph
from ktrace_nb.widgets.states import StatesView, states_html, states_text
from ktrace_nb.widgets.states_picture import machine_text, states_svg
from tests.widgets.made_transitions import TCP_COUNTS, tcp_frame
from tests.widgets.synthetic import Synthetic

FROM = {start for start, _ in TCP_COUNTS}
SVG = "{http://www.w3.org/2000/svg}"


def test_the_picture_shows_every_state_and_count_and_no_name_leaves_its_place() -> None:
    frame = pd.concat([tcp_frame(), pd.DataFrame({"from": ["<script>\x1b"], "to": ["CLOSE"], "count": [3]})])
    svg = states_svg(frame, machine="tcp", title="</text><script>")
    texts = [str(text.text) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert {"ESTABLISHED", "TIME_WAIT", "<script>\\x1b", "1,204", "1.2 s"} <= set(texts)
    assert "<script" not in svg
    assert "\x1b" not in svg


def test_text_is_a_line_per_transition_in_eighty_columns() -> None:
    view = ViewData(
        name="TCP\x1b", kind="states", frame=tcp_frame(), generation=0, options={"machine": "tcp"}
    )
    lines = states_text(view).splitlines()
    assert lines[:3] == [
        "TCP\\x1b",
        "CLOSE       -> SYN_SENT     1,204                ###########" + "#########",
        "SYN_SENT    -> ESTABLISHED  1,187  mean 212 µs   ###################",
    ]
    assert "ESTABLISHED -> CLOSE       *   17  mean 1.2 s    :" in lines
    assert lines[-1] == "11,824 transitions between 10 states; * not in RFC 9293's diagram"
    assert len(lines) == 1 + len(TCP_COUNTS) + 1
    long = tcp_frame().assign(count=np.uint64(2**64 - 1)).replace({"from": dict.fromkeys(FROM, "x" * 200)})
    text = states_text(ViewData(name="", kind="states", frame=long, generation=0))
    assert max(map(len, text.splitlines())) <= 80
    assert "18,446,744,073,709,551,615" in text


def test_a_saved_notebook_has_a_picture_and_text() -> None:
    view = ViewData(name="TCP", kind="states", frame=tcp_frame(), generation=0, options={"machine": "tcp"})
    bundle = static_bundle([view], Synthetic().status(), name="tcp")
    assert 'src="data:image/svg+xml;base64,' in bundle["text/html"]
    assert "SYN_SENT    -&gt; ESTABLISHED  1,187" in bundle["text/html"]
    assert "SYN_SENT    -> ESTABLISHED  1,187" in bundle["text/plain"]


@pytest.mark.parametrize("machine", ["", "tcp"])
@pytest.mark.parametrize(
    "change",
    [lambda f: f.iloc[:0], lambda f: f.assign(**{"to": None}), lambda f: f.assign(count=0)],
)
def test_nothing_is_said_to_be_nothing(machine: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    view = ViewData(
        name="", kind="states", frame=change(tcp_frame()), generation=0, options={"machine": machine}
    )
    assert "no transitions yet" in states_text(view)
    assert "no transitions yet" in states_html(view)
    assert StatesView(view, lambda: None).numbers["foot"].startswith("no transitions yet")


def test_what_is_left_out_is_said() -> None:
    frame = pd.DataFrame({"from": ["a", None, "b"], "to": ["b", "a", "a"], "mean_ns": [-3, 4, 5]})
    assert machine_text(state_graph(frame)).endswith(
        "2 transitions between 2 states; 1 row without a state left out; 1 negative time left out"
    )
