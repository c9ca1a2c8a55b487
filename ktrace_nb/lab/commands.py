"""``ktrace-nb lab ...``: build, start, stop, status, shell, slow, export, import.

Every command is a function of the parsed arguments that returns an exit
status; it is found as ``run`` among them. What goes wrong is raised.
"""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from ktrace_nb.errors import OptionError, TargetError
from ktrace_nb.lab import store
from ktrace_nb.lab.build import DEFAULT_KERNEL, build_image
from ktrace_nb.lab.disks import DISKS
from ktrace_nb.lab.handout import export_image, import_image
from ktrace_nb.lab.image import Image, all_images, find_image
from ktrace_nb.lab.machine import LabMachine, MachineStatus
from ktrace_nb.lab.packages import KERNELS
from ktrace_nb.lab.running import find_running, running_machines
from ktrace_nb.lab.shell import run_shell
from ktrace_nb.lab.start import start_machine
from ktrace_nb.progress import bars

HOURS = 12.0
"""How long a started lab lives unless it is stopped."""


def add_commands(subparsers: Any) -> None:
    """Add ``lab`` and what belongs to it to a parser's commands."""
    lab = subparsers.add_parser("lab", help="the small virtual machine whose kernel is traced")
    commands = lab.add_subparsers(dest="lab_command", required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="build a lab from the distribution's packages; needs no root")
    build.add_argument(
        "--kernel",
        default=DEFAULT_KERNEL,
        help=f"{', '.join(KERNELS)}, or the name of a kernel package (default: %(default)s)",
    )
    build.add_argument("--name", help="what to call it (default: lab, or lab-KERNEL for another kernel)")
    build.add_argument("--force", action="store_true", help="build even if nothing has changed")
    build.set_defaults(run=_build)

    start = commands.add_parser("start", help="start a lab that several programs can use")
    _add_name(start)
    start.add_argument("--cpus", type=int, default=1, help="processors of the guest (default: %(default)s)")
    start.add_argument(
        "--memory", type=int, default=512, metavar="MIB", help="its memory in MiB (default: %(default)s)"
    )
    start.add_argument(
        "--hours", type=float, default=HOURS, help="stop it by itself after this long (default: %(default)g)"
    )
    start.set_defaults(run=_start)

    stop = commands.add_parser("stop", help="stop the lab that was started")
    _add_name(stop)
    stop.set_defaults(run=_stop)

    status = commands.add_parser("status", help="list the labs of this user and those that run")
    status.set_defaults(run=_status)

    shell = commands.add_parser("shell", help="open a shell in the started lab, or in one of its own")
    _add_name(shell)
    shell.add_argument("argv", nargs="*", metavar="COMMAND", help="run this instead of a shell")
    shell.set_defaults(run=_shell)

    slow = commands.add_parser("slow", help="set how slow a disk of a running lab is, at once")
    slow.add_argument("iops", type=int, metavar="IOPS", help="requests it serves in a second, 0 for no limit")
    slow.add_argument("--disk", default="slow", choices=DISKS, help="which (default: %(default)s)")
    _add_name(slow)
    slow.set_defaults(run=_slow)

    export = commands.add_parser("export", help="write a lab to one file that can be handed out")
    export.add_argument("file", type=Path)
    _add_name(export)
    export.set_defaults(run=_export)

    imported = commands.add_parser("import", help="read a lab from a file that was handed out")
    imported.add_argument("file", type=Path)
    imported.add_argument("--name", help="what to call it (default: what it was called)")
    imported.add_argument("--replace", action="store_true", help="take the place of a lab of that name")
    imported.set_defaults(run=_import)


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="lab", help="which lab (default: %(default)s)")


def _build(args: argparse.Namespace) -> int:
    name = args.name
    if name is None:
        name = "lab" if args.kernel == DEFAULT_KERNEL else f"lab-{args.kernel.removeprefix('linux-image-')}"
    begin = time.monotonic()
    with bars() as progress:
        image = build_image(name, kernel=args.kernel, force=args.force, progress=progress)
    print(f"{_image_line(image)}, ready after {time.monotonic() - begin:.1f} s")
    return 0


