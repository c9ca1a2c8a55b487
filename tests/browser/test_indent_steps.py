"""What the indent view computes of steps, in a page without anything else."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from ktrace_nb.stream.calls.feed import FrameFeed
from ktrace_nb.widgets import assets
from ktrace_nb.widgets.indent import pack
from tests.widgets.calls import synthetic_calls
from tests.widgets.test_indent import SMALL

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def blank(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.add_script_tag(content=assets.read("steps.js") + "\nwindow.Steps = Steps;")
    page.evaluate(
        """() => {
            // A column as it arrives: some bytes into a buffer.
            window.column = (text) => {
                const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
                const buffer = new ArrayBuffer(bytes.length + 1);
                new Uint8Array(buffer, 1).set(bytes);
                return new DataView(buffer, 1);
            };
            window.made = (feed) => {
                const steps = new Steps();
                steps.names = feed.functions;
                steps.tasks = feed.threads;
                for (const [start, count, columns] of feed.chunks)
                    steps.append(start, count, columns.map(column));
                return steps;
            };
        }"""
    )
    yield page
    page.close()


def packed(feed: FrameFeed, *cuts: int) -> dict[str, Any]:
    """A feed as messages of the steps from one cut to the next."""
    chunks = []
    origin = int(feed.steps(0, 1).at[0])
    ends = [0, *cuts, feed.count()]
    for start, stop in pairwise(ends):
        columns = [base64.b64encode(part).decode() for part in pack(feed.steps(start, stop), origin)]
        chunks.append((start, stop - start, columns))
    return {"functions": list(feed.functions), "threads": list(feed.threads), "chunks": chunks}


def lines_of(blank: Page, feed: FrameFeed, change: str) -> list[tuple[int, str]]:
    """The lines after a change: the number of each step's call, and the letter of its kind."""
    rows = blank.evaluate(
        f"""(feed) => {{
            const steps = made(feed);
            {change};
            return [...steps.lines.subarray(0, steps.lineCount)];
        }}""",
        packed(feed),
    )
    steps = feed.steps(0, feed.count())
    return [(int(steps.call[row]), "erfu"[steps.kind[row]]) for row in rows]


def entry_of(feed: FrameFeed, call: int) -> int:
    steps = feed.steps(0, feed.count())
    return int(np.flatnonzero((steps.call == call) & (steps.kind == 0))[0])


def test_folding_a_call_hides_what_its_thread_did_meanwhile_and_nothing_else(blank: Page) -> None:
    feed = FrameFeed(SMALL)
    everything = lines_of(blank, feed, "")
    assert len(everything) == 12
    folded = lines_of(blank, feed, f"steps.fold({entry_of(feed, 0)}, 1)")
    # Calls 1 and 2 were made from 0; thread 20 ran at the same time.
    assert folded == [line for line in everything if line[0] not in (1, 2) and line != (0, "r")]
    both = lines_of(blank, feed, "steps.foldAll(1)")
    assert both == [(0, "e"), (3, "e"), (5, "e")]
    inner = lines_of(blank, feed, f"steps.foldAll(1); steps.fold({entry_of(feed, 0)}, 0)")
    assert inner == [(0, "e"), (1, "e"), (3, "e"), (0, "r"), (5, "e")]
    below = lines_of(blank, feed, f"steps.foldAll(1); steps.fold({entry_of(feed, 0)}, 0, true)")
    assert [line for line in below if line[0] in (0, 1, 2)] == [
        line for line in everything if line[0] in (0, 1, 2)
    ]


def test_leaves_are_calls_that_made_no_other_whatever_other_threads_did(blank: Page) -> None:
    feed = FrameFeed(SMALL)
    lines = lines_of(blank, feed, "steps.leaves = true; steps.lay()")
    assert [line for line in lines if line[0] == 2] == [(2, "e")]
    assert [line for line in lines if line[0] == 4] == [(4, "e")]
    assert [kind for call, kind in lines if call == 1] == ["e", "r"]
    assert [kind for call, kind in lines if call == 3] == ["e", "f"]


def test_one_thread_can_be_shown_alone(blank: Page) -> None:
    lines = lines_of(blank, FrameFeed(SMALL), "steps.only = 1; steps.lay()")
    assert {call for call, _ in lines} == {3, 4}
    assert len(lines) == 4


