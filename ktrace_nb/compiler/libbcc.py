"""bcc, driven so that it only compiles. The one module that imports bcc.

``bcc`` runs clang and LLVM and then creates maps, loads BTF and loads programs.
The functions it calls for that are redirected to recorders: nothing reaches the
kernel, so no privilege is needed and the result fits another machine.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ktrace_nb.compiler import plt
from ktrace_nb.wire.bundle import KPROBE, Bundle, MapDef, ProgramDef

Definition = TypeVar("Definition", MapDef, ProgramDef)

_FIRST_FD = 1_000_000_001
_PROGRAM_FD = 1_500_000_000
# What bcc looks up to decide between bpf_probe_read and its successors; every kernel
# with BTF has both.
_KNOWN_SYMBOLS = (b"bpf_probe_read_kernel", b"bpf_probe_read_user")


@dataclass
class _Record:
    maps: dict[int, MapDef] = field(default_factory=dict)
    programs: list[ProgramDef] = field(default_factory=list)
    btf: bytes = b""


@dataclass(frozen=True)
class Compiled:
    """What came out of one compilation."""

    bundle: Bundle
    tables: tuple[str, ...]
    """Names of the tables in the order they were declared."""
    events: dict[str, list[tuple[str, str]]]
    """Fields and their C types of the structure last submitted to each output table."""


class CompileFailed(Exception):  # noqa: N818 (named for what happened)
    """clang or LLVM refused; the reason went to standard error."""


class Compiler:
    """libbcc in this process.

    Raises:
        ImportError: No bcc for this Python.
        OSError: A libbcc that cannot be redirected.
    """

    def __init__(self) -> None:
        from bcc.libbcc import lib

        self._lib = lib
        for name in ("bpf_table_name", "bpf_perf_event_field"):
            getattr(lib, name).restype = ctypes.c_char_p
        lib.bpf_table_name.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        lib.bpf_table_fd_id.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        lib.bpf_table_fd_id.restype = ctypes.c_int
        lib.bcc_func_load.argtypes = None  # bcc declares fewer than the function takes
        self._raw_data = ctypes.CDLL(os.path.basename(plt.loaded_library("libbpf.so")[1])).btf__raw_data
        self._raw_data.restype = ctypes.c_void_p
        self._raw_data.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint32)]
        self._record = _Record()
        self._callbacks = self._recorders()
        plt.redirect("libbcc.so", self._callbacks)

    @staticmethod
    def version() -> str:
        """bcc's version and the library's identity, for the cache's keys."""
        from bcc import __version__

        path = plt.loaded_library("libbcc.so")[1]
        stat = os.stat(path)
        return f"{__version__} {os.path.realpath(path)} {stat.st_size} {stat.st_mtime_ns}"

    @staticmethod
    def builtin_headers() -> list[str]:
        """The bpf.h and helpers.h that libbcc carries, whose names a cell's types must not declare again."""
        with open(plt.loaded_library("libbcc.so")[1], "rb") as file:
            data = file.read()
        starts = [data.find(mark) for mark in (b"#ifndef _UAPI__LINUX_BPF_H__", b"#ifndef __BPF_HELPERS_H")]
        return [data[start : data.index(b"\0", start)].decode() for start in starts if start >= 0]

    # --- the recorders -----------------------------------------------------------

    def _recorders(self) -> dict[str, Any]:
        kind = ctypes.CFUNCTYPE
        integer, pointer, text = ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p
        word = ctypes.c_uint32
        return {
            "bpf_map_create": kind(integer, integer, text, word, word, word, pointer)(self._map_create),
            "btf__load_into_kernel": kind(integer, pointer)(self._load_btf),
            "bpf_prog_load": kind(integer, integer, text, text, pointer, ctypes.c_size_t, pointer)(
                self._prog_load
            ),
            "bcc_procutils_each_ksym": kind(integer, pointer, pointer)(self._each_symbol),
        }

    def _map_create(self, type_: int, name: bytes, key: int, value: int, entries: int, options: int) -> int:
        # struct bpf_map_create_opts: sz, btf_fd, btf_key_type_id, btf_value_type_id,
        # btf_vmlinux_value_type_id, inner_map_fd, map_flags
        opts = struct.unpack("<6I", ctypes.string_at(options + 8, 24)) if options else (0,) * 6
        fd = _FIRST_FD + len(self._record.maps)
        self._record.maps[fd] = MapDef(
            fd, (name or b"").decode(), type_, key, value, entries,
            flags=opts[5], btf_key=opts[1], btf_value=opts[2], inner_fd=opts[4],
        )  # fmt: skip
        return fd

    def _load_btf(self, btf: int) -> int:
        size = ctypes.c_uint32()
        data = self._raw_data(btf, ctypes.byref(size))
        self._record.btf = ctypes.string_at(data, size.value)
        return 0

    def _prog_load(
        self, type_: int, name: bytes, license_: bytes, insns: int, count: int, options: int
    ) -> int:
        (size,) = struct.unpack("<Q", ctypes.string_at(options, 8))
        opts = ctypes.string_at(options, min(size, 120)).ljust(120, b"\0")
        # struct bpf_prog_load_opts from its second field on: attempts, expected_attach_type,
        # prog_btf_fd, prog_flags, prog_ifindex, kern_version, attach_btf_id, attach_prog_fd,
        # attach_btf_obj_fd, (padding), fd_array, func_info, func_info_cnt, func_info_rec_size,
        # line_info, line_info_cnt, line_info_rec_size
        fields = struct.unpack_from("<10IQQIIQII", opts, 8)
        funcs, func_count, func_size, lines, line_count, line_size = fields[11:]
        self._record.programs.append(
            ProgramDef(
                (name or b"").decode(),
                type_,
                (license_ or b"").decode(),
                ctypes.string_at(insns, count * 8),
                kern_version=fields[5],
                func_info=ctypes.string_at(funcs, func_count * func_size) if func_count else b"",
                func_info_size=func_size,
                line_info=ctypes.string_at(lines, line_count * line_size) if line_count else b"",
                line_info_size=line_size,
            )
        )
        return _PROGRAM_FD

    def _each_symbol(self, callback: int, payload: int) -> int:
        call = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_void_p)(
            callback
        )
        for i, name in enumerate(_KNOWN_SYMBOLS):
            call(name, b"kernel", 0xFFFFFFFF81000000 + 16 * i, payload)
        return 0

    # --- compile --------------------------------------------------------------------

    def compile(self, text: str, tree: str, cflags: Sequence[str]) -> Compiled:
        """Compile one translation unit.

        Args:
            text: C as bcc takes it.
            tree: Folder that stands for the kernel's source.
            cflags: Further arguments for clang.

        Raises:
            CompileFailed: clang or LLVM refused.
        """
        lib = self._lib
        os.environ["BCC_KERNEL_SOURCE"] = tree
        self._record = _Record()
        flags = (ctypes.c_char_p * len(cflags))(*(flag.encode() for flag in cflags))
        module = lib.bpf_module_create_c_from_string(text.encode(), 0, flags, len(cflags), True, None)
        if not module:
            raise CompileFailed
        try:
            self._load_functions(module)
            names = {lib.bpf_table_fd_id(module, i): lib.bpf_table_name(module, i).decode()
                     for i in range(lib.bpf_num_tables(module))}  # fmt: skip
            # The kernel gets the first 15 characters of a table's name.
            for fd, name in names.items():
                if fd in self._record.maps:
                    self._record.maps[fd] = _renamed(self._record.maps[fd], name)
            return Compiled(
                Bundle(tuple(self._record.maps.values()), tuple(self._record.programs), (), self._record.btf),
                self._declaration_order(),
                {name: self._event_fields(module, name) for name in names.values()},
            )
        finally:
            lib.bpf_module_destroy(module)

    def _load_functions(self, module: int) -> None:
        """Have every function "loaded", whatever its real type: only the recording matters."""
        lib = self._lib
        for i in range(lib.bpf_num_functions(module)):
            name = lib.bpf_function_name(module, i)
            before = len(self._record.programs)
            lib.bcc_func_load(
                ctypes.c_void_p(module),
                KPROBE,
                ctypes.c_char_p(name),
                ctypes.c_void_p(lib.bpf_function_start(module, name)),
                ctypes.c_size_t(lib.bpf_function_size(module, name)),
                ctypes.c_char_p(lib.bpf_module_license(module)),
                ctypes.c_uint(lib.bpf_module_kern_version(module)),
                *(0, None, 0, None, 0, -1),  # log level, buffer and size; device; flags; attach type
            )
            for k in range(before, len(self._record.programs)):
                # bcc strips its prefixes from the name it gives the kernel.
                self._record.programs[k] = _renamed(self._record.programs[k], name.decode())

    def _declaration_order(self) -> tuple[str, ...]:
        # bcc numbers tables -1, -2, ... as they are declared and creates them in ascending
        # order: the last declared first, inner maps before all others.
        return tuple(m.name for m in reversed(list(self._record.maps.values())))

    def _event_fields(self, module: int, name: str) -> list[tuple[str, str]]:
        lib = self._lib
        count = lib.bpf_perf_event_fields(module, name.encode())
        fields = (lib.bpf_perf_event_field(module, name.encode(), i).decode() for i in range(count))
        return [(field.split("#", 1)[0], field.split("#", 1)[1]) for field in fields]


def _renamed(definition: Definition, name: str) -> Definition:
    return type(definition)(**{**definition.__dict__, "name": name})
