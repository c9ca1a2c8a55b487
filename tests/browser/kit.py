"""JupyterLab on loopback, driven in the distribution's Chromium.

One :func:`lab_server` serves a folder; :func:`chromium` opens a browser without
a profile; a :class:`LabPage` opens a notebook, runs its cells and waits for what
it asked for. Everything that was started is ended by its process id.

The kernel's execution indicator says idle before the session is ready, so
:meth:`LabPage.open` asks the session context instead, and a cell's end is
awaited through the promise of the command that ran it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ElementHandle, Page, sync_playwright

REPOSITORY = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START_S = 60.0
"""How long JupyterLab may take to answer; it needs about 3 s on an idle machine."""

_NBGRADER = ("assignment_list", "course_list", "formgrader", "validate_assignment")
ADD_ONS: Mapping[str, tuple[Sequence[str], str]] = {
    "ipylab": ((), "ipylab"),
    "jupytext": (("jupyterlab_jupytext",), "jupyterlab-jupytext"),
    "nbgrader": (tuple(f"nbgrader.server_extensions.{name}" for name in _NBGRADER), "@jupyter/nbgrader"),
    "notebook": (("notebook",), "@jupyter-notebook/lab-extension"),
    "voila": (("voila.server_extension",), "@voila-dashboards/jupyterlab-preview"),
}
"""What other front ends and graders, here for tests of their own, bring into every Jupyter server of
the same environment: extensions of the server, and one of the page."""

READY = """() => {
    const widget = window.jupyterapp && jupyterapp.shell.currentWidget;
    const context = widget && widget.context && widget.context.sessionContext;
    const kernel = context && context.session && context.session.kernel;
    return kernel && context.isReady && kernel.connectionStatus === 'connected'
        && context.kernelDisplayStatus === 'idle';
}"""


def artifacts() -> Path:
    """The folder for screenshots: ``$KTRACE_ARTIFACTS``, else ``artifacts`` in the checkout."""
    folder = Path(os.environ.get("KTRACE_ARTIFACTS") or REPOSITORY / "artifacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class LabServer:
    """A running JupyterLab."""

    url: str
    token: str
    root: Path
    """The folder it serves; notebooks to open are written here."""

    pid: int
    log: Path

    def get(self, path: str) -> Any:
        """The JSON answer to a request of the server's REST interface."""
        with urllib.request.urlopen(f"{self.url}/{path}?token={self.token}", timeout=5) as answer:
            return json.load(answer)


@contextmanager
def lab_server(
    *, settings: Mapping[str, Any] | None = None, python: str = sys.executable
) -> Iterator[LabServer]:
    """Start JupyterLab on loopback with a token and a configuration of its own.

    Args:
        settings: JupyterLab settings by plugin, on top of those that keep it
            from looking for news and from saving on its own.
        python: The interpreter that has JupyterLab and whose kernel is used.

    Raises:
        RuntimeError: It ended early, or did not answer within ``START_S``.
    """
    arguments = ["--LabApp.news_url=None", "--LabApp.extension_manager=readonly"]
    arguments += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    arguments += ["--LabApp.expose_app_in_browser=True"]
    with serving("jupyterlab", arguments, settings=settings, python=python) as server:
        yield server


