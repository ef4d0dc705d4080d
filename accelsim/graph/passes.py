"""Layers that can take the outputs of the layer in front of them as its requantizer makes them, in one pass; and why others cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from accelsim.graph.elementwise_layers import Elementwise
from accelsim.graph.layer import Layer, VectorLayer
from accelsim.graph.mac_layers import MacLayer
from accelsim.graph.tensor import Tensor

PassKind = Literal["activation", "elementwise"]
"""What may follow a layer with MACs: a layer whose elements depend on one element each, or on one of that layer and one of another tensor."""


class Follower(NamedTuple):
    """The layer behind one with MACs, which reads its output: what ``kind`` it is, and what forbids a pass (``obstacle``, "": nothing).

    ``operand``: which of its inputs is not made in the pass; -1: none. ``steps`` of the vector unit per output.
    """

    kind: PassKind
    obstacle: str
    operand: int
    steps: int


def followers(layers: Sequence[Layer], tensors: Mapping[str, Tensor], results: Sequence[str]) -> dict[int, Follower]:
    """By the number of each layer with MACs that an element-wise layer follows directly, that layer."""
    readers: dict[str, int] = {}
    for layer in layers:
        for name in layer.inputs:
            readers[name] = readers.get(name, 0) + 1
    found = {}
    for index, (first, second) in enumerate(pairwise(layers)):
        if isinstance(first, MacLayer) and isinstance(second, Elementwise) and first.output in second.inputs:
            shared = readers[first.output] > 1 or first.output in results
            operand = next((k for k, name in enumerate(second.inputs) if name != first.output), -1)
            obstacle = _obstacle(first, second, tensors, shared=shared)
            kind: PassKind = "activation" if len(second.inputs) == 1 else "elementwise"
            found[index] = Follower(kind, obstacle, operand, second.steps_per_output)
    return found


def _obstacle(first: MacLayer, second: VectorLayer, tensors: Mapping[str, Tensor], *, shared: bool) -> str:
    """Why the outputs of ``first`` cannot go into ``second`` as they are made; "" where they can."""
    if shared:
        return f"{first.output!r} is read elsewhere, too"
    if any(
        view != first.output_shape
        for view in (second.input_shapes[second.inputs.index(first.output)], second.output_shape)
    ):
        return f"it sees {first.output!r} under another shape than the layer that makes it"
    if len({tensors[name].format.bits for name in (*second.inputs, second.output)}) > 1:
        return "its tensors are not of one width"
    return ""
