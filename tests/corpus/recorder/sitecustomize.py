"""Stands in for bcc in the scripts of bpfcc-tools: records what they would compile and attach.

Found through PYTHONPATH and imported by the script's Python before the script.
What a script asks about the kernel is answered for the kernel under test, from
the files named in the plan. The script ends where it would start to wait.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

PLAN = json.loads(Path(os.environ["KTRACE_NB_HARVEST"]).read_text())
PROGRAMS: list[dict[str, Any]] = []


def text_of(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def save(reason: str = "") -> None:
    record = {"programs": PROGRAMS, "reason": reason}
    Path(os.environ["KTRACE_NB_HARVEST_OUT"]).write_text(json.dumps(record))


def finish(*_: Any, **__: Any) -> NoReturn:
    """The script has set everything up and is about to wait for events."""
    save()
    os._exit(0)


def explain(kind: type[BaseException], error: BaseException, _: Any) -> None:
    save(f"{kind.__name__}: {error}".splitlines()[0])
    os._exit(1)


@cache
def functions() -> frozenset[str]:
    return frozenset(Path(PLAN["functions"]).read_text().split())


@cache
def tracepoints() -> frozenset[str]:
    return frozenset(Path(PLAN["tracepoints"]).read_text().split())


@cache
def btf() -> Any:
    from ktrace_nb.kernel.btf import Btf

    return Btf(Path(PLAN["btf"]).read_bytes())


def has_field(struct: str, field: str) -> int:
    """As bcc answers: 1 or 0, and -1 where there is no such struct."""
    from ktrace_nb.kernel.btf_format import Kind

    found = btf().find(struct, Kind.STRUCT)
    return int(btf().member(found[0], field) is not None) if found else -1


class Anything:
    """A table, an event, a screen: empty, and content with whatever is done to it."""

    def __getattr__(self, name: str) -> Anything:
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Anything:
        return self

    def __getitem__(self, key: Any) -> Anything:
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __index__(self) -> int:
        return 0


class Probes:
    """Stands in for bcc.USDT: every probe exists."""

    def __init__(self, pid: int | None = None, path: str | None = None) -> None:
        self.enabled: list[tuple[str, str, str]] = []

    def enable_probe(self, probe: str, fn_name: str) -> None:
        self.enabled.append(("usdt", text_of(probe), text_of(fn_name)))

    enable_probe_or_bail = enable_probe

    def get_text(self) -> str:
        return ""

    def get_probe_arg_ctype(self, probe: str, index: int) -> str:
        return "unsigned long long"

    def enumerate_probes(self) -> list[Any]:
        return []


def install() -> None:
    import bcc

    class Recorder(bcc.BPF):  # type: ignore[misc]
        def __init__(
            self,
            src_file: Any = b"",
            hdr_file: Any = b"",
            text: Any = None,
            debug: int = 0,
            cflags: Any = (),
            usdt_contexts: Any = (),
            **_: Any,
        ) -> None:
            if src_file:
                text = Path(text_of(src_file)).read_text()
            self.attached: list[Any] = [probe for usdt in usdt_contexts for probe in usdt.enabled]
            PROGRAMS.append(
                {
                    "text": text_of(text),
                    "cflags": [text_of(flag) for flag in cflags],
                    "attachments": self.attached,
                }
            )
            self.tables: dict[Any, Any] = {}

        def _attach(self, kind: str, target: Any, fn_name: Any) -> None:
            self.attached.append((kind, text_of(target), text_of(fn_name)))

        def _attach_functions(self, kind: str, event: Any, event_re: Any, offset: int, fn_name: Any) -> None:
            names = self.get_kprobe_functions(event_re) if event_re else [event]
            for name in names:
                self._attach(kind, text_of(name) + (f"+{offset:#x}" if offset else ""), fn_name)

        def attach_kprobe(
            self, event: Any = b"", event_off: int = 0, fn_name: Any = b"", event_re: Any = b""
        ) -> None:
            self._attach_functions("kprobe", event, event_re, event_off, fn_name)

        def attach_kretprobe(
            self, event: Any = b"", fn_name: Any = b"", event_re: Any = b"", maxactive: int = 0
        ) -> None:
            self._attach_functions("kretprobe", event, event_re, 0, fn_name)

        def attach_tracepoint(self, tp: Any = b"", tp_re: Any = b"", fn_name: Any = b"") -> None:
            for name in self.get_tracepoints(tp_re) if tp_re else [tp]:
                self._attach("tracepoint", text_of(name).replace(":", "/"), fn_name)

        def attach_raw_tracepoint(self, tp: Any = b"", fn_name: Any = b"") -> None:
            self._attach("raw_tracepoint", tp, fn_name)

        def _attach_user(self, kind: str, where: dict[str, Any]) -> None:
            place = text_of(where.get("sym") or where.get("sym_re") or hex(where.get("addr") or 0))
            self._attach(kind, f"{text_of(where.get('name', ''))}:{place}", where.get("fn_name", ""))

        def attach_uprobe(self, **where: Any) -> None:
            self._attach_user("uprobe", where)

        def attach_uretprobe(self, **where: Any) -> None:
            self._attach_user("uretprobe", where)

        def attach_perf_event(
            self,
            ev_type: int = -1,
            ev_config: int = -1,
            fn_name: Any = b"",
            sample_period: int = 0,
            sample_freq: int = 0,
            **_: Any,
        ) -> None:
            rate = f"frequency={sample_freq}" if sample_freq else f"period={sample_period}"
            self._attach("perf", f"{ev_type}:{ev_config}:{rate}", fn_name)

        def attach_perf_event_raw(self, attr: Any = -1, fn_name: Any = b"", **_: Any) -> None:
            self._attach("perf", f"{attr.type}:{attr.config}:raw", fn_name)

        def attach_kfunc(self, fn_name: Any = b"") -> None:
            self._attach("kfunc", "", fn_name)

        attach_kretfunc = attach_lsm = attach_kfunc

        def load_func(self, func_name: Any, prog_type: int, *_: Any, **__: Any) -> Anything:
            return Anything()

        def attach_func(self, *_: Any, **__: Any) -> None: ...

        attach_xdp = remove_xdp = detach_kprobe = detach_kretprobe = detach_uprobe = attach_func
        detach_tracepoint = detach_perf_event = cleanup = close = attach_func

        def __getitem__(self, key: Any) -> Any:
            return Anything()

        def get_table(self, *_: Any, **__: Any) -> Any:
            return Anything()

        def _count(self, *kinds: str) -> int:
            return sum(kind in kinds for kind, _, _ in self.attached)

        def num_open_kprobes(self) -> int:
            return self._count("kprobe", "kretprobe")

        def num_open_uprobes(self) -> int:
            return self._count("uprobe", "uretprobe")

        def num_open_tracepoints(self) -> int:
            return self._count("tracepoint")

        def get_syscall_prefix(self) -> bytes:
            found = (p for p in bcc.BPF._syscall_prefixes if (p + b"bpf").decode() in functions())
            return bytes(next(found, b"__x64_sys_"))

        @staticmethod
        def get_kprobe_functions(event_re: Any) -> list[bytes]:
            pattern = re.compile(text_of(event_re))
            return sorted(name.encode() for name in functions() if pattern.fullmatch(name))

        @staticmethod
        def get_tracepoints(tp_re: Any) -> list[bytes]:
            pattern = re.compile(text_of(tp_re))
            names = (name.replace("/", ":") for name in tracepoints())
            return sorted(name.encode() for name in names if pattern.match(name))

        @staticmethod
        def tracepoint_exists(category: Any, event: Any) -> bool:
            return f"{text_of(category)}/{text_of(event)}" in tracepoints()

        @staticmethod
        def kernel_struct_has_field(struct_name: Any, field_name: Any) -> int:
            return has_field(text_of(struct_name), text_of(field_name))

        @staticmethod
        def ksymname(name: Any) -> int:
            return 1 if text_of(name) in functions() else -1

        @staticmethod
        def support_kfunc() -> bool:
            return "bpf_trampoline_link_prog" in functions()

        @staticmethod
        def support_raw_tracepoint() -> bool:
            return not functions().isdisjoint(("bpf_find_raw_tracepoint", "bpf_get_raw_tracepoint"))

        @staticmethod
        def support_raw_tracepoint_in_module() -> bool:
            return "bpf_trace_modules" in functions() or "bpf_get_raw_tracepoint" in functions()

        @staticmethod
        def find_library(libname: Any) -> bytes:
            name = text_of(libname)
            return f"/usr/lib/lib{name.removeprefix('lib')}.so".encode()

        @staticmethod
        def get_user_functions(name: Any, sym_re: Any) -> list[bytes]:
            return [b"harvested"]

        @staticmethod
        def get_user_addresses(name: Any, sym_re: Any) -> list[int]:
            return [0x1000]

        @staticmethod
        def get_user_functions_and_addresses(name: Any, sym_re: Any) -> list[tuple[bytes, int]]:
            return [(b"harvested", 0x1000)]

    for name in (
        "perf_buffer_poll",
        "ring_buffer_poll",
        "kprobe_poll",
        "trace_fields",
        "trace_print",
        "trace_readline",
        "trace_open",
    ):
        setattr(Recorder, name, finish)
    bcc.BPF = Recorder
    bcc.USDT = Probes


def redirect_kallsyms() -> None:
    import builtins

    real: Callable[..., Any] = builtins.open

    def opened(file: Any, *args: Any, **kwargs: Any) -> Any:
        return real(
            PLAN["kallsyms"] if file in ("/proc/kallsyms", b"/proc/kallsyms") else file, *args, **kwargs
        )

    builtins.open = opened


def stop_waiting() -> None:
    import curses

    for place, name, stand_in in (
        # On a screen the script first draws, then waits for a key.
        (curses, "wrapper", lambda function, *args: function(Anything(), *args)),
        (curses, "curs_set", Anything()),
        (curses, "init_pair", Anything()),
        (time, "sleep", finish),
        (signal, "pause", finish),
        (threading.Event, "wait", finish),
    ):
        setattr(place, name, stand_in)


def pretend_to_be_root() -> None:
    for name in ("getuid", "geteuid"):
        setattr(os, name, lambda: 0)


sys.path.append(PLAN["root"])
atexit.register(save, "ended by itself")
sys.excepthook = explain
pretend_to_be_root()
install()
redirect_kallsyms()
stop_waiting()
