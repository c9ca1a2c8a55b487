"""System calls made on purpose, and what SystemTap's probes say of them.

The texts are what the ``//staptest//`` lines of SystemTap's own test suite
(``testsuite/systemtap.syscall``) have for such calls, or follow from the notation
those lines use: descriptors and counts decimal, addresses hexadecimal, paths quoted,
flags by their names in the manual pages.
"""

from __future__ import annotations

from collections.abc import Sequence

from ktrace_nb.kernel.syscall_table import NUMBERS

Argument = int | str

LEFT_OUT = frozenset(
    # These do not come back, or not as themselves.
    [
        "exit",
        "exit_group",
        "fork",
        "vfork",
        "clone",
        "pause",
        "rt_sigreturn",
        "uretprobe",
        "uprobe",
        # These wait, or end the session of the terminal.
        "vhangup",
        "reboot",
        "restart_syscall",
        "sched_yield",
    ]
)
"""Calls that a program does not survive, or that a test does not make."""

PATH = "/nonexistent"
AT_FDCWD = -100

SAID: tuple[tuple[str, Sequence[Argument], str], ...] = (
    # Descriptors and memory.
    ("read", (-1, 0x1000, 50), "-1, 0x1000, 50"),
    ("write", (-1, "Hello world", 11), '-1, "Hello world", 11'),
    ("pread64", (-1, 0x1000, 50, 2), "-1, 0x1000, 50, 2"),
    ("pwrite64", (-1, "Hello world", 11, 12), '-1, "Hello world", 11, 12'),
    ("readv", (-1, 0x1000, 3), "-1, 0x1000, 3"),
    ("writev", (-1, 0x1000, 3), "-1, 0x1000, 3"),
    ("close", (-1,), "-1"),
    ("lseek", (-1, 5, 2), "-1, 5, SEEK_END"),
    ("dup", (-1,), "-1"),
    ("dup2", (-1, 9), "-1, 9"),
    ("dup3", (-1, 9, 0o2000000), "-1, 9, O_CLOEXEC"),
    ("fsync", (-1,), "-1"),
    ("fdatasync", (-1,), "-1"),
    ("syncfs", (-1,), "-1"),
    ("ftruncate", (-1, 1234), "-1, 1234"),
    ("truncate", (PATH, 1234), f'"{PATH}", 1234'),
    ("fallocate", (-1, 3, 0, 4096), "-1, FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE, 0x0, 4096"),
    ("flock", (-1, 6), "-1, LOCK_EX|LOCK_NB"),
    ("fcntl", (-1, 1, 0), "-1, F_GETFD, 0x0"),
    ("mmap", (0, 4096, 3, 0x22, -1, 0), "0x0, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0"),
    ("munmap", (1, 4096), "0x1, 4096"),
    ("mprotect", (1, 4096, 1), "0x1, 4096, PROT_READ"),
    ("madvise", (1, 4096, 3), "0x1, 4096, MADV_WILLNEED"),
    ("msync", (1, 4096, 4), "0x1, 4096, MS_SYNC"),
    ("mlockall", (0,), "0x0"),
    ("munlockall", (), ""),
    ("mlock", (-1, 0), "0xffffffffffffffff, 0"),
    ("munlock", (-1, 0), "0xffffffffffffffff, 0"),
    ("brk", (0,), "0x0"),
    ("memfd_create", (-1, 1), "0xffffffffffffffff, MFD_CLOEXEC"),
    ("splice", (-1, 0, -1, 0, 7, 1), "-1, 0x0, -1, 0x0, 7, SPLICE_F_MOVE"),
    ("tee", (-1, -1, 7, 2), "-1, -1, 7, 0x2"),
    ("sendfile", (-1, -1, 0, 7), "-1, -1, 0x0, 7"),
    ("readahead", (-1, 1, 2), "-1, 1, 2"),
    ("fadvise64", (-1, 0, 1024, 2), "-1, 0, 1024, POSIX_FADV_SEQUENTIAL"),
    # Names of files.
    ("open", (PATH, 0), f'"{PATH}", O_RDONLY'),
    ("open", (PATH + "/x", 0o101, 0o600), f'"{PATH}/x", O_WRONLY|O_CREAT, 0600'),
    ("openat", (AT_FDCWD, PATH, 0o2000000), f'AT_FDCWD, "{PATH}", O_RDONLY|O_CLOEXEC'),
    ("creat", (PATH + "/x", 0o644), f'"{PATH}/x", 0644'),
    ("mkdir", (PATH + "/x", 0o765), f'"{PATH}/x", 0765'),
    ("mkdirat", (AT_FDCWD, PATH + "/x", 0o765), f'AT_FDCWD, "{PATH}/x", 0765'),
    ("rmdir", (PATH,), f'"{PATH}"'),
    ("chdir", (PATH,), f'"{PATH}"'),
    ("chroot", (PATH,), f'"{PATH}"'),
    ("fchdir", (-1,), "-1"),
    ("unlink", (PATH,), f'"{PATH}"'),
    ("unlinkat", (AT_FDCWD, PATH, 0x200), f'AT_FDCWD, "{PATH}", AT_REMOVEDIR'),
    ("rename", (PATH, "b"), f'"{PATH}", "b"'),
    ("renameat", (AT_FDCWD, PATH, 5, "b"), f'AT_FDCWD, "{PATH}", 5, "b"'),
    ("renameat2", (AT_FDCWD, PATH, 5, "b", 1), f'AT_FDCWD, "{PATH}", 5, "b", RENAME_NOREPLACE'),
    ("link", (PATH, "b"), f'"{PATH}", "b"'),
    (
        "linkat",
        (AT_FDCWD, PATH, AT_FDCWD, "b", 0x400),
        f'AT_FDCWD, "{PATH}", AT_FDCWD, "b", AT_SYMLINK_FOLLOW',
    ),
    ("symlink", ("a", PATH + "/x"), f'"a", "{PATH}/x"'),
    ("symlinkat", ("a", AT_FDCWD, PATH + "/x"), f'"a", AT_FDCWD, "{PATH}/x"'),
    ("readlink", (PATH, 0x1000, 7), f'"{PATH}", 0x1000, 7'),
    ("readlinkat", (AT_FDCWD, PATH, 0x1000, 7), f'AT_FDCWD, "{PATH}", 0x1000, 7'),
    ("access", (PATH, 4), f'"{PATH}", R_OK'),
    ("faccessat", (AT_FDCWD, PATH, 0), f'AT_FDCWD, "{PATH}", F_OK'),
    ("chmod", (PATH, 0o644), f'"{PATH}", 0644'),
    ("fchmod", (-1, 0o644), "-1, 0644"),
    ("fchmodat", (AT_FDCWD, PATH, 0o644), f'AT_FDCWD, "{PATH}", 0644'),
    ("chown", (PATH, 5001, 5002), f'"{PATH}", 5001, 5002'),
    ("lchown", (PATH, -1, 5002), f'"{PATH}", -1, 5002'),
    ("fchown", (-1, 5001, -1), "-1, 5001, -1"),
    ("stat", (PATH, 0x1000), f'"{PATH}", 0x1000'),
    ("lstat", (PATH, 0x1000), f'"{PATH}", 0x1000'),
    ("fstat", (-1, 0x1000), "-1, 0x1000"),
    ("newfstatat", (AT_FDCWD, PATH, 0x1000, 0x100), f'AT_FDCWD, "{PATH}", 0x1000, AT_SYMLINK_NOFOLLOW'),
    ("statfs", (PATH, 0x1000), f'"{PATH}", 0x1000'),
    ("fstatfs", (-1, 0x1000), "-1, 0x1000"),
    ("mknod", (PATH + "/x", 0o20600, 5), f'"{PATH}/x", S_IFCHR|0600, 5'),
    ("umask", (0o22,), "022"),
    ("getxattr", (PATH, "user.x", 0x1000, 7), f'"{PATH}", "user.x", 0x1000, 7'),
    ("removexattr", (PATH, "user.x"), f'"{PATH}", "user.x"'),
    ("fremovexattr", (-1, "user.x"), '-1, "user.x"'),
    ("listxattr", (PATH, 0x1000, 7), f'"{PATH}", 0x1000, 7'),
    ("utimes", (PATH, 0), f'"{PATH}", NULL'),
    ("utimensat", (AT_FDCWD, PATH, 0, 0x100), f'AT_FDCWD, "{PATH}", NULL, AT_SYMLINK_NOFOLLOW'),
    ("execve", (PATH, 0, 0), f'"{PATH}", [], []'),
    ("acct", (PATH,), f'"{PATH}"'),
    ("umount2", (PATH, 2), f'"{PATH}", MNT_DETACH'),
    ("swapoff", (PATH,), f'"{PATH}"'),
    ("inotify_add_watch", (-1, PATH, 3), f'-1, "{PATH}", IN_ACCESS|IN_MODIFY'),
    ("inotify_rm_watch", (-1, 7), "-1, 7"),
    ("inotify_init1", (0o4000 | 1,), "IN_NONBLOCK|0x1"),
    # Sockets.
    ("socket", (2, 1, 200), "PF_INET, SOCK_STREAM, 200"),
    ("socket", (99, 1, 0), "0x63, SOCK_STREAM, 0"),
    ("bind", (-1, 0, 16), "-1, NULL, 16"),
    ("connect", (-1, 0, 16), "-1, NULL, 16"),
    ("listen", (-1, 7), "-1, 7"),
    ("accept", (-1, 0x1000, 0x2000), "-1, 0x1000, 0x2000"),
    ("accept4", (-1, 0x1000, 0x2000, 0o4000), "-1, 0x1000, 0x2000, SOCK_NONBLOCK"),
    ("shutdown", (-1, 2), "-1, SHUT_RDWR"),
    ("getsockname", (-1, 0x1000, 0x2000), "-1, 0x1000, 0x2000"),
    ("getpeername", (-1, 0x1000, 0x2000), "-1, 0x1000, 0x2000"),
    ("getsockopt", (-1, 1, 4, 0x1000, 0x2000), "-1, SOL_SOCKET, SO_ERROR, 0x1000, 0x2000"),
    ("sendmsg", (-1, 0x1000, 0x40), "-1, 0x1000, MSG_DONTWAIT"),
    ("recvmsg", (-1, 0x1000, 0x40), "-1, 0x1000, MSG_DONTWAIT"),
    ("recvfrom", (-1, 0x1000, 9, 0x40, 0x2000, 0x3000), "-1, 0x1000, 9, MSG_DONTWAIT, 0x2000, 0x3000"),
    # Processes and signals.
    ("kill", (0x7FFFFFFF, 0), "2147483647, SIG_0"),
    ("tkill", (0x7FFFFFFF, 10), "2147483647, SIGUSR1"),
    ("tgkill", (0x7FFFFFFF, 0x7FFFFFFF, 15), "2147483647, 2147483647, SIGTERM"),
    ("getpid", (), ""),
    ("getppid", (), ""),
    ("gettid", (), ""),
    ("getuid", (), ""),
    ("geteuid", (), ""),
    ("getgid", (), ""),
    ("getegid", (), ""),
    ("getpgrp", (), ""),
    ("getpgid", (-1,), "-1"),
    ("getsid", (-1,), "-1"),
    ("setpgid", (-1, 0), "-1, 0"),
    ("getpriority", (0, -1), "PRIO_PROCESS, -1"),
    ("setpriority", (2, -1, 5), "PRIO_USER, -1, 5"),
    ("getrlimit", (7, 0x1000), "RLIMIT_NOFILE, 0x1000"),
    ("setrlimit", (7, 0), "RLIMIT_NOFILE, NULL"),
    ("getrusage", (5, 0x1000), "0x5, 0x1000"),
    ("sched_getscheduler", (-1,), "-1"),
    ("sched_getparam", (-1, 0x1000), "-1, 0x1000"),
    ("sched_get_priority_max", (1,), "SCHED_FIFO"),
    ("sched_get_priority_min", (2,), "SCHED_RR"),
    ("rt_sigpending", (-1, 8), "0xffffffffffffffff, 8"),
    ("rt_sigprocmask", (2, 0, 0x1000, 7), "SIG_SETMASK, NULL, 0x1000, 7"),
    ("rt_sigaction", (99, 0, 0x1000, 8), "0x63, {NULL}, 0x1000, 8"),
    ("sigaltstack", (0, -1), "0x0, 0xffffffffffffffff"),
    ("personality", (-1,), "0xffffffff"),
    ("unshare", (-1 & 1,), "0x1"),
    ("setns", (-1, 0x40000000), "-1, CLONE_NEWNET"),
    # Times and waiting.
    ("nanosleep", (0, 0), "NULL, 0x0"),
    ("clock_gettime", (1, -1), "CLOCK_MONOTONIC, 0xffffffffffffffff"),
    ("clock_getres", (0, 0), "CLOCK_REALTIME, 0x0"),
    ("gettimeofday", (-1, 0), "0xffffffffffffffff, 0x0"),
    ("time", (-1,), "0xffffffffffffffff"),
    ("times", (-1,), "0xffffffffffffffff"),
    ("getitimer", (0, -1), "ITIMER_REAL, 0xffffffffffffffff"),
    ("timerfd_create", (1, 0o4000), "CLOCK_MONOTONIC, TFD_NONBLOCK"),
    ("timer_delete", (77,), "77"),
    ("poll", (0, 0, 0), "0x0, 0, 0"),
    ("epoll_create1", (7,), "0x7"),
    ("epoll_ctl", (-1, 2, -1, 0), "-1, EPOLL_CTL_DEL, -1, 0x0"),
    ("epoll_wait", (-1, 0x1000, 3, 0), "-1, 0x1000, 3, 0"),
    ("eventfd2", (7, 1), "7, EFD_SEMAPHORE"),
    # The rest.
    ("uname", (-1,), "0xffffffffffffffff"),
    ("sysinfo", (-1,), "0xffffffffffffffff"),
    ("syslog", (3, 0, -1), "3, 0x0, -1"),
    ("getrandom", (0x1000, 7, 8), "0x1000, 7, 0x8"),
    ("ptrace", (16, 0x7FFFFFFF, 0, 0), "PTRACE_ATTACH, 2147483647, 0x0, 0x0"),
    ("semget", (0, -1, 0o600), "IPC_PRIVATE, -1, 0600"),
    ("msgget", (0x7E57, 0o600), "32343, 0600"),
    ("shmget", (0x7E57, -1, 0o3600), "32343, 18446744073709551615, IPC_CREAT|IPC_EXCL|0600"),
    ("shmdt", (1,), "0x1"),
    ("delete_module", (PATH, 0o4000), f'"{PATH}", O_NONBLOCK'),
    ("getdents", (-1, 0x1000, 7), "-1, 0x1000, 7"),
    ("getcwd", (0, 7), "0x0, 7"),
    ("ioctl", (-1, 5, 0x1000), "-1, 5, 0x1000"),
    ("sync", (), ""),
)
"""Calls by the name of the table, their arguments, and ``argstr``."""

assert all(name in NUMBERS for name, _, _ in SAID)

PROGRAM = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
calls = eval(open(sys.argv[1]).read())
made = []
for number, arguments in calls:
    words = [a.encode() if isinstance(a, str) else ctypes.c_long(a) for a in arguments]
    made.append((number, words))
results = [0] * len(made)
for i, (number, words) in enumerate(made):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *words)
    error = ctypes.get_errno()
    results[i] = -error if result == -1 and error else result
open(sys.argv[1] + ".made", "w").write(repr(results))
"""
"""Makes the calls of a list and writes down what they returned, errors below 0."""
