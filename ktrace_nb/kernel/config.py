"""The configuration a kernel was built with."""

from __future__ import annotations

import gzip
import re
import zlib

from ktrace_nb.kernel.errors import FactError

_SETTING = re.compile(r"^(CONFIG_\w+)=(.*)$", re.MULTILINE)
_RELEASE = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
# Debian and others keep the first release of a series in `uname -r` and say in
# `uname -v` which one it really is.
_DEBIAN = re.compile(r"\bDebian (\d+)\.(\d+)(?:\.(\d+))?")


def parse_config(data: bytes) -> dict[str, str]:
    """Read ``/proc/config.gz`` or ``/boot/config-RELEASE``.

    Returns:
        Macros as the kernel's ``generated/autoconf.h`` defines them:
        ``CONFIG_X`` is ``1`` where ``X=y``; ``CONFIG_X_MODULE`` is ``1`` where
        ``X=m``; numbers and quoted strings stay. What is not set is absent.

    Raises:
        FactError: Damaged, or not a configuration.
    """
    try:
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise FactError(f"malformed kernel configuration: {error}") from None
    settings = _SETTING.findall(text)
    if text.strip() and not settings:
        raise FactError(f"expected a kernel configuration, found {text[:40]!r}")
    return {
        f"{name}_MODULE" if value == "m" else name: "1" if value in ("y", "m") else value
        for name, value in settings
    }


def parse_release(release: str) -> tuple[int, int, int]:
    """The version of a kernel.

    Args:
        release: ``uname -r``, best with ``uname -v`` behind it, where Debian
            names the patch level that ``uname -r`` leaves at 0.

    Raises:
        FactError: No version in it.
    """
    match = _DEBIAN.search(release) or _RELEASE.match(release)
    if not match:
        raise FactError(f"expected a kernel release, found {release!r}")
    return int(match[1]), int(match[2]), int(match[3] or 0)
