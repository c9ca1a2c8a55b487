from __future__ import annotations

import pytest

from ktrace_nb.lang.guess import language_of


@pytest.mark.parametrize(
    "text",
    [
        "probe begin { }",
        "\n  global a, b\n",
        "function f(x) { return x }",
        "private global x",
        "#!/usr/bin/env stap\nnonsense",
        "#! /usr/bin/stap -v\n",
        "# counts reads\n# by name\nprobe vfs.read { }",
        "// counts\n/* reads\n */\nglobal n",
        "probe\nbegin { }",
        "@define twice(x) %( 2 * @x %)",
        "probe *.read { }",
    ],
)
def test_what_begins_with_a_declaration_is_a_script(text: str) -> None:
    assert language_of(text) == "stap"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "int kprobe__vfs_read(void *ctx) { return 0; }",
        "BPF_HASH(global);",
        "#include <linux/sched.h>\nprobe begin",
        "# define X 1\n",
        "/* probe begin { } */ int x;",
        "probe(1);",
        "global_count = 1;",
        "#!/usr/bin/python3\nprobe begin",
        "nonsense",
    ],
)
def test_everything_else_is_c(text: str) -> None:
    assert language_of(text) == "c"
