"""Providers of kstats: what they may give, what becomes of their faults, who may write."""

from __future__ import annotations

import errno
import functools
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.errors import OptionError
from ktrace_nb.kstat import (
    INTR,
    IO,
    TIMER,
    Chain,
    Id,
    Intr,
    Io,
    Kstat,
    KstatError,
    Selection,
    Timer,
    Type,
    Value,
    provider,
)
from ktrace_nb.kstat.model import LIMITS
from ktrace_nb.kstat.runner import MOST_HUNG, Runner

QUEUE = Id(module="lesson", instance=0, name="queue")


def one(chain: Chain, name: str = "queue") -> Kstat:
    (found,) = chain.read(Selection.of(name=name))
    return found


def given_by(data: Any, **options: Any) -> Kstat:
    """What becomes of what a provider gives."""
    chain = Chain()
    provider("lesson", "queue", chain=chain, **options)(lambda *_: data)
    return one(chain)


# --- what a provider gives --------------------------------------------------------------


def test_a_function_becomes_a_kstat_with_the_times_of_its_making_and_its_reading() -> None:
    chain = Chain()
    before_ns = time.monotonic_ns()

    @provider("lesson", "queue", 3, "misc", chain=chain)
    def queue() -> dict[str, Value | int]:
        seen.append(time.monotonic_ns())
        return {"depth": 4, "served": Value(value=7, counter=True, unit="bytes")}

    added_ns = time.monotonic_ns()
    seen: list[int] = []
    (found,) = chain.read()
    assert found.id == Id(module="lesson", instance=3, name="queue")
    assert (found.class_, found.error) == ("misc", "")
    assert found.data == {
        "depth": Value(value=4, type=Type.INT64),
        "served": Value(value=7, type=Type.UINT64, counter=True, unit="bytes"),
    }
    assert before_ns <= found.crtime_ns <= added_ns
    assert seen[0] <= found.snaptime_ns <= time.monotonic_ns()
    assert len(seen) == 1
    assert queue() == {"depth": 4, "served": Value(value=7, counter=True, unit="bytes")}


def test_the_chain_is_read_in_the_order_of_names_and_instances() -> None:
    chain = Chain()
    for module, instance, name in (("b", 0, "x"), ("a", 10, "x"), ("a", 2, "y"), ("a", 2, "x")):
        provider(module, name, instance, chain=chain)(dict)
    assert [(id.module, id.instance, id.name) for id in chain.ids()] == [
        ("a", 2, "x"),
        ("a", 2, "y"),
        ("a", 10, "x"),
        ("b", 0, "x"),
    ]


@pytest.mark.parametrize(
    ("plain", "type_"),
    [
        (-1, Type.INT64),
        (2**63 - 1, Type.INT64),
        (2**63, Type.UINT64),
        (np.int64(-5), Type.INT64),
        (np.uint64(2**64 - 1), Type.UINT64),
        (True, Type.INT64),
        (1.5, Type.DOUBLE),
        (np.float32(0.5), Type.DOUBLE),
        ("text", Type.STRING),
    ],
)
def test_plain_values_get_the_type_that_suits_them(plain: Any, type_: Type) -> None:
    value = given_by({"x": plain}).data["x"]
    assert (value.value, value.type) == (plain, type_)
    assert type(value.value) in (int, float, str)


@given(st.sampled_from(sorted(LIMITS, key=str)), st.integers(-(2**65), 2**65))
def test_an_integer_is_taken_exactly_if_struct_has_room_for_it_in_that_type(type_: Type, number: int) -> None:
    letter = {Type.INT32: "<i", Type.UINT32: "<I", Type.INT64: "<q", Type.UINT64: "<Q"}[type_]
    try:
        struct.pack(letter, number)
        fits = True
    except struct.error:
        fits = False
    found = given_by({"x": Value(value=number, type=type_)})
    assert bool(found.error) is not fits
    if fits:
        assert found.data["x"].value == number
    else:
        assert found.error == f"OptionError: statistic 'x' is {number}, out of the range of {type_.value}"


