"""What a lowering raises when it will not have a form of an operator, and the errors that users see of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from accelsim.errors import ConfigError, GraphError, InputError, ModelError, UnsupportedOperatorError


class RefusalError(Exception):
    """A form of an operator that is not accepted: why, and what is; the driver adds operator and tensor names."""

    def __init__(self, reason: str, accepted: str) -> None:
        super().__init__(reason)
        self.reason, self.accepted = reason, accepted


@contextmanager
def located(where: str, *, operator: str, index: int, output: str | None) -> Iterator[None]:
    """Every error about an operator says ``where`` it is: the file, the operator, its ``index`` and its ``output``."""
    try:
        yield
    except RefusalError as refusal:
        raise UnsupportedOperatorError(
            f"{where}: {refusal.reason}; accepted: {refusal.accepted}", operator=operator, index=index, output=output
        ) from refusal
    except UnsupportedOperatorError:
        raise
    except (ModelError, GraphError, ConfigError, InputError) as error:
        raise ModelError(f"{where}: {error}", operator=operator, index=index) from error


@contextmanager
def in_file(path: str, what: str = "its graph") -> Iterator[None]:
    """Errors about no single operator, but ``what`` of the file at ``path``."""
    try:
        yield
    except RefusalError as refusal:
        raise ModelError(f"{path}: {what}: {refusal.reason}; accepted: {refusal.accepted}") from refusal
    except GraphError as error:
        raise ModelError(f"{path}: {error}", path=path) from error
