"""A compiler with headers made for this machine's kernel."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from ktrace_nb.codegen.headers import HeaderTree, bcc_names, header_tree
from ktrace_nb.compiler.client import CompilerWorker, WorkerResult
from ktrace_nb.kernel.btf import Btf

CONFIG = {"CONFIG_HZ": "250", "CONFIG_NET": "1", "CONFIG_XFS_FS_MODULE": "1"}


class Compiler:
    """Makes the headers for a cell and compiles it."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self.worker = CompilerWorker()
        self.names = bcc_names(*self.worker.builtin_headers)

    def tree(
        self,
        cell: str,
        *,
        cflags: Sequence[str] = (),
        config: Mapping[str, str] = CONFIG,
        formats: Mapping[str, str] | None = None,
        extra_words: Sequence[str] = (),
    ) -> HeaderTree:
        return header_tree(
            cell,
            self.btf,
            formats=formats or {},
            config=config,
            release="6.12.117+deb12-cloud-amd64",
            cpus=7,
            bcc_names=self.names,
            cflags=cflags,
            extra_words=extra_words,
        )

    def compile(self, cell: str, *, cflags: Sequence[str] = ()) -> WorkerResult:
        tree = self.tree(cell, cflags=cflags)
        assert [problem for problem in tree.problems if problem.severity == "error"] == []
        return self.worker.compile(cell, tree.files, [*tree.cflags, *cflags])

    def value(self, expression: str, *, cflags: Sequence[str] = ()) -> int:
        """What a constant expression is to the compiler."""
        result = self.compile(f"int value(void *ctx) {{ return {expression}; }}", cflags=cflags)
        assert result.ok and result.bundle, result.diagnostics
        (program,) = result.bundle.programs
        assert len(program.insns) == 16, "the compiler could not compute it"
        (found,) = struct.unpack_from("<i", program.insns, 4)
        return int(found)
