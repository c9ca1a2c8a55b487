"""What the head of a panel says and how little it sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ktrace_nb.widgets import Panel, PanelStatus
from ktrace_nb.widgets.header import MOST_PROBES, Header
from ktrace_nb.widgets.headline import headline
from ktrace_nb.widgets.pace import Tick
from ktrace_nb.widgets.source import ProbeStatus
from ktrace_nb.widgets.static import static_bundle
from tests.widgets.controlled import Controlled

RUNNING = PanelStatus(state="running", elapsed_s=1, hits=5)


@pytest.fixture
def clock() -> list[float]:
    """The time by which headers go, seconds."""
    return [0.0]


@pytest.fixture
def make(clock: list[float]) -> Any:
    made: list[Header] = []

    def header(status: PanelStatus = RUNNING) -> tuple[Header, list[dict[str, Any]]]:
        """A header, and what it sends from now on: its comm's messages."""
        new = Header(address="x", head=headline("t", status), clock=lambda: clock[0])
        made.append(new)
        sent: list[dict[str, Any]] = []
        new.comm.send = lambda data=None, **_: sent.append(data)
        return new, sent

    yield header
    for one in made:
        one.close()


def contents(sent: list[dict[str, Any]]) -> list[Any]:
    """What a page reads of the messages: names of traits that changed, or a message's content."""
    return [list(m["state"]) if m["method"] == "update" else m["content"] for m in sent]


Make = Callable[..., tuple[Header, list[dict[str, Any]]]]


def test_the_head_is_sent_again_only_for_more_than_the_clock(make: Make) -> None:
    header, _ = make()
    assert not header.update(headline("t", replace(RUNNING, elapsed_s=9)))
    assert header.update(headline("t", replace(RUNNING, elapsed_s=9, hits=6)))
    done = replace(RUNNING, state="done", elapsed_s=9.5, hits=6)
    assert header.update(headline("t", done))
    header.tick(Tick(1, quiet=False))
    assert not header.update(headline("t", done))


def test_counts_alone_are_sent_twice_a_second_and_at_once_if_the_trace_turns(
    make: Make, clock: list[float]
) -> None:
    header, sent = make()
    due = []
    for tenth in range(11):
        clock[0] = tenth / 10
        due.append(header.update(headline("t", replace(RUNNING, hits=100 + tenth))))
        if due[-1]:
            header.tick(Tick(tenth, quiet=False))
    assert due == [True, *[False] * 4, True, *[False] * 4, True]
    clock[0] += 0.1
    assert not header.update(headline("t", replace(RUNNING, hits=200)))
    header.tick(Tick(11, quiet=False))  # for a view's sake
    assert contents(sent)[-1] == {"tick": 11}
    assert header.update(headline("t", replace(RUNNING, hits=201, paused=True)))
    header.tick(Tick(12, quiet=True))
    assert contents(sent)[-1]["now"]["hits_text"] == "201"
    assert header.update(headline("t", replace(RUNNING, hits=202, state="done")))
    header.tick(Tick(13, quiet=True))
    assert contents(sent)[-1]["now"]["hits_text"] == "202"


def test_a_tick_that_nobody_is_to_answer_is_sent_only_with_something_to_tell(make: Make) -> None:
    header, sent = make()
    header.tick(Tick(1, quiet=True))
    assert sent == []
    header.list_probes(probes(1), fresh=True)
    header.tick(Tick(2, quiet=True))
    header.update(headline("t", replace(RUNNING, hits=6)))
    header.tick(Tick(3, quiet=True))
    header.tick(Tick(4, quiet=True))
    header.tick(Tick(5, quiet=False))
    assert [(sorted(said), said["tick"]) for said in contents(sent)] == [
        (["probes", "quiet", "tick"], 2),
        (["now", "quiet", "tick"], 3),
        (["tick"], 5),
    ]


def test_counts_travel_with_the_tick_in_one_message(make: Make) -> None:
    header, sent = make()
    assert header.update(
        headline("t", replace(RUNNING, elapsed_s=2.0, hits=2**60, cost_ns=85.3, cpu_share=0.0123456))
    )
    header.tick(Tick(1, quiet=False))
    header.tick(Tick(2, quiet=False))
    now = {
        "elapsed_s": 2.0,
        "hits_text": "1,152,921,504,606,846,976",
        "per_hit": "85.3 ns per hit",
        "share": "1.2 %",
        "cpu_share": 0.0123,
        "effect": "noticeable",
    }
    assert contents(sent) == [{"tick": 1, "now": now}, {"tick": 2}]


def test_a_page_that_comes_later_reads_the_latest_counts(make: Make) -> None:
    header, _ = make()
    assert header.get_state("counts")["counts"]["hits_text"] == "5"
    header.update(headline("t", replace(RUNNING, hits=7000)))
    assert header.get_state()["counts"]["hits_text"] == "7,000"


def test_what_seldom_changes_is_sent_when_it_does(make: Make) -> None:
    header, sent = make()
    header.update(headline("t", replace(RUNNING, hits=6, paused=True)))
    header.tick(Tick(1, quiet=False))
    assert [list(m) if isinstance(m, dict) else m for m in contents(sent)] == [["state"], ["tick", "now"]]
    assert header.state["paused"] is True


@pytest.mark.parametrize(
    ("share", "effect", "text"),
    [
        (0.0, "low", "0 %"),
        (0.00999, "low", "1 %"),
        (0.01, "noticeable", "1 %"),
        (0.0499, "noticeable", "5 %"),
        (0.05, "high", "5 %"),
        (3.5, "high", "3.5e+02 %"),
    ],
)
def test_what_tracing_costs_is_low_below_one_per_cent_and_high_from_five(
    share: float, effect: str, text: str
) -> None:
    costs = headline("t", replace(RUNNING, cpu_share=share)).costs
    assert (costs.effect, costs.share) == (effect, text)


