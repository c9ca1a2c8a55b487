"""How seldom a view is made anew."""

from __future__ import annotations

import pandas as pd

from ktrace_nb.magics.resting import SHARE, Resting
from ktrace_nb.widgets import ViewData


class Clockwork:
    """A view that takes a while to make, and the clocks that see it."""

    def __init__(self, cost_s: float) -> None:
        self.now = 0.0
        self.made = 0
        self._cost_s = cost_s
        self.resting = Resting(lambda: self.now, lambda: self.now)

    def make(self) -> ViewData:
        self.made += 1
        self.now += self._cost_s
        return ViewData(name="flame", kind="flame", frame=pd.DataFrame(), generation=self.made)

    def look(self, generation: int, *, running: bool = True) -> int:
        """Which of the views that were made is shown."""
        made = self.resting.view("flame", generation, self.make, running=running).generation
        assert isinstance(made, int)
        return made


def test_making_a_view_of_a_running_walk_takes_its_share_of_a_cpu_at_most() -> None:
    work = Clockwork(cost_s=0.3)
    for generation in range(10_000):
        work.look(generation)
        work.now += 0.2
    assert 0.9 * SHARE < 0.3 * work.made / work.now <= SHARE


def test_a_cheap_view_is_made_at_each_look() -> None:
    work = Clockwork(cost_s=0.001)
    for generation in range(10):
        work.look(generation)
        work.now += 0.2
    assert work.made == 10


def test_nothing_new_is_nothing_to_make() -> None:
    work = Clockwork(cost_s=0.3)
    assert [work.look(7), work.look(7)] == [1, 1]
    work.now += 1000
    assert work.look(7) == 1
    assert work.look(7, running=False) == 1


def test_the_last_state_does_not_rest() -> None:
    work = Clockwork(cost_s=0.3)
    work.look(1)
    assert work.look(2) == 1
    assert work.look(2, running=False) == 2
    assert work.look(2, running=False) == 2
