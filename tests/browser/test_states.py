"""State machines in a real JupyterLab: what is drawn, what is sent, what a click does."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator

from tests.browser import kit
from tests.browser.panels import texts
from tests.notebooks import write_notebook

pytestmark = pytest.mark.browser

START = """
import numpy as np
import pandas as pd
from ktrace_nb.widgets import states
from tests.widgets.made_transitions import growing, tcp_frame
"""
TCP = "frame = tcp_frame(); view = states(frame, title='TCP on the loopback', machine='tcp'); view"
STATE = ".ktrace-states-state"
LINK = ".ktrace-states-link"
LABEL = ".ktrace-states-label"


def show(page: kit.LabPage, path: str, source: str, *more: str) -> None:
    """Open a notebook and run a cell that shows a state machine."""
    write_notebook(page.server.root / path, [START, source, *more])
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_selector(f"{STATE}, .ktrace-states .ktrace-foot")


def state(page: kit.LabPage, name: str) -> Locator:
    """The shape of a state."""
    return page.page.locator(STATE).filter(has=page.page.get_by_text(name, exact=True))


def picked(page: kit.LabPage) -> list[str]:
    """What the view knows to be picked, once it has heard of what the page has sent."""
    return page.ask("print(*(f'{a}>{b}' for a, b in view.selected[['from', 'to']].values))").split()


def places(page: kit.LabPage) -> list[list[str]]:
    """Where in the picture each state is."""
    found = page.page.locator(f"{STATE} > rect").evaluate_all(
        "(all) => all.map((e) => ['x', 'y', 'width', 'height'].map((name) => e.getAttribute(name)))"
    )
    return list(found)


def counts(page: kit.LabPage) -> list[str]:
    """The numbers at transitions, in their order in the diagram."""
    found = page.page.locator(f"{LABEL} .ktrace-states-count").all_text_contents()
    return [text for text in found if text]


def test_the_numbers_in_the_page_are_those_of_the_frame(page: kit.LabPage, path: str) -> None:
    show(page, path, TCP)
    wanted = page.ask("print(*(f'{n:,}' for n in frame['count']))").split()
    assert sorted(counts(page)) == sorted(wanted)
    assert page.page.locator(STATE).count() == 11
    assert page.page.locator(f"{STATE}.ktrace-states-unseen").all_text_contents() == ["TIME_WAIT"]
    # By RFC 9293: Linux' sockets go from FIN_WAIT2 and CLOSING to CLOSE, and a reset ends any of them.
    assert page.page.locator(f"{LINK}.ktrace-states-unusual").count() == 3
    state(page, "SYN_SENT").hover()
    (told,) = texts(page, ".ktrace-states .ktrace-calls-tell")
    # (1187 * 212 us + 17 * 95 us) / 1204 = 210.3 us
    assert told == "SYN_SENT · entered 1,204 times · left 1,204 times · mean 210 µs, 253 ms in all"
    alternative = page.page.locator(".ktrace-states svg").get_attribute("aria-label") or ""
    assert alternative.startswith("state machine: 11,824 transitions between 10 states")


def test_a_click_picks_rows_and_escape_lets_go(page: kit.LabPage, path: str) -> None:
    show(page, path, TCP)
    chosen = page.page.locator(f"{STATE}.ktrace-states-picked .ktrace-states-name")
    state(page, "CLOSING").click()
    chosen.wait_for()
    assert chosen.all_text_contents() == ["CLOSING"]
    assert picked(page) == ["FIN_WAIT1>CLOSING", "CLOSING>CLOSE"]
    page.page.locator(LABEL, has_text="1,204").click(modifiers=["Shift"])
    page.page.wait_for_selector(f"{LINK}.ktrace-states-picked", state="attached")
    assert picked(page) == ["CLOSE>SYN_SENT", "FIN_WAIT1>CLOSING", "CLOSING>CLOSE"]
    page.page.mouse.move(5, 5)
    page.screenshot("states-picked", index=1)
    page.page.locator(".ktrace-states svg").press("Escape")
    chosen.wait_for(state="detached")
    assert picked(page) == []


def test_rows_that_python_picks_are_marked_in_the_page(page: kit.LabPage, path: str) -> None:
    show(page, path, TCP, "view.select(frame.index[frame['to'] == 'SYN_SENT'])")
    page.run_cell(2)
    page.page.wait_for_selector(f"{LINK}.ktrace-states-picked", state="attached")
    assert page.page.locator(f"{LINK}.ktrace-states-picked").count() == 1
    assert page.page.locator(f"{STATE}.ktrace-states-faded").count() == 11 - 2


def test_the_keyboard_goes_along_transitions_and_picks(page: kit.LabPage, path: str) -> None:
    show(page, path, TCP)
    picture = page.page.locator(".ktrace-states svg")
    told = page.page.locator(".ktrace-states .ktrace-calls-tell")
    picture.focus()
    ways = {
        "ArrowLeft": "ESTABLISHED",  # the first, to begin with
        "ArrowDown": "FIN_WAIT1",  # as often as to CLOSE_WAIT
        "ArrowRight": "CLOSING",
        "ArrowUp": "FIN_WAIT1",
        "t": "FIN_WAIT1 → FIN_WAIT2",
    }
    for key, name in ways.items():
        picture.press(key)
        assert (told.inner_text()).split(" · ")[0] == name
    picture.press("t")
    assert told.inner_text() == "FIN_WAIT1 → CLOSING · 4 times · mean 30 µs in FIN_WAIT1 before"
    picture.press("Enter")
    page.page.wait_for_selector(f"{LINK}.ktrace-states-picked", state="attached")
    assert picked(page) == ["FIN_WAIT1>CLOSING"]


HOSTILE = """
frame = pd.DataFrame({
    "from": ["<img src=x onerror=alert(1)>", "a\\x1b[31m", "b"], "to": ["a\\x1b[31m", "b", "b"],
    "count": np.array([2**64 - 1, 2**53 + 1, 1], dtype=np.uint64),
})
view = states(frame, title="<b>"); view
"""


def test_names_are_text_and_counts_keep_every_digit(page: kit.LabPage, path: str) -> None:
    show(page, path, HOSTILE)
    assert page.page.locator(".ktrace-states img, .ktrace-states b").count() == 0
    names = page.page.locator(".ktrace-states-name").all_text_contents()
    assert sorted(names) == ["<img src=x onerror=alert(1)>", "a\\x1b[31m", "b"]
    page.page.locator(".ktrace-states svg").focus()
    state(page, "a\\x1b[31m").hover()
    (told,) = texts(page, ".ktrace-states .ktrace-calls-tell")
    entered, left = "18,446,744,073,709,551,615", "9,007,199,254,740,993"
    assert told == f"a\\x1b[31m · entered {entered} times · left {left} times"
    page.screenshot("states-hostile", index=1)


GROW = """
import threading
seen = threading.Event()
n = 0
def grow():
    global n
    while not seen.wait(0.1):
        n += 1
        view.update(growing(n))
