"""An image as one file that a lecturer can hand out.

A tar archive, compressed by xz, that holds the manifest and then the image's
parts, nothing else. What is read back is taken for hostile until it has proved
otherwise: only these names, only plain files, only the sizes and SHA-256 sums
that the manifest gives. The sums find damage; who made the file they do not
say.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from ktrace_nb.errors import MissingError, OptionError
from ktrace_nb.lab import store
from ktrace_nb.lab.disks import DATE
from ktrace_nb.lab.image import MANIFEST, PARTS, Image, find_image, read_manifest, replace_image
from ktrace_nb.progress import Progress, silent

LARGEST = 4 << 30
"""Bytes that the parts of an image may have together."""

_LONGEST_MANIFEST = 1 << 20
_BLOCK = 1 << 20
_PRESET: Final = 3  # on an image: 3 % more bytes than xz' default, in half the time


def export_image(image: Image, file: Path, *, progress: Progress = silent) -> int:
    """Write an image to one file. Takes about half a minute.

    Args:
        image: What to write.
        file: Where to; a file that is there is replaced when all is written.
        progress: Told of the bytes read.

    Returns:
        The file's size in bytes.

    Raises:
        OptionError: The file cannot be written.
    """
    manifest = image.manifest().encode()
    total = len(manifest) + image.size
    done = 0

    def add(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mtime, entry.mode = size, DATE, 0o644
        archive.addfile(entry, _Counted(content, count))

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress("writing the hand-out", done, total, "B")

    new = file.with_name(f".{file.name}-{os.getpid()}")
    try:
        with tarfile.open(new, mode="w:xz", preset=_PRESET) as archive:
            add(archive, MANIFEST, io.BytesIO(manifest), len(manifest))
            for name in PARTS:
                with image.path(name).open("rb") as content:
                    add(archive, name, content, image.parts[name].size)
        new.replace(file)
    except OSError as error:
        raise OptionError(f"{str(file)!r} cannot be written: {error.strerror}") from None
    finally:
        new.unlink(missing_ok=True)
    return file.stat().st_size


class _Counted(io.RawIOBase):
    """A file that tells how much of it was read."""

    def __init__(self, content: IO[bytes], count: Callable[[int], None]) -> None:
        self._content = content
        self._count = count

    def read(self, size: int = -1) -> bytes:
        data = self._content.read(size)
        self._count(len(data))
        return data


def import_image(
    file: Path, *, name: str | None = None, replace: bool = False, progress: Progress = silent
) -> Image:
    """Read a hand-out and make it a lab of this user.

    Args:
        file: A file that :func:`export_image` wrote.
        name: What to call the lab; by default what it was called.
        replace: Take the place of a lab of that name.
        progress: Told of the bytes written.

    Raises:
        OptionError: Not a hand-out, damaged or tampered with; or there is
            another lab of that name.
    """
    try:
        with tarfile.open(file, mode="r|xz") as archive:
            image = _read_manifest(archive)
            image = image.renamed(store.check_name(name or image.name), Path())
            standing = _standing(image)
            if standing is not None and standing.digest == image.digest:
                return standing
            if standing is not None and not replace:
                raise OptionError(
                    f"there is a lab {image.name!r} already, and it is another one",
                    hint="import it under another --name, or with --replace",
                )
            store.labs().mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".importing-", dir=store.labs()) as scratch:
                folder = Path(scratch) / "image"
                folder.mkdir()
                _read_parts(archive, image, folder, progress)
                (folder / MANIFEST).write_text(image.manifest())
                replace_image(folder, image.name)
    except (tarfile.TarError, lzma.LZMAError, EOFError, ValueError) as error:
        raise OptionError(f"{str(file)!r} is not a hand-out of a lab: {error}") from None
    except OSError as error:
        raise OptionError(f"{str(file)!r} cannot be read: {error.strerror}") from None
    return find_image(image.name)


def _standing(image: Image) -> Image | None:
    try:
        return find_image(image.name)
    except MissingError:
        return None


def _read_manifest(archive: tarfile.TarFile) -> Image:
    entry = archive.next()
    if entry is None or entry.name != MANIFEST or not entry.isreg() or entry.size > _LONGEST_MANIFEST:
        raise ValueError(f"it does not begin with {MANIFEST}")
    content = archive.extractfile(entry)
    assert content is not None
    image = read_manifest(content.read().decode(), Path())
    if image.size > LARGEST or min(part.size for part in image.parts.values()) < 0:
        raise ValueError(f"its manifest speaks of {image.size} bytes")
    return image


def _read_parts(archive: tarfile.TarFile, image: Image, folder: Path, progress: Progress) -> None:
    missing = set(PARTS)
    done = 0
    while (entry := archive.next()) is not None:
        if entry.name not in missing:
            raise ValueError(f"it holds {entry.name!r}, which no lab has, or has once")
        if not entry.isreg():
            raise ValueError(f"{entry.name!r} in it is not a plain file")
        part = image.parts[entry.name]
        if entry.size != part.size:
            raise ValueError(f"{entry.name!r} in it has {entry.size} bytes, the manifest says {part.size}")
        missing.remove(entry.name)
        content = archive.extractfile(entry)
        assert content is not None
        digest = hashlib.sha256()
        with (folder / entry.name).open("xb") as target:
            while block := content.read(_BLOCK):
                digest.update(block)
                if block.count(0) == len(block):
                    target.seek(len(block), os.SEEK_CUR)  # leave a hole
                else:
                    target.write(block)
                done += len(block)
                progress("reading the hand-out", done, image.size, "B")
            target.truncate(part.size)
        if digest.hexdigest() != part.sha256:
            raise ValueError(f"{entry.name!r} in it is not what the manifest says")
    if missing:
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")