@given(st.integers(0, 2**70))
def test_a_counter_wraps_as_in_c_only_where_the_provider_says_so(number: int) -> None:
    for type_, dtype in ((Type.UINT32, np.uint32), (Type.UINT64, np.uint64)):
        size = 8 * np.dtype(dtype).itemsize
        wrapped = int.from_bytes(number.to_bytes(16, "little")[: size // 8], "little")
        found = given_by({"x": Value(value=number, type=type_, counter=True)}, wraps=True)
        assert found.data["x"].value == wrapped
    gauge = given_by({"x": Value(value=2**64 + number)}, wraps=True)
    assert "out of the range of uint64" in gauge.error


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (None, "gives names and values, not nothing"),
        ([1], "gives names and values, not a list"),
        (b"\0", "gives names and values, not a bytes"),
        ({"x": None}, "statistic 'x' is nothing, neither a number nor a text"),
        ({"x": b"a"}, "statistic 'x' is a bytes, neither a number nor a text"),
        ({"x": Value(value="1", type=Type.UINT32)}, "statistic 'x' is '1', which is no uint32"),
        ({"x": Value(value=1.5)}, "statistic 'x' is 1.5, which is no uint64"),
        ({"x": Value(value=1, type=Type.STRING)}, "statistic 'x' is 1, which is no string"),
        ({"x": Value(value="a" * 17, type=Type.CHAR)}, "more than the 16 bytes of a char"),
        ({"x": Value(value="a", type=Type.STRING, counter=True)}, "is a text and cannot be a counter"),
        ({"x": "a\0b"}, "which is no text"),
        ({"x": "\udc80"}, "which is no text"),
        ({"": 1}, "is a text that is not empty"),
        ({5: 1}, "is a text that is not empty, not 5"),
        ({"a:b": 1}, "has ':' in it"),
        ({"a\nb": 1}, r"has '\n' in it"),
        ({"a\u202eb": 1}, r"has '\u202e' in it"),
        ({"a" * 256: 1}, "has more than 255 bytes"),
        ({f"x{i}": i for i in range(10_001)}, "at most 10000 statistics"),
        (Io(), "gives names and values, not a Io"),
    ],
)
def test_what_is_no_data_is_the_error_of_that_kstat(data: Any, told: str) -> None:
    found = given_by(data)
    assert told in found.error and not found.data
    assert found.error.isprintable()


def test_the_fixed_kinds_have_the_fields_of_the_structures_of_illumos() -> None:
    # As kstat(8) prints them, see kstat(3KSTAT).
    intr = given_by(Intr(hard=1, multiple_service=5), kind=INTR)
    assert list(intr.data) == ["hard", "soft", "watchdog", "spurious", "multiple_service"]
    assert [value.value for value in intr.data.values()] == [1, 0, 0, 0, 5]
    io = given_by(Io(nread=4096, reads=2**33, wcnt=3), kind=IO)
    assert " ".join(io.data) == (
        "nread nwritten reads writes wtime wlentime wlastupdate rtime rlentime rlastupdate wcnt rcnt"
    )
    counters = {name for name, value in io.data.items() if value.counter}
    assert set(io.data) - counters == {"wlastupdate", "rlastupdate", "wcnt", "rcnt"}
    assert (io.data["reads"].value, io.data["nread"].unit, io.data["wtime"].unit) == (2**33, "bytes", "ns")
    timer = given_by(Timer(name="tick", num_events=2), kind=TIMER)
    assert " ".join(timer.data) == ("name num_events elapsed_time min_time max_time start_time stop_time")
    assert timer.data["name"].type is Type.STRING
    wrong = given_by({"hard": 1}, kind=INTR)
    assert wrong.error == "OptionError: a provider of kind INTR gives Intr(...), not a dict"
    assert "statistic 'wcnt' is -1" in given_by(Io(wcnt=-1), kind=IO).error