thread = threading.Thread(target=grow, daemon=True)
thread.start()
"""
FOOT = "document.querySelector('.ktrace-states .ktrace-foot').textContent"


def test_only_numbers_that_changed_are_sent_while_it_grows(page: kit.LabPage, path: str) -> None:
    page.page.set_viewport_size({"width": 1280, "height": 1000})
    sent: list[tuple[int, bool]] = []

    def note(frame: str | bytes) -> None:
        data = frame if isinstance(frame, bytes) else frame.encode()
        if b'"links": {' in data or b'"links":{' in data:
            sent.append((data.count(b'"wide"'), b'"curve"' in data))

    page.page.on("websocket", lambda socket: socket.on("framereceived", note))
    show(page, path, TCP, GROW)
    page.save()
    sent.clear()
    before = places(page)
    page.run_cell(2)
    page.page.wait_for_selector(".ktrace-states-hot", state="attached")
    page.page.wait_for_function(
        "() => [...document.querySelectorAll('.ktrace-states-rate')].filter(e => e.textContent).length == 5"
    )
    page.screenshot("states-live", index=1)
    last = int(page.ask("seen.set(); thread.join(); print(n)"))
    # 11,824 and, of the five that grow, a step of 1, 2, 3, 4 and 5 each time.
    total = f"{11_824 + last * (1 + 2 + 3 + 4 + 5):,} "
    page.page.wait_for_function(f"(total) => {FOOT}.startsWith(total)", arg=total)
    assert sent
    assert not any(whole for _, whole in sent)
    assert {number for number, _ in sent} == {5}  # of 24 transitions five change
    grown = page.ask("print(*(f'{n:,}' for n in growing(n)['count']))").split()
    assert sorted(counts(page)) == sorted(grown)
    assert places(page) == before
    page.page.wait_for_selector(".ktrace-states-hot", state="detached")
    # A page that comes later gets what stands, not what stood first.
    page.page.reload()
    page.page.wait_for_selector(STATE)
    page.page.wait_for_function(f"(total) => {FOOT}.startsWith(total)", arg=total)
    assert sorted(counts(page)) == sorted(grown)


def test_a_page_that_loads_while_it_grows_misses_nothing(page: kit.LabPage, path: str) -> None:
    show(page, path, TCP, GROW)
    page.run_cell(2)
    page.save()
    page.page.reload()
    page.page.wait_for_function(kit.READY)
    page.page.wait_for_selector(STATE)
    page.page.wait_for_selector(".ktrace-states-hot", state="attached")
    last = int(page.ask("seen.set(); thread.join(); print(n)"))
    total = f"{11_824 + last * (1 + 2 + 3 + 4 + 5):,} "
    page.page.wait_for_function(f"(total) => {FOOT}.startsWith(total)", arg=total)
    grown = page.ask("print(*(f'{n:,}' for n in growing(n)['count']))").split()
    assert sorted(counts(page)) == sorted(grown)


def test_keys_in_the_picture_are_no_commands_of_the_notebook(page: kit.LabPage, path: str) -> None:
    show(page, path, TCP)
    picture = page.page.locator(".ktrace-states svg")
    picture.focus()
    for key in ("a", "b", "x", "d", "d", "m", "ArrowDown"):
        page.page.keyboard.press(key)
    # It came after all of them: they have done what they do.
    page.page.locator(".ktrace-calls-tell", has_text="ESTABLISHED").wait_for()
    assert page.page.locator(".jp-Notebook .jp-CodeCell").count() == 2


def test_it_looks_right_in_both_themes_and_for_the_last_row(page: kit.LabPage, path: str) -> None:
    page.page.set_viewport_size({"width": 1700, "height": 1400})
    big = "other = states(frame, title='TCP on the loopback', machine='tcp', big=True); other"
    plain = "third = states(frame, title='without a machine'); third"
    show(page, path, TCP, big, plain)
    page.run_cell(2)
    page.run_cell(3)
    page.page.wait_for_function(f"() => document.querySelectorAll('{STATE}').length == 11 + 11 + 10")
    page.screenshot("states-light", index=1)
    page.screenshot("states-big", index=2)
    page.screenshot("states-plain", index=3)
    page.theme("JupyterLab Dark")
    try:
        page.page.wait_for_timeout(500)
        state(page, "ESTABLISHED").first.hover()
        page.screenshot("states-dark-pointed", index=1)
        page.page.mouse.move(5, 5)
        page.page.locator(".ktrace-states select").first.select_option("time")
        page.screenshot("states-dark", index=1)
    finally:
        page.theme("JupyterLab Light")


@pytest.mark.parametrize(
    "frame", ["tcp_frame().iloc[:0]", "tcp_frame().iloc[:1]", "tcp_frame().assign(**{'to': None})"]
)
def test_little_or_nothing_is_drawn_as_such(page: kit.LabPage, path: str, frame: str) -> None:
    show(page, path, f"frame = {frame}; view = states(frame); view")
    page.page.wait_for_selector(".ktrace-states .ktrace-foot:not(:empty)", state="attached")
    (foot,) = texts(page, ".ktrace-states .ktrace-foot")
    if "iloc[:1]" in frame:
        assert foot == "1,204 transitions between 2 states"
        assert page.page.locator(STATE).count() == 2
    else:
        assert foot.startswith("no transitions yet")
        assert page.page.locator(STATE).count() == 0
