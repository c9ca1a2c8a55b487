"""What a cell's preprocessor directives ask for that this kernel cannot answer.

With real headers an ``#ifdef`` is always answered by something. Here a macro
that nobody defines may be one that the kernel has and we do not know: taking
the ``#else`` branch in silence could trace something else than was meant, so
it is an error with its place.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping

from ktrace_nb.codegen.ctext import CText
from ktrace_nb.diagnostics import Problem
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.source import Source

LIBRARY = frozenset(("ktrace_nb/riemann.h",))
"""Headers of ours that a cell may include."""

# Carried by libbcc.
_BCC_HEADERS = frozenset(("bcc/proto.h", "bcc/helpers.h", "bcc/bpf.h", "stdarg.h"))

_FREESTANDING = frozenset(("stdbool.h", "stddef.h", "stdint.h", "vmlinux.h"))
_KERNEL_FOLDERS = frozenset((
    "acpi", "asm", "asm-generic", "clocksource", "crypto", "cxl", "drm", "generated", "hyperv", "keys",
    "kunit", "kvm", "linux", "math-emu", "media", "memory", "misc", "net", "pcmcia", "ras", "rdma", "rv",
    "scsi", "soc", "sound", "target", "trace", "uapi", "ufs", "vdso", "video", "xen",
    "arch", "block", "drivers", "fs", "io_uring", "kernel", "lib", "mm", "security", "virt",
))  # fmt: skip
_C_LIBRARY = frozenset((
    "arpa", "assert.h", "bits", "byteswap.h", "complex.h", "ctype.h", "dirent.h", "endian.h", "errno.h",
    "fcntl.h", "features.h", "float.h", "getopt.h", "inttypes.h", "limits.h", "locale.h", "malloc.h",
    "math.h", "memory.h", "netdb.h", "netinet", "poll.h", "pthread.h", "pwd.h", "sched.h", "setjmp.h",
    "signal.h", "stdio.h", "stdlib.h", "string.h", "strings.h", "sys", "syslog.h", "termios.h", "time.h",
    "unistd.h",
))  # fmt: skip
_INSTEAD = {
    "errno.h": "linux/errno.h",
    "fcntl.h": "linux/fcntl.h",
    "limits.h": "linux/limits.h",
    "netinet/in.h": "linux/in.h",
    "netinet/ip.h": "linux/ip.h",
    "netinet/tcp.h": "linux/tcp.h",
    "sched.h": "linux/sched.h",
    "signal.h": "linux/signal.h",
    "string.h": "linux/string.h",
    "sys/socket.h": "linux/socket.h",
    "sys/stat.h": "linux/stat.h",
    "sys/types.h": "linux/types.h",
    "time.h": "linux/time.h",
}

# The compiler's own names (__x86_64__, __clang__), another architecture's, and what bcc sets.
_PREDEFINED = re.compile(r"__\w+__|__riscv|__cplusplus|__clang_\w+|__TARGET_ARCH_\w+|bpf_target_\w+")
_DEFINED = frozenset(
    (
        "KBUILD_MODNAME",
        "CUR_CPU_IDENTIFIER",
        "LINUX_VERSION_CODE",
        "LINUX_VERSION_CODE_OVERRIDE",
        "KERNEL_VERSION",
        "IS_ENABLED",
        "IS_BUILTIN",
        "IS_MODULE",
    )
)
# Macros of distributions, or gone from the kernel before it had type information.
_ABSENT = frozenset(
    (
        "INIT_PID_LINK",
        "REQ_OP_SHIFT",
        "REQ_WRITE",
        "RHEL_RELEASE_CODE",
        "RHEL_RELEASE_VERSION",
        "__PAGE_OFFSET_BASE",
    )
)
_KNOWN = _DEFINED | _ABSENT


def check_includes(text: CText, source: Source) -> Iterator[Problem]:
    """Headers that cannot be served, each an error with its place."""
    for mention in text.includes:
        name = mention.name
        if name in _BCC_HEADERS or name in LIBRARY or stub_path(name):
            continue
        if name.startswith("bpf/"):
            message = f"header {name!r} belongs to libbpf, not to bcc"
            hint = "bcc needs no header for its helpers"
        elif name.partition("/")[0] in _C_LIBRARY:
            message = f"header {name!r} belongs to the C library, which a kernel program does not have"
            hint = f"the kernel's is {_INSTEAD[name]}" if name in _INSTEAD else "leave it out"
        else:
            message = f"no header {name!r}"
            hint = "only headers of the kernel can be included; a cell holds everything else itself"
        yield Problem(message, source, mention.span, hint)


def stub_path(name: str) -> str | None:
    """Where in a kernel's source tree a header is looked for; None if it cannot be one of the kernel's."""
    path = posixpath.normpath(f"include/{name}")
    folder, slash, _ = path.removeprefix("include/").partition("/")
    if name in _FREESTANDING or (slash and folder in _KERNEL_FOLDERS and path.endswith(".h")):
        return path
    return None


def check_tests(
    text: CText,
    source: Source,
    *,
    decided: Collection[str],
    config: Mapping[str, str],
    btf: Btf,
) -> Iterator[Problem]:
    """Macros that are tested and that nobody defines, each an error at its first place.

    Args:
        text: The cell.
        source: The cell, for the places.
        decided: Macros that the headers or the command line define, or say to be absent.
        config: The kernel's configuration; a ``CONFIG_`` name it does not set is rightly absent.
        btf: The kernel's types, whose enumerators the preprocessor does not see.
    """
    seen: set[str] = set()
    for mention in text.tested:
        name = mention.name
        if name in seen or name in text.defines or name in decided or name in _KNOWN:
            continue
        seen.add(name)
        if _PREDEFINED.fullmatch(name):
            continue
        if name.startswith("CONFIG_"):
            if config:
                continue
            message = f"the kernel does not tell its configuration, so whether {name!r} is set is unknown"
            hint = "the target needs /proc/config.gz or /boot/config-RELEASE"
        elif btf.enumerator(name) is not None:
            message = f"{name!r} is an enumerator on this kernel, which the preprocessor cannot see"
            hint = "the kernel has it: use it without a test"
        else:
            message = f"no macro {name!r} is known here, so this test would be decided by chance"
            hint = f"if it is meant to be absent, say so above: #undef {name}"
        yield Problem(message, source, mention.span, hint)