def test_a_cost_that_is_not_known_is_not_said() -> None:
    costs = headline("t", RUNNING).costs
    assert (costs.effect, costs.share, costs.text) == ("", "", "")


def probes(count: int, **changes: Any) -> list[ProbeStatus]:
    return [ProbeStatus(name=f"p{number}", hits=number, **changes) for number in range(count)]


def test_of_the_list_of_probes_only_changed_rows_are_sent(make: Make) -> None:
    header, sent = make()
    first = probes(3)
    assert header.list_probes(first, fresh=True)
    header.tick(Tick(1, quiet=False))
    assert not header.list_probes(first, fresh=False)
    changed = [
        first[0],
        ProbeStatus(name="p1", hits=2**63, ns_per_hit=171, cpu_share=0.5, missed=7, on=False),
        first[2],
    ]
    assert header.list_probes(changed, fresh=False)
    header.tick(Tick(2, quiet=False))
    row = ["p1", "9,223,372,036,854,775,808", "171 ns", "50 %", "7", False, True]
    assert contents(sent)[1] == {"tick": 2, "probes": {"changed": {1: row}}}
    assert contents(sent)[0]["probes"]["all"][2] == ["p2", "2", "", "", "", True, True]
    assert header.list_probes([*changed, *probes(1)], fresh=False)
    header.tick(Tick(3, quiet=False))
    assert len(contents(sent)[2]["probes"]["all"]) == 4, "another probe makes another list"


def test_a_long_list_of_probes_says_how_many_are_left_out(make: Make) -> None:
    header, sent = make()
    header.list_probes(probes(MOST_PROBES + 122), fresh=True)
    header.tick(Tick(1, quiet=False))
    assert len(contents(sent)[0]["probes"]["all"]) == MOST_PROBES
    assert contents(sent)[0]["probes"]["more"] == 122


def test_probes_are_listed_only_while_a_page_has_the_list_open() -> None:
    source = Controlled([], hertz=0)
    panel = Panel(source)
    header = panel.widget.children[0]
    sent: list[Any] = []
    header.send = lambda content, buffers=None: sent.append(content)
    source.age += 1
    panel.finish()
    panel.receive({"view": "v", "probes": True})
    panel.finish()
    source.age += 1
    panel.finish()
    panel.receive({"view": "v", "probes": False})
    source.age += 1
    panel.finish()
    panel.receive({"view": "v", "probes": True})
    panel.receive({"view": "v", "bye": True})
    source.age += 1
    panel.finish()
    panel.close()
    listed = [list(message.get("probes", ())) for message in sent if "tick" in message]
    assert [said for said in listed if said] == [["all", "more"], ["changed"]]


def test_a_paused_trace_says_so_in_text_and_picture_and_names_what_is_off() -> None:
    source = Controlled([], hertz=0, age=3)
    source.request("pause")
    source.request("off", "vfs_write")
    source.started -= 12.0
    text = headline("vfs_read", source.status()).text
    assert text.startswith("vfs_read | paused | 12.0 s | complete | 3,000 hits | ")
    assert text.endswith(" | 85.3 ns per hit, 0.87 % of a CPU | off: vfs_write")
    page = static_bundle([], source.status(), name="vfs_read")["text/html"]
    assert "<b>vfs_read</b> · paused · 12.0 s · 3,000 hits" in page
    assert "off: vfs_write" in page
    assert "per hit" in page
    source.request_stop()
    assert headline("vfs_read", source.status()).word == "done"


def test_a_notice_and_names_are_printable() -> None:
    status = replace(
        RUNNING, notice="wrote \x1b[31m<b>", probes=(ProbeStatus(name="a\x1b", hits=0, on=False),)
    )
    head = headline("t", status)
    assert head.notice == r"wrote \x1b[31m<b>"
    assert head.switched == r"off: a\x1b"


def test_a_snapshot_goes_to_the_page_that_asked_and_shows_the_panel_as_it_stands() -> None:
    source = Controlled(["by process"], hertz=0)
    panel = Panel(source)
    source.panel = panel
    header = panel.widget.children[0]
    sent: list[Any] = []
    header.send = lambda content, buffers=None: sent.append(content)
    panel.receive({"view": "v7", "id": "v7.1", "do": "snapshot"})
    panel.insert_snapshot("trace.snapshots[3]", {"text/plain": "mine"})
    panel.finish()
    panel.finish()
    panel.close()
    first, second = [message["snapshot"] for message in sent if "snapshot" in message]
    assert (first["view"], first["source"]) == ("v7", "kept = 0  # source.kept[0]")
    assert "| running |" in first["bundle"]["text/plain"]
    assert "data-panel" not in first["bundle"]["text/html"], "the live panel hides what is marked as its own"
    assert second == {"view": "v7", "source": "trace.snapshots[3]", "bundle": {"text/plain": "mine"}}


def test_a_picture_is_kept_as_soon_as_the_trace_is_paused_and_resumed() -> None:
    source = Controlled([], hertz=0)
    saved: list[dict[str, str]] = []
    panel = Panel(source, saved=saved.append)
    for action in ("pause", "resume", "pause"):
        source.request(action)
        panel.finish()
        panel.finish()
    assert [picture["text/plain"].split(" | ")[1] for picture in saved] == ["paused", "running", "paused"]
    source.request_stop()
    panel.finish()
    assert "| done: stopped |" in saved[-1]["text/plain"]
    panel.close()
