"""KVM where it really works, else QEMU's own translator (TCG).

That ``/dev/kvm`` opens proves little: in some virtual machines it opens and a
guest started on it never runs an instruction. So the first boot is watched: a
kernel that prints nothing on its serial console for :data:`SILENCE_S` counts
as hung. The verdict is remembered until the host boots again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from ktrace_nb.lab.store import cache

Accelerator = Literal["kvm", "tcg"]

SILENCE_S = 3.0
"""How long a guest under KVM may be silent before it has answered; one that
works is at its first message after 0.1 s."""

_DEVICE = Path("/dev/kvm")


def choose_accelerator() -> tuple[Accelerator, bool]:
    """What to run the guest with.

    Returns:
        The accelerator, and whether that is known to work: KVM that has not
        been tried since the host booted is not.
    """
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return "tcg", True
    verdict = _remembered()
    if verdict is None:
        return "kvm", False
    return verdict, True


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _remembered() -> Accelerator | None:
    try:
        boot, _, verdict = cache("accel").read_text().strip().partition(" ")
    except FileNotFoundError:
        return None
    if boot != _boot_id():
        return None
    return "kvm" if verdict == "kvm" else "tcg"


def remember(verdict: Accelerator) -> None:
    """Keep the verdict until the host boots again."""
    path = cache("accel")
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".accel-{os.getpid()}")
    new.write_text(f"{_boot_id()} {verdict}\n")
    new.replace(path)
