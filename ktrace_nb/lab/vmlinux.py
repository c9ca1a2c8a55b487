"""The kernel out of its compressed image, and sections out of the kernel.

Source of the header's layout: Linux ``Documentation/arch/x86/boot.rst``, the
real-mode kernel header; of the ELF structures: ``include/uapi/linux/elf.h``.
"""

from __future__ import annotations

import lzma
import struct
import zlib

from ktrace_nb.errors import MissingError
from ktrace_nb.lab.tools import require_tools, run_tool

_SETUP_SECTORS, _MAGIC, _PAYLOAD = 0x1F1, 0x202, 0x248
_XEN_PHYS32_ENTRY = 18  # include/xen/interface/elfnote.h: the entry point of a PVH boot


def extract_vmlinux(image: bytes) -> bytes:
    """The ELF file inside a ``vmlinuz``.

    Raises:
        ValueError: Not a compressed x86 kernel.
        MissingError: It is compressed by a method whose program is not here.
    """
    if image[_MAGIC : _MAGIC + 4] != b"HdrS":
        raise ValueError("not an x86 kernel image")
    sectors = image[_SETUP_SECTORS] or 4
    offset, length = struct.unpack_from("<II", image, _PAYLOAD)
    start = (sectors + 1) * 512 + offset
    kernel = _decompress(image[start : start + length])
    if kernel[:4] != b"\x7fELF":
        raise ValueError("no kernel in the image")
    return kernel


def _decompress(payload: bytes) -> bytes:
    # The build appends the uncompressed size to what the compressor wrote; the
    # decompressor objects stop before it, the programs must not see it.
    if payload.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b"\x1f\x8b\x08"):
        return zlib.decompressobj(wbits=31).decompress(payload)
    for magic, command in (
        (b"\x28\xb5\x2f\xfd", ("zstd", "-dc")),
        (b"\x02\x21\x4c\x18", ("lz4", "-dc")),
    ):
        if payload.startswith(magic):
            program, *options = command
            tool = require_tools(program)[program]
            return run_tool([tool, *options], data=payload[:-4])
    raise ValueError(f"a kernel compressed by an unknown method ({payload[:6].hex()})")


def section(elf: bytes, name: str) -> bytes:
    """The content of a section of a 64-bit little-endian ELF file.

    Raises:
        KeyError: It has no such section.
    """
    (table,) = struct.unpack_from("<Q", elf, 40)
    entry_size, count, names_at = struct.unpack_from("<HHH", elf, 58)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + i * entry_size) for i in range(count)]
    names = headers[names_at][4]
    for at, _, _, _, offset, size in headers:
        end = elf.index(b"\0", names + at)
        if elf[names + at : end].decode() == name:
            return elf[offset : offset + size]
    raise KeyError(name)


def check_bootable(elf: bytes) -> None:
    """Make sure that QEMU can start this kernel directly.

    Raises:
        MissingError: It has no entry point for a PVH boot.
    """
    try:
        notes = section(elf, ".notes")
    except KeyError:
        notes = b""
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, at)
        name = notes[at + 12 : at + 12 + name_size].rstrip(b"\0")
        if name == b"Xen" and kind == _XEN_PHYS32_ENTRY:
            return
        at += 12 + (name_size + 3 & ~3) + (size + 3 & ~3)
    raise MissingError(
        "this kernel has no PVH entry point, which QEMU needs to start it",
        fix="use a kernel built with CONFIG_PVH, such as Debian's cloud kernels",
    )
