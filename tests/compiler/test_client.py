"""The worker's process: bcc that is missing, and a compiler that dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from ktrace_nb.compiler.client import CompilerWorker, WorkerDied
from ktrace_nb.errors import MissingError
from ktrace_nb.kernel.btf import Btf
from tests.codegen.kit import Compiler

TEXT = "int f(void *ctx) { return 0; }"


@pytest.fixture
def compiler(btf: Btf) -> Iterator[Compiler]:
    compiler = Compiler(btf)
    yield compiler
    compiler.worker.close()


def halt(worker: CompilerWorker) -> subprocess.Popen[bytes]:
    """Stop the compiler's process, so that what is asked of it next does not end."""
    process = worker._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    return process


@pytest.mark.parametrize(
    ("python", "why"), [("/nowhere/python3", "no system Python at all"), (sys.executable, "No module named")]
)
def test_without_bcc_the_one_command_that_mends_it_is_named(
    monkeypatch: pytest.MonkeyPatch, python: str, why: str
) -> None:
    monkeypatch.setenv("KTRACE_NB_PYTHON", python)
    with pytest.raises(MissingError, match="no Python that can import bcc") as caught:
        CompilerWorker().compile(TEXT, {}, [])
    assert why in caught.value.message
    assert caught.value.fix == "sudo apt-get install python3-bpfcc"


def test_a_killed_compiler_is_named_and_the_next_cell_gets_another(compiler: Compiler) -> None:
    assert compiler.compile(TEXT).ok
    process = halt(compiler.worker)
    threading.Timer(0.3, os.kill, (process.pid, signal.SIGKILL)).start()
    with pytest.raises(WorkerDied, match="was killed by signal 9"):
        compiler.compile(TEXT)
    assert compiler.compile(TEXT).ok


def test_a_table_keeps_its_name_however_long_it_is(compiler: Compiler) -> None:
    name = "a_table_whose_name_is_longer_than_the_kernel_takes"
    result = compiler.compile(f"BPF_HASH({name}); int f(void *ctx) {{ {name}.increment(1); return 0; }}")
    assert result.bundle is not None
    assert [definition.name for definition in result.bundle.maps] == [name]


def test_an_interrupt_ends_the_compiler_within_a_second(compiler: Compiler) -> None:
    compiler.compile(TEXT)  # what takes time before the compiler is asked is done
    process = halt(compiler.worker)
    # A shell without job control starts what it runs with interrupts ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.3, signal.pthread_kill, (threading.get_ident(), signal.SIGINT)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        compiler.compile(TEXT)
    assert time.monotonic() - started < 1.3
    assert process.poll() is not None
