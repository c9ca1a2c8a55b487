"""The head of a panel: name, state, clock, losses and the Stop button."""

from __future__ import annotations

import anywidget
import traitlets

from ktrace_nb.widgets import assets
from ktrace_nb.widgets.headline import Headline


class Header(anywidget.AnyWidget):
    """The page's half keeps the clock running and acknowledges ticks, see ``header.js``."""

    _esm = assets.module("header.js")
    _css = assets.read("header.css")

    address = traitlets.Unicode().tag(sync=True)
    """Where the page's messages go, see :mod:`ktrace_nb.widgets.direct`."""

    state = traitlets.Dict().tag(sync=True)

    def update(self, head: Headline) -> bool:
        """Show a headline; say whether anything but the clock had changed."""
        new = head.as_dict()
        old = dict(self.state)
        if {**old, "elapsed_s": 0} == {**new, "elapsed_s": 0} and new["state"] == "running":
            return False
        if old == new:
            return False
        self.state = new
        return True

    def fail(self, message: str) -> bool:
        """Show that the panel itself failed; say whether that was news."""
        new = {**self.state, "state": "failed", "message": message, "stoppable": False}
        if new == self.state:
            return False
        self.state = new
        return True

    def keep(self, picture: dict[str, str]) -> None:
        """Have the page write the final picture into the notebook, if nobody else did."""
        self.send({"picture": picture})

    def tick(self, number: int) -> None:
        """Ask the page to acknowledge everything sent so far."""
        self.send({"tick": number})
