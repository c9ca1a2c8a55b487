"""The control channel of a real kernel."""

from __future__ import annotations

import time

import pytest

from ktrace_nb.widgets import direct
from tests.widgets.conftest import Kernel

ASK = "comm_info_request"

LISTEN = """
import threading, time
from ktrace_nb.widgets import direct
heard = []
def hear(message):
    heard.append((dict(message), threading.current_thread().name, time.time()))
direct.register("here", hear)
print(direct.install(get_ipython().kernel), direct.install(get_ipython().kernel))
"""

BUSY = {
    "python": "end = time.time() + 3\nwhile time.time() < end: pass",
    "sleep": "time.sleep(3)",
}


@pytest.fixture(scope="module", autouse=True)
def listening(kernel: Kernel) -> None:
    assert kernel.run(LISTEN) == "True True\n"


@pytest.mark.parametrize("cell", BUSY.values(), ids=BUSY)
def test_a_message_arrives_within_a_second_while_a_cell_runs(kernel: Kernel, cell: str) -> None:
    request = kernel.begin(cell)
    time.sleep(0.5)
    began = time.time()
    reply = kernel.control(ASK, {"target_name": direct.TARGET, "address": "here", "data": {"stop": began}})
    answered_s = time.time() - began
    kernel.end(request)
    assert time.time() - began > 2, "the cell was over too soon to have been in the way"
    assert reply[direct.TARGET] is True
    assert answered_s < 1
    stop, thread, at = kernel.run("print(heard[-1][0]['stop'], heard[-1][1], heard[-1][2])").split()
    assert float(stop) == began
    assert thread == "Control"
    assert 0 <= float(at) - began < 1


def test_nobody_at_an_address_is_said_in_the_answer(kernel: Kernel) -> None:
    reply = kernel.control(ASK, {"target_name": direct.TARGET, "address": "elsewhere", "data": {}})
    assert reply == {"status": "ok", "comms": {}, direct.TARGET: False}


def test_the_kernel_still_answers_about_its_comms(kernel: Kernel) -> None:
    kernel.run("import ipywidgets; w = ipywidgets.Label()")
    widgets = kernel.control(ASK, {"target_name": "jupyter.widget"})
    assert direct.TARGET not in widgets
    assert {entry["target_name"] for entry in widgets["comms"].values()} == {"jupyter.widget"}
    assert len(kernel.control(ASK, {})["comms"]) >= len(widgets["comms"]) > 0


def test_a_kernel_without_a_control_channel_is_left_alone() -> None:
    assert not direct.install(None)
    assert not direct.install(object())


def test_a_message_without_data_is_not_delivered() -> None:
    heard: list[object] = []
    direct.register("unit", heard.append)
    assert not direct.deliver({"address": "unit"})
    assert not direct.deliver({"address": "unit", "data": "text"})
    assert direct.deliver({"address": "unit", "data": {"a": 1}})
    direct.unregister("unit")
    direct.unregister("unit")
    assert not direct.deliver({"address": "unit", "data": {}})
    assert heard == [{"a": 1}]
