"""A widget of ours that a page talks to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import anywidget
import traitlets

from ktrace_nb.widgets import direct


class TalkingWidget(anywidget.AnyWidget):
    """Takes messages by the kernel's control channel, or else by its own; see ``direct``.

    Args:
        changed: To be called, from any thread, when a message asks for something to be drawn.
        state: Traits and their first values.
    """

    address = traitlets.Unicode().tag(sync=True)

    def __init__(self, changed: Callable[[], None], **state: Any) -> None:
        self._changed = changed
        super().__init__(address=uuid4().hex, **state)
        direct.register(self.address, self.receive)
        self.on_msg(lambda _widget, content, _buffers: self.receive(content))

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take a message of the page; any thread, so it only sets flags."""
        raise NotImplementedError

    def close(self) -> None:
        """Take it out of the page and of the kernel."""
        direct.unregister(self.address)
        super().close()
