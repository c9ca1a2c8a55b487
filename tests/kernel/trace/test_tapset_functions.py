"""Every function of the tapset that scripts may call, where it is called and with what it is to give.

Those of sockets, disks, signals and memory are called beside the aliases they belong to:
see the other tests of the tapset here.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from ktrace_nb.lab.image import Image
from tests.kernel.trace.tapset_kit import Fired, fire, library, program

pytestmark = pytest.mark.kernel

Values: TypeAlias = dict[str, object]
"""What calls shall give, by the call."""

HERE = Path(__file__).parent
ELSEWHERE = ("syscalls", "flags", "json", "procfs", "nfsd", "syscall_any")
"""Files of the tapset with functions that other tests call."""

SAID = r"""
import ctypes, resource, time
libc = ctypes.CDLL(None)
libc.prctl.argtypes = (ctypes.c_int,) + (ctypes.c_ulong,) * 4
text = ctypes.create_string_buffer(b'say "hi" twice', 64)
numbers = ctypes.create_string_buffer(bytes(range(0xf1, 0xfa)), 64)
resource.setrlimit(resource.RLIMIT_NOFILE, (77, 4096))
resource.setrlimit(resource.RLIMIT_CORE, (4096, 8192))
resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
os.chdir("/usr/lib")
os.nice(3)
file = os.open("/etc/passwd", os.O_RDONLY)
said["ino"] = os.fstat(file).st_ino
said["mount"] = int(open(f"/proc/self/fdinfo/{file}").read().split()[5])
said["rlimits"] = [resource.getrlimit(number)[0] for number in range(16)]
said["exe"] = os.readlink("/proc/self/exe")
said["ppid"], said["pgrp"], said["sid"] = os.getppid(), os.getpgrp(), os.getsid(0)
said["parent"] = open(f"/proc/{said['ppid']}/comm").read().strip()
said["init"] = open("/proc/1/comm").read().strip()
said["status"] = {line.split(":")[0]: line.split(":")[1].split() for line in open("/proc/self/status")}
said["stat"] = open("/proc/self/stat").read().rsplit(")")[1].split()
said["open"] = len(os.listdir("/proc/self/fd")) - 1
said["cmdline"] = open("/proc/self/cmdline").read()
said["text"], said["numbers"] = ctypes.addressof(text), ctypes.addressof(numbers)
maps = open("/proc/self/maps").read()
os.setresgid(2, 5, 0), os.setresuid(1, 4, 0)
said["before"] = time.monotonic_ns(), time.time_ns()
libc.prctl(0x7777, ctypes.addressof(text), ctypes.addressof(numbers), file, 2**64 - 5)
said["after"] = time.monotonic_ns(), time.time_ns()
try:
    os.open("python3/none", os.O_RDONLY)
except FileNotFoundError:
    pass
