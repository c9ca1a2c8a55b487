"""Chromium's tabs as a user has them: one shown, the others hidden.

Playwright tells every page that it has the focus, so that none is ever hidden. This speaks
the DevTools protocol itself: a tab that another is put in front of has ``document.hidden``
set and is asked for no frames.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

from tests.browser import kit

COUNT_TICKS = """
window.ticks = [];
const Plain = WebSocket;
window.WebSocket = class extends Plain {
    constructor(...options) {
        super(...options);
        this.addEventListener('message', ({ data }) => {
            const text = typeof data === 'string' ? data : new TextDecoder().decode(data);
            const tick = text.match(/"tick": ?([0-9]+)/);
            if (tick) window.ticks.push({ number: Number(tick[1]), at: performance.now() });
        });
    }
};
"""
"""Notes every update of a panel that comes in from the network."""


class Chromium:
    """A running browser; every tab in one window."""

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(address, suppress_origin=True, timeout=120)
        self._numbers = itertools.count(1)

    def send(
        self, method: str, parameters: Mapping[str, Any] | None = None, session: str = ""
    ) -> dict[str, Any]:
        """Carry out a command of the DevTools protocol and return its result.

        Raises:
            RuntimeError: The browser refused it.
        """
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": dict(parameters or {})}
        self._socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == number:
                break
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return dict(answer["result"])

    def tab(self) -> Tab:
        """Open an empty tab in front of the others."""
        return Tab(self, self.send("Target.createTarget", {"url": "about:blank"})["targetId"])

    def close(self) -> None:
        """End the connection."""
        self._socket.close()


class Tab:
    """One tab with a session of its own."""

    def __init__(self, browser: Chromium, target: str) -> None:
        self._browser = browser
        self._target = target
        attached = browser.send("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session: str = attached["sessionId"]

    def send(self, method: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Carry out a command of the DevTools protocol on this tab."""
        return self._browser.send(method, parameters, self._session)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, awaited if it is a promise.

        Raises:
            RuntimeError: It threw.
        """
        asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        answer = self.send("Runtime.evaluate", asked)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:2000])
        return answer["result"].get("value")

    def wait(self, condition: str, *, timeout_s: float = 60) -> None:
        """Wait until an expression is true.

        Raises:
            TimeoutError: It did not become true.
        """
        deadline = time.monotonic() + timeout_s
        while not self.evaluate(f"Boolean({condition})"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not true within {timeout_s:g} s: {condition}")
            time.sleep(0.05)

    def show(self) -> None:
        """Put it in front of the others."""
        self._browser.send("Target.activateTarget", {"targetId": self._target})
        self.wait("!document.hidden")

    def open_lab(self, server: kit.LabServer, path: str) -> None:
        """Open a notebook in JupyterLab and wait until its kernel can be used."""
        self.send("Page.enable")
        self.send("Page.addScriptToEvaluateOnNewDocument", {"source": COUNT_TICKS})
        address = f"{server.url}/doc/tree/{path}?reset&token={server.token}"
        self.send("Page.navigate", {"url": address})
        self.wait(f"({kit.READY})()")

    def run_cell(self, index: int) -> None:
        """Run one cell of the notebook, counted from 0, to its end."""
        self.evaluate(
            f"""(async () => {{
                jupyterapp.shell.currentWidget.content.activeCellIndex = {index};
                await jupyterapp.commands.execute('notebook:run-cell');
            }})()"""
        )

    def ask(self, source: str) -> str:
        """Run code in a new cell and return what it printed."""
        index = self.evaluate(
            f"""(() => {{
                const cells = jupyterapp.shell.currentWidget.content.model.sharedModel;
                cells.insertCell(cells.cells.length, {{ cell_type: 'code', source: {json.dumps(source)} }});
                return cells.cells.length - 1;
            }})()"""
        )
        self.run_cell(index)
        outputs = self.evaluate(
            f"""jupyterapp.shell.currentWidget.content.widgets[{index}]
                .model.sharedModel.toJSON().outputs"""
        )
        return "".join(str(output.get("text", output)) for output in outputs)

    def metrics(self) -> dict[str, float]:
        """The browser's own counters of this page, after a collection of garbage.

        Source: https://chromedevtools.github.io/devtools-protocol/tot/Performance.
        """
        self.send("HeapProfiler.collectGarbage")
        self.send("Performance.enable")
        return {metric["name"]: metric["value"] for metric in self.send("Performance.getMetrics")["metrics"]}


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Start Chromium with a profile of its own.

    Raises:
        RuntimeError: It did not come up within ``kit.START_S``.
    """
    profile = Path(tempfile.mkdtemp(prefix="ktrace-tabs."))
    command = [kit.CHROMIUM, *kit.CHROMIUM_FLAGS, "--remote-debugging-port=0", "--window-size=1280,1800"]
    command += [f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        browser = Chromium(_address(profile / "DevToolsActivePort"))
        try:
            yield browser
        finally:
            browser.close()
    finally:
        kit.end(process)
        shutil.rmtree(profile, ignore_errors=True)


def _address(written: Path) -> str:
    """Where the browser listens: it writes its port and a path into its profile."""
    deadline = time.monotonic() + kit.START_S
    while time.monotonic() < deadline:
        lines = written.read_text().split() if written.exists() else []
        if len(lines) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.05)
    raise RuntimeError(f"Chromium did not come up within {kit.START_S:g} s")
