"""Parts of this package as one file, for a Python that does not have it installed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from importlib import resources

_EPOCH = (1980, 1, 1, 0, 0, 0)


def archive(modules: Iterable[str], main: str) -> bytes:
    """A zip that ``python3 -I FILE`` runs; the same bytes for the same code.

    Args:
        modules: Modules of ktrace_nb without the package's name, ``"wire.frames"``;
            a folder's ``__init__`` comes along by itself.
        main: The module whose ``main()`` is called.
    """
    root = resources.files("ktrace_nb")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:

        def add(name: str, text: str) -> None:
            file.writestr(zipfile.ZipInfo(name, _EPOCH), text, zipfile.ZIP_DEFLATED)

        add("__main__.py", f"from ktrace_nb.{main} import main\nmain()\n")
        add("ktrace_nb/__init__.py", "")
        names = set(modules)
        names |= {f"{module.rpartition('.')[0]}.__init__" for module in names if "." in module}
        for module in sorted(names):
            path = module.replace(".", "/") + ".py"
            add(f"ktrace_nb/{path}", (root / path).read_text(encoding="utf-8"))
    return out.getvalue()


def modules_of(part: str, *, without: Iterable[str] = ()) -> list[str]:
    """The modules of one folder, ``"agent"`` → ``["agent.attach", ...]``."""
    files = (resources.files("ktrace_nb") / part).iterdir()
    names = (file.name.removesuffix(".py") for file in files if file.name.endswith(".py"))
    return [f"{part}.{name}" for name in sorted(names) if name not in set(without)]
