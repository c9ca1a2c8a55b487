"""An image: the folder a lab starts from, and its manifest.

====================== =======================================================
``manifest.json``      what the image is; see :class:`Image`
``vmlinux``            the kernel as an ELF file
``config``             the kernel's configuration
``initrd``             the initial ram disk, without the agent
``root.ext4``          the root file system, read-only in the guest
``course.ext3``        a second disk, material for lessons
``course.ext4``        the same as ext4
====================== =======================================================
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ktrace_nb.errors import MissingError, OptionError, TargetError
from ktrace_nb.lab import store
from ktrace_nb.progress import Progress, silent

FORMAT = 2
MANIFEST = "manifest.json"
PARTS = ("vmlinux", "config", "initrd", "root.ext4", "course.ext3", "course.ext4")


@dataclass(frozen=True, slots=True)
class Part:
    """One file of an image."""

    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True)
class Image:
    """A lab that can be started."""

    name: str
    folder: Path
    kernel: str
    """The kernel's release, as ``uname -r`` gives it in the guest."""
    built: str
    """When, ISO 8601, UTC."""
    recipe: str
    """Names the code that built it: other code, other image."""
    packages: Mapping[str, str]
    """Version by name of every package in it, the kernel's included."""
    parts: Mapping[str, Part]

    @cached_property
    def digest(self) -> str:
        """A short name for exactly these files, whatever the image is called."""
        text = "".join(f"{name} {part.sha256}\n" for name, part in sorted(self.parts.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(part.size for part in self.parts.values())

    def path(self, part: str) -> Path:
        """Where one of :data:`PARTS` is."""
        return self.folder / part

    def manifest(self) -> str:
        """The manifest as JSON."""
        plain: dict[str, Any] = {"format": FORMAT, **asdict(self)}
        del plain["folder"]
        return json.dumps(plain, indent=1, sort_keys=True) + "\n"

    def renamed(self, name: str, folder: Path) -> Image:
        """The same image under another name, at another place."""
        return replace(self, name=name, folder=folder)


def read_manifest(text: str, folder: Path) -> Image:
    """Read a manifest back.

    Raises:
        ValueError: Not the manifest of an image of this format.
    """
    try:
        plain = json.loads(text)
        if plain["format"] != FORMAT:
            raise ValueError(f"image format {plain['format']!r}, expected {FORMAT}")
        parts = {str(name): Part(int(p["size"]), str(p["sha256"])) for name, p in plain["parts"].items()}
        if sorted(parts) != sorted(PARTS):
            raise ValueError(f"expected the files {', '.join(PARTS)}, found {', '.join(parts)}")
        return Image(
            name=store.check_name(plain["name"]),
            folder=folder,
            kernel=str(plain["kernel"]),
            built=str(plain["built"]),
            recipe=str(plain["recipe"]),
            packages={str(name): str(version) for name, version in plain["packages"].items()},
            parts=parts,
        )
    except (KeyError, TypeError, AttributeError, OptionError) as error:
        raise ValueError(f"malformed manifest: {error}") from None


def find_image(name: str = "lab") -> Image:
    """The image of this name.

    Raises:
        MissingError: There is none, or not all of it is there.
        OptionError: Not a name.
    """
    folder = store.lab(name)
    fix = build_command(name)
    try:
        text = (folder / MANIFEST).read_text()
    except FileNotFoundError:
        raise MissingError(f"there is no lab {name!r} on this machine", fix=fix) from None
    try:
        image = read_manifest(text, folder)
    except ValueError as error:
        raise MissingError(f"the lab {name!r} is of no use: {error}", fix=fix) from None
    for part, expected in image.parts.items():
        path = image.path(part)
        if not path.is_file() or path.stat().st_size != expected.size:
            raise MissingError(f"the lab {name!r} is incomplete: {part} is missing or cut short", fix=fix)
    return image


@contextmanager
def image_in_place(image: Image) -> Iterator[None]:
    """Keep an image from being replaced while its files are being opened.

    Raises:
        TargetError: It was replaced already.
    """
    with store.locked(place_lock(image.name), shared=True):
        if find_image(image.name).digest != image.digest:
            raise TargetError(
                f"the lab {image.name!r} was built anew meanwhile", hint="look it up again and start that"
            )
        yield


def place_lock(name: str) -> Path:
    """What is locked to replace an image, or together with others to keep it."""
    return store.labs() / f".{store.check_name(name)}.lock"


def replace_image(new: Path, name: str) -> None:
    """Put a finished folder in the place of an image.

    A machine running from the old one keeps its files open and is not disturbed.
    """
    place = store.lab(name)
    for part in PARTS:
        (new / part).chmod(0o444)  # every machine shares these files, none may write to them
    with store.locked(place_lock(name)), tempfile.TemporaryDirectory(prefix=".old-", dir=store.labs()) as old:
        if place.exists():
            place.rename(Path(old) / "image")
        new.rename(place)


def build_command(name: str) -> str:
    """The command that builds the image of this name."""
    if name == "lab":
        return "ktrace-nb lab build"
    kernel = f" --kernel {name.removeprefix('lab-')}" if name.startswith("lab-") else ""
    return f"ktrace-nb lab build --name {name}{kernel}"


def all_images() -> list[Image]:
    """Every usable image of this user, by name."""
    found = []
    if store.labs().is_dir():
        for folder in sorted(store.labs().iterdir()):
            if (folder / MANIFEST).is_file() and not folder.name.startswith("."):
                try:
                    found.append(find_image(folder.name))
                except MissingError:
                    continue
    return found


def describe(path: Path, progress: Progress = silent, stage: str = "") -> Part:
    """Size and SHA-256 of a file."""
    digest = hashlib.sha256()
    size = path.stat().st_size
    done = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            done += len(block)
            if stage:
                progress(stage, done, size, "B")
    return Part(size, digest.hexdigest())
