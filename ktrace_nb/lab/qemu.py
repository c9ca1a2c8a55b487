"""QEMU's command line.

A plain PC (i440FX) with one serial port for the kernel's messages, one
virtio-serial bus for the agent, four virtio disks and no network device. A
template can only be resumed by the very same machine, so the parts that make
up the machine are kept apart from paths and descriptors: they go into the
template's key.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ktrace_nb.errors import OptionError
from ktrace_nb.lab.accel import Accelerator
from ktrace_nb.lab.disks import DISKS, SLOW_IOPS
from ktrace_nb.lab.image import Image

PORTS = 8
"""How many connections a machine takes at once, one more aside for :data:`CONTROL`."""

CONTROL = PORTS
"""The port that is kept for questions to the machine itself, when all others are taken."""

MONITOR = "qmp"
CONSOLE = "console.log"

# What the kernel would spend seconds on under TCG and the guest has no use
# for: certificates, the jitter entropy source, the keyboard controller, ...
_SKIPPED = (
    "load_system_certificate_list",
    "jent_mod_init",
    "i8042_init",
    "blake2s_mod_init",
    "nvme_core_init",
    "init_encrypted",
    "bert_init",
)

# Linux Documentation/admin-guide/kernel-parameters.txt
_KERNEL = (
    "console=ttyS0",
    "panic=-1",  # a panic restarts at once, which -no-reboot turns into QEMU's end
    "unknown_nmi_panic",  # a hung kernel says where when it is sent an NMI
    "tsc=reliable",  # under TCG the time stamp counter costs a tenth of any other clock
    "clocksource=tsc",
    "random.trust_cpu=on",
    "mitigations=off",
    "audit=0",
    "lsm=bpf",  # programs can be attached to its hooks
    "rcupdate.rcu_expedited=1",  # taking a kprobe away waits for RCU four times, 10 ms each otherwise
    f"initcall_blacklist={','.join(_SKIPPED)}",
)
_MESSAGES: Mapping[Accelerator, tuple[str, ...]] = {
    # The serial port is slow under TCG: a boot's messages would cost a second.
    "tcg": ("quiet",),
    # Under KVM they are the sign of life that is waited for.
    "kvm": ("earlyprintk=serial,ttyS0,115200",),
}

PROCESSORS: dict[Accelerator, str] = {"kvm": "host", "tcg": "max"}
"""The processor that the guest sees."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What kind of machine."""

    accelerator: Accelerator
    cpus: int = 1
    memory_mb: int = 512

    def check(self) -> None:
        """Refuse a machine that cannot be.

        Raises:
            OptionError: Too few or too many processors, or too little memory.
        """
        if not 1 <= self.cpus <= 16:
            raise OptionError(f"a lab has 1 to 16 processors, not {self.cpus}")
        if not 256 <= self.memory_mb <= 65536:
            raise OptionError(f"a lab has 256 to 65536 MiB of memory, not {self.memory_mb}")


def machine_options(shape: Shape) -> list[str]:
    """The options that make up the machine; a template is good for exactly these."""
    devices = [f"virtio-serial-pci,id=serial,max_ports={PORTS + 2}"]
    devices += [
        f"virtserialport,bus=serial.0,nr={port + 1},chardev=port{port},name=ktrace.{port}"
        for port in (*range(PORTS), CONTROL)
    ]
    devices += [f"virtio-blk-pci,drive={disk},serial={disk}" for disk in ("root", *DISKS)]
    words = [
        *("-name", "ktrace-lab", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
        *("-machine", "pc,hpet=off,usb=off,memory-backend=ram"),
        *("-accel", "kvm" if shape.accelerator == "kvm" else "tcg,thread=multi"),
        *("-cpu", PROCESSORS[shape.accelerator]),
        *("-smp", str(shape.cpus), "-m", f"{shape.memory_mb}M"),
        *("-append", " ".join((*_KERNEL, *_MESSAGES[shape.accelerator]))),
        *("-serial", "chardev:console", "-mon", "chardev=monitor,mode=control"),
    ]
    for device in devices:
        words += ["-device", device]
    return words


@dataclass(frozen=True, slots=True)
class Memory:
    """Where the guest's memory is."""

    file: Path | None = None
    """A file to keep it in, None for memory that ends with QEMU."""
    shared: bool = False
    """Whether what the guest writes goes into the file."""


def command(
    program: Path,
    image: Image,
    shape: Shape,
    folder: Path,
    listeners: Mapping[str, socket.socket],
    memory: Memory,
    *,
    initrd: Path,
    incoming: bool,
) -> list[str]:
    """The whole command line.

    Args:
        program: ``qemu-system-x86_64``.
        image: Kernel and disks.
        shape: The kind of machine.
        folder: The machine's own folder.
        listeners: Listening sockets by name, see :func:`listen`.
        memory: Where the guest's memory is.
        initrd: The initial ram disk, the agent included.
        incoming: Wait for a template's state instead of booting.
    """
    size = f"size={shape.memory_mb}M"
    if memory.file is None:
        backend = f"memory-backend-ram,id=ram,{size}"
    else:
        share = "on" if memory.shared else "off"
        backend = f"memory-backend-file,id=ram,{size},mem-path={_escaped(memory.file)},share={share}"
    words = [str(program), *machine_options(shape)]
    words += ["-object", backend]
    words += ["-kernel", str(image.path("vmlinux")), "-initrd", str(initrd)]
    words += ["-chardev", f"file,id=console,path={_escaped(folder / CONSOLE)}"]
    for name, listener in listeners.items():
        identity = "monitor" if name == MONITOR else f"port{name.rpartition('.')[2]}"
        words += ["-chardev", f"socket,id={identity},fd={listener.fileno()},server=on,wait=off"]
    modes = {"root": "readonly=on"}
    if incoming:  # a boot need not wait for the slow disk
        modes["slow"] = f"snapshot=on,throttling.iops-total={SLOW_IOPS}"
    for name, part in {"root": "root.ext4", **DISKS}.items():
        mode = modes.get(name, "snapshot=on")
        words += ["-drive", f"if=none,id={name},format=raw,file={_escaped(image.path(part))},{mode}"]
    if incoming:
        words += ["-incoming", "defer"]
    return words


def _escaped(path: Path) -> str:
    """A path inside an option, where a comma would end it."""
    return str(path).replace(",", ",,")


def listen(folder: Path) -> dict[str, socket.socket]:
    """Listening sockets for the monitor and every port.

    They are made before QEMU starts and handed to it: whoever connects early
    waits in line, and nobody has to poll for a socket to appear.
    """
    listeners = {}
    for name in (MONITOR, *(f"ktrace.{port}" for port in (*range(PORTS), CONTROL))):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(folder / name))
        listener.listen(4)
        listeners[name] = listener
    return listeners
