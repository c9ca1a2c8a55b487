"""The example of TCP's states: every transition of known connections, and what the kernel counts itself."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ktrace_nb.session import Session
from ktrace_nb.stream.transitions import transitions_of
from ktrace_nb.widgets import ViewData
from ktrace_nb.widgets.states import states_html, states_text
from tests.kernel.trace.kit import Trace

pytestmark = pytest.mark.kernel

CELL = (Path(__file__).resolve().parents[3] / "examples/tcp/tcp-states.c").read_text()
CLOSED, REFUSED, RESET = 37, 5, 7
"""Connections that the client closes, that nobody listens for, and that the client resets."""

WORKLOAD = f"""python3 - <<'END'
import json, socket, struct, threading

def counted():
    lines = [line.split() for line in open("/proc/net/snmp") if line.startswith("Tcp:")]
    return dict(zip(lines[0][1:], map(int, lines[1][1:])))

before = counted()
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(8)
port = listener.getsockname()[1]

def serve():
    for _ in range({CLOSED + RESET}):
        there, _ = listener.accept()
        try:
            while there.recv(100):
                pass
        except ConnectionResetError:
            pass
        there.close()

server = threading.Thread(target=serve)
server.start()
for number in range({CLOSED + RESET}):
    here = socket.socket()
    here.connect(("127.0.0.1", port))
    here.sendall(b"hello")
    if number >= {CLOSED}:
        here.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    here.close()
server.join()
listener.close()
for _ in range({REFUSED}):
    here = socket.socket()
    try:
        here.connect(("127.0.0.1", port))
    except ConnectionRefusedError:
        pass
    here.close()
after = counted()
print(json.dumps({{name: after[name] - before[name] for name in after}}))
END"""


@pytest.fixture
def session(trace: Trace) -> Session:
    return trace(CELL, command=WORKLOAD)


def counts(frame: pd.DataFrame) -> dict[tuple[str, str], int]:
    return {(row["from"], row["to"]): row["count"] for _, row in frame.iterrows()}


def test_every_connection_goes_through_its_states(session: Session) -> None:
    assert session.ledger["lost"].sum() == 0
    found = transitions_of(session.frame("changes"), machine="tcp")
    opened = CLOSED + RESET
    assert counts(found) == {
        ("CLOSE", "LISTEN"): 1,
        ("LISTEN", "CLOSE"): 1,
        # Who connects: its side closes first, and Linux keeps TIME-WAIT outside of the socket.
        ("CLOSE", "SYN_SENT"): opened + REFUSED,
        ("SYN_SENT", "ESTABLISHED"): opened,
        ("SYN_SENT", "CLOSE"): REFUSED,
        ("ESTABLISHED", "FIN_WAIT1"): CLOSED,
        ("FIN_WAIT1", "FIN_WAIT2"): CLOSED,
        ("FIN_WAIT2", "CLOSE"): CLOSED,
        # Who listens.
        ("LISTEN", "SYN_RECV"): opened,
        ("SYN_RECV", "ESTABLISHED"): opened,
        ("ESTABLISHED", "CLOSE_WAIT"): CLOSED,
        ("CLOSE_WAIT", "LAST_ACK"): CLOSED,
        ("LAST_ACK", "CLOSE"): CLOSED,
        # A reset ends the sockets of both sides.
        ("ESTABLISHED", "CLOSE"): 2 * RESET,
    }


def test_the_counts_are_those_of_proc_net_snmp(session: Session) -> None:
    counted = json.loads(session.stdout)
    found = counts(transitions_of(session.frame("changes"), machine="tcp"))
    # RFC 4022: what each of these counters counts.
    assert found["CLOSE", "SYN_SENT"] == counted["ActiveOpens"] == CLOSED + RESET + REFUSED
    assert found["LISTEN", "SYN_RECV"] == counted["PassiveOpens"] == CLOSED + RESET
    assert found["SYN_SENT", "CLOSE"] == counted["AttemptFails"] == REFUSED
    assert found["ESTABLISHED", "CLOSE"] == counted["EstabResets"] == 2 * RESET


def test_times_are_those_between_the_events_of_a_socket(session: Session) -> None:
    events = session.frame("changes")
    spent: dict[tuple[int, int], list[int]] = {}
    last: dict[int, tuple[int, int]] = {}
    for row in events.sort_values("at_ns", kind="stable").to_dict("records"):
        state, at_ns = last.get(row["skaddr"], (0, 0))
        if state == row["oldstate"] != 7:
            spent.setdefault((row["oldstate"], row["newstate"]), []).append(row["at_ns"] - at_ns)
        last[row["skaddr"]] = row["newstate"], row["at_ns"]
    found = transitions_of(events, machine="tcp").set_index(["from", "to"])
    for numbers, names in (((1, 4), ("ESTABLISHED", "FIN_WAIT1")), ((8, 9), ("CLOSE_WAIT", "LAST_ACK"))):
        assert found.loc[names, "timed"] == len(spent[numbers]) == CLOSED
        assert found.loc[names, "total_ns"] == sum(spent[numbers])
    # A new socket at the address of an old one was not in CLOSE all the time between.
    assert found.loc[("CLOSE", "SYN_SENT"), "timed"] == 0
    assert found.loc[("LISTEN", "SYN_RECV"), "timed"] == 0


def test_the_picture_of_it_has_every_count(session: Session) -> None:
    events = session.frame("changes")
    view = ViewData(name="TCP", kind="states", frame=events, generation=0, options={"machine": "tcp"})
    text = states_text(view)
    assert max(map(len, text.splitlines())) <= 80
    line = next(line for line in text.splitlines() if line.startswith("LISTEN      -> SYN_RECV"))
    assert line.split()[3] == str(CLOSED + RESET)
    assert "data:image/svg+xml;base64," in states_html(view)