def _image_line(image: Image) -> str:
    root = image.parts["root.ext4"].size / 1e6
    return f"lab {image.name!r}: Linux {image.kernel}, root file system of {root:.0f} MB, built {image.built}"


def _start(args: argparse.Namespace) -> int:
    if not 0 < args.hours <= 24 * 7:
        raise OptionError(f"a lab runs for up to {24 * 7} hours, not {args.hours:g}")
    image = find_image(args.name)
    with store.locked(store.runtime() / f"{args.name}.lock"):
        running = find_running(args.name)
        if running is not None and running.failure() is not None:
            running.stop()
            running = None
        if running is not None:
            print(f"lab {args.name!r} is running already")
        else:
            with bars() as progress:
                running = start_machine(image, cpus=args.cpus, memory_mb=args.memory, progress=progress)
            running.detach(args.hours * 3600)
    print(_machine_line(running.status()))
    print(f"it ends with 'ktrace-nb lab stop', or by itself at {_clock(running.record.until)}")
    return 0


def _stop(args: argparse.Namespace) -> int:
    machine = find_running(store.check_name(args.name))
    if machine is None:
        print(f"lab {args.name!r} was not started")
        return 0
    machine.stop()
    print(f"lab {args.name!r} is stopped; nothing that was done in it is left")
    return 0


def _slow(args: argparse.Namespace) -> int:
    started = find_running(store.check_name(args.name))
    # Notebooks have the started lab, if there is one, and else one of their own each.
    others = (machine for machine in running_machines() if machine.record.name == args.name)
    machines = [started] if started is not None else list(others)
    if not machines:
        raise TargetError(f"no lab {args.name!r} is running", hint="ktrace-nb lab start")
    for machine in machines:
        machine.throttle_disk(args.iops, disk=args.disk)
    pace = f"serves {args.iops} requests a second" if args.iops else "is as fast as it can be"
    whose = "" if len(machines) == 1 else f" in {len(machines)} labs"
    print(f"/mnt/{args.disk} {pace}{whose}")
    return 0


def _status(_: argparse.Namespace) -> int:
    images = all_images()
    for image in images:
        print(_image_line(image))
    if not images:
        print("no lab on this machine; 'ktrace-nb lab build' builds one")
    machines = [machine.status() for machine in running_machines()]
    for status in machines:
        print(_machine_line(status))
    if not machines:
        print("none is running")
    return 0


def _machine_line(status: MachineStatus) -> str:
    whose = f"ends with process {status.owner_pid}" if status.owner_pid else f"until {_clock(status.until)}"
    parts = [
        f"running lab {status.name!r}: Linux {status.kernel}",
        status.accelerator.upper(),
        f"{status.cpus} CPU" + ("s" if status.cpus > 1 else ""),
        f"{status.memory_mb} MiB, {status.private_mb:.0f} of them its own",
        f"template of {status.template_mb:.0f} MiB",
        f"up {_duration(status.uptime_s)}",
        f"process {status.pid}",
        whose,
    ]
    if status.failure is not None:
        parts.append(f"FAILED: {status.failure}")
    return ", ".join(parts)


def _clock(at: float | None) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M") if at is not None else "never"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _shell(args: argparse.Namespace) -> int:
    machine = find_running(store.check_name(args.name))
    if machine is not None:
        return _shell_in(machine, args.argv)
    with bars() as progress:
        private = start_machine(find_image(args.name), progress=progress)
    with private:
        return _shell_in(private, args.argv)


def _shell_in(machine: LabMachine, argv: list[str]) -> int:
    try:
        return run_shell(machine, argv)
    except TargetError as error:
        # The connection broke; the machine knows why.
        raise TargetError(machine.failure(wait_s=0.5) or error.message) from None


def _export(args: argparse.Namespace) -> int:
    with bars() as progress:
        size = export_image(find_image(args.name), args.file, progress=progress)
    print(f"lab {args.name!r} is in {args.file}, {size / 1e6:.1f} MB")
    return 0


def _import(args: argparse.Namespace) -> int:
    with bars() as progress:
        image = import_image(args.file, name=args.name, replace=args.replace, progress=progress)
    print(_image_line(image))
    return 0
