from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ktrace_nb.errors import OptionError
from ktrace_nb.lab import store, template
from ktrace_nb.lab.facts import NAMES, Facts
from ktrace_nb.lab.image import Image
from ktrace_nb.lab.qemu import Shape
from tests.lab.images import make_image

TCG = Shape("tcg")


@pytest.fixture
def image(own_store: Path) -> Image:
    return make_image(store.lab("lab"))


def fill(folder: Path) -> None:
    for name in ("ram", "state"):
        (folder / name).write_bytes(b"x" * 5000)
    (folder / "facts").mkdir()


def make(image: Image, description: dict[str, object]) -> template.Template:
    return template.make_template(image, template.key(description), description, fill)


def test_the_same_machine_has_the_same_key(image: Image) -> None:
    assert template.key(template.describe(image, TCG)) == template.key(template.describe(image, TCG))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: (image, Shape("kvm")),
        lambda image: (image, Shape("tcg", cpus=2)),
        lambda image: (image, Shape("tcg", memory_mb=768)),
        lambda image: (make_image(image.folder.parent / "other", seed=2), TCG),
    ],
)
def test_any_other_machine_has_another_key(
    change: Callable[[Image], tuple[Image, Shape]], image: Image
) -> None:
    usual = template.key(template.describe(image, TCG))
    assert template.key(template.describe(*change(image))) != usual


def test_another_agent_qemu_or_processor_makes_another_key(
    image: Image, monkeypatch: pytest.MonkeyPatch, own_store: Path
) -> None:
    keys = {template.key(template.describe(image, TCG))}
    monkeypatch.setattr(template, "agent_digest", lambda: "another")
    keys.add(template.key(template.describe(image, TCG)))
    monkeypatch.setattr(template, "_processor", lambda: ["model name: another"])
    keys.add(template.key(template.describe(image, TCG)))
    qemu = own_store / "qemu-system-x86_64"
    qemu.write_text("#!/bin/sh\n")
    qemu.chmod(0o755)
    monkeypatch.setenv("PATH", str(own_store))
    keys.add(template.key(template.describe(image, TCG)))
    assert len(keys) == 4


def test_the_processor_is_described() -> None:
    found = template._processor()
    assert any(line.startswith("model name") for line in found)
    assert any(line.startswith("flags") for line in found)
    assert len(found) <= 5


def test_a_half_made_template_is_never_found(image: Image) -> None:
    description = template.describe(image, TCG)

    def fail(folder: Path) -> None:
        fill(folder)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        template.make_template(image, "key", description, fail)
    assert template.find_template(image, "key") is None
    assert list(store.cache("templates", "lab").iterdir()) == []


def test_a_new_template_clears_away_what_nothing_can_resume(image: Image) -> None:
    description = template.describe(image, TCG)
    other_size = template.describe(image, Shape("tcg", memory_mb=768))
    outdated = json.loads(json.dumps(description))
    outdated["base"]["agent"] = "older"
    for one in (outdated, other_size):
        make(image, one)
    spoilt = template.place(image, "spoilt")
    spoilt.mkdir()
    (spoilt / "template.json").write_text("?")
    found = make(image, description)
    assert found.size == template.find_template(image, template.key(description)).size > 0  # type: ignore[union-attr]
    assert template.find_template(image, template.key(other_size)) is not None
    assert template.find_template(image, template.key(outdated)) is None
    assert not spoilt.exists()


def test_a_template_in_use_is_not_cleared_away(image: Image) -> None:
    description = template.describe(image, TCG)
    outdated = json.loads(json.dumps(description))
    outdated["base"]["agent"] = "older"
    make(image, outdated)
    with store.locked(template.lock_file(image, template.key(outdated)), shared=True):
        make(image, description)
        assert template.find_template(image, template.key(outdated)) is not None
    template.remove_template(template.place(image, template.key(outdated)))
    assert template.find_template(image, template.key(outdated)) is None


def test_facts_are_read_when_asked_for(tmp_path: Path) -> None:
    facts = Facts(tmp_path)
    (tmp_path / "btf").write_bytes(b"types")
    (tmp_path / "formats").write_text(json.dumps({"sched/sched_switch": "name: sched_switch"}))
    assert facts["btf"] == b"types"
    assert set(facts) == set(NAMES) and len(facts) == len(NAMES)
    assert facts.formats["sched/sched_switch"] == "name: sched_switch"
    with pytest.raises(KeyError):
        facts["../lab"]


@pytest.mark.parametrize("shape", [replace(TCG, cpus=0), replace(TCG, cpus=99), replace(TCG, memory_mb=8)])
def test_impossible_machines_are_refused(shape: Shape) -> None:
    with pytest.raises(OptionError):
        shape.check()
