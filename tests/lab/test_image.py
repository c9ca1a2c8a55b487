from __future__ import annotations

import json
from pathlib import Path

import pytest

from ktrace_nb.errors import MissingError, TargetError
from ktrace_nb.lab import store
from ktrace_nb.lab.image import (
    MANIFEST,
    PARTS,
    all_images,
    build_command,
    find_image,
    image_in_place,
    place_lock,
    read_manifest,
    replace_image,
)
from tests.lab.images import make_image


def test_a_manifest_is_read_back_as_it_was(tmp_path: Path) -> None:
    image = make_image(tmp_path / "lab")
    assert read_manifest(image.manifest(), image.folder) == image


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plain: plain.update(format=1),
        lambda plain: plain.pop("kernel"),
        lambda plain: plain["parts"].pop("initrd"),
        lambda plain: plain["parts"].update({"../x": {"size": 1, "sha256": ""}}),
        lambda plain: plain.update(name="../lab"),
        lambda plain: plain.update(packages=[]),
        lambda plain: plain["parts"].update(initrd="x"),
    ],
)
def test_a_spoilt_manifest_is_refused(spoil, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    plain = json.loads(make_image(tmp_path / "lab").manifest())
    spoil(plain)
    with pytest.raises(ValueError):
        read_manifest(json.dumps(plain), tmp_path)


def test_the_digest_names_the_files_and_nothing_else(tmp_path: Path) -> None:
    one = make_image(tmp_path / "one", name="one")
    other = make_image(tmp_path / "other", name="other")
    assert one.digest == other.digest
    assert one.digest != make_image(tmp_path / "third", seed=2).digest


def test_a_missing_lab_says_how_to_build_it(own_store: Path) -> None:
    with pytest.raises(MissingError) as raised:
        find_image("lab")
    assert raised.value.fix == "ktrace-nb lab build"
    assert build_command("lab-6.1") == "ktrace-nb lab build --name lab-6.1 --kernel 6.1"


def test_a_cut_off_part_makes_an_image_incomplete(own_store: Path) -> None:
    image = make_image(store.lab("lab"))
    assert find_image("lab") == image
    image.path("root.ext4").write_bytes(b"short")
    with pytest.raises(MissingError, match=r"root\.ext4 is missing or cut short"):
        find_image("lab")
    assert all_images() == []


def test_an_image_is_not_replaced_while_it_is_being_started(own_store: Path) -> None:
    image = make_image(store.lab("lab"))
    with image_in_place(image), pytest.raises(BlockingIOError), store.locked(place_lock("lab"), wait=False):
        pass


def test_an_image_that_was_replaced_cannot_be_started(own_store: Path) -> None:
    image = make_image(store.lab("lab"))
    new = make_image(own_store / "new", seed=2)
    replace_image(new.folder, "lab")
    assert find_image("lab").digest == new.digest
    assert {find_image("lab").path(part).stat().st_mode & 0o777 for part in PARTS} == {0o444}
    assert {path.name for path in store.labs().iterdir()} == {"lab", ".lab.lock"}
    with pytest.raises(TargetError, match="built anew"), image_in_place(image):
        pass


def test_the_images_of_a_user_are_listed(own_store: Path) -> None:
    for name in ("lab-6.1", "lab"):
        make_image(store.lab(name), name=name)
    (store.labs() / "stray").mkdir()
    (store.labs() / "spoilt").mkdir()
    (store.labs() / "spoilt" / MANIFEST).write_text("{}")
    assert [image.name for image in all_images()] == ["lab", "lab-6.1"]
