from pathlib import Path

from ktrace_nb.lab import store
from ktrace_nb.lab.running import running_machines


def test_the_lock_of_a_lab_is_no_machine(own_store: Path) -> None:
    (store.runtime() / "lab-6.1.lock").touch()
    assert running_machines() == []
