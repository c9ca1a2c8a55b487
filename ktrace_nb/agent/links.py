"""Links: how a program is attached, and what the kernel tells of it.

A link is a descriptor; closing it detaches. Layouts are those of ``union bpf_attr``
and ``struct bpf_link_info`` in ``include/uapi/linux/bpf.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ktrace_nb.agent import bpf

BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_PERF_EVENT, BPF_TRACE_KPROBE_MULTI = 24, 25, 41, 42
_KPROBE_MULTI_RETURN = 1  # BPF_F_KPROBE_MULTI_RETURN
_LINK_TYPE_PERF_EVENT, _LINK_TYPE_KPROBE_MULTI = 7, 8  # enum bpf_link_type
_PERF_EVENT_KPROBES = (3, 4)  # enum bpf_perf_event_type: kprobe, kretprobe


def link_perf_event(program_fd: int, perf_fd: int, cookie: int = 0) -> int:
    """Attach a program to a perf event by a link (kernels since 5.15).

    Raises:
        OSError: EINVAL on kernels without such links.
    """
    return bpf.bpf(bpf.LINK_CREATE, struct.pack("<IIIIQ", program_fd, perf_fd, BPF_PERF_EVENT, 0, cookie))[0]


def link_tracing(program_fd: int, attach_type: int, cookie: int) -> int:
    """Attach an fentry or fexit program with a cookie (kernels since 6.0).

    Raises:
        OSError: EINVAL on kernels without such links.
    """
    # prog_fd, target_fd, attach_type, flags | target_btf_id, pad, cookie
    return bpf.bpf(bpf.LINK_CREATE, struct.pack("<IIIIIIQ", program_fd, 0, attach_type, 0, 0, 0, cookie))[0]


def link_kprobe_multi(
    program_fd: int,
    *,
    at_return: bool,
    places: bytes = b"",
    names: Sequence[bytes] = (),
    cookies: bytes = b"",
) -> int:
    """Attach a program to many functions at once (kernels since 5.18, built with ``CONFIG_FPROBE``).

    Args:
        program_fd: A program that was loaded for ``BPF_TRACE_KPROBE_MULTI``.
        at_return: At the functions' returns.
        places: Their addresses, u64 each.
        names: Their names, where there are no addresses.
        cookies: For each, u64, what ``bpf_get_attach_cookie`` gives there; empty for none.

    Raises:
        OSError: EINVAL, ENOENT or ESRCH if one of them cannot be traced, EOPNOTSUPP on kernels
            without such links.
    """
    where, keys = bpf.Buffer(places), bpf.Buffer(cookies)
    texts = [bpf.Buffer(name + b"\0") for name in names]
    table = bpf.Buffer(struct.pack(f"<{len(texts)}Q", *(text.address for text in texts)))
    # prog_fd, target_fd, attach_type, flags | flags, cnt, syms, addrs, cookies
    attr = struct.pack(
        "<IIIIIIQQQ",
        program_fd, 0, BPF_TRACE_KPROBE_MULTI, 0,
        _KPROBE_MULTI_RETURN if at_return else 0, len(places) // 8 or len(texts),
        0 if places else table.address, where.address if places else 0, keys.address if cookies else 0,
    )  # fmt: skip
    return bpf.bpf(bpf.LINK_CREATE, attr)[0]


def link_missed(link_fd: int) -> int:
    """How often what is behind a link was missed, 0 where the kernel does not tell.

    Of a kprobe the count came with "bpf: Add missed value to kprobe perf link info", of
    many kprobes with "bpf: Add missed value to kprobe_multi link info" (both 6.7); kernels before
    that leave it zero. At returns it has the calls that were under way when all
    the kernel had set aside for such calls was in use.
    """
    size = 80
    info = bpf.Buffer(size=size)
    try:
        bpf.bpf(bpf.OBJ_GET_INFO_BY_FD, struct.pack("<IIQ", link_fd, size, info.address))
    except OSError:
        return 0
    # type, id, prog_id, pad | addrs, count, flags, missed
    fields = struct.unpack_from("<IIIIQIIQ", info.bytes(size))
    if fields[0] == _LINK_TYPE_KPROBE_MULTI:
        return int(fields[7])
    # type, id, prog_id, pad | perf type, pad, name, name_len, offset, addr, missed
    fields = struct.unpack_from("<IIIIIIQIIQQ", info.bytes(size))
    link_type, perf_type, missed = fields[0], fields[4], fields[10]
    is_kprobe = link_type == _LINK_TYPE_PERF_EVENT and perf_type in _PERF_EVENT_KPROBES
    return int(missed) if is_kprobe else 0
