"""Build an image from the distribution's packages."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from ktrace_nb.errors import MissingError
from ktrace_nb.lab import store
from ktrace_nb.lab.disks import DISKS, course_files, course_image, root_image
from ktrace_nb.lab.image import MANIFEST, PARTS, Image, all_images, describe, find_image, replace_image
from ktrace_nb.lab.initrd import base_archive
from ktrace_nb.lab.packages import Package, fetch_packages, forget_other_packages
from ktrace_nb.lab.rootfs import finish, kernel_release
from ktrace_nb.lab.tools import require_tools
from ktrace_nb.lab.unpack import unpack
from ktrace_nb.lab.vmlinux import check_bootable, extract_vmlinux
from ktrace_nb.progress import Progress, silent

DEFAULT_KERNEL = "6.12"
_RECIPE = (
    "build.py",
    "disks.py",
    "initrd.py",
    "packages.py",
    "rootfs.py",
    "unpack.py",
    "vmlinux.py",
    "guest",
)


def build_image(
    name: str = "lab", *, kernel: str = DEFAULT_KERNEL, force: bool = False, progress: Progress = silent
) -> Image:
    """Build the image of this name, or leave it alone if nothing has changed.

    Needs no privilege and installs nothing. Takes about 10 s and, the first
    time, a download of 57 MB.

    Args:
        name: What the image will be called.
        kernel: ``"6.12"``, ``"6.1"``, or the exact name of a kernel package.
        force: Build even if the packages and this code are those of the image
            that is there.
        progress: Told of every stage.

    Raises:
        MissingError: A program or a package is missing.
        OptionError: Not a name, or not a kernel.
    """
    store.check_name(name)
    require_tools("apt-get", "dpkg-deb", "mke2fs", "debugfs")
    recipe = recipe_digest()
    with store.room_for("the guest's packages", store.cache()):
        packages = fetch_packages(kernel, progress)
    with store.room_for("the lab's image", store.labs()), store.locked(store.labs() / f".{name}.build"):
        standing = None if force else _standing(name, packages, recipe)
        if standing is not None:
            return standing
        with tempfile.TemporaryDirectory(prefix=".building-", dir=store.labs()) as scratch:
            image = _build(Path(scratch), name, packages, recipe, progress)
            replace_image(image.folder, name)
        image = find_image(name)
    others = [f"{n}={v}" for other in all_images() for n, v in other.packages.items()]
    forget_other_packages(packages, others)
    return image


def _standing(name: str, packages: list[Package], recipe: str) -> Image | None:
    try:
        image = find_image(name)
    except MissingError:
        return None
    same = image.packages == {package.name: package.version for package in packages}
    return image if same and image.recipe == recipe else None


def recipe_digest() -> str:
    """A short name for the code that builds images."""
    digest = hashlib.sha256()
    here = resources.files("ktrace_nb.lab")
    for name in _RECIPE:
        entry = here / name
        files = sorted(entry.iterdir(), key=lambda f: f.name) if entry.is_dir() else [entry]
        for file in files:
            if file.is_file():  # installers compile what they can, into folders beside it
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _build(scratch: Path, name: str, packages: list[Package], recipe: str, progress: Progress) -> Image:
    folder, root = scratch / "image", scratch / "root"
    folder.mkdir()
    root.mkdir()
    unpack(packages, root, progress)
    progress("arranging the guest's files")
    finish(root)
    release = kernel_release(root)
    vmlinux = extract_vmlinux((root / "boot" / f"vmlinuz-{release}").read_bytes())
    check_bootable(vmlinux)
    (folder / "vmlinux").write_bytes(vmlinux)
    shutil.copyfile(root / "boot" / f"config-{release}", folder / "config")
    shutil.rmtree(root / "boot")
    (folder / "initrd").write_bytes(base_archive(root, release))
    progress("making disk images")
    root_image(folder / "root.ext4", root)
    course_files(scratch / "course")
    for part in sorted(set(DISKS.values())):
        course_image(folder / part, scratch / "course")
    progress("writing the manifest")
    image = Image(
        name=name,
        folder=folder,
        kernel=release,
        built=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe=recipe,
        packages={package.name: package.version for package in packages},
        parts={part: describe(folder / part) for part in PARTS},
    )
    (folder / MANIFEST).write_text(image.manifest())
    return image
