"""One operator in its model, as lowering functions see it: what is the same in every format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import numpy as np

from accelsim.errors import ConfigError, GraphError, InputError, ModelError, ModelFileError, UnsupportedOperatorError
from accelsim.importers.files import GARBAGE, one_line
from accelsim.importers.refusal import RefusalError

Tensor = TypeVar("Tensor")


class NodeRecord(Protocol):
    """An operator as its file has it: its place in the file, and its name there."""

    @property
    def index(self) -> int:
        """Its place in the file."""

    @property
    def op(self) -> str:
        """Its name, as the format spells it."""


class BaseContext:
    """``record``, and checks that raise :class:`RefusalError`."""

    record: NodeRecord

    @property
    def op(self) -> str:
        """The operator, as the format spells it."""
        return self.record.op

    @property
    def layer_name(self) -> str:
        """What its layers are called (:func:`accelsim.importers.account.layer_names`)."""
        raise AttributeError(f"{type(self).__name__} defines no layer_name")

    @contextmanager
    def naming(self, kind: str, outputs: Sequence[str]) -> Iterator[None]:
        """Every error begins with ``kind`` (file and kind of record), and names the operator, its index and its output."""
        output = outputs[0] if outputs else None
        where = f"{kind} {self.record.index} {self.op}" + ("" if output is None else f" (output {output!r})")
        known: dict[str, Any] = {"operator": self.op, "index": self.record.index}
        try:
            yield
        except RefusalError as refusal:
            text = f"{where}: {refusal.reason}; accepted: {refusal.accepted}{refusal.hint}"
            raise UnsupportedOperatorError(text, **known, output=output, accepted=refusal.accepted) from refusal
        except UnsupportedOperatorError:
            raise
        except (ModelError, GraphError, ConfigError, InputError) as error:
            raise ModelError(f"{where}: {error}", **known) from error
        except GARBAGE as error:
            raise ModelFileError(
                f"{where}: its inputs or attributes are not of the kinds, shapes and values that {self.op} takes ({one_line(error)}); "
                "check the operator against its specification, or export the model again",
                **known,
            ) from error

    def need(self, condition: bool, reason: str, accepted: str) -> None:
        """Raise :class:`RefusalError` unless ``condition``."""
        if not condition:
            raise RefusalError(reason, accepted)

    def only(self, outputs: tuple[Tensor, ...]) -> Tensor:
        """The one of ``outputs``."""
        self.need(len(outputs) == 1, f"it has {len(outputs)} outputs", "1 output")
        return outputs[0]

    def broadcast(self, left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the result of two operands."""
        try:
            return np.broadcast_shapes(left, right)
        except ValueError:
            raise RefusalError(
                f"shapes {list(left)} and {list(right)} do not broadcast", "shapes that broadcast"
            ) from None

    def absent(self, position: int) -> RefusalError:
        """What is raised where there is no input ``position``."""
        return RefusalError(f"input {position} is absent", f"a tensor as input {position}")
