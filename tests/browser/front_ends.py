"""Notebook 7 and Voilà on loopback, and pages of them."""

from __future__ import annotations

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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

from tests.browser import kit


@contextmanager
def notebook_server() -> Iterator[kit.LabServer]:
    """Start Notebook 7.

    Raises:
        RuntimeError: It ended early, or did not answer within ``kit.START_S``.
    """
    with kit.serving("notebook", ["--JupyterNotebookApp.expose_app_in_browser=True"]) as server:
        yield server


class NotebookPage(kit.LabPage):
    """A browser page with one notebook in Notebook 7."""

    def open(self, path: str, *, kernel: bool = True, timeout_s: float = 60) -> None:
        """Open a notebook and wait until its kernel can be used; see :meth:`kit.LabPage.open`."""
        address = f"{self.server.url}/notebooks/{path}?token={self.server.token}"
        self.page.goto(address, wait_until="domcontentloaded")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=timeout_s * 1000, state="attached")
        if kernel:
            self.page.wait_for_function(kit.READY, timeout=timeout_s * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoilaServer:
    """A running Voilà."""

    url: str
    token: str
    root: Path
    """The folder it serves; notebooks to show are written here."""

    log: Path

    def open(self, page: Page, path: str) -> None:
        """Have a notebook run and wait for what it shows."""
        page.goto(f"{self.url}/voila/render/{path}?token={self.token}", wait_until="domcontentloaded")


@contextmanager
def voila_server() -> Iterator[VoilaServer]:
    """Start Voilà with a folder of its own.

    Raises:
        RuntimeError: It ended early, or did not answer within ``kit.START_S``.
    """
    base = Path(tempfile.mkdtemp(prefix="ktrace-voila."))
    folders = {name: base / name for name in ("config", "data", "runtime", "ipython", "notebooks")}
    for folder in folders.values():
        folder.mkdir()
    environment = os.environ | {
        "HOME": str(base),
        "IPYTHONDIR": str(folders["ipython"]),
        "JUPYTER_CONFIG_DIR": str(folders["config"]),
        "JUPYTER_DATA_DIR": str(folders["data"]),
        "JUPYTER_RUNTIME_DIR": str(folders["runtime"]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(kit.REPOSITORY), os.environ.get("PYTHONPATH")])),
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "voila", str(folders["notebooks"]), "--no-browser"]
    command += [f"--port={port}", "--Voila.ip=127.0.0.1", f"--token={token}"]
    log = base / "voila.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, f"{url}/?token={token}", log)
        yield VoilaServer(url=url, token=token, root=folders["notebooks"], log=log)
    finally:
        kit.end(process)
        shutil.rmtree(base, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + kit.START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"Voilà ended with status {process.returncode}:\n{log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"Voilà did not answer within {kit.START_S:g} s:\n{log.read_text()[-2000:]}")
