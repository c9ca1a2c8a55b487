"""Which clicks reach a trace."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets import Panel, direct
from ktrace_nb.widgets.asked import FORMS, REMEMBERED, Asked
from ktrace_nb.widgets.source import Action
from tests.widgets.controlled import PROBES, Controlled


def click(action: object, argument: str = "", *, number: int = 1, view: str = "v") -> dict[str, Any]:
    """What the page sends."""
    return {"view": view, "id": f"{view}.{number}", "do": action, "argument": argument}


def test_a_click_that_arrives_both_ways_counts_once() -> None:
    source = Controlled([])
    asked = Asked(source)
    assert asked.take(click("reset"))
    assert not asked.take(click("reset"))
    assert asked.take(click("reset", number=2))
    assert asked.take(click("reset", view="w"))
    assert source.requests == [("reset", "")] * 3
    assert asked.view == "w"


def test_old_clicks_are_forgotten_but_not_the_latest() -> None:
    source = Controlled([])
    asked = Asked(source)
    for number in range(REMEMBERED + 5):
        asked.take(click("reset", number=number))
    assert not asked.take(click("reset", number=REMEMBERED + 4))
    assert not asked.take(click("reset", number=5))
    assert len(source.requests) == REMEMBERED + 5


@pytest.mark.parametrize(
    "message", [{}, {"do": "reset"}, {"do": "reset", "id": 3}, {"id": "v.1"}, {"do": None}]
)
def test_what_is_no_click_is_not_taken(message: dict[str, Any]) -> None:
    source = Controlled([])
    assert not Asked(source).take(message)
    assert source.requests == []


@pytest.mark.parametrize("action", ["close", "", "__class__", None, "stop", "pause\x1b"])
def test_an_action_that_there_is_none_of_is_refused_and_it_is_said(action: object) -> None:
    source = Controlled([])
    asked = Asked(source)
    asked.take(click(action))
    assert source.requests == []
    assert asked.notice(source.status()) == f"{str(action)!r} cannot be asked of this trace now"


def test_an_action_that_is_not_on_offer_is_refused() -> None:
    source = Controlled([], actions=["export"])
    asked = Asked(source)
    asked.take(click("pause"))
    assert source.requests == []
    assert "'pause' cannot be asked" in asked.notice(source.status())
    asked.take(click("export", "csv", number=2))
    assert source.requests == [("export", "csv")]
    assert asked.notice(source.status()) == "wrote trace-latency.csv"


def test_a_refusal_gives_way_to_news_of_the_trace() -> None:
    source = Controlled([])
    source.notice = "older"
    asked = Asked(source)
    asked.take(click("fly"))
    assert "'fly'" in asked.notice(source.status())
    source.notice = "newer"
    assert asked.notice(source.status()) == "newer"


def test_a_probe_is_meant_by_what_is_shown_of_its_name() -> None:
    source = Controlled([])
    asked = Asked(source)
    asked.take(click("off", PROBES[1]))
    assert source.requests == [("off", "vfs_write")]
    for number, name in enumerate([printable(PROBES[2]), "no_such", ""], start=2):
        asked.take(click("off", name, number=number))
        assert asked.notice(source.status()) == f"there is no probe {name!r} to switch off"
    assert len(source.requests) == 1, "the last probe cannot be switched"


def test_an_export_has_one_of_four_forms() -> None:
    source = Controlled([])
    asked = Asked(source)
    for number, form in enumerate([*FORMS, "../../etc/passwd", ""]):
        asked.take(click("export", form, number=number))
    assert source.requests == [("export", form) for form in ("csv", "parquet", "json", "html")]
    assert asked.notice(source.status()) == "cannot export as ''; there are csv, parquet, json, html"


def test_what_an_action_does_not_need_is_not_passed_on() -> None:
    source = Controlled([])
    Asked(source).take(click("pause", "rm -rf"))
    assert source.requests == [("pause", "")]


class Failing(Controlled):
    """A trace that cannot do what it offers."""

    def request(self, action: Action, argument: str = "") -> None:
        raise RuntimeError("target is gone")


def test_a_trace_that_fails_at_a_request_is_told_and_the_message_goes_no_further() -> None:
    source = Failing([])
    asked = Asked(source)
    assert asked.take(click("pause"))
    assert asked.notice(source.status()) == "target is gone"


def test_a_page_s_click_reaches_the_trace_through_either_channel() -> None:
    source = Controlled([])
    panel = Panel(source)
    assert panel.widget is not None
    assert direct.deliver({"address": panel.address, "data": {**click("pause"), "direct": True}})
    panel.receive({**click("pause"), "direct": False})
    assert source.requests == [("pause", "")]
    assert source.paused
    panel.close()


def test_after_a_click_a_trace_that_is_over_is_watched_for_what_comes_of_it() -> None:
    source = Controlled([], hertz=0, seconds=0)
    panel = Panel(source)
    header = panel.widget.children[0]

    def acknowledge(content: dict[str, Any], buffers: object = None) -> None:
        if "tick" in content:
            panel.receive({"view": "v", "ack": content["tick"], "direct": True})

    header.send = acknowledge
    panel.receive({"view": "v", "hello": True, "direct": True})
    panel.receive(click("export", "csv"))
    source.notice = "wrote it after all"
    deadline = time.monotonic() + 5
    while header.state["notice"] != "wrote it after all" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert header.state["notice"] == "wrote it after all"
    panel.close()
