"""A real IPython shell with the extension loaded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from ktrace_nb import load_ipython_extension


class Shell:
    """Runs cells and keeps what they printed."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell

    def run(self, cell: str) -> str:
        """Run a cell that may fail; gives everything it printed."""
        with capture_output() as captured:
            self.shell.run_cell(cell)
        return captured.stdout + captured.stderr

    def complete(self, line: str) -> list[str]:
        """The line as it would be with each of what the Tab key offers at its end."""
        with provisionalcompleter():
            found = list(self.shell.Completer.completions(line, len(line)))
        return [line[: one.start] + one.text for one in found]


@pytest.fixture
def shell() -> Iterator[Shell]:
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(colors="nocolor")
    shell.Completer.use_jedi = False
    load_ipython_extension(shell)
    yield Shell(shell)
    InteractiveShell.clear_instance()
