"""The chain of a target: what is built in, what providers add, who may write, what comes and goes."""

from __future__ import annotations

import errno
import functools
import itertools
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ktrace_nb import engine, kstat
from ktrace_nb.errors import AgentGoneError, OptionError
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind as BtfKind
from ktrace_nb.kstat import (
    RAW,
    Chain,
    Id,
    Kstat,
    KstatError,
    Selection,
    Type,
    Value,
    builtin,
    provider,
    providers,
)
from ktrace_nb.kstat.chain import DEFAULT_TARGET
from tests.kernel_facts.btf_writer import BtfWriter
from tests.kstat.kit import here

LIMITS_ID = Id(module="lesson", instance=0, name="limits")


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Any]:
    """This machine."""
    with here(tmp_path) as found:
        yield found


# --- writing -----------------------------------------------------------------------------


class Limits:
    """A provider that may be written."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {"most": 10, "name": "first", "share": 0.5}
        self.changes: list[Mapping[str, Any]] = []
        self.chain = Chain()

        @provider("lesson", "limits", writable=True, chain=self.chain)
        def limits(changes: Mapping[str, Any] | None) -> dict[str, Value | int | str | float]:
            if changes is not None:
                self.changes.append(changes)
                self.values.update(changes)
            most = Value(value=self.values["most"], type=Type.UINT32)
            return {**self.values, "most": most}

    def read(self) -> dict[str, Any]:
        (found,) = self.chain.read()
        return {name: value.value for name, value in found.data.items()}


def test_a_write_changes_what_it_names_and_leaves_the_rest() -> None:
    limits = Limits()
    limits.chain.write(LIMITS_ID, {"most": 2**32 - 1, "share": 1})
    assert limits.changes == [{"most": 2**32 - 1, "share": 1.0}]
    assert limits.read() == {"most": 2**32 - 1, "name": "first", "share": 1.0}
    assert type(limits.changes[0]["share"]) is float


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"least": 1}, "has no statistic 'least'"),
        ({"most": -1}, "statistic 'most' is -1, out of the range of uint32"),
        ({"most": 2**32}, "out of the range of uint32"),
        ({"most": "5"}, "statistic 'most' is '5', which is no uint32"),
        ({"most": 5.0}, "statistic 'most' is 5.0, which is no uint32"),
        ({"name": 5}, "statistic 'name' is 5, which is no string"),
        ({"share": "half"}, "which is no double"),
        ({"most": 5, "least": 1}, "has no statistic 'least'"),
    ],
)
def test_what_does_not_fit_is_einval_and_changes_nothing(values: dict[str, Any], told: str) -> None:
    # kstat_write(3KSTAT): EINVAL if the elements do not match.
    limits = Limits()
    before = limits.read()
    with pytest.raises(KstatError, match=told) as raised:
        limits.chain.write(LIMITS_ID, values)
    assert raised.value.errno == errno.EINVAL
    assert limits.read() == before and not limits.changes


def test_what_is_not_writable_is_eacces_and_its_function_is_not_called() -> None:
    chain = Chain()
    called: list[int] = []

    @provider("lesson", "limits", chain=chain)
    def limits() -> dict[str, int]:
        called.append(1)
        return {"most": 1}

    with pytest.raises(KstatError, match=r"kstat lesson:0:limits is not writable: EACCES") as raised:
        chain.write(LIMITS_ID, {"most": 5})
    assert raised.value.errno == errno.EACCES
    assert not called


def test_what_is_not_there_is_enxio() -> None:
    with pytest.raises(KstatError, match="no kstat lesson:0:limits") as raised:
        Chain().write(LIMITS_ID, {})
    assert raised.value.errno == errno.ENXIO


@pytest.mark.parametrize(
    ("error", "number", "told"),
    [
        (PermissionError("only on Sundays"), errno.EACCES, "PermissionError: only on Sundays"),
        (RuntimeError("the device is gone"), errno.EIO, "RuntimeError: the device is gone"),
        (OSError(errno.ENOSPC, "full"), errno.EIO, "OSError"),
    ],
)
def test_a_writer_that_fails_is_eacces_or_eio(error: Exception, number: int, told: str) -> None:
    # sys/kstat.h: an update function gives 0, EACCES, or EIO for any other error.
    chain = Chain()

    @provider("lesson", "limits", writable=True, chain=chain)
    def limits(changes: Mapping[str, Any] | None) -> dict[str, int]:
        if changes is not None:
            raise error
        return {"most": 1}

    with pytest.raises(KstatError, match=told) as raised:
        chain.write(LIMITS_ID, {"most": 2})
    assert raised.value.errno == number


# --- bytes ---------------------------------------------------------------------------------


def test_bytes_of_a_structure_of_this_kernel_are_its_members(btf: Btf) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    chain = Chain()

    @provider("tcp", "connection", kind=RAW, raw_type="struct tcp_info", btf=btf, chain=chain)
    def connection() -> bytes:
        return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1024)

    (found,) = chain.read()
    assert found.error == ""
    # Linux uapi/linux/tcp.h: eight bytes, bit-fields among them, then 32-bit numbers.
    data = connection()
    state, *_, rto, ato, snd_mss, rcv_mss = struct.unpack_from("<8B4I", data)
    assert state == 1  # TCP_ESTABLISHED
    told = {name: (value.value, value.type) for name, value in found.data.items()}
    assert told["tcpi_state"] == (state, Type.UINT32)
    assert (told["tcpi_rto"][0], told["tcpi_ato"][0]) == (rto, ato)
    assert (told["tcpi_snd_mss"][0], told["tcpi_rcv_mss"][0]) == (snd_mss, rcv_mss)
    assert told["tcpi_snd_wscale"] == (data[6] & 15, Type.UINT32)
    assert told["tcpi_bytes_acked"][1] is Type.UINT64
    server.close()
    client.close()


def test_types_of_bytes_are_those_of_the_targets_kernel(target: Any, btf: Btf) -> None:
    chain = Chain(target)
    size = btf.size(btf.find("tcp_mib", BtfKind.STRUCT)[0])
    words = struct.unpack(f"<{size // 8}Q", bytes(range(size)))
    provider("tcp", "mib", kind=RAW, raw_type="struct tcp_mib", chain=chain)(lambda: bytes(range(size)))
    (found,) = chain.read(Selection.of("tcp::mib"))
    # Linux net/snmp.h: struct tcp_mib is an array of unsigned long, mibs.
    assert [(name, value.value) for name, value in found.data.items()] == [
        (f"mibs[{number}]", word) for number, word in enumerate(words)
    ]


def raw_types() -> Btf:
    types = BtfWriter()
    u8, u32, u64 = (types.integer(f"u{8 * size}", size) for size in (1, 4, 8))
    s64, char = types.integer("s64", 8, signed=True), types.integer("char", 1, signed=True)
    few, many = types.array(u64, 2), types.array(u32, 40)
    text = types.array(char, 8)
    members = [
        ("mibs", few, 0),
        ("low", s64, 128),
        ("comm", text, 192),
        ("slots", many, 256),
        ("last", u8, 1536),
    ]
    types.record("mib", 200, members)
    types.refer(BtfKind.TYPEDEF, u64, "counter_t")
    return Btf(types.blob())


def test_arrays_texts_and_signed_members_are_told_apart() -> None:
    chain = Chain()
    data = struct.pack("<2Qq8s40IB7x", 7, 2**64 - 1, -5, b"bash\0rub", *range(40), 9)
    provider("x", "mib", kind=RAW, raw_type="struct mib", btf=raw_types(), chain=chain)(lambda: data)
    provider("x", "one", kind=RAW, raw_type="counter_t", btf=raw_types(), chain=chain)(
        lambda: b"\1" + bytes(7)
    )
    mib, single = chain.read()
    values = {name: value.value for name, value in mib.data.items()}
    assert values == {
        "mibs[0]": 7,
        "mibs[1]": 2**64 - 1,
        "low": -5,
        "comm": "bash",
        **{f"slots[{number}]": number for number in range(40)},
        "last": 9,
    }
    types = {name: mib.data[name].type for name in ("mibs[1]", "low", "comm", "slots[3]", "last")}
    assert list(types.values()) == [Type.UINT64, Type.INT64, Type.STRING, Type.UINT32, Type.UINT32]
    assert {name: value.value for name, value in single.data.items()} == {"value": 1}


@pytest.mark.parametrize(
    ("data", "raw_type", "told"),
    [
        (bytes(8), "struct mib", "struct mib has 200 bytes in this kernel, the provider gave 8"),
        (bytes(200), "struct mip", "no type 'struct mip' in this kernel"),
        (bytes(200), "enum mib", "no type 'enum mib' in this kernel"),
        ({"x": 1}, "struct mib", "a provider of kind RAW gives bytes, not a dict"),
    ],
)
def test_bytes_that_are_not_of_the_type_are_the_error_of_that_kstat(
    data: Any, raw_type: str, told: str
) -> None:
    chain = Chain()
    provider("x", "mib", kind=RAW, raw_type=raw_type, btf=raw_types(), chain=chain)(lambda: data)
    (found,) = chain.read()
    assert told in found.error and not found.data


def test_bytes_without_a_type_are_refused_at_once() -> None:
    with pytest.raises(OptionError, match="kind RAW and raw_type go together"):
        provider("x", "mib", kind=RAW, chain=Chain())(bytes)
    with pytest.raises(OptionError, match="kind RAW and raw_type go together"):
        provider("x", "mib", raw_type="struct mib", chain=Chain())(bytes)
    with pytest.raises(OptionError, match="RAW cannot be written"):
        provider("x", "mib", kind=RAW, raw_type="struct mib", writable=True, chain=Chain())


def test_without_a_kernel_the_types_of_bytes_are_not_to_be_had() -> None:
    chain = Chain()
    provider("x", "mib", kind=RAW, raw_type="struct mib", chain=chain)(lambda: b"")
    (found,) = chain.read()
    assert "a chain without a target has no kernel" in found.error


# --- many that come and go --------------------------------------------------------------------


def disk(number: int, **options: Any) -> Kstat:
    id = Id(module="nbd", instance=number, name=f"nbd{number}")
    return Kstat(id=id, class_="disk", data={"reads": Value(value=number, counter=True)}, **options)


def test_kstats_come_and_go_and_one_that_is_back_was_made_anew() -> None:
    chain, there = Chain(), [0, 1]

    @providers("nbd", "disk", chain=chain)
    def disks() -> Iterator[Kstat]:
        yield from map(disk, there)

    first = {kstat.id.instance: kstat for kstat in chain.read()}
    assert {number: kstat.data["reads"].value for number, kstat in first.items()} == {0: 0, 1: 1}
    there[:] = [1, 2]
    second = {kstat.id.instance: kstat for kstat in chain.read()}
    assert sorted(second) == [1, 2]
    assert second[1].crtime_ns == first[1].crtime_ns
    assert second[1].snaptime_ns > first[1].snaptime_ns
    there[:] = [0, 1]
    third = {kstat.id.instance: kstat for kstat in chain.read()}
    assert third[0].crtime_ns > second[2].crtime_ns
    assert third[1].crtime_ns == first[1].crtime_ns


def test_kstats_without_end_are_an_error_and_not_read_for_ever() -> None:
    chain = Chain()
    providers("nbd", "disk", chain=chain)(functools.partial(map, disk, itertools.count()))
    (error,) = chain.read(Selection.of("::map", "::partial"))
    assert error.error == "OptionError: a provider of many gives at most 10000 kstats"


def test_any_callable_may_provide() -> None:
    chain = Chain()
    providers("nbd", "disk", chain=chain)(functools.partial(map, disk, [0, 1]))
    provider("lesson", "queue", chain=chain)(functools.partial(dict, depth=3))
    assert [kstat.error for kstat in chain.read()] == ["", "", ""]


def test_times_that_the_provider_tells_are_kept() -> None:
    chain = Chain()
    providers("nbd", "disk", chain=chain)(lambda: [disk(0, crtime_ns=5, snaptime_ns=9)])
    (found,) = chain.read()
    assert (found.crtime_ns, found.snaptime_ns) == (5, 9)


def test_what_one_of_many_does_wrong_is_told_and_those_before_it_are_read() -> None:
    chain = Chain()

    @providers("nbd", "disk", chain=chain)
    def disks() -> Iterator[Kstat]:
        yield replace(disk(0), data={"reads": Value(value=-1)})
        yield disk(1)
        raise OSError("the bus hangs")

    told = {kstat.id.name: kstat.error for kstat in chain.read()}
    assert told["disks"] == "OSError: the bus hangs"
    assert told["nbd0"] == "OptionError: statistic 'reads' is -1, out of the range of uint64"
    assert told["nbd1"] == ""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([disk(0), disk(0)], "kstat nbd:0:nbd0 was given twice"),
        ([replace(disk(0), class_="net")], "of class 'net' is not of module 'nbd' and class 'disk'"),
        ([replace(disk(0), id=Id(module="sd", instance=0, name="sda"))], "is not of module 'nbd'"),
        ([replace(disk(0), id=Id(module="nbd", instance=0, name="a:b"))], "has ':' in it"),
        ([{"reads": 1}], "gives kstats, not a dict"),
        (None, "TypeError"),
    ],
)
def test_what_many_may_not_give_is_the_error_of_all(given: Any, told: str) -> None:
    chain = Chain()

    @providers("nbd", "disk", chain=chain)
    def disks() -> Any:
        return given

    errors = {kstat.id.name: kstat.error for kstat in chain.read()}
    assert told in errors["disks"]


def test_many_are_asked_only_if_their_module_and_class_are_selected() -> None:
    chain, called = Chain(), []

    @providers("nbd", ("disk", "partition"), chain=chain)
    def disks() -> list[Kstat]:
        called.append(1)
        return [disk(0), disk(1)]

    for selection in (Selection.of("sd"), Selection.of(class_="net")):
        assert chain.read(selection) == []
    assert not called
    (found,) = chain.read(Selection.of(":1:", class_="disk"))
    assert found.id.instance == 1 and called == [1]


# --- what is built in ----------------------------------------------------------------------------


def test_everything_built_in_is_read_in_one_request_and_of_one_moment(target: Any) -> None:
    chain = Chain(target)
    provider("lesson", "queue", chain=chain)(lambda: {"x": 1})
    asked = target.connection.asked
    asked.clear()
    found = chain.read()
    assert [op for op, _ in asked] == ["files"]
    own = [kstat for kstat in found if kstat.id.module == "lesson"]
    rest = [kstat for kstat in found if kstat.id.module != "lesson"]
    assert len(own) == 1 and not own[0].error
    assert {kstat.snaptime_ns for kstat in rest} == {rest[0].snaptime_ns}
    assert not [kstat.error for kstat in found if kstat.error]
    assert [kstat.id for kstat in found] == sorted(
        (kstat.id for kstat in found), key=lambda id: (id.module, id.instance, id.name)
    )
    (loopback,) = chain.read(Selection.of("link::lo"))
    assert loopback.id.instance == socket.if_nametoindex("lo")


def test_only_files_of_what_may_be_selected_are_read(target: Any) -> None:
    chain = Chain(target)
    asked = target.connection.asked
    asked.clear()
    assert chain.read(Selection.of("nothing_like_it", class_="net")) == []
    assert asked == []
    found = chain.read(Selection.of("cpu_stat:::/^intr/"))
    assert {kstat.id.module for kstat in found} == {"cpu_stat"}
    (_, fields), *others = asked
    assert not others
    assert "/proc/stat" in fields["paths"]
    assert not [path for path in fields["paths"] if "net" in path or "slab" in path]


def test_modules_and_classes_that_are_announced_are_those_that_come(target: Any) -> None:
    from ktrace_nb.kstat.files import Files

    files = Files(target.connection.call)
    for module in builtin.MODULES:
        modules, classes = getattr(module, "KSTAT_MODULES", ()), getattr(module, "CLASSES", ())
        for found in module.kstats(files.read(module.SOURCES)):
            assert not modules or found.id.module in modules
            assert not classes or found.class_ in classes


def test_what_is_built_in_and_fails_is_told_whatever_was_selected_of_it(
    target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ValueError("a line of seven words")

    monkeypatch.setattr(builtin.memory, "kstats", fail)
    for selection in (Selection.of("unix:0:system_pages"), Selection.of(class_="pages")):
        frame = kstat.frame(selection.narrow(Chain(target).read(selection)))
        assert frame.empty
        assert frame.attrs["kstat"]["errors"] == {"builtin:0:memory": "ValueError: a line of seven words"}
    assert not kstat.read("unix:0:system_misc", target=Chain(target)).empty


def test_what_is_built_in_cannot_be_written_nor_replaced(target: Any) -> None:
    chain = Chain(target)
    loopback = Id(module="link", instance=socket.if_nametoindex("lo"), name="lo")
    with pytest.raises(KstatError) as raised:
        chain.write(loopback, {"mtu": 1})
    assert raised.value.errno == errno.EACCES
    provider("link", "lo", loopback.instance, "net", chain=chain)(lambda: {"mine": 1})
    (found,) = chain.read(Selection.of("link::lo"))
    assert "mine" not in found.data
    assert found.data["mtu"].value == int(Path("/sys/class/net/lo/mtu").read_text())


def test_a_target_that_is_gone_is_an_error_where_its_kernel_is_asked(target: Any) -> None:
    chain = Chain(target)
    provider("lesson", "queue", chain=chain)(lambda: {"x": 1})
    target.connection.close()
    assert len(chain.read(Selection.of("lesson", class_="misc"))) == 1
    with pytest.raises(AgentGoneError, match="the connection was closed"):
        chain.read()


def test_a_target_has_one_chain_by_its_name(target: Any) -> None:
    chain = kstat.chain(target)
    assert kstat.chain("here") is chain and kstat.chain(target) is chain and kstat.chain(chain) is chain
    assert kstat.chain("elsewhere") is not chain
    with pytest.raises(OptionError, match="no target ''"):
        kstat.chain("").read()
    assert DEFAULT_TARGET == engine.DEFAULT_TARGET


def test_a_frame_of_what_is_built_in_has_what_was_asked_for(target: Any) -> None:
    frame = kstat.read("link::lo:m*", target=kstat.chain(target))
    mtu = int(Path("/sys/class/net/lo/mtu").read_text())
    assert frame.loc[("link", socket.if_nametoindex("lo"), "lo", "mtu"), "value"] == mtu
    assert {name[0] for name in frame.index.get_level_values("statistic")} == {"m"}
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert frame.attrs["kstat"] == {"errors": {}, "boot_id": boot_id}


def test_importing_kstats_imports_nothing_heavy() -> None:
    heavy = {"pandas", "numpy", "pyarrow", "IPython", "prometheus_client"}
    code = (
        f"import sys, ktrace_nb.kstat as k; k.chain, k.provider, k.read; print({heavy!r} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_is_public_is_there_and_no_module_hides_a_function() -> None:
    for name in kstat.__all__:
        assert not isinstance(getattr(kstat, name), ModuleType), name
