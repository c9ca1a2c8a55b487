"""The lab: a small virtual machine of one's own."""

from __future__ import annotations

from collections.abc import Mapping

from ktrace_nb.kernel.symbols import module_names
from ktrace_nb.lab.facts import OF_MODULES
from ktrace_nb.lab.image import all_images, find_image
from ktrace_nb.lab.machine import LabMachine
from ktrace_nb.lab.running import find_running
from ktrace_nb.lab.start import start_machine
from ktrace_nb.progress import Progress
from ktrace_nb.targets.base import register
from ktrace_nb.targets.connection import Connection
from ktrace_nb.targets.streams import SocketStream

_AGENT_ENDED = "lab: the agent ended"  # guest/lab-init


class LabTarget:
    """A lab that was started with ``ktrace-nb lab start``, or a private one.

    Args:
        image: Name of the image.
        progress: Told of a boot.

    Raises:
        MissingError: No such image, or no QEMU.
        TargetError: The machine does not come up.
    """

    def __init__(self, image: str, progress: Progress) -> None:
        self.name = "lab" if image == "lab" else f"lab:{image}"
        running = find_running(image)
        self.machine: LabMachine = running or start_machine(find_image(image), progress=progress)
        self._private = running is None
        try:
            stream = SocketStream(self.machine.connect())
            self._agents_ended = self._count_ends()
            self.connection = Connection(stream, self._cause, self._health)
            self.hello = self.connection.hello()
        except BaseException:
            self.close()
            raise

    def _cause(self) -> str | None:
        # The channel closes a moment before the machine counts as ended.
        return self.machine.failure(wait_s=0.5)

    def _health(self) -> str | None:
        # The port stays open when the agent dies; its guardian in the guest says so.
        if self._count_ends() > self._agents_ended:
            return "the lab's agent was killed; the lab started another"
        return self.machine.failure()

    def _count_ends(self) -> int:
        return self.machine.console().count(_AGENT_ENDED)

    def fact(self, name: str) -> bytes:
        """From the template where it is right still, or else from the agent."""
        facts = self.machine.facts
        is_known = name in facts and name != "modules"
        if is_known and (name not in OF_MODULES or self._has_the_template_s_modules()):
            return facts[name]
        return bytes(self.connection.call("fact", name=name).blob)

    def _has_the_template_s_modules(self) -> bool:
        return module_names(self.fact("modules")) == module_names(self.machine.facts["modules"])

    def formats(self, names: list[str]) -> Mapping[str, str]:
        """From the template; of modules loaded since from the agent."""
        known = self.machine.facts.formats
        found = {name: known[name] for name in names if name in known}
        missing = [name for name in names if name not in known]
        if missing and not self._has_the_template_s_modules():
            texts = self.connection.call("fact", name="formats", names=missing).blob.decode().split("\0")
            found |= {name: text for name, text in zip(missing, texts, strict=True) if text}
        return found

    def workload_user(self) -> tuple[int, int] | None:
        """Root: the lab is the student's own."""
        return None

    def diagnose(self) -> str:
        """Ask the machine; a hung kernel is made to say where."""
        return self.machine.diagnose()

    def close(self) -> None:
        """End the connection; a private machine ends too."""
        if hasattr(self, "connection"):
            self.connection.close()
        if self._private:
            self.machine.stop()


def _open(argument: str, progress: Progress) -> LabTarget:
    return LabTarget(argument or "lab", progress)


def _names() -> list[str]:
    return ["lab", *(f"lab:{image.name}" for image in all_images() if image.name != "lab")]


register("lab", _open, _names)