# --- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["module", "name", "class_"])
@pytest.mark.parametrize("name", ["", "a:b", "/a/", "a\tb", "a\x7f", "é" * 16])
def test_what_no_pattern_could_ask_for_is_no_name(part: str, name: str) -> None:
    options: dict[str, Any] = {"module": "lesson", "name": "queue", "class_": "misc", part: name}
    with pytest.raises(OptionError, match=part.strip("_")):
        provider(**options, chain=Chain())(dict)


@pytest.mark.parametrize("instance", [-1, 2**31, True, "0", 1.0])
def test_an_instance_is_what_an_int_holds(instance: Any) -> None:
    with pytest.raises(OptionError, match="instance"):
        provider("lesson", "queue", instance, chain=Chain())(dict)


def test_names_have_the_thirty_bytes_that_illumos_keeps() -> None:
    chain = Chain()
    provider("m" * 30, "é" * 15, class_="c" * 30, chain=chain)(dict)
    assert chain.ids() == [Id(module="m" * 30, instance=0, name="é" * 15)]


# --- a name that is there already, and one that goes ------------------------------------------------


def test_a_name_that_is_there_is_an_error_unless_it_is_replaced() -> None:
    chain = Chain()
    provider("lesson", "queue", chain=chain)(lambda: {"x": 1})
    with pytest.raises(KstatError, match="lesson:0:queue is there already") as raised:
        provider("lesson", "queue", chain=chain)(lambda: {"x": 2})
    assert raised.value.errno == errno.EEXIST
    assert one(chain).data["x"].value == 1
    provider("lesson", "queue", chain=chain, replace=True)(lambda: {"x": 3})
    assert one(chain).data["x"].value == 3


def test_the_chain_counts_what_comes_and_goes() -> None:
    chain = Chain()
    assert chain.generation == 0
    queue = provider("lesson", "queue", chain=chain)(dict)
    assert chain.generation == 1
    chain.remove(queue)
    assert chain.generation == 2 and chain.ids() == []
    with pytest.raises(KstatError) as raised:
        chain.remove(QUEUE)
    assert raised.value.errno == errno.ENXIO


def test_removing_one_that_was_replaced_leaves_the_new_one() -> None:
    chain = Chain()
    old = provider("lesson", "queue", chain=chain)(dict)
    provider("lesson", "queue", chain=chain, replace=True)(dict)
    with pytest.raises(KstatError):
        chain.remove(old)
    assert chain.ids() == [QUEUE]


def test_when_remove_returns_the_function_does_not_run_and_is_not_called_again() -> None:
    chain, entered, leave = Chain(), threading.Event(), threading.Event()
    running: list[str] = []

    @provider("lesson", "queue", chain=chain)
    def queue() -> dict[str, int]:
        running.append("in")
        entered.set()
        leave.wait(10)
        running.append("out")
        return {}

    provider("lesson", "zebra", chain=chain)(lambda: {"x": 1})
    reads: list[list[Kstat]] = []
    reader = threading.Thread(target=lambda: reads.append(chain.read()))
    reader.start()
    assert entered.wait(10)

    def remove() -> None:
        chain.remove(QUEUE)
        running.append("removed")

    remover = threading.Thread(target=remove)
    remover.start()
    while chain.generation < 3:
        time.sleep(0.001)
    leave.set()
    reader.join(10)
    remover.join(10)
    assert running == ["in", "out", "removed"]
    assert [kstat.id.name for kstat in reads[0]] == ["queue", "zebra"]
    assert [id.name for id in chain.ids()] == ["zebra"]


def test_one_that_is_removed_before_its_turn_is_not_called() -> None:
    chain = Chain()

    @provider("lesson", "a", chain=chain)
    def first() -> dict[str, int]:
        chain.remove(QUEUE)
        return {}

    called: list[int] = []

    @provider("lesson", "queue", chain=chain)
    def queue() -> dict[str, int]:
        called.append(1)
        return {}

    assert [kstat.id.name for kstat in chain.read()] == ["a"]
    assert not called


