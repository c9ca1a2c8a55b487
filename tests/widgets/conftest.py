"""A real Jupyter kernel without a page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

REPOSITORY = Path(__file__).resolve().parents[2]
ANSWER_S = 60.0


class Kernel:
    """An ipykernel in a process of its own, and a client of it."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client

    def begin(self, code: str, *, cell: str | None = None) -> str:
        """Start a cell and return the number of its request.

        Args:
            code: The cell's text.
            cell: Its id, as JupyterLab adds it to a request.
        """
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        request = self.client.session.msg(
            "execute_request", content, metadata={"cellId": cell} if cell else {}
        )
        self.client.shell_channel.send(request)
        return str(request["header"]["msg_id"])

    def end(self, request: str) -> str:
        """Wait for a cell and return what it printed.

        Raises:
            AssertionError: The cell failed.
        """
        text = ""
        while True:
            message = self.client.get_iopub_msg(timeout=ANSWER_S)
            if message["parent_header"].get("msg_id") != request:
                continue
            content: dict[str, Any] = message["content"]
            assert message["msg_type"] != "error", content
            if message["msg_type"] == "stream":
                text += content["text"]
            if content.get("execution_state") == "idle":
                return text

    def run(self, code: str, *, cell: str | None = None) -> str:
        """Run a cell and return what it printed."""
        return self.end(self.begin(code, cell=cell))

    def control(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        """Send a request on the control channel and return the content of the answer."""
        request = self.client.session.msg(kind, content)
        self.client.control_channel.send(request)
        while True:
            reply = self.client.get_control_msg(timeout=ANSWER_S)
            if reply["parent_header"].get("msg_id") == request["header"]["msg_id"]:
                return dict(reply["content"])


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    manager = KernelManager(kernel_name="python3")
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    manager.start_kernel(env=os.environ | {"PYTHONPATH": path})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=ANSWER_S)
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
