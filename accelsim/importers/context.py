"""One operator in its model, as lowering functions see it: what is the same in every format."""

from __future__ import annotations

from typing import Protocol, TypeVar

from accelsim.importers.account import layer_base
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
        """Readable and unique: operator and its index in the file."""
        return layer_base(self.record.op, self.record.index)

    def need(self, condition: bool, reason: str, accepted: str) -> None:
        """Raise :class:`RefusalError` unless ``condition``."""
        if not condition:
            raise RefusalError(reason, accepted)

    def only(self, outputs: tuple[Tensor, ...]) -> Tensor:
        """The one of ``outputs``."""
        self.need(len(outputs) == 1, f"it has {len(outputs)} outputs", "1 output")
        return outputs[0]

    def absent(self, position: int) -> RefusalError:
        """What is raised where there is no input ``position``."""
        return RefusalError(f"input {position} is absent", f"a tensor as input {position}")
