"""Debian packages for the guest, through the host's own apt.

apt resolves and downloads with the sources, keys and proxies this machine has
configured, checks the signed indexes, and installs nothing: its state and its
cache are folders of ours, so an ordinary user can do it.

The guest needs libraries but no package manager, init system or set-up scripts.
Those are named in :data:`LEFT_OUT` and written into the private status file as
if they were installed already, so apt's own solver leaves them and all that
only they need aside. Library packages carry versions in their names that differ
between releases; none that the guest needs is named here.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ktrace_nb.errors import MissingError, OptionError
from ktrace_nb.lab.store import cache, locked
from ktrace_nb.lab.tools import require_tools
from ktrace_nb.progress import Progress

GUEST = (
    "python3-minimal",  # runs the agent
    "libpython3-stdlib",
    "busybox-static",  # the initial ram disk, and every command nothing else brings
    "mount",  # busybox' own mounts NFS in its own, older way
    "coreutils",  # commands as the textbooks trace them
    "dash",
    "kmod",
    "iproute2",  # network namespaces, veth, netem
    "e2fsprogs",
    "dmsetup",  # delayed and faulty disks
    "nfs-kernel-server",  # NFS over the loopback
    "nfs-common",
    "netbase",  # names of ports and protocols, which the NFS tools ask for
)

LEFT_OUT = (
    "adduser",
    "base-passwd",
    "ca-certificates",
    "cron",
    "debconf",
    "debianutils",
    "dpkg",
    "init-system-helpers",
    "initramfs-tools",
    "install-info",
    "keyutils",
    # Only a plug-in of the NFS tools knows LDAP, and brings a TLS library along.
    "libldap-2.5-0",
    "libldap2",
    "libpam-modules",
    "libpam-runtime",
    "linux-base",
    "linux-initramfs-tool",
    "login",
    "logsave",
    "lsb-base",
    "media-types",
    "mime-support",
    "openssl",
    "openssl-provider-legacy",
    "passwd",
    "perl",
    "perl-base",
    "procps",
    "python3",
    "readline-common",
    "rpcbind",
    "sed",
    "sensible-utils",
    "systemd",
    "sysvinit-utils",
    "tzdata",
    "ucf",
    "util-linux",
)

KERNELS = {
    "6.12": ("linux-image-6.12-cloud-amd64", "linux-image-cloud-amd64", "linux-image-virtual"),
    "6.1": ("linux-image-cloud-amd64",),
}
"""Packages to ask for, first to last, per kernel wanted.

``linux-image-cloud-amd64`` is 6.1 in Debian 12 and 6.12 in Debian 13; Ubuntu
has one kernel of this kind, ``linux-image-virtual``, whatever its version.
"""

_STATUS = """\
Package: {}
Status: install ok installed
Priority: optional
Section: misc
Maintainer: none <none@localhost>
Architecture: all
Multi-Arch: foreign
Version: 999:1
Description: the guest does without it