def test_a_step_in_a_folded_call_is_shown_by_unfolding_what_it_is_in(blank: Page) -> None:
    feed = FrameFeed(SMALL)
    target = entry_of(feed, 2)
    lines = lines_of(blank, feed, f"steps.foldAll(1); steps.reveal({target})")
    assert (2, "e") in lines
    assert (3, "f") not in lines


def test_pairs_durations_and_counts_agree_with_the_frame(blank: Page) -> None:
    calls = synthetic_calls(4000, deepest=40)
    feed = FrameFeed(calls)
    found = blank.evaluate(
        """(feed) => {
            const steps = made(feed);
            const entries = [...Array(steps.count).keys()].filter((row) => steps.kinds[row] === 0);
            steps.search(Uint8Array.from(steps.names, (name) => name === "vfs_read"));
            const slow = [];
            for (let last = -1; slow.length < 20; ) slow.push((last = steps.slower(last)));
            const failed = [];
            for (let last = -1, next; (next = steps.nextFailed(last, 1)) > last; last = next)
                failed.push(next);
            return {
                entries,
                durations: entries.map((row) => steps.duration(row)),
                below: entries.map((row) => steps.below(row)),
                parents: entries.map((row) => steps.parents[row]),
                found: steps.foundCount,
                calls: steps.calls, failed, unseen: steps.unseen, deepest: steps.deepest, slow,
            };
        }""",
        packed(feed, 1, 1000, 1001, 5000),
    )
    all_steps = feed.steps(0, feed.count())
    order = [int(all_steps.call[row]) for row in found["entries"]]
    assert found["calls"] == len(order) == 4000
    wanted = calls.loc[order]
    assert found["durations"] == wanted["duration_ns"].fillna(-1).tolist()
    descendants = np.zeros(4000, dtype=int)
    for call in reversed(range(4000)):
        parent = int(calls["parent"].iloc[call])
        if parent >= 0:
            descendants[parent] += descendants[call] + 1
    assert found["below"] == descendants[order].tolist()
    assert [int(all_steps.call[row]) if row >= 0 else -1 for row in found["parents"]] == wanted[
        "parent"
    ].tolist()
    assert found["found"] == int((calls["function"] == "vfs_read").sum())
    assert found["unseen"] == int(calls["duration_ns"].isna().sum())
    assert found["deepest"] == int(calls["depth"].max())
    slowest = calls["duration_ns"].nlargest(20, keep="first")
    assert calls["duration_ns"].loc[[int(all_steps.call[row]) for row in found["slow"]]].tolist() == (
        slowest.tolist()
    )
    failed = calls[calls["error"].notna() & calls["duration_ns"].notna()]
    assert sorted(int(all_steps.call[row]) for row in found["failed"]) == failed.index.tolist()


def test_steps_that_come_twice_or_too_early_are_passed_over(blank: Page) -> None:
    feed = FrameFeed(SMALL)
    whole, parts = packed(feed), packed(feed, 3, 8)
    first, second, third = parts["chunks"]
    shuffled = {**whole, "chunks": [second, first, first, third, second, whole["chunks"][0], third]}
    script = (
        "(feed) => { const s = made(feed); return [s.count, s.calls, [...s.mates.subarray(0, s.count)]]; }"
    )
    assert blank.evaluate(script, shuffled) == blank.evaluate(script, whole)


def test_what_comes_in_while_all_is_folded_stays_folded(blank: Page) -> None:
    feed = FrameFeed(SMALL)
    script = """(feed) => {
        const steps = new Steps();
        feed.chunks.forEach(([start, count, columns], index) => {
            steps.append(start, count, columns.map(column));
            if (!index) steps.foldAll(1);
        });
        const live = [...steps.lines.subarray(0, steps.lineCount)];
        steps.lay();
        return [live, [...steps.lines.subarray(0, steps.lineCount)]];
    }"""
    live, again = blank.evaluate(script, packed(feed, 2, 5, 9))
    assert live == again
    assert [int(feed.steps(row, row + 1).call[0]) for row in live] == [0, 3, 5]