os.open("/etc/hosts", os.O_RDONLY)
time.sleep(1)  # a process is asked for its symbols while it is there
"""

TASK = '@cast(task_current(), "task_struct")'
FILE = "task_fd_lookup(task_current(), long_arg(4))"
PATH = f'@cast({FILE}, "file")->f_path'
COMM = f"&{TASK}->comm"
INFINITE = f"&{TASK}->signal->rlim[2]"

SIZES = {"char": "b", "int8": "b", "uint8": "B", "short": "h", "int16": "h", "ushort": "H", "uint16": "H"}
SIZES |= {
    "int": "i",
    "int32": "i",
    "uint": "I",
    "uint32": "I",
    "long": "q",
    "int64": "q",
    "ulong": "q",
    "uint64": "q",
}

RLIMITS = (
    *("cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as", "locks"),
    *("sigpending", "msgqueue", "nice", "rtprio", "rttime"),
)


def of_numbers() -> Values:
    """Reading numbers from memory: what each function gives for the bytes that the program has there."""
    data = bytes(range(0xF1, 0xFA))
    found: Values = {}
    for name, letter in SIZES.items():
        (value,) = struct.unpack_from(f"<{letter}", data)
        for ending in ("", "_error", "_warn"):
            found[f"user_{name}{ending}(ulong_arg(3))"] = value
        found[f"user_{name}(16)"] = found[f"user_{name}_warn(16)"] = 0
        if name != "ushort" and name != "uint":
            # All bits are set there.
            found[f"kernel_{name}({INFINITE})"] = struct.unpack(
                f"<{letter}", b"\xff" * struct.calcsize(letter)
            )[0]
    return found


def event(said: dict[str, Any]) -> Values:
    """Called as the program calls prctl(2)."""
    pid = said["pid"]
    status = said["status"]
    ids: Values = {
        "pid()": pid,
        "tid()": pid,
        "ppid()": said["ppid"],
        "pgrp()": said["pgrp"],
        "sid()": said["sid"],
    }
    ids |= {"uid()": 1, "euid()": 4, "gid()": 2, "egid()": 5, "cpu()": 0, "target()": pid, "is_myproc()": 1}
    ids |= {"execname()": "python3", "pexecname()": said["parent"], "user_mode()": 0, "is_return()": 0}
    ids |= {"pn()": "syscall.prctl", "target_set_pid(pid())": 1, "target_set_pid(1)": 0}
    ids |= {"cmdline_arg(0)": "python3", "cmdline_arg(2)": "-S", 'cmdline_args(0, 2, "|")': "python3|-I|-S"}
    ids |= {"substr(cmdline_str(), 0, 16)": said["cmdline"].replace("\0", " ")[:16]}
    task = "task_current()"
    tasks: Values = {
        f"task_{name}({task})": value for name, value in (("pid", pid), ("tid", pid), ("state", 0))
    }
    tasks |= {
        f"task_uid({task})": 1,
        f"task_euid({task})": 4,
        f"task_gid({task})": 2,
        f"task_egid({task})": 5,
    }
    tasks |= {f"task_execname({task})": "python3", f"task_nice({task})": 3, f"task_prio({task})": 23}
    tasks |= {f"task_cpu({task})": 0, f"task_pid(task_parent({task}))": said["ppid"]}
    tasks |= {
        f"pid2task(pid()) == {task}": 1,
        "pid2execname(pid())": "python3",
        'pid2execname(999999) == ""': 1,
    }
    # Ticks of 1/100 s, proc(5): field 22.
    tasks |= {"task_start_time(pid()) / 10000000": int(said["stat"][19])}
    tasks |= {f"task_max_file_handles({task})": int(status["FDSize"][0])}
    tasks |= {f"task_open_file_handles({task})": said["open"]}
    tasks |= {f"task_backtrace({task}) == backtrace()": 1}
    tasks |= {f"task_rlimit({task}, 7)": 77}
    tasks |= {f"task_rlimit_{n}({task})": said["rlimits"][i] for i, n in enumerate(RLIMITS)}
    tasks |= {f"task_fd_lookup({task}, 7777)": 0}
    tasks |= {f"pstrace({task})": f" python3({pid}) {said['parent']}({said['ppid']})"}
    tasks |= {
        f"task_ancestry({task}, 0)": f"{said['init']}(1)=>{said['parent']}({said['ppid']})=>python3({pid})"
    }
    tasks |= {"atomic_read(&" + TASK + "->signal->live)": 1}
    tasks |= {"atomic_long_read(&" + TASK + "->mm->pgtables_bytes) / 1024": int(status["VmPTE"][0])}
    paths: Values = {
        f"fullpath_struct_path(&{PATH})": "/etc/passwd",
        f"fullpath_struct_file({task}, {FILE})": "/etc/passwd",
    }
    paths |= {"fullpath_struct_path(current_cwd_path())": "/usr/lib"}
    paths |= {f"fullpath_struct_path(task_cwd_path({task}))": "/usr/lib"}
    paths |= {f"fullpath_struct_file({task}, current_exe_file())": said["exe"]}
    paths |= {f"task_exe_file({task}) == current_exe_file()": 1}
    paths |= {f"d_name({PATH}->dentry)": "passwd", f"reverse_path_walk({PATH}->dentry)": "etc/passwd"}
    paths |= {
        f"inode_name({PATH}->dentry->d_inode)": "passwd",
        f"inode_path({PATH}->dentry->d_inode)": "etc/passwd",
    }
    paths |= {f"task_dentry_path({task}, {PATH}->dentry, {PATH}->mnt)": "/etc/passwd"}
    paths |= {f'@cast(real_mount({PATH}->mnt), "mount")->mnt_id': said["mount"]}
    words = 'say "hi" twice'
    quoted = '"say \\"hi\\" twice"'
    strings: Values = {"user_string(ulong_arg(2))": words, 'user_string(16, "none")': "none"}
    strings |= {'user_string2(ulong_arg(2), "none")': words, 'user_string2(16, "none")': "none"}
    strings |= {"user_string_n(ulong_arg(2), 3)": "say", 'user_string_n(ulong_arg(2), 3, "none")': "say"}
    strings |= {
        'user_string_n2(ulong_arg(2), 5, "none")': 'say "',
        'user_string_n_warn(16, 3, "none")': "non",
    }
    strings |= {"user_string_nofault(ulong_arg(2))": words, 'user_string_nofault(16) == ""': 1}
    strings |= {"user_string_n_nofault(ulong_arg(2), 3)": "say", "user_string_warn(ulong_arg(2))": words}
    strings |= {'user_string_warn(16, "none")': "none", "user_string_n_warn(ulong_arg(2), 3)": "say"}
    strings |= {"user_string_quoted(ulong_arg(2))": quoted, "user_string_quoted(16)": "0x10"}
    strings |= {
        "user_string_n_quoted(ulong_arg(2), 3)": '"say"',
        "user_string_n_quoted(ulong_arg(2), 14, 99)": quoted,
    }
    strings |= {
        "user_buffer_quoted(ulong_arg(2), 3)": '"say"',
        "user_buffer_quoted(ulong_arg(2), 3, 9)": '"say"',
    }
    strings |= {f"kernel_string({COMM})": "python3", 'kernel_string(16, "none")': "none"}
    strings |= {f'kernel_string2({COMM}, "none")': "python3", 'kernel_string2(16, "none")': "none"}
    strings |= {f"kernel_string_n({COMM}, 4)": "pyth", f"kernel_string_quoted({COMM})": '"python3"'}
    strings |= {"kernel_string_quoted(16)": "0x10", f"kernel_or_user_string_quoted({COMM})": '"python3"'}
    strings |= {"kernel_or_user_string_quoted(ulong_arg(2))": quoted}
    strings |= {f"kernel_buffer_quoted({COMM}, 3)": '"pyt"', f"kernel_buffer_quoted({COMM}, 3, 9)": '"pyt"'}
    strings |= {f"kernel_pointer(&{TASK}->mm) == {TASK}->mm": 1}
    arguments: Values = {
        "int_arg(5)": -5,
        "s32_arg(5)": -5,
        "uint_arg(5)": 2**32 - 5,
        "u32_arg(5)": 2**32 - 5,
    }
    for name in ("long", "ulong", "longlong", "ulonglong", "s64", "u64", "pointer"):
        arguments |= {f"{name}_arg(5)": -5, f"{name}_arg(2)": said["text"]}
    arguments |= {'u_register("rip") == uaddr()': 1, "syscall_name(157)": "prctl"}
    arguments |= {"ustack(0) == uaddr()": 1, "isinstr(ubacktrace(), ucallers(0))": 1}
    return {**ids, **tasks, **paths, **strings, **arguments, **of_numbers()}


def pure() -> Values:
    """Called where there is no event."""
    signals: Values = {
        f"signal_str({n})": name
        for n, name in ((1, "SIGHUP"), (9, "SIGKILL"), (15, "SIGTERM"), (17, "SIGCHLD"))
    }
    sockets: Values = {
        f"ntohl(htonl({0x12345678}))": 0x12345678,
        "htons(4660)": socket.htons(4660),
        "ntohs(4660)": socket.ntohs(4660),
    }
    sockets |= {"htonl(305419896)": socket.htonl(305419896), "htonll(1)": 1 << 56, "ntohll(256)": 1 << 48}
    sockets |= {"ip_ntop(htonl(167837697))": "10.1.0.1", "format_ipaddr(htonl(167837697), 2)": "10.1.0.1"}
    sockets |= {"daddr_to_string(htonl(167837697))": "10.1.0.1", "ip6_ntop(0, 1 << 56)": "0000:" * 7 + "0001"}
    for name in ("INET", "INET6", "NETLINK"):
        number = int(getattr(socket, f"AF_{name}"))
        sockets |= {f"sock_fam_num2str({number})": name, f'sock_fam_str2num("{name}")': number}
    for name in ("TCP", "UDP", "ICMP"):
        number = getattr(socket, f"IPPROTO_{name}")
        sockets |= {f"sock_prot_num2str({number})": name, f'sock_prot_str2num("{name}")': number}
    for name in ("STREAM", "DGRAM", "RAW", "SEQPACKET"):
        number = int(getattr(socket, f"SOCK_{name}"))
        sockets |= {f"sock_type_num2str({number})": name, f'sock_type_str2num("{name}")': number}
    # include/uapi/linux/net.h, include/net/tcp_states.h, include/linux/interrupt.h
    sockets |= {"sock_state_num2str(3)": "CONNECTED", 'sock_state_str2num("CONNECTED")': 3}
    sockets |= {"tcp_sockstate_str(10)": "LISTEN", "tcp_sockopt_str(1)": "TCP_NODELAY"}
    others: Values = {"irqflags_str(0x280)": "IRQF_SHARED|IRQF_TIMER", "sa_handler_str(1)": "ignored"}
    others |= {"MAJOR(MKDEV(8, 1))": 8, "MINOR(MKDEV(8, 1))": 1, "usrdev2kerndev(2049)": 8 << 20 | 1}
    others |= {"errno_str(-2)": "ENOENT", "errno_p(-2)": 1, "return_str(1, -2)": "-2 (ENOENT)"}
    others |= {"bytes_to_string(1536)": "1.50K", "pages_to_string(3)": "12.0K", "mem_page_size()": 4096}
    others |= {"vm_fault_contains(4, VM_FAULT_MAJOR)": 1, "nfsderror(2)": "NFSERR_NOENT"}
    others |= {"bio_rw_num(1)": 1, "bio_rw_str(0)": "R"}
    strings: Values = {
        'strlen("four")': 4,
        'substr("abcdef", 2, 3)': "cde",
        'stringat("abc", 1)': 98,
        'isinstr("abc", "bc")': 1,
    }
    strings |= {'strpos("abcb", "b")': 1, 'strcmp("a", "b") < 0': 1, 'str_replace("aXbX", "X", "-")': "a-b-"}
    strings |= {
        'strtol("0x1f", 16)': 31,
        'isdigit("1a")': 1,
        'tokenize("one two", " ")': "one",
        'tokenize(" ")': "two",
    }
    strings |= {
        r'text_str("a\tb")': r"a\tb",
        r'text_strn("abcdefghij", 10, 1)': '"abcde"...',
        r'string_quoted("a\"b")': r'"a\"b"',
    }
    strings |= {'tolower("ABC")': "abc", 'toupper("abc")': "ABC", 'hex("AB")': 4142, "randint(1)": 0}
    times: Values = {
        "cputime_to_msecs(1500000)": 1,
        "cputime_to_usecs(1500000)": 1500,
        "cputime_to_string(66851000000)": "1m6.851s",
    }
    times |= {"msecs_to_string(66851)": "1m6.851s", "usecs_to_string(66851000)": "1m6.851000s"}
    times |= {"nsecs_to_string(66851000007)": "1m6.851000007s", "ctime(0)": "Thu Jan  1 00:00:00 1970"}
    times |= {"HZ()": 250, "tz_gmtoff()": time.timezone, "tz_name()": time.tzname[0], "speculation()": 1}
    return {**signals, **sockets, **others, **strings, **times}


CLOCKS = [
    f"{name}_{unit}"
    for name in ("gettimeofday", "cpu_clock", "local_clock")
    for unit in ("ns", "us", "ms", "s")
]


CLOCKS_CALLED = [f"{name}({'0' if name.startswith('cpu') else ''})" for name in CLOCKS]


def lines(expressions: list[str], label: str) -> str:
    """Statements that print values, a few a line."""
    return "".join(
        f'printdln("\\t", "{label}", {first}, {", ".join(expressions[first : first + 8])})\n'
        for first in range(0, len(expressions), 8)
    )


def values(fired: Fired, label: str) -> list[object]:
    """What those statements printed, in order."""
    return [row[str(n)] for row in fired.rows[label] for n in range(1, len(row))]


PLACEHOLDER: dict[str, Any] = {
    **dict.fromkeys(("pid", "ppid", "pgrp", "sid", "text", "open", "mount"), 0),
    **dict.fromkeys(("parent", "init", "exe", "cmdline"), ""),
    **{"status": {"FDSize": ["0"], "VmPTE": ["0"]}, "stat": [0] * 40, "rlimits": [0] * 16},
}
"""What the program says, before it has said anything: for the calls alone."""


@pytest.fixture(scope="module")
def called(image: Image) -> Fired:
    expressions = list(event(PLACEHOLDER))
    script = ""
    for first in range(0, len(expressions), 8):
        some = ", ".join(expressions[first : first + 8])
        script += "probe syscall.prctl { if (int_arg(1) == 0x7777 && pid() == target()) "
        script += f'printdln("\\t", "event", {first}, {some}) }}\n'
    clocks = ", ".join(CLOCKS_CALLED)
    script += f"""
    probe syscall.prctl {{ if (int_arg(1) == 0x7777 && pid() == target())
        printdln("\\t", "clocks", {clocks}, ktime_get_ns(), jiffies(), get_cycles(), task_utime(),
            task_stime(), task_utime(pid()), task_stime(pid()), task_time_string(),
            task_time_string_tid(pid()), ctime(), tz_ctime(), stp_pid(), task_ancestry(task_current(), 1)) }}
    probe syscall.prctl.return {{ if (pid() == target())
        printdln("\\t", "return", returnval(), returnstr(1), is_return(), pn()) }}
    probe kernel.function("complete_walk") {{ if (pid() == target() && d_name($nd->path->dentry) == "hosts")
        printdln("\\t", "walk", d_path($nd), fullpath_struct_nameidata($nd)) }}
    probe kernel.function("vfs_open") {{ if (pid() == target() && d_name($path->dentry) == "hosts") {{
        printdln("\\t", "function", pn(), pp(), ppfunc(), probefunc(), probemod(), symname(addr()),
            modname(addr()), symdata(addr()))
        printdln("\\t", "stack", register("rdi") == pointer_arg(1), stack(1) == caller_addr(), caller(),
            callers(1), symname(stack(1)),
            symfileline(addr()) . symfile(addr()) . symline(addr())
                == sprintf("0x%x0x%x0x%x", addr(), addr(), addr()),
            sprint_syms(callers(0)) == sprint_stack(callers(0)),
            isinstr(sprint_backtrace(), sprint_stack(callers(0))))
        asmlinkage() fastcall() regparm(0)
    }} }}
    probe begin {{ {lines(list(pure()), "pure")} }}
    """
    return fire(script, program(SAID), unread=True)


def differences(expected: Values, found: list[object]) -> dict[str, tuple[object, object]]:
    """What a function gave that is not what it should, by its call: expected and found."""
    pairs = zip(expected.items(), found, strict=True)
    return {call: (value, given) for (call, value), given in pairs if given != value}


def test_functions_give_what_the_program_says_of_itself(called: Fired) -> None:
    assert differences(event(called.said), values(called, "event")) == {}


def test_functions_that_need_no_event(called: Fired) -> None:
    assert differences(pure(), values(called, "pure")) == {}


def test_clocks(called: Fired) -> None:
    row = called.rows["clocks"][0]
    (monotonic, real), (monotonic_after, real_after) = called.said["before"], called.said["after"]
    units = [1, 1000, 1000_000, 1000_000_000]
    for n, name in enumerate(CLOCKS):
        unit = units[n % 4]
        low, high = (real, real_after) if name.startswith("gettime") else (monotonic, monotonic_after)
        # The notebook knows the difference of the two clocks to some milliseconds.
        slack = 20_000_000 if name.startswith("gettime") else 0
        assert (low - slack) // unit <= int(row[str(n)]) <= (high + slack) // unit, name
    assert monotonic <= int(row["12"]) <= monotonic_after
    # Ticks begin 5 minutes before they overflow 32 bits, include/linux/jiffies.h: INITIAL_JIFFIES.
    assert abs((int(row["13"]) - (2**32 - 300 * 250)) / 250 - monotonic / 1e9) < 2
    assert int(row["14"]) > 0
    user, system = int(row["15"]), int(row["16"])
    assert 0 < user + system < monotonic_after - int(called.said["stat"][19]) * 10_000_000
    assert 0 <= int(row["17"]) - user <= 4_000_000
    assert 0 <= int(row["18"]) - system <= 4_000_000
    for words in (str(row["19"]), str(row["20"])):
        told = re.fullmatch(r"usr: 0m0\.(\d{3})s, sys: 0m0\.(\d{3})s", words)
        assert told is not None
        # Read one after the other: there may be a tick of 1/250 s in between.
        assert 0 <= int(told[1]) - user // 1000_000 <= 4
        assert 0 <= int(told[2]) - system // 1000_000 <= 4
    assert abs(time.mktime(time.strptime(str(row["21"]))) - time.mktime(time.gmtime(real // 10**9))) <= 1
    assert str(row["22"]) == time.strftime("%a %b %e %H:%M:%S %Y %Z", time.localtime(int(row["3"])))
    assert row["23"] == os.getpid()
    started = re.findall(r"\((\d+)\)@(\d+)\.(\d{9})", str(row["24"]))
    assert [int(pid) for pid, _, _ in started] == [1, called.said["ppid"], called.said["pid"]]
    assert int(started[-1][1] + started[-1][2]) // 10_000_000 == int(called.said["stat"][19])


def test_functions_of_a_probed_function(called: Fired) -> None:
    assert list(called.rows["return"][0].values()) == [-22, "-22 (EINVAL)", 1, "syscall.prctl.return"]
    assert list(called.rows["walk"][0].values()) == ["/etc/hosts"] * 2
    name, module = "vfs_open", "kernel"
    point, full, *names, data = called.rows["function"][0].values()
    assert (point, full) == (f'kernel.function("{name}")',) * 2
    assert names == [name, name, module, name, module]
    assert re.fullmatch(r"vfs_open\+0x0/0x[0-9a-f]+ \[kernel\]", str(data))
    register, same, caller, callers, above, *rest = called.rows["stack"][0].values()
    assert (register, same, *rest) == (1,) * 5
    assert (str(caller).split()[0], str(caller).split()[1]) == (above, str(callers).split()[1])


def test_every_function_is_called_here_or_beside_its_aliases() -> None:
    files = list(HERE.glob("test_tapset_*.py"))
    texts = "".join(path.read_text() for path in files) + "".join(
        [*event(PLACEHOLDER), *pure(), *CLOCKS_CALLED]
    )
    texts += "".join(f"task_rlimit_{name}(" for name in RLIMITS)
    missing = []
    for name in library().function_names:
        (function, *_) = library().functions(name)
        if function.at.source.name.removeprefix("tapset/").startswith(ELSEWHERE):
            continue
        if not re.search(rf"\b{name}\(", texts):
            missing.append(name)
    assert missing == []
