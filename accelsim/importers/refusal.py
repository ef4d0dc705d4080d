"""What a lowering raises when it will not have a form of an operator, and the errors that users see of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from accelsim.errors import GraphError, ModelError


class RefusalError(Exception):
    """A form of an operator that is not accepted: why, and what is; the driver adds operator and tensor names.

    ``hint`` follows what is accepted: what was probably meant.
    """

    def __init__(self, reason: str, accepted: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason, self.accepted, self.hint = reason, accepted, hint


@contextmanager
def in_file(path: str, what: str = "its graph") -> Iterator[None]:
    """Errors about no single operator, but ``what`` of the file at ``path``."""
    try:
        yield
    except RefusalError as refusal:
        raise ModelError(f"{path}: {what}: {refusal.reason}; accepted: {refusal.accepted}") from refusal
    except GraphError as error:
        raise ModelError(f"{path}: {error}", path=path) from error
