"""Images for tests that do not look into them: real manifests of small files."""

from __future__ import annotations

import random
from pathlib import Path

from ktrace_nb.lab.image import MANIFEST, PARTS, Image, describe


def make_image(folder: Path, *, name: str = "lab", seed: int = 1) -> Image:
    """An image whose parts are some noise, a hole and some more noise."""
    chance = random.Random(seed)
    folder.mkdir(parents=True)
    for part in PARTS:
        (folder / part).write_bytes(chance.randbytes(5000) + bytes(3 << 20) + chance.randbytes(77))
    image = Image(
        name=name,
        folder=folder,
        kernel="6.12.0-test",
        built="2026-01-01T00:00:00+00:00",
        recipe="0123456789abcdef",
        packages={"busybox-static": "1:1.35.0-4", "linux-image-test": "6.12"},
        parts={part: describe(folder / part) for part in PARTS},
    )
    (folder / MANIFEST).write_text(image.manifest())
    return image
