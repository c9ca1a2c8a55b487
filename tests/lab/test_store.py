from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from ktrace_nb.errors import MissingError, OptionError, TargetError
from ktrace_nb.lab import store


@pytest.mark.parametrize("name", ["lab", "lab-6.1", "os2026", "a+b_c"])
def test_a_plain_name_is_a_folder_among_the_labs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert store.lab(name) == Path("/data/ktrace_nb/labs") / name


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-x", ".hidden", "Lab", "x" * 64, "a\n"])
def test_a_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(OptionError):
        store.lab(name)


def test_a_relative_data_home_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert store.cache("x") == tmp_path / ".cache/ktrace_nb/x"


def test_the_runtime_folder_is_private(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    folder = store.runtime()
    assert folder == short_path / "ktrace_nb"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    machine = store.new_machine_folder()
    assert machine.parent == folder
    assert stat.S_IMODE(machine.stat().st_mode) == 0o700


def test_a_runtime_folder_that_others_can_enter_is_refused(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    store.runtime().chmod(0o755)
    with pytest.raises(TargetError, match="only this user"):
        store.runtime()


def test_a_link_in_place_of_the_runtime_folder_is_refused(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (short_path / "elsewhere").mkdir(mode=0o700)
    (short_path / "ktrace_nb").symlink_to("elsewhere")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    with pytest.raises(TargetError):
        store.runtime()


def test_a_runtime_folder_too_deep_for_sockets_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    assert store.runtime().parent == Path("/tmp")


def test_a_lock_keeps_others_out_until_it_is_let_go(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with store.locked(lock), pytest.raises(BlockingIOError), store.locked(lock, wait=False):
        pass
    with store.locked(lock, shared=True), store.locked(lock, shared=True, wait=False):
        pass
    with store.locked(lock, wait=False):
        pass


@pytest.mark.parametrize(
    ("number", "why"), [(errno.ENOSPC, "no room for the image"), (errno.EROFS, "the image cannot be written")]
)
def test_a_full_or_closed_disk_is_named(number: int, why: str) -> None:
    with pytest.raises(MissingError, match=why), store.room_for("the image", Path("/data")):
        raise OSError(number, "text")


def test_other_errors_of_the_system_stay_what_they_are() -> None:
    with pytest.raises(OSError), store.room_for("the image", Path("/data")):
        raise OSError(errno.EIO, "text")


def test_a_full_disk_is_noticed_while_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingError, match="no room"), store.room_for("it", Path("/dev")):
        Path("/dev/full").write_text("x")
