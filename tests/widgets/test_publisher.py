from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ktrace_nb.widgets import pace
from ktrace_nb.widgets.publisher import Publisher


class Trace:
    """Counts what a publisher does, and a page that acknowledges after a delay."""

    def __init__(self, acknowledge_s: float | None = 0.0) -> None:
        self.running = True
        self.changing = True
        self.acknowledge_s = acknowledge_s
        self.published: list[float] = []
        self.outstanding = 0
        self.most_outstanding = 0
        self.threads: set[str] = set()
        self.publisher = Publisher(lambda: self.running, self.publish, self.tick)

    def publish(self) -> bool:
        self.threads.add(threading.current_thread().name)
        if self.changing:
            self.published.append(time.monotonic())
        return self.changing

    def tick(self, tick: pace.Tick) -> None:
        self.outstanding += 1
        self.most_outstanding = max(self.most_outstanding, self.outstanding)
        if self.acknowledge_s is not None and not tick.quiet:
            threading.Timer(self.acknowledge_s, self.acknowledge, [tick.number]).start()

    def acknowledge(self, number: int) -> None:
        self.outstanding = 0
        self.publisher.hear("page", number, direct=True)


def until(condition: Callable[[], bool], timeout_s: float = 5) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.005)
    return condition()


@pytest.fixture
def make() -> Iterator[Callable[..., Trace]]:
    traces: list[Trace] = []

    def start(**options: float | None) -> Trace:
        traces.append(Trace(**options))
        return traces[-1]

    yield start
    for trace in traces:
        trace.publisher.close()


def test_nothing_runs_before_somebody_looks(make: Callable[..., Trace]) -> None:
    trace = make()
    assert not trace.publisher.active
    assert trace.published == []


def test_a_quick_page_is_updated_five_times_a_second_at_most(make: Callable[..., Trace]) -> None:
    trace = make(acknowledge_s=0.01)
    trace.publisher.hear("page", None, direct=True)
    assert until(lambda: len(trace.published) >= 8, timeout_s=60)
    gaps = [b - a for a, b in zip(trace.published, trace.published[1:], strict=False)]
    assert min(gaps) >= 1 / pace.MOST_HZ - 0.002
    assert trace.threads == {"ktrace panel"}


def test_a_slow_page_never_has_two_updates_waiting(make: Callable[..., Trace]) -> None:
    trace = make(acknowledge_s=0.5)
    trace.publisher.hear("page", None, direct=True)
    assert until(lambda: len(trace.published) >= 4, timeout_s=60)
    assert trace.most_outstanding == 1


def test_a_silent_page_gets_one_update_and_the_thread_ends(
    make: Callable[..., Trace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "PATIENCE_S", 0.3)
    trace = make(acknowledge_s=None)
    trace.publisher.hear("page", None, direct=True)
    assert until(lambda: not trace.publisher.active)
    assert len(trace.published) == 1
    trace.acknowledge(1)
    assert until(lambda: len(trace.published) == 2), "a page that comes back is updated again"


def test_the_last_state_goes_out_even_to_a_page_that_owes_an_answer(make: Callable[..., Trace]) -> None:
    trace = make(acknowledge_s=None)
    trace.publisher.hear("page", None, direct=True)
    assert until(lambda: len(trace.published) == 1)
    trace.running = False
    assert until(lambda: not trace.publisher.active, timeout_s=1.5)
    assert len(trace.published) == 2


def test_a_poke_after_the_end_publishes_once_more(make: Callable[..., Trace]) -> None:
    trace = make()
    trace.running = False
    trace.publisher.poke()
    assert until(lambda: not trace.publisher.active)
    assert len(trace.published) == 1


def test_a_trace_without_news_sends_nothing(make: Callable[..., Trace]) -> None:
    trace = make()
    trace.changing = False
    trace.publisher.hear("page", None, direct=True)
    time.sleep(0.7)
    assert trace.publisher.active
    assert trace.most_outstanding == 0


def test_a_view_that_closes_ends_the_thread(make: Callable[..., Trace]) -> None:
    trace = make()
    trace.publisher.hear("page", None, direct=True)
    assert until(lambda: bool(trace.published))
    trace.acknowledge_s = None
    trace.publisher.leave("page")
    assert until(lambda: not trace.publisher.active, timeout_s=1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_an_exception_ended_is_followed_by_another(make: Callable[..., Trace]) -> None:
    trace = make()
    failed: list[int] = []
    tick = trace.tick

    def fail_once(sent: pace.Tick) -> None:
        if not failed:
            failed.append(sent.number)
            raise OSError("socket is closed")
        tick(sent)

    trace.publisher = Publisher(lambda: trace.running, trace.publish, fail_once)
    trace.publisher.hear("page", None, direct=True)
    assert until(lambda: bool(failed) and not trace.publisher.active)
    trace.publisher.hear("page", None, direct=True)
    assert until(lambda: len(trace.published) > 2)


def test_messages_from_many_threads_leave_one_writer(make: Callable[..., Trace]) -> None:
    trace = make(acknowledge_s=0.0)

    def talk() -> None:
        for _ in range(200):
            trace.publisher.hear("page", None, direct=True)

    talkers = [threading.Thread(target=talk) for _ in range(8)]
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join()
    time.sleep(0.5)
    writers = [thread for thread in threading.enumerate() if thread.name == "ktrace panel"]
    assert len(writers) == 1
    gaps = [b - a for a, b in zip(trace.published, trace.published[1:], strict=False)]
    assert all(gap >= 1 / pace.MOST_HZ - 0.002 for gap in gaps)


def test_closing_waits_for_the_thread_and_publishes_nothing_more(make: Callable[..., Trace]) -> None:
    trace = make()
    trace.publisher.hear("page", None, direct=True)
    assert until(lambda: bool(trace.published))
    trace.publisher.close()
    assert not trace.publisher.active
    count = len(trace.published)
    trace.publisher.hear("page", None, direct=True)
    trace.publisher.poke()
    assert not trace.publisher.flush()
    time.sleep(0.3)
    assert len(trace.published) == count
