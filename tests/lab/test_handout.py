from __future__ import annotations

import io
import json
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ktrace_nb.errors import OptionError
from ktrace_nb.lab import store
from ktrace_nb.lab.handout import export_image, import_image
from ktrace_nb.lab.image import MANIFEST, PARTS
from tests.lab.images import make_image

Entry = tuple[tarfile.TarInfo, bytes]


def entries(file: Path) -> list[Entry]:
    with tarfile.open(file, "r:xz") as archive:
        found = []
        for entry in archive:
            content = archive.extractfile(entry)
            assert content is not None
            found.append((entry, content.read()))
        return found


def write(file: Path, content: list[Entry]) -> None:
    with tarfile.open(file, "w:xz", preset=0) as archive:
        for entry, data in content:
            archive.addfile(entry, io.BytesIO(data) if entry.isreg() else None)


def test_what_is_exported_is_imported(own_store: Path) -> None:
    image = make_image(own_store / "made")
    file = own_store / "lab.tar.xz"
    reported: list[tuple[float, float]] = []
    size = export_image(
        image, file, progress=lambda stage, done=0, total=0, unit="": reported.append((done, total))
    )
    assert size == file.stat().st_size < image.size / 10
    assert reported == sorted(reported)
    assert reported[-1][0] == reported[-1][1] > image.size
    found = import_image(file)
    assert found.folder == store.lab("lab")
    assert found.digest == image.digest
    assert found.packages == image.packages
    for part in PARTS:
        assert found.path(part).read_bytes() == image.path(part).read_bytes()
        assert found.path(part).stat().st_blocks * 512 < 2 << 20  # the hole is one again
    assert [path.name for path in store.labs().iterdir() if path.name != ".lab.lock"] == ["lab"]


def test_the_same_image_gives_the_same_handout(own_store: Path) -> None:
    image = make_image(own_store / "made")
    export_image(image, own_store / "one")
    export_image(image, own_store / "two")
    assert (own_store / "one").read_bytes() == (own_store / "two").read_bytes()


def test_an_import_can_be_given_another_name(own_store: Path) -> None:
    export_image(make_image(own_store / "made"), own_store / "file")
    assert import_image(own_store / "file", name="os2026").name == "os2026"
    assert store.lab("os2026").is_dir() and not store.lab("lab").exists()


def test_another_lab_of_the_name_is_replaced_only_when_asked(own_store: Path) -> None:
    standing = make_image(store.lab("lab"), seed=2)
    other = make_image(own_store / "made")
    export_image(other, own_store / "file")
    with pytest.raises(OptionError, match="another one") as raised:
        import_image(own_store / "file")
    assert raised.value.hint is not None and "--replace" in raised.value.hint
    export_image(standing, own_store / "same")
    assert import_image(own_store / "same").digest == standing.digest
    assert import_image(own_store / "file", replace=True).digest == other.digest


def link_to_passwd(content: list[Entry]) -> None:
    entry = content[2][0]
    entry.type, entry.linkname, entry.size = tarfile.SYMTYPE, "/etc/passwd", 0


def climb_out(content: list[Entry]) -> None:
    content[3][0].name = "../../escaped"


def absolute(content: list[Entry]) -> None:
    content[3][0].name = "/tmp/escaped"


def other_bytes(content: list[Entry]) -> None:
    entry, data = content[1]
    content[1] = (entry, data[:-1] + bytes([data[-1] ^ 1]))


def longer(content: list[Entry]) -> None:
    entry, data = content[1]
    entry.size += 1
    content[1] = (entry, data + b"x")


def twice(content: list[Entry]) -> None:
    content.append(content[1])


def missing(content: list[Entry]) -> None:
    del content[2]


def manifest_last(content: list[Entry]) -> None:
    content.append(content.pop(0))


def hostile_manifest(**changes: object) -> Callable[[list[Entry]], None]:
    def change(content: list[Entry]) -> None:
        entry, data = content[0]
        plain = {**json.loads(data), **changes}
        data = json.dumps(plain).encode()
        entry.size = len(data)
        content[0] = (entry, data)

    return change


def test_the_changes_below_start_from_a_good_file(own_store: Path) -> None:
    export_image(make_image(own_store / "made"), own_store / "file")
    content = entries(own_store / "file")
    assert [entry.name for entry, _ in content] == [MANIFEST, *PARTS]
    write(own_store / "again", content)
    import_image(own_store / "again")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (link_to_passwd, "not a plain file"),
        (climb_out, "no lab has"),
        (absolute, "no lab has"),
        (other_bytes, "not what the manifest says"),
        (longer, "the manifest says"),
        (twice, "or has once"),
        (missing, "it lacks"),
        (manifest_last, "does not begin with"),
        (hostile_manifest(name="../x"), "malformed manifest"),
        (hostile_manifest(format=7), "image format 7"),
        (
            hostile_manifest(parts={part: {"size": 1 << 40, "sha256": ""} for part in PARTS}),
            "its manifest speaks of",
        ),
        (
            hostile_manifest(parts={part: {"size": -5, "sha256": ""} for part in PARTS}),
            "its manifest speaks of",
        ),
    ],
)
def test_a_file_that_was_tampered_with_is_refused(
    change: Callable[[list[Entry]], None], why: str, own_store: Path
) -> None:
    export_image(make_image(own_store / "made"), own_store / "file")
    content = entries(own_store / "file")
    change(content)
    write(own_store / "file", content)
    with pytest.raises(OptionError, match="is not a hand-out of a lab") as raised:
        import_image(own_store / "file")
    assert why in raised.value.message
    assert not store.labs().exists() or list(store.labs().glob("[!.]*")) == []
    assert not (own_store / "escaped").exists() and not Path("/tmp/escaped").exists()


@pytest.mark.parametrize("end", [0, 100, 1000, 20_000])
def test_a_file_cut_short_is_refused(end: int, own_store: Path) -> None:
    export_image(make_image(own_store / "made"), own_store / "file")
    data = (own_store / "file").read_bytes()
    assert len(data) > 20_000
    (own_store / "file").write_bytes(data[:end])
    with pytest.raises(OptionError, match="is not a hand-out"):
        import_image(own_store / "file")


@pytest.mark.parametrize("data", [b"hello", lzma.compress(b"hello"), bytes(5000)])
def test_any_other_file_is_refused(data: bytes, own_store: Path) -> None:
    (own_store / "file").write_bytes(data)
    with pytest.raises(OptionError, match="is not a hand-out"):
        import_image(own_store / "file")


def test_a_file_that_is_not_there_or_not_writable_is_named(own_store: Path) -> None:
    with pytest.raises(OptionError, match="cannot be read"):
        import_image(own_store / "nosuch")
    with pytest.raises(OptionError, match="cannot be written"):
        export_image(make_image(own_store / "made"), own_store / "nosuch" / "file")