"""

# Inst libc6 (2.36-9+deb12u14 Debian:12.14/oldstable [amd64])
_INSTALLED = re.compile(r"Inst (\S+) (?:\[\S+\] )?\((\S+) .*\[(\w+)\]\)")
# 'http://...' libc6_2.36-9+deb12u14_amd64.deb 2759320 MD5Sum:...
_WANTED = re.compile(r"'\S+' (\S+\.deb) (\d+)")
# dlstatus:75:99.5300:Retrieving file 75 of 75
_FETCHING = re.compile(r"dlstatus:\d+:([\d.]+):")


@dataclass(frozen=True, slots=True)
class Package:
    """One package of the guest."""

    name: str
    version: str
    architecture: str
    file: Path
    """The downloaded archive."""


class AptError(Exception):
    """apt-get could not do it; its own words."""


class KernelError(AptError):
    """The package sources have kernels, but not the one wanted."""


class Apt:
    """apt-get with private state."""

    def __init__(self, *, own_lists: bool) -> None:
        self._program = require_tools("apt-get")["apt-get"]
        self.folder = cache("packages")
        (self.folder / "partial").mkdir(parents=True, exist_ok=True)
        status = self.folder / "status"
        status.write_text("".join(_STATUS.format(name) for name in LEFT_OUT))
        settings = {
            "Dir::State::status": status,
            "Dir::State::extended_states": self.folder / "extended_states",
            "Dir::Cache": self.folder,
            "Dir::Cache::archives": self.folder,
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "Dir::Log": self.folder,
            "Debug::NoLocking": "1",
            "APT::Sandbox::User": "",
            "APT::Install-Recommends": "0",
            "APT::Install-Suggests": "0",
        }
        if own_lists:
            lists = self.folder / "lists"
            (lists / "partial").mkdir(parents=True, exist_ok=True)
            settings["Dir::State::lists"] = lists
        self._options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]

    def _run(self, *words: str, pass_fds: Sequence[int] = ()) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self._program, *self._options, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        )

    def _ask(self, *words: str) -> str:
        process = self._run(*words)
        out, err = process.communicate()
        if process.returncode:
            raise AptError(_last_words(err) or _last_words(out))
        return out

    def update(self, progress: Progress) -> None:
        """Fetch the package lists into the private folder."""
        progress("fetching package lists")
        self._ask("-qq", "update")

    def resolve(self, names: Sequence[str]) -> list[Package]:
        """The packages and all they need, by name.

        Raises:
            AptError: One is not to be had, or its dependencies are not.
        """
        out = self._ask("-qq", "-s", "install", *names)
        found = [
            Package(name, version, architecture, self.folder / _file_name(name, version, architecture))
            for name, version, architecture in _INSTALLED.findall(out)
        ]
        return sorted(found, key=lambda package: package.name)

    def download(self, names: Sequence[str], progress: Progress) -> int:
        """Fetch what :meth:`resolve` named and is not here yet.

        Returns:
            How many bytes were fetched.

        Raises:
            AptError: A download failed, or what came is not what the signed index says.
        """
        wanted = self._ask("-qq", "-y", "--print-uris", "install", *names)
        total = sum(int(size) for _, size in _WANTED.findall(wanted))
        if not total:
            return 0
        report, status = os.pipe()
        process = self._run(
            *("-qq", "-y", "-o", f"APT::Status-Fd={status}", "--download-only", "install", *names),
            pass_fds=(status,),
        )
        os.close(status)
        with os.fdopen(report) as lines:
            for line in lines:
                if match := _FETCHING.match(line):
                    progress("downloading packages", float(match[1]) / 100 * total, total, "B")
        _, err = process.communicate()
        if process.returncode:
            raise AptError(_last_words(err))
        progress("downloading packages", total, total, "B")
        return total


def _file_name(name: str, version: str, architecture: str) -> str:
    return f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"


def _last_words(text: str) -> str:
    """apt's first complaint without its marks."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E: ")] or lines[-1:]
    return errors[0].removeprefix("E: ").rstrip(".") if errors else "no reason given"


def fetch_packages(kernel: str, progress: Progress) -> list[Package]:
    """Have every package of a guest in the cache, its kernel included.

    The host's package lists are used first. Where it has none, or where they
    are older than what the servers still hold, own lists are fetched.

    Args:
        kernel: ``"6.12"``, ``"6.1"``, or the exact name of a package.
        progress: Told of the download in bytes.

    Raises:
        OptionError: There is no such kernel package.
        MissingError: The packages could not be had.
    """
    if kernel not in KERNELS and not kernel.startswith("linux-image-"):
        raise OptionError(
            f"no kernel {kernel!r}",
            hint=f"one of {', '.join(KERNELS)}, or a package such as linux-image-cloud-amd64",
        )
    with locked(cache("packages", "lock")):
        try:
            return _fetch(Apt(own_lists=False), kernel, progress)
        except AptError:
            # No lists here, or stale ones: fetch our own and try once more.
            apt = Apt(own_lists=True)
            try:
                apt.update(progress)
                return _fetch(apt, kernel, progress)
            except KernelError as error:
                raise MissingError(
                    str(error),
                    fix="enable the security updates among the package sources (bookworm-security has 6.12), "
                    "or take another kernel: ktrace-nb lab build --name lab --kernel 6.1",
                ) from None
            except AptError as error:
                raise MissingError(
                    f"the guest's packages could not be downloaded: {error}",
                    fix="sudo apt-get update, and look whether it reports errors",
                ) from None


def _fetch(apt: Apt, kernel: str, progress: Progress) -> list[Package]:
    progress("resolving packages")
    problem: AptError | None = None
    for choice in KERNELS.get(kernel, (kernel,)):
        names = (*GUEST, choice)
        try:
            packages = apt.resolve(names)
        except AptError as error:
            problem = problem or error
            continue
        if choice in (kernel, "linux-image-virtual") or any(
            package.name.startswith(f"linux-image-{kernel}.") for package in packages
        ):
            apt.download(names, progress)
            return packages
        problem = KernelError(f"this machine's package sources have no Linux {kernel}")
    assert problem is not None
    raise problem


def forget_other_packages(keep: Sequence[Package], also: Sequence[str]) -> None:
    """Delete downloaded archives that no image needs any more.

    Args:
        keep: Packages of the image just built.
        also: ``name=version`` of the packages of the other images.
    """
    names = {package.file.name for package in keep}
    for entry in also:
        name, _, version = entry.partition("=")
        names |= {_file_name(name, version, architecture) for architecture in ("amd64", "all")}
    for file in cache("packages").glob("*.deb"):
        if file.name not in names:
            file.unlink(missing_ok=True)