def test_one_that_is_replaced_before_its_turn_is_not_called() -> None:
    chain = Chain()

    @provider("lesson", "a", chain=chain)
    def first() -> dict[str, int]:
        provider("lesson", "queue", chain=chain, replace=True)(dict)
        return {}

    called: list[int] = []

    @provider("lesson", "queue", chain=chain)
    def queue() -> dict[str, int]:
        called.append(1)
        return {}

    chain.read()
    assert not called
    chain.remove(first)
    assert chain.ids() == [QUEUE]


def test_a_provider_may_remove_itself_while_it_is_read() -> None:
    chain = Chain()

    @provider("lesson", "queue", chain=chain)
    def queue() -> dict[str, int]:
        chain.remove(QUEUE)
        return {"last": 1}

    assert one(chain).data["last"].value == 1
    assert chain.read() == []


def test_readers_and_those_who_come_and_go_do_not_disturb_each_other() -> None:
    chain, stop = Chain(), threading.Event()
    provider("lesson", "stays", chain=chain)(lambda: {"x": 1})
    problems: list[BaseException] = []

    def come_and_go(number: int) -> None:
        try:
            while not stop.is_set():
                chain.remove(provider("lesson", f"goes{number}", chain=chain)(dict))
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        found = chain.read()
        assert "stays" in [kstat.id.name for kstat in found]
        assert not any(kstat.error for kstat in found)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert not problems


# --- faults --------------------------------------------------------------------------------------


class OddError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("no\nsuch \x1b[31mdevice"), r"RuntimeError: no such \x1b[31mdevice"),
        (OddError(), "OddError"),
        (OptionError("that is wrong", hint="do not"), "OptionError: that is wrong"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (TimeoutError("of its own"), "TimeoutError: of its own"),
        (ValueError("x" * 1000), f"ValueError: {'x' * 287}…"),
    ],
)
def test_what_one_raises_is_its_error_and_the_others_are_read(error: BaseException, told: str) -> None:
    chain = Chain()

    @provider("lesson", "queue", chain=chain)
    def queue() -> dict[str, int]:
        raise error

    provider("lesson", "a", chain=chain)(lambda: {"x": 1})
    provider("lesson", "z", chain=chain)(lambda: {"x": 2})
    first, broken, last = chain.read()
    assert (broken.error, dict(broken.data)) == (told, {})
    assert broken.snaptime_ns >= broken.crtime_ns
    assert (first.data["x"].value, last.data["x"].value) == (1, 2)


def hung(chain: Chain, leave: threading.Event, name: str = "queue") -> Callable[[], Any]:
    def hang() -> dict[str, int]:
        leave.wait(60)
        return {"back": 1}

    return provider("lesson", name, chain=chain, timeout_s=0.05)(hang)


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what other threads are about to do; ten seconds are for ever."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_one_that_hangs_is_left_behind_and_read_again_when_it_is_back() -> None:
    chain, leave = Chain(), threading.Event()
    hung(chain, leave)
    provider("lesson", "zebra", chain=chain)(lambda: {"x": 2})
    eventually(lambda: not Runner._hung)
    threads = threading.active_count()
    try:
        stuck, other = chain.read()
        assert stuck.error == "it did not answer within 0.05 s"
        assert other.data["x"].value == 2
        for _ in range(5):
            stuck, other = chain.read()
            assert stuck.error.startswith("it has not answered for ")
            assert other.data["x"].value == 2
        eventually(lambda: threading.active_count() <= threads + 1)
        assert Runner._hung == 1
    finally:
        leave.set()
    eventually(lambda: not Runner._hung)
    eventually(lambda: one(chain).data == {"back": Value(value=1, type=Type.INT64)})


def test_one_that_hangs_can_be_removed_and_another_takes_its_name() -> None:
    chain, leave = Chain(), threading.Event()
    try:
        hung(chain, leave)
        assert one(chain).error
        chain.remove(QUEUE)
        provider("lesson", "queue", chain=chain)(lambda: {"x": 1})
        assert one(chain).data["x"].value == 1
    finally:
        leave.set()


