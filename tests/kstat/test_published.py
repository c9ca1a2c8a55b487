"""What sessions count, as kstats: keys, buckets, times, losses, and a session that is over."""

from __future__ import annotations

import errno
from typing import Any

import pandas as pd
import pytest

from ktrace_nb.errors import OptionError
from ktrace_nb.kstat import Chain, Id, Kstat, KstatError, Selection, Type, frame, publish, rates
from ktrace_nb.kstat.published import key_name
from ktrace_nb.stream.ledger import REASONS
from tests.magics.session_kit import BEGAN_NS, collect, steps, traced


@pytest.fixture
def chain() -> Chain:
    return Chain()


def read(chain: Chain, name: str) -> Kstat:
    (found,) = chain.read(Selection.of(f"::{name}"))
    assert not found.error
    return found


def numbers(kstat: Kstat) -> dict[str, Any]:
    return {name: value.value for name, value in kstat.data.items()}


def test_a_map_is_a_kstat_with_a_counter_per_key(chain: Chain) -> None:
    session = traced()
    publish(session, "bytes", module="lesson", chain=chain)
    assert numbers(read(chain, "bytes")) == {}
    collect(session, 1.5, bytes={7: 100, 9: 2**64 - 1})
    found = read(chain, "bytes")
    assert found.id == Id(module="lesson", instance=0, name="bytes") and found.class_ == "ktrace"
    assert numbers(found) == {"7": 100, "9": 2**64 - 1}
    assert {value.type for value in found.data.values()} == {Type.UINT64}
    assert all(value.counter for value in found.data.values())
    assert (found.crtime_ns, found.snaptime_ns) == (BEGAN_NS, BEGAN_NS + 1_500_000_000)


def test_rates_of_a_map_are_by_the_times_it_was_read_in_the_kernel(chain: Chain) -> None:
    session = traced()
    publish(session, "bytes", chain=chain)
    only = Selection.of("::bytes")
    collect(session, 1.0, bytes={7: 100})
    before = frame(chain.read(only))
    still = rates(before, frame(chain.read(only)))
    assert still["note"].tolist() == ["no time passed"] and still["rate"].isna().all()
    collect(session, 3.0, bytes={7: 600, 9: 1})
    found = rates(before, frame(chain.read(only)))
    assert found["rate"].to_list()[0] == 250.0
    assert found["note"].tolist() == ["", "new"]


def test_what_was_counted_before_a_reset_gives_no_rate(chain: Chain) -> None:
    session = traced()
    publish(session, "bytes", chain=chain)
    only = Selection.of("::bytes")
    collect(session, 1.0, bytes={7: 100})
    before = frame(chain.read(only))
    session.reset_ns = BEGAN_NS + 2_000_000_000
    collect(session, 3.0, bytes={7: 600})
    assert rates(before, frame(chain.read(only)))["note"].tolist() == ["created anew"]


def test_a_histogram_has_its_buckets_by_their_bounds(chain: Chain) -> None:
    session = traced()
    publish(session, "latency_ns", chain=chain, name="latency")
    slots = dict.fromkeys(range(64), 0) | {1: 4, 11: 7}
    collect(session, 1.0, latency_ns=slots)
    found = read(chain, "latency")
    hit = {name: value for name, value in numbers(found).items() if value}
    # bcc's log2 histogram: slot 1 is 0 and 1, slot 11 is 1024 to 2047.
    assert hit == {"0..1": 4, "1024..2047": 7}
    assert list(found.data)[:3] == ["0..1", "2..3", "4..7"]
    assert all(value.counter for value in found.data.values())


def test_numbers_that_do_not_only_grow_can_be_told_as_such(chain: Chain) -> None:
    session = traced()
    publish(session, "counters", counters=False, chain=chain)
    collect(session, 1.0, counters={0: 5, 1: 6})
    found = read(chain, "counters")
    assert numbers(found) == {"0": 5, "1": 6}
    assert not any(value.counter for value in found.data.values())


def test_of_events_their_account_is_published(chain: Chain) -> None:
    session = traced()
    publish(session, "steps", chain=chain)
    collect(session, 1.0, spans={5: steps((0.5, 1, 7, 2), (0.6, 1, 2, 1))})
    found = read(chain, "steps")
    assert list(found.data) == ["submitted", "delivered", "discarded"]
    assert found.data["delivered"].value == session.ledger.loc["steps", "delivered"] == 2


def test_the_losses_are_a_kstat_of_their_own(chain: Chain) -> None:
    session = traced()
    publish(session, "bytes", chain=chain)
    collect(session, 1.0, bytes={7: 100})
    found = read(chain, "bytes_ledger")
    assert found.class_ == "ledger"
    assert list(found.data) == ["lost", *REASONS, "state", "message"]
    assert numbers(found)["lost"] == 0 and numbers(found)["state"] == "running"
    # A program that was called while it ran: the kernel counts [hits, ns, recursion, missed].
    session.outputs.ingest({"spans": [], "maps": [], "programs": {"kprobe__f": [5, 0, 3, 2]}, "text": 0}, b"")
    found = read(chain, "bytes_ledger")
    assert (found.data["recursion"].value, found.data["missed"].value, found.data["lost"].value) == (3, 2, 5)
    assert session.losses == {"program already running": 3, "probe missed (nested or no slot)": 2}