@contextmanager
def serving(
    module: str,
    arguments: Sequence[str],
    *,
    settings: Mapping[str, Any] | None = None,
    python: str = sys.executable,
) -> Iterator[LabServer]:
    """Start one of Jupyter's servers on loopback, as :func:`lab_server` does, without ``ADD_ONS``.

    Args:
        module: What ``python -m`` runs.
        arguments: Its options besides the address, the token and the folder.
        settings: JupyterLab settings by plugin.
        python: The interpreter that has it.

    Raises:
        RuntimeError: It ended early, or did not answer within ``START_S``.
    """
    base = Path(tempfile.mkdtemp(prefix="ktrace-lab."))
    folders = {name: base / name for name in ("config", "data", "runtime", "ipython", "notebooks")}
    for folder in folders.values():
        folder.mkdir()
    overrides = {
        "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
        "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
        **(settings or {}),
    }
    (folders["config"] / "labconfig").mkdir()
    (folders["config"] / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(overrides))
    unwanted = [add_on for name, add_on in ADD_ONS.items() if name != module]
    pages = {"disabledExtensions": {page: True for _, page in unwanted}}
    (folders["config"] / "labconfig" / "page_config.json").write_text(json.dumps(pages))
    servers = {name: False for names, _ in unwanted for name in names}
    (folders["config"] / "jupyter_server_config.json").write_text(
        json.dumps({"ServerApp": {"jpserver_extensions": servers}})
    )
    environment = os.environ | {
        "HOME": str(base),
        # The lab's image and the compiler's cache are the user's own.
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        "XDG_DATA_HOME": os.environ.get("XDG_DATA_HOME", str(Path.home() / ".local/share")),
        "IPYTHONDIR": str(folders["ipython"]),
        "JUPYTER_CONFIG_DIR": str(folders["config"]),
        "JUPYTER_DATA_DIR": str(folders["data"]),
        "JUPYTER_RUNTIME_DIR": str(folders["runtime"]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])),
    }
    token = secrets.token_hex(16)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [python, "-m", module, "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=50"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folders['notebooks']}"]
    command += arguments
    log = base / "lab.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        # The port may have been taken meanwhile: the server writes down the one it got.
        written = folders["runtime"] / f"jpserver-{process.pid}.json"
        url = _address(process, written, log, token)
        yield LabServer(url=url, token=token, root=folders["notebooks"], pid=process.pid, log=log)
    finally:
        # On SIGTERM it ends its kernels first; ipykernel ends by itself when its parent is gone.
        end(process)
        shutil.rmtree(base, ignore_errors=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started here: politely, and by force if it has not gone within 15 s."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen[bytes], written: Path, log: Path, token: str) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"Jupyter ended with status {process.returncode}:\n{log.read_text()[-2000:]}")
        if written.exists():
            try:
                url = f"http://127.0.0.1:{json.loads(written.read_text())['port']}"
                urllib.request.urlopen(f"{url}/api/status?token={token}", timeout=2).close()
                return url
            except (json.JSONDecodeError, urllib.error.URLError, OSError):
                pass
        time.sleep(0.05)
    raise RuntimeError(f"Jupyter did not answer within {START_S:g} s:\n{log.read_text()[-2000:]}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium without a profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=list(CHROMIUM_FLAGS)
        )
        try:
            yield browser
        finally:
            browser.close()


class LabPage:
    """A browser page with one notebook in JupyterLab."""

    def __init__(self, page: Page, server: LabServer) -> None:
        self.page = page
        self.server = server

    def open(self, path: str, *, kernel: bool = True, timeout_s: float = 60) -> None:
        """Open a notebook and wait until its kernel can be used.

        Args:
            path: The notebook, relative to the server's folder.
            kernel: False opens it without starting a kernel.
            timeout_s: How long it may take.
        """
        address = f"{self.server.url}/doc/tree/{path}?reset&token={self.server.token}"
        self.page.goto(address, wait_until="domcontentloaded")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=timeout_s * 1000, state="attached")
        if kernel:
            self.page.wait_for_function(READY, timeout=timeout_s * 1000)

    def command(self, name: str, arguments: Mapping[str, Any] | None = None, *, wait: bool = True) -> Any:
        """Carry out a JupyterLab command, e.g. ``docmanager:save``; wait until it is done."""
        script = "([name, args]) => jupyterapp.commands.execute(name, args)"
        if wait:
            return self.page.evaluate(f"async (x) => {{ await ({script})(x); }}", [name, arguments or {}])
        return self.page.evaluate(f"(x) => {{ void ({script})(x); }}", [name, arguments or {}])

    def run_all(self) -> None:
        """Run every cell and wait for the last one to end."""
        self.command("notebook:run-all-cells")

    def run_cell(self, index: int, *, wait: bool = True) -> None:
        """Run one cell, counted from 0."""
        self.page.evaluate(
            "(index) => { jupyterapp.shell.currentWidget.content.activeCellIndex = index; }", index
        )
        self.command("notebook:run-cell", wait=wait)

    def add_cell(self, source: str) -> int:
        """Append a code cell and return its index."""
        return int(
            self.page.evaluate(
                """(source) => {
                    const cells = jupyterapp.shell.currentWidget.content.model.sharedModel;
                    cells.insertCell(cells.cells.length, { cell_type: 'code', source });
                    return cells.cells.length - 1;
                }""",
                source,
            )
        )

    def ask(self, source: str) -> str:
        """Run code in a new cell and return what it printed."""
        index = self.add_cell(source)
        self.run_cell(index)
        return "".join(str(output.get("text", output)) for output in self.outputs(index))

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """The outputs of a cell as the notebook's model holds them."""
        found = self.page.evaluate(
            """(index) => jupyterapp.shell.currentWidget.content.widgets[index]
                .model.sharedModel.toJSON().outputs""",
            index,
        )
        return list(found)

    def cell(self, index: int) -> ElementHandle:
        """The DOM node of a cell."""
        handle = self.page.evaluate_handle(
            "(index) => jupyterapp.shell.currentWidget.content.widgets[index].node", index
        )
        element = handle.as_element()
        if element is None:
            raise LookupError(f"cell {index} has no node")
        return element

    def save(self) -> None:
        """Save the notebook."""
        self.command("docmanager:save")

    def theme(self, name: str) -> None:
        """Switch the theme, e.g. ``"JupyterLab Dark"``."""
        self.command("apputils:change-theme", {"theme": name})
        self.page.wait_for_function("(name) => document.body.dataset.jpThemeName === name", arg=name)

    def screenshot(self, name: str, *, index: int | None = None) -> Path:
        """Write a picture of the page, or of one cell, to the artifacts folder."""
        path = artifacts() / f"{name}.png"
        if index is None:
            self.page.screenshot(path=path)
        else:
            self.cell(index).screenshot(path=path)
        return path
