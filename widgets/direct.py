"""Messages from the page that arrive while a cell runs.

A widget's own messages (comms) travel on Jupyter's shell channel. ipykernel 6
handles that channel between cells only. ipykernel 7 has subshells, and
JupyterLab from 4.4 on sends comm messages to one, but ipykernel 7.4 routes each
back to the shell that last sent on the comm, which is the one the cell runs in
(``BaseComm._reply_subshell_for``): a Stop button pressed during a busy cell then
waits for its end again.

The control channel has its own thread in every ipykernel since 6.0 and its own
socket in every Jupyter server. The page sends a ``comm_info_request`` on it
whose target is ours, see ``static/channel.js``. That message was chosen because
it is standard, so it passes servers that filter message types; because a kernel
that knows nothing of us answers it without harm, and the page learns from the
answer whether we are there; and because servers and JupyterLab do not count it
as activity, so the kernel's busy indicator stays as it is.

Where the page cannot reach the control channel (a front end that hides the
kernel connection from widgets) it falls back to the comm by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

TARGET = "ktrace_nb"
"""The target name the page asks about; also marks our answer."""

Handler: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Takes one message; called in the kernel's control thread, so it only sets flags."""

_handlers: dict[str, Handler] = {}
_lock = threading.Lock()


def register(address: str, handler: Handler) -> None:
    """Deliver messages for an address to a handler."""
    with _lock:
        _handlers[address] = handler


def unregister(address: str) -> None:
    """Deliver no more messages for an address."""
    with _lock:
        _handlers.pop(address, None)


def deliver(content: Mapping[str, Any]) -> bool:
    """Hand the content of a request to whom it is for; say whether there was anybody."""
    data = content.get("data")
    with _lock:
        handler = _handlers.get(str(content.get("address")))
    if handler is None or not isinstance(data, Mapping):
        return False
    handler(data)
    return True


def install(kernel: Any) -> bool:
    """Listen on a kernel's control channel; safe to call again.

    Args:
        kernel: The running ``ipykernel`` kernel, or whatever takes its place.

    Returns:
        Whether this kernel has such a channel.
    """
    handlers: dict[str, Any] = getattr(kernel, "control_handlers", {})
    ask = handlers.get("comm_info_request")
    if ask is None:
        return False
    if getattr(ask, "ktrace_nb", False):
        return True

    def comm_info_request(stream: Any, ident: Any, parent: Mapping[str, Any]) -> Any:
        content = parent.get("content", {})
        if content.get("target_name") != TARGET:
            return ask(stream, ident, parent)
        reply = {"status": "ok", "comms": {}, TARGET: deliver(content)}
        return kernel.session.send(stream, "comm_info_reply", reply, parent, ident)

    comm_info_request.ktrace_nb = True  # type: ignore[attr-defined]  # our mark on the function
    handlers["comm_info_request"] = comm_info_request
    return True