def test_only_so_many_threads_are_left_behind() -> None:
    chain, leave = Chain(), threading.Event()
    for number in range(MOST_HUNG + 2):
        hung(chain, leave, f"queue{number:02}")
    provider("lesson", "zebra", chain=chain)(lambda: {"x": 2})
    eventually(lambda: not Runner._hung)
    threads = threading.active_count()
    try:
        *stuck, last = chain.read()
        assert threading.active_count() - threads <= MOST_HUNG
        assert [kstat.error for kstat in stuck[:MOST_HUNG]] == ["it did not answer within 0.05 s"] * MOST_HUNG
        told = f"{MOST_HUNG} providers hang; no other is called until one of them answers"
        assert [kstat.error for kstat in (*stuck[MOST_HUNG:], last)] == [told] * 3
    finally:
        leave.set()
    eventually(lambda: not any(kstat.error for kstat in chain.read()))


def test_a_write_to_one_that_hangs_is_eagain() -> None:
    chain, leave = Chain(), threading.Event()

    @provider("lesson", "queue", writable=True, timeout_s=0.05, chain=chain)
    def queue(changes: Any) -> dict[str, int]:
        leave.wait(60)
        return {"x": 1}

    try:
        with pytest.raises(KstatError, match=r"did not answer within 0\.05 s") as raised:
            chain.write(QUEUE, {"x": 2})
        assert raised.value.errno == errno.EAGAIN
    finally:
        leave.set()


def test_who_reads_can_be_interrupted_and_read_again() -> None:
    chain, leave = Chain(), threading.Event()
    interrupting, reader = [True], threading.get_ident()

    @provider("lesson", "queue", chain=chain)
    def queue() -> dict[str, int]:
        if interrupting:
            interrupting.clear()
            signal.pthread_kill(reader, signal.SIGINT)
            leave.wait(10)
        return {"x": 1}

    with pytest.raises(KeyboardInterrupt):
        chain.read()
    leave.set()
    assert one(chain).data["x"].value == 1


def test_a_provider_is_never_in_two_readers_hands_and_holds_its_own_lock() -> None:
    chain, lock = Chain(), threading.Lock()
    inside: list[int] = []
    most: list[int] = []

    @provider("lesson", "queue", chain=chain, lock=lock)
    def queue() -> dict[str, int]:
        assert lock.locked()
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.002)
        inside.pop()
        return {"calls": len(most)}

    threads = [threading.Thread(target=chain.read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == [1] * 8
    assert one(chain).data["calls"].value == 9
    assert not lock.locked()


def test_a_provider_that_reads_the_chain_it_is_in_is_told_and_hangs_nobody() -> None:
    chain = Chain()

    @provider("lesson", "queue", chain=chain)
    def queue() -> dict[str, str]:
        return {"inner": chain.read()[0].error}

    assert one(chain).data["inner"].value == "it asked for itself while it was asked"


def test_what_is_not_selected_is_not_called() -> None:
    chain = Chain()
    called: list[str] = []

    def call(name: str) -> dict[str, int]:
        called.append(name)
        return {}

    for name in ("queue", "zebra"):
        provider("lesson", name, class_=name, chain=chain)(functools.partial(call, name))
    chain.read(Selection.of("lesson:0:q*"))
    chain.read(Selection.of(class_="zebra"))
    chain.read(Selection.of("other"))
    assert called == ["queue", "zebra"]


def test_what_is_no_plain_function_is_refused_at_once() -> None:
    async def later() -> dict[str, int]:
        return {}

    def some() -> Iterator[int]:
        yield 1

    with pytest.raises(OptionError, match="asynchronous"):
        provider("lesson", "queue", chain=Chain())(later)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="@providers"):
        provider("lesson", "queue", chain=Chain())(some)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="needs some time"):
        provider("lesson", "queue", chain=Chain(), timeout_s=0)(dict)
    with pytest.raises(OptionError, match="called with no arguments"):
        provider("lesson", "queue", chain=Chain())(lambda needed: {})
    with pytest.raises(OptionError, match="called with one argument"):
        provider("lesson", "queue", chain=Chain(), writable=True)(lambda: {})
