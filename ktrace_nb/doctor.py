"""What works on this machine, in the order it is needed, and what mends what does not."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ktrace_nb.engine import facts_of, worker
from ktrace_nb.errors import KTraceError, MissingError
from ktrace_nb.lab.image import find_image
from ktrace_nb.lab.tools import require_tools
from ktrace_nb.progress import Progress, silent
from ktrace_nb.targets.base import get_target
from ktrace_nb.targets.local import NO_PRIVILEGE, privilege


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    works: bool
    detail: str
    fix: str = ""
    """What to do about it; empty if it works or nothing needs to be done."""

    def line(self) -> str:
        """The finding on one line, the remedy on a second."""
        text = f"{'ok' if self.works else '--':3} {self.what}: {self.detail}"
        return text + (f"\n    {self.fix}" if self.fix else "")


def examine(progress: Progress = silent) -> Iterator[Finding]:
    """Look at everything in turn; later things are looked at also if earlier ones fail."""
    yield Finding(
        "system", platform.system() == "Linux", f"{platform.platform()}, Python {platform.python_version()}"
    )
    yield _try("compiler", _compiler)
    yield _try("QEMU", _qemu)
    yield _try("lab image", _image)
    yield _kvm()
    yield _try("lab", lambda: _lab(progress))
    yield _try("tracing this machine", _local)


def _try(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except MissingError as missing:
        return Finding(what, False, missing.message, missing.fix)
    except KTraceError as error:
        return Finding(what, False, error.message, error.hint or "")


def _compiler() -> str:
    return "bcc " + worker().version.split()[0]


def _qemu() -> str:
    return str(require_tools("qemu-system-x86_64")["qemu-system-x86_64"])


def _image() -> str:
    image = find_image("lab")
    return f"kernel {image.kernel}, {image.size / 1e6:.0f} MB"


def _kvm() -> Finding:
    if not Path("/dev/kvm").exists():
        return Finding(
            "KVM", False, "no /dev/kvm; the lab runs under emulation, which is slower but all right"
        )
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        fix = "sudo adduser $USER kvm, then log in again, makes the lab faster"
        return Finding("KVM", False, "/dev/kvm is not yours to use; the lab runs under emulation", fix)
    return Finding("KVM", True, "/dev/kvm opens; the lab tries it and falls back to emulation if it hangs")


def _lab(progress: Progress) -> str:
    target = get_target("lab", progress)
    facts = facts_of(target)
    functions = f"{len(facts.traceable):,} functions and {len(facts.tracepoints):,} tracepoints"
    return f"Linux {target.hello.kernel} answers; {functions} can be traced"


def _local() -> str:
    if privilege() is None:
        raise MissingError("no privilege for it; the lab needs none", fix=NO_PRIVILEGE)
    target = get_target("local")
    kprobes = "" if "kprobe" in json.loads(target.fact("pmus")) else "; it was built without kprobes"
    return f"Linux {target.hello.kernel} answers{kprobes}"
