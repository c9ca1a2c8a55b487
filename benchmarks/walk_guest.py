"""bcc and bpftrace attaching to many functions; run in the lab by its own Python.

    walk_guest.py bcc|bpftrace PLACE PATTERN

PLACE holds the tools as ``walk_rivals`` packed them. Prints a line of JSON: how many
functions, seconds from the first to the last of them attached, and seconds until none is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

TEXT = "int at_entry(struct pt_regs *ctx) { return 0; }\nint at_return(struct pt_regs *ctx) { return 0; }\n"
FLAGS = ["-include", "include/ktrace_nb.h"]


def bcc(place: str, pattern: str) -> dict[str, Any]:
    """``attach_kprobe(event_re=...)`` and its twin for returns, one function after the other."""
    os.environ["BCC_KERNEL_SOURCE"] = f"{place}/tree"
    os.environ["BCC_PROBE_LIMIT"] = "5000"
    sys.path.insert(0, f"{place}/python")
    from bcc import BPF

    program = BPF(text=TEXT, cflags=FLAGS)
    expression = ("^" + pattern.replace("*", ".*") + "$").encode()
    began = time.monotonic()
    program.attach_kprobe(event_re=expression, fn_name="at_entry")
    program.attach_kretprobe(event_re=expression, fn_name="at_return")
    attached = time.monotonic()
    count = len(program.kprobe_fds) // 2
    program.cleanup()
    return {"functions": count, "attach_s": attached - began, "detach_s": time.monotonic() - attached}


def bpftrace(place: str, pattern: str) -> dict[str, Any]:
    """A script with both probes; its command runs when they are attached, and it ends with the command."""
    script = f"kprobe:{pattern} {{ @entries++ }} kretprobe:{pattern} {{ @returns++ }}"
    environment = {**os.environ, "BPFTRACE_MAX_PROBES": "5000", "BPFTRACE_LOG_SIZE": "10000000"}
    # The command runs when all is attached, and prints how many kprobes there are by then.
    command = "wc -l /sys/kernel/debug/kprobes/list"
    process = subprocess.Popen(
        [f"{place}/bin/bpftrace", "-e", script, "-c", f"/usr/bin/{command}"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = []
    began = attached = 0.0
    functions = single = 0
    for line in process.stdout:
        said.append(line)
        if line.startswith("Attaching "):
            began, functions = time.monotonic(), int(line.split()[1]) // 2
        elif began and not attached and line.endswith("kprobes/list\n"):
            attached, single = time.monotonic(), int(line.split()[0])
    process.wait()
    if not attached:
        raise SystemExit("".join(said[-20:]))
    ended = time.monotonic()
    return {
        "functions": functions,
        "attach_s": attached - began,
        "detach_s": ended - attached,
        "single": single,
    }


if __name__ == "__main__":
    print(json.dumps({"bcc": bcc, "bpftrace": bpftrace}[sys.argv[1]](*sys.argv[2:])))
