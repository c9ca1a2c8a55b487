from __future__ import annotations

import gzip
import lzma
import struct
import subprocess
from collections.abc import Callable

import pytest

from ktrace_nb.errors import MissingError
from ktrace_nb.lab.vmlinux import check_bootable, extract_vmlinux, section

XEN_PVH = struct.pack("<III", 4, 4, 18) + b"Xen\0" + struct.pack("<I", 0x1000000)
GNU_ID = struct.pack("<III", 4, 20, 3) + b"GNU\0" + bytes(20)


def elf(**sections: bytes) -> bytes:
    """A 64-bit little-endian ELF file with these sections (dots left out)."""
    names = b"\0" + b"".join(f".{name}".encode() + b"\0" for name in (*sections, "shstrtab"))
    body = bytearray(64)
    headers = [bytes(64)]
    for name, content in (*sections.items(), ("shstrtab", names)):
        at = names.index(f".{name}".encode() + b"\0")
        headers.append(struct.pack("<IIQQQQIIQQ", at, 1, 0, 0, len(body), len(content), 0, 0, 1, 0))
        body += content
    body[:64] = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack(
            "<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, len(body), 0, 64, 0, 0, 64, len(headers), len(headers) - 1
        )
    )
    return bytes(body) + b"".join(headers)


def bzimage(payload: bytes, setup_sectors: int = 4) -> bytes:
    """A kernel image whose compressed part, with its size behind it, is ``payload``."""
    head = bytearray((setup_sectors + 1) * 512 + 32)
    head[0x1F1] = setup_sectors
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 32, len(payload))
    return bytes(head) + payload


def by_program(*command: str) -> Callable[[bytes], bytes]:
    return lambda data: subprocess.run(command, input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "compress",
    [
        gzip.compress,
        lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
        by_program("zstd", "-c"),
    ],
    ids=["gzip", "xz", "zstd"],
)
def test_the_kernel_comes_out_of_its_image(compress: Callable[[bytes], bytes]) -> None:
    kernel = elf(notes=XEN_PVH, BTF=b"types")
    size = struct.pack("<I", len(kernel))
    assert extract_vmlinux(bzimage(compress(kernel) + size)) == kernel
    assert extract_vmlinux(bzimage(compress(kernel) + size, setup_sectors=27)) == kernel


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (bytes(4096), "not an x86 kernel"),
        (bzimage(b"BZh9xxxxxxxx"), "unknown method"),
        (bzimage(gzip.compress(b"no kernel") + bytes(4)), "no kernel in"),
    ],
)
def test_anything_else_is_refused(image: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        extract_vmlinux(image)


def test_sections_are_found_by_name() -> None:
    kernel = elf(notes=XEN_PVH, BTF=b"types")
    assert section(kernel, ".BTF") == b"types"
    with pytest.raises(KeyError):
        section(kernel, ".BTF_ids")


def test_a_kernel_without_a_pvh_entry_is_refused() -> None:
    check_bootable(elf(notes=GNU_ID + XEN_PVH))
    for kernel in (elf(notes=GNU_ID), elf(text=b"x")):
        with pytest.raises(MissingError, match="PVH"):
            check_bootable(kernel)
