"""Operators of ONNX as they grow out of those of a .tflite file, and the order of axes in which each tensor is held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers import RefusalError, fresh_name
from accelsim.importers.onnx import CHANNELS_FIRST, CHANNELS_LAST
from accelsim.importers.onnx.file import Attribute, OnnxInput, OnnxModel, OnnxNode
from accelsim.importers.tflite import FileContext
from accelsim.importers.tflite.file import TfliteModel, TfliteOperator, TfliteTensor

OPSET = 20
"""Operator set of the nodes made: Gelu needs 20, and none of them changed up to 21, in which QDQ is written."""
IMAGE_RANK = 4


@dataclass(frozen=True)
class Step:
    """One ONNX operator; the first input of every step but the first of a chain is the step before it."""

    op: str
    inputs: tuple[str, ...] = ()
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


class Translation:
    """Nodes and constants made so far.

    A tensor of 4 axes is held channels last, as TFLite has it, channels first, as ONNX's convolutions and pools make it, or both:
    the second by a Transpose where something reads it.
    """

    def __init__(self, model: TfliteModel) -> None:
        self.model = model
        self.nodes: list[OnnxNode] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._taken = {tensor.name for tensor in model.tensors if not tensor.is_constant}
        self._held = {(index, False): model.tensors[index].name for index in model.inputs}

    def fresh(self, base: str) -> str:
        """``base``, or ``base`` with the first number that makes it new."""
        return fresh_name(base, self._taken)

    def constant(self, base: str, values: Any) -> str:
        """A constant under a name like ``base``."""
        name = self.fresh(base)
        self.constants[name] = np.ascontiguousarray(values)
        return name

    def is_first(self, tensor: TfliteTensor) -> bool:
        """Whether the tensor is held channels first already."""
        return (tensor.index, True) in self._held

    def read(self, tensor: TfliteTensor, *, first: bool = False, at: int = 0) -> str:
        """The name of an activation, channels ``first`` or last, for operator ``at``."""
        wanted = (tensor.index, first)
        if wanted not in self._held and (tensor.index, not first) not in self._held:
            raise RefusalError(f"tensor {tensor.name!r} is a constant", "an activation")
        if wanted not in self._held:
            source = self._held[tensor.index, not first]
            is_output = not first and tensor.index in self.model.outputs
            name = tensor.name if is_output else self.fresh(f"{tensor.name}/channels_{'first' if first else 'last'}")
            permutation = CHANNELS_FIRST if first else CHANNELS_LAST
            self._node("Transpose", at, (source,), name, {"perm": permutation}, "")
            self._held[wanted] = name
        return self._held[wanted]

    def write(
        self, tensor: TfliteTensor, steps: Sequence[Step], operator: TfliteOperator, *, first: bool, part: str = ""
    ) -> None:
        """``tensor``, channels ``first`` or last, as what ``steps`` make, one after the other; ``part`` of the operator."""
        is_turned = first and tensor.index in self.model.outputs
        name = self.fresh(f"{tensor.name}/channels_first") if is_turned else tensor.name
        source: tuple[str, ...] = ()
        base = " ".join(filter(None, (self.model.layer_name(operator), part)))
        for i, step in enumerate(steps):
            target = name if i == len(steps) - 1 else self.fresh(f"{tensor.name}/{step.op.lower()}")
            label = base if i == 0 else f"{base}/{step.op.lower()}"
            self._node(step.op, operator.index, (*source, *step.inputs), target, step.attributes, label)
            source = (target,)
        self._held[tensor.index, first] = name

    def turned(self, name: str, operator: TfliteOperator, permutation: tuple[int, ...]) -> str:
        """``name`` with its axes in another order, for ``operator``."""
        target = self.fresh(f"{name}/turned")
        self._node("Transpose", operator.index, (name,), target, {"perm": permutation}, "")
        return target

    def hold(self, outputs: Iterable[int]) -> None:
        """What should have been made and was not, because something is refused, is an activation all the same."""
        for index in outputs:
            if not {(index, False), (index, True)} & self._held.keys():
                self._held[index, False] = self.model.tensors[index].name

    def _node(
        self, op: str, index: int, inputs: tuple[str, ...], output: str, attributes: Mapping[str, Attribute], name: str
    ) -> None:
        self.nodes.append(
            OnnxNode(index=index, op=op, inputs=inputs, outputs=(output,), attributes=dict(attributes), name=name)
        )

    def finished(self) -> OnnxModel:
        """The network; its inputs and outputs have the names, shapes and order of axes of the .tflite file."""
        tensors, last = self.model.tensors, self.model.operators[-1].index
        outputs = tuple(self.read(tensors[index], at=last) for index in self.model.outputs)
        inputs = tuple(
            OnnxInput(name=tensors[index].name, shape=tensors[index].shape, type="FLOAT") for index in self.model.inputs
        )
        return OnnxModel(
            path=self.model.path, opset=OPSET, nodes=tuple(self.nodes), constants=self.constants, inputs=inputs, outputs=outputs
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Call(FileContext):
    """One operator of the file, as the functions see it that translate it."""

    to: Translation

    def image(self) -> TfliteTensor:
        """Input 0 with rows, columns and channels."""
        tensor = self.input(0)
        self.need(len(tensor.shape) == IMAGE_RANK, f"its input has shape {list(tensor.shape)}", "4 axes")
        return tensor

    def values(self, position: int, what: str) -> NDArray[Any]:
        """Input ``position`` as a constant array."""
        data = self.input(position).data
        if data is None:
            raise RefusalError(f"its {what} (input {position}) are computed at run time", f"constant {what}")
        return data

    def integers(self, position: int, what: str) -> list[int]:
        """Input ``position`` as constant integers."""
        return [int(value) for value in self.values(position, what).reshape(-1)]

    def parameter(self, position: int, values: NDArray[Any]) -> str:
        """A constant made of input ``position``, by its name."""
        return self.to.constant(self.input(position).name, values.astype(np.float32))

    def read(self, tensor: TfliteTensor, *, first: bool = False) -> str:
        """The name of an activation, channels ``first`` or last."""
        return self.to.read(tensor, first=first, at=self.record.index)

    def write(self, *steps: Step, first: bool = False) -> None:
        """The output, as what ``steps`` and the fused activation make."""
        self.to.write(self.output, steps, self.record, first=first)

    def reshape(self, shape: Iterable[int]) -> Step:
        """A Reshape to constant sizes."""
        return Step("Reshape", (self.to.constant(f"{self.output.name}/shape", np.array([*shape], np.int64)),))

    def rectifier(self, kind: int | None = None) -> tuple[Step, ...]:
        """The fused activation, or the one of ``kind``, as operators."""
        bounds = self.bounds(self.option("fused_activation") if kind is None else kind)
        if bounds[1] is None:
            return () if bounds[0] is None else (Step("Relu"),)
        named = zip(("min", "max"), bounds, strict=True)
        return (Step("Clip", tuple(self.to.constant(f"{self.output.name}/{n}", np.float32(v)) for n, v in named)),)
