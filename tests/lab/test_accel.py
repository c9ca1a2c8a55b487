from __future__ import annotations

from pathlib import Path

import pytest

from ktrace_nb.lab import accel, store


def test_without_a_device_there_is_no_kvm(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "_DEVICE", own_store / "nosuch")
    assert accel.choose_accelerator() == ("tcg", True)


def test_a_device_proves_nothing_until_it_was_tried(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = own_store / "kvm"
    device.touch()
    monkeypatch.setattr(accel, "_DEVICE", device)
    assert accel.choose_accelerator() == ("kvm", False)
    accel.remember("tcg")
    assert accel.choose_accelerator() == ("tcg", True)
    accel.remember("kvm")
    assert accel.choose_accelerator() == ("kvm", True)
    device.unlink()
    assert accel.choose_accelerator() == ("tcg", True)


@pytest.mark.parametrize("text", ["5c0b30d4-0000-0000-0000-000000000000 tcg\n", "", "nonsense"])
def test_the_verdict_of_another_boot_does_not_count(
    text: str, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = own_store / "kvm"
    device.touch()
    monkeypatch.setattr(accel, "_DEVICE", device)
    accel.remember("tcg")
    store.cache("accel").write_text(text)
    assert accel.choose_accelerator() == ("kvm", False)