def test_a_session_that_is_over_keeps_its_last_values_until_it_is_removed(chain: Chain) -> None:
    session = traced()
    entry = publish(session, "bytes", chain=chain)
    collect(session, 1.0, bytes={7: 100})
    session._end("failed", "the lab's kernel panicked:\x1b[31m oops")
    for _ in range(2):
        assert numbers(read(chain, "bytes")) == {"7": 100}
        ledger = numbers(read(chain, "bytes_ledger"))
        assert ledger["state"] == "failed"
        assert ledger["message"] == "the lab's kernel panicked:\\x1b[31m oops"
    chain.remove(entry)
    assert chain.read() == []


def test_a_name_that_is_there_is_an_error_unless_it_is_replaced(chain: Chain) -> None:
    first, second = traced(), traced()
    collect(first, 1.0, bytes={7: 1})
    collect(second, 1.0, bytes={7: 2})
    publish(first, "bytes", chain=chain)
    with pytest.raises(KstatError) as raised:
        publish(second, "bytes", chain=chain)
    assert raised.value.errno == errno.EEXIST
    publish(second, "bytes", instance=1, chain=chain)
    publish(second, "bytes", replace=True, chain=chain)
    found = chain.read(Selection.of("::bytes"))
    assert [(kstat.id.instance, numbers(kstat)) for kstat in found] == [(0, {"7": 2}), (1, {"7": 2})]


def test_what_cannot_be_published_is_refused_at_once(chain: Chain) -> None:
    session = traced()
    with pytest.raises(KeyError, match="did you mean bytes"):
        publish(session, "byte", chain=chain)
    with pytest.raises(OptionError, match="has more than 30 bytes"):
        publish(session, "bytes", name="b" * 25, chain=chain)
    with pytest.raises(OptionError, match="has '/' in it"):
        publish(session, "bytes", module="a/b", chain=chain)
    assert chain.read() == []


def test_a_map_of_more_keys_than_a_kstat_has_room_for_is_its_error(chain: Chain) -> None:
    session = traced()
    publish(session, "bytes", chain=chain)
    collect(session, 1.0, bytes=dict.fromkeys(range(10_001), 1))
    (found,) = chain.read(Selection.of("::bytes"))
    assert found.error == "OptionError: a kstat has at most 10000 statistics, the map has 10001"


def test_the_kstats_of_a_session_are_in_the_chain_of_its_target() -> None:
    session = traced()
    entry = publish(session, "bytes", module="published")
    from ktrace_nb.kstat import chain

    own = chain("nowhere")
    own.remove(entry)
    with pytest.raises(KstatError):
        own.remove(entry)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        (7, "7"),
        ("bash", "bash"),
        ("kworker/0:1", r"kworker/0\x3a1"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\\b", r"a\x5cb"),
        ("", '""'),
        (("a,b", 1), r"a\x2cb,1"),
        (("a", "b,1"), r"a,b\x2c1"),
    ],
)
def test_keys_are_named_so_that_they_can_be_asked_for_and_none_becomes_another(
    label: object, name: str
) -> None:
    assert key_name(label) == name


def of_frame(data: pd.DataFrame, **options: Any) -> dict[str, Any]:
    from ktrace_nb.kstat.published import _entries

    return {name: (value.value, value.type, value.counter) for name, value in _entries(data, None)}


def test_entries_of_several_numbers_have_one_statistic_each() -> None:
    index = pd.MultiIndex.from_tuples([("bash", 7), ("sh", 9)], names=["comm", "pid"])
    data = pd.DataFrame({"count": [1, 2], "max": [-5, 6]}, index=index)
    assert of_frame(data) == {
        "bash,7.count": (1, Type.INT64, True),
        "sh,9.count": (2, Type.INT64, True),
        "bash,7.max": (-5, Type.INT64, False),
        "sh,9.max": (6, Type.INT64, False),
    }


def test_a_scalar_of_a_script_is_called_by_what_it_is() -> None:
    assert of_frame(pd.DataFrame({"value": [5]})) == {"value": (5, Type.INT64, False)}
    texts = pd.DataFrame({"value": pd.Categorical(["a\x1bb"])})
    assert of_frame(texts) == {"value": (r"a\x1bb", Type.STRING, False)}


def test_numbers_of_all_kinds_keep_their_values() -> None:
    data = pd.DataFrame({"value": pd.Series([0.5], dtype="float64", index=pd.Index(["x"], name="key"))})
    assert of_frame(data) == {"x": (0.5, Type.DOUBLE, False)}
    data = pd.DataFrame({"value": pd.Series([True], index=pd.Index(["x"], name="key"))})
    assert of_frame(data) == {"x": (1, Type.UINT64, False)}
    data = pd.DataFrame({"value": pd.Series([[1, 2]], index=pd.Index(["x"], name="key"))})
    assert of_frame(data) == {"x": ("[1, 2]", Type.STRING, False)}


def test_a_name_that_is_too_long_is_cut_and_still_its_own() -> None:
    keys = ["a" * 300 + str(number) for number in range(2)]
    data = pd.DataFrame({"value": [1, 2]}, index=pd.Index(keys, name="key"))
    names = list(of_frame(data))
    assert len(set(names)) == 2 and {len(name) for name in names} == {255}
