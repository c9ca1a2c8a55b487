"""What system calls are given, as text: functions of the tapset run as a ``begin`` probe's are."""

from __future__ import annotations

import os
import signal
import socket
import struct

import pytest

from ktrace_nb.ir import script as ir
from ktrace_nb.lang.stap.library import Library, tapset_files
from ktrace_nb.lang.stap.lower import lower
from ktrace_nb.lang.stap.macros import Settings
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.source import Source
from ktrace_nb.stream.script.pycode import Routine, compile_script
from tests.lang.stap.point_kernel import FACTS
from tests.stream.script.kit import Session

LIBRARY = Library(tapset_files(), Settings())
HERE = 0x7FFF0000


def said(expression: str) -> str:
    """What a script prints of an expression."""
    source = Source(f"probe begin {{ print({expression}) }}", "cell")
    script = lower(parse(source, Settings()), FACTS, LIBRARY, ir.Limits()).script
    session = Session(max_string=512)
    [handler] = script.handlers
    routines = [Routine("begin", handler.body, handler.locals)]
    compile_script(script.functions, routines, {}, session)["begin"](())
    return session.text


def words(data: bytes) -> str:
    """The first three 64-bit words of a structure, as arguments."""
    return ", ".join(str(word) for word in struct.unpack("<3q", data.ljust(24, b"\0")[:24]))


def address(data: bytes, *, length: int | None = None, path: str = "") -> str:
    return said(
        f'__sockaddr_text({HERE}, 1, {len(data) if length is None else length}, {words(data)}, "{path}")'
    )


def inet(host: str, port: int) -> bytes:
    return struct.pack("<H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)


def inet6(host: str, port: int) -> bytes:
    return (
        struct.pack("<H", socket.AF_INET6)
        + struct.pack(">H", port)
        + struct.pack("<I", 7)
        + socket.inet_pton(socket.AF_INET6, host)
        + struct.pack("<I", 3)
    )


def test_addresses_of_sockets_have_family_host_and_port() -> None:
    assert address(inet("192.168.200.1", 8080)) == "{AF_INET, 192.168.200.1, 8080}"
    assert address(inet6("fe80::ff:1", 443)) == "{AF_INET6, fe80:0000:0000:0000:0000:0000:00ff:0001, 443}"
    unix = struct.pack("<H", socket.AF_UNIX)
    assert address(unix + b"/run/x", length=110, path="/run/x") == '{AF_UNIX, "/run/x"}'
    assert address(unix + b"\0name", path="name") == '{AF_UNIX, "\\000name"}'
    netlink = struct.pack("<HHiI", socket.AF_NETLINK, 0, 4321, 0x11)
    assert address(netlink) == "{AF_NETLINK, pid=4321, groups=00000011}"


def test_addresses_that_are_none_say_what_they_are() -> None:
    assert said('__sockaddr_text(0, 0, 16, 0, 0, 0, "")') == "NULL"
    assert address(struct.pack("<H", 99), length=16) == "{unknown sockaddr with sa=99, salen=16}"
    assert address(b"", length=1) == "{unknown sockaddr with salen=1}"


def test_parts_of_addresses_are_text() -> None:
    w0, w1, w2 = words(inet6("::1", 53)).split(", ")
    assert said(f"__sockaddr_family({HERE}, {w0})") == "AF_INET6"
    assert said(f"__sockaddr_ip({w0}, {w1}, {w2})") == "0000:0000:0000:0000:0000:0000:0000:0001"
    assert said(f"__sockaddr_port_text({w0})") == "53"
    assert said(f"__sockaddr_in6_text({w0}, {w0} >> 32)") == "7"
    assert said("__sockaddr_ip(1, 0, 0) . __sockaddr_port_text(1)") == ""


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (f"__timespec_text({HERE}, 1, 3, 5)", "[3.000000005]"),
        ("__timespec_text(0, 0, 3, 5)", "NULL"),
        (f"__timespecs_text({HERE}, 1, 1, 2, 0, 0x3fffffff)", "[1.000000002][UTIME_NOW]"),
        (f"__timespecs_text({HERE}, 1, 1, 0x3ffffffe, 0, 0)", "[UTIME_OMIT][0.000000000]"),
        (f"__timeval_text({HERE}, 1, 3, 5)", "[3.000005]"),
        (f"__timevals_text({HERE}, 1, 3, 5, 4, 6)", "[3.000005][4.000006]"),
        (f"__itimer_value_text({HERE}, 1, 1, 2, 3, 4)", "[1.000002,3.000004]"),
        (f"__rlimit_value_text({HERE}, 1, 1024, -1)", "[1024,-1]"),
        (f"__timezone_text({HERE}, 1, -60, 0)", "[-60, 0]"),
    ],
)
def test_times_and_limits(expression: str, text: str) -> None:
    assert said(expression) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, "O_RDWR|O_CREAT|O_CLOEXEC"),
        (os.O_TMPFILE | os.O_WRONLY, "O_WRONLY|O_TMPFILE"),
        (os.O_DIRECTORY, "O_RDONLY|O_DIRECTORY"),
    ],
)
def test_flags_of_open(value: int, text: str) -> None:
    assert said(f"__open_text({value})") == text


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("__dfd_text(-100)", "AT_FDCWD"),
        ("__dfd_text(5)", "5"),
        ("__int32(0xffffff9c)", "-100"),
        ("__uint32(-1)", "4294967295"),
        ("__mknod_text(0020666)", "S_IFCHR|0666"),
        ("__mknod_text(0644)", "0644"),
        ("__ipc_flags_text(01600)", "IPC_CREAT|0600"),
        ("__ipc_flags_text(0600)", "0600"),
        ("__shmget_flags_text(03644)", "IPC_CREAT|IPC_EXCL|0644"),
        ("__key_text(0)", "IPC_PRIVATE"),
        ("__swap_text(0x8005)", "SWAP_FLAG_PREFER|5"),
        ("__ioprio_text(0x4007)", "IOPRIO_CLASS_BE|7"),
        ("__quotactl_text(0x80000701)", "Q_GETQUOTA|GRPQUOTA"),
        ("__protocol_text(2, 17)", "IPPROTO_UDP"),
        ("__protocol_text(2, 200)", "200"),
        ("__protocol_text(16, 9)", "9"),
        ("__clone_text(0x1200011)", "CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD"),
        ("__socket_type_text(0x80801)", "SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK"),
        ("__map_text(0x22)", "MAP_PRIVATE|MAP_ANONYMOUS"),
        ("__sched_text(0x40000001)", "SCHED_RESET_ON_FORK|SCHED_FIFO"),
        ("__signal_text(29)", "SIGIO/SIGPOLL"),
    ],
)
def test_values_that_are_several_things(expression: str, text: str) -> None:
    assert said(expression) == text


