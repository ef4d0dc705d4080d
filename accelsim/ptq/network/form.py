"""Nodes as what changes them sees them: nothing of a node that is folded or replaced goes unread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

from accelsim.errors import UnsupportedOperatorError
from accelsim.importers import RefusalError
from accelsim.importers.onnx import Asked, need_all_seen
from accelsim.importers.onnx.file import OnnxModel, OnnxNode


def where(model: OnnxModel, node: OnnxNode) -> str:
    """How errors name ``node``."""
    name = f" {node.name!r}" if node.name else ""
    output = next(filter(None, node.outputs), "")
    return f"{model.path}: node {node.index} {node.op}{name} (output {output!r})"


def refuse(model: OnnxModel, node: OnnxNode, reason: str, accepted: str) -> NoReturn:
    """UnsupportedOperatorError about ``node``."""
    text = f"{where(model, node)}: {reason}; accepted: {accepted}"
    raise UnsupportedOperatorError(text, operator=node.op, index=node.index, accepted=accepted)


@dataclass(frozen=True, eq=False)
class Form:
    """A node that will not be written as it is; what was not asked for by the end of :func:`seen_whole` must be its default."""

    model: OnnxModel
    node: OnnxNode
    names: set[str] = field(default_factory=set)
    inputs: set[int] = field(default_factory=set)

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute, ``default`` where it is absent."""
        return Asked(self.node.attributes, self.names).get(name, default)

    def ignore(self, *attributes: str) -> None:
        """Attributes that change nothing."""
        self.names.update(attributes)

    def input(self, position: int) -> str:
        """The name of an input, empty where it is absent."""
        self.inputs.add(position)
        return self.node.inputs[position] if position < len(self.node.inputs) else ""

    def constant(self, position: int, what: str) -> Any:
        """A constant input, None where it is absent."""
        name = self.input(position)
        if name and name not in self.model.constants:
            refuse(self.model, self.node, f"its {what} is computed at run time", f"a constant {what}")
        return self.model.constants[name] if name else None


@contextmanager
def seen_whole(model: OnnxModel, node: OnnxNode) -> Iterator[Form]:
    """UnsupportedOperatorError where the block has not looked at everything that ``node`` says."""
    form = Form(model, node)
    yield form
    try:
        need_all_seen(node, model.opset, attributes=form.names, inputs=form.inputs)
    except RefusalError as refusal:
        refuse(model, node, refusal.reason, refusal.accepted)
