"""What a session is asked for, and what it keeps."""

from __future__ import annotations

import copy
import datetime
import pickle

import pandas as pd
import pytest

from ktrace_nb.errors import OptionError
from ktrace_nb.requests import Request, Requests
from ktrace_nb.snapshots import Snapshot


def test_what_is_asked_for_comes_in_order() -> None:
    requests = Requests()
    assert not requests and requests.next() is None
    first, second = Request("pause"), Request("off", "kprobe__f")
    requests.put(first)
    requests.put(second)
    assert requests
    assert [requests.next(), requests.next(), requests.next()] == [first, second, None]


def test_when_nobody_is_there_any_more_who_waits_and_who_comes_is_told_why() -> None:
    requests = Requests()
    waiting = Request("reset")
    requests.put(waiting)
    requests.close("session 'a' is over: stopped")
    for refused in (lambda: waiting.done.result(0), lambda: requests.put(Request("pause"))):
        with pytest.raises(OptionError, match="session 'a' is over: stopped") as caught:
            refused()
        assert "run the cell again" in str(caught.value.hint)
    assert requests.next() is None


def kept() -> Snapshot:
    frame = pd.DataFrame({"value": [1, 2]})
    at = datetime.datetime(2026, 11, 21, 9, 8, 7, tzinfo=datetime.UTC)
    none = pd.DataFrame()
    return Snapshot(
        session="trace",
        number=3,
        taken_at=at,
        frames={"bytes": frame, "text": frame},
        ledger=none,
        probes=none,
        text="printed",
    )


def test_a_snapshot_is_read_as_a_session_is() -> None:
    snapshot = kept()
    assert snapshot.bytes is snapshot["bytes"] is snapshot.frames["bytes"]
    # A frame that is called as something every snapshot has is an item.
    assert snapshot.text == "printed" and len(snapshot["text"]) == 2
    assert "bytes" in dir(snapshot)
    assert repr(snapshot) == "<Snapshot 3 of trace at 09:08:07: bytes (2 rows), text (2 rows)>"
    with pytest.raises(KeyError, match=r"no frame 'byte'; did you mean bytes\?"):
        snapshot["byte"]
    with pytest.raises(AttributeError, match="no frame 'nothing'"):
        _ = snapshot.nothing


def test_a_snapshot_can_be_copied_and_kept_in_a_file() -> None:
    for again in (copy.deepcopy(kept()), pickle.loads(pickle.dumps(kept()))):
        assert again.number == 3
        assert again.bytes.equals(kept().bytes)
