"""Put settings of tracefs back, whatever becomes of the agent.

Probes are descriptors and go with the process that holds them; a tracer that is
set in a file stays. So before the first file is changed, a shell is started that
waits on a pipe only the agent holds the other end of. If the pipe ends without a
word, the shell puts back what it was given as arguments.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Sequence

# Arguments: a folder to remove at last, or nothing; then of each file its path, how many
# words it gets, and the words. The kernel takes one word per write into a filter. Files
# the agent had open close a moment after the pipe: until then the tracer is busy.
_SCRIPT = """
read -r _ && exit 0
again() {
    tries=30
    until "$@" || [ $tries -eq 0 ]; do sleep 0.1 || sleep 1; tries=$((tries - 1)); done
}
add() { printf '%s\\n' "$1" >>"$file"; }
folder=$1; shift
while [ $# -gt 0 ]; do
    file=$1 words=$2; shift 2
    true >"$file"
    while [ $words -gt 0 ]; do again add "$1"; shift; words=$((words - 1)); done
done
[ -z "$folder" ] || again rmdir "$folder"
"""


def write_words(path: str, words: Sequence[str]) -> None:
    """Make these words, and only these, a file's content.

    Raises:
        OSError: The kernel refuses one.
    """
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        for word in words:
            os.write(fd, word.encode() + b"\n")
    finally:
        os.close(fd)


_WAIT_S = 5.0
"""How long a keeper is waited for that was sent away: if files are refused it tries on alone."""


class Keeper:
    """Somebody who puts files back if the agent dies before :meth:`dismiss`.

    Args:
        files: Path and words of each, in the order to be written.
        folder: Removed when they are written; empty for none.
    """

    def __init__(self, files: Sequence[tuple[str, Sequence[str]]], folder: str = "") -> None:
        self._files = files
        self._folder = folder
        arguments = [word for path, words in files for word in (path, str(len(words)), *words)]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "ktrace-keeper", folder, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what ends the agent's terminal does not end it
        )
        self.pid = self._process.pid
        self._dismissed = False

    def dismiss(self) -> None:
        """Put everything back here and now, and send the keeper away. Safe to call twice.

        Raises:
            OSError: The kernel refuses a file; the others are put back, and the keeper tries again.
        """
        if self._dismissed:
            return
        self._dismissed = True
        refused = None
        for path, words in self._files:
            try:
                write_words(path, words)
            except OSError as error:
                refused = refused or error
        try:
            if self._folder:
                os.rmdir(self._folder)
        except OSError as error:
            refused = refused or error
        pipe = self._process.stdin
        assert pipe is not None
        if refused is None:
            pipe.write(b"done\n")
        pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_WAIT_S)
        if refused is not None:
            raise refused
