"""What the agent could not do, as it travels: a code, a message, fields."""

from __future__ import annotations

import errno
from typing import Any


class AgentError(Exception):
    """An operation failed for a reason the notebook can act on."""

    def __init__(self, code: str, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = fields

    def as_dict(self) -> dict[str, Any]:
        """The error as it travels."""
        return {"code": self.code, "message": self.message, **self.fields}

    @classmethod
    def from_os(cls, error: OSError, what: str = "", **fields: Any) -> AgentError:
        """An operating system error, named by its symbol."""
        name = errno.errorcode.get(error.errno or 0, f"errno {error.errno}")
        text = f"{(error.strerror or str(error)).lower()} ({name})"
        if error.filename:
            text = f"{error.filename}: {text}"
        return cls("os", f"{what}: {text}" if what else text, errno=name, **fields)