def test_sets_of_signals() -> None:
    both = 1 << (signal.SIGINT - 1) | 1 << (signal.SIGCHLD - 1)
    assert said(f"__sigset_text({HERE}, 1, {both})") == "[SIGINT|SIGCHLD]"
    assert said(f"__sigset_text({HERE}, 1, 0)") == "[EMPTY]"
    assert said("__sigset_text(0, 0, 0)") == "NULL"
    handler = f"__sigaction_value_text({HERE}, 1, 0x401000, 0x14000000, 0x402000, {both})"
    assert said(handler) == "0x401000, SA_RESTART|SA_RESTORER, 0x402000, [SIGINT|SIGCHLD]"
    assert said(f"__sigaction_value_text({HERE}, 1, 1, 0, 0, 0)") == "SIG_IGN"


@pytest.mark.parametrize(
    ("op", "val3", "text"),
    [
        (0, 0, "0x1000, FUTEX_WAIT, 2, [1.000000005]"),
        (1, 0, "0x1000, FUTEX_WAKE, 2"),
        (3, 0, "0x1000, FUTEX_REQUEUE, 2, 32768, 0x2000"),
        (4, 9, "0x1000, FUTEX_CMP_REQUEUE, 2, 32768, 0x2000, 9"),
        (9, -1, "0x1000, FUTEX_WAIT_BITSET, 2, [1.000000005], 0xffffffffffffffff"),
        (128, 0, "0x1000, FUTEX_WAIT_PRIVATE, 2"),
        # FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_GT, -1) of linux/futex.h.
        (5, 1 << 28 | 4 << 24 | 1 << 12 | 0xFFF,
         "0x1000, FUTEX_WAKE_OP, 2, 32768, 0x2000, {FUTEX_OP_ADD, 1, FUTEX_OP_CMP_GT, -1}"),
    ],
)  # fmt: skip
def test_arguments_of_futex_depend_on_the_operation(op: int, val3: int, text: str) -> None:
    assert said(f"__futex_arguments(0x1000, {op}, 2, 0x8000, 0x2000, {val3}, 1, 1, 5)") == text


def test_arguments_of_programs_end_where_the_list_does() -> None:
    strings = ", ".join(f'"\\"{n}\\""' for n in range(12))
    assert said(f"__args_text({HERE}, 2, {strings})") == '["0", "1"]'
    assert said(f"__args_text({HERE}, 13, {strings})").endswith('"10", "11", ...]')
    assert said(f"__args_text({HERE}, -1, {strings})") == f"[{HERE:#x}]"
    assert said(f"__args_text(0, -1, {strings})") == "[]"


def test_what_cannot_be_read_shows_as_its_address() -> None:
    assert said(f"__timespec_text({HERE}, 0, 0, 0)") == f"{HERE:#x}"
    assert said(f"__sigset_text({HERE}, 0, 0)") == f"{HERE:#x}"
    assert said(f'__sockaddr_text({HERE}, 0, 16, 0, 0, 0, "")') == "{...}"


def test_structures_are_printed_with_the_names_of_their_members() -> None:
    assert said(f"__tms_text({HERE}, 1, 1, 2, 3, 4)") == (
        "{tms_utime=1, tms_stime=2, tms_cutime=3, tms_cstime=4}"
    )
    stack = said(f"__stack_text({HERE}, 1, 4096, 2, 8192)")
    assert stack == "{ss_sp=0x1000, ss_flags=SS_DISABLE, ss_size=8192}"
    assert said(f"__siginfo_text({HERE}, 1, 10, -1, 5, 6)") == (
        "{si_signo=SIGUSR1, si_code=SI_QUEUE, si_pid=5, si_uid=6}"
    )
    assert said(f"__sched_attr_text({HERE}, 1, 48, 1, 0, -5, 3, 0, 0, 0)") == (
        "{size=48, sched_policy=1, sched_flags=0, sched_nice=-5, sched_priority=3, "
        "sched_runtime=0, sched_deadline=0, sched_period=0}"
    )
    assert said(f"__timex_text({HERE}, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9)") == (
        "{ADJ_FREQUENCY, constant=6, esterror=4, freq=2, maxerror=3, offset=1, precision=7, status=5, "
        "tick=9, tolerance=8}"
    )
    assert said(f"__sysinfo_text({HERE}, 1, 9, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11)") == (
        "{uptime=9, loads=[1, 2, 3], totalram=4, freeram=5, sharedram=6, bufferram=7, totalswap=8, "
        "freeswap=10, procs=11}"
    )
