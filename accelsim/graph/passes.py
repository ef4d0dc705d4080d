"""Layers that can take the outputs of the layer in front of them as its requantizer makes them, in one pass; and why others cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from accelsim.graph.elementwise_layers import Elementwise
from accelsim.graph.layer import Layer, VectorLayer
from accelsim.graph.mac_layers import MacLayer
from accelsim.graph.tensor import Tensor
from accelsim.graph.window_layers import ArgReduction, Pool2D, Reduction

PassKind = Literal["activation", "elementwise", "pool"]
"""What may follow a layer with MACs in its pass: a layer whose elements depend on one element each, or on one of that layer and one of
another tensor, or on the window of rows and columns that no other element sees."""
PIXEL = 1, 1
"""The window of a layer that takes element by element."""


class Follower(NamedTuple):
    """The layer behind another, which reads its output: what ``kind`` it is, and what forbids a pass (``obstacle``, "": nothing).

    ``operand``: which of its inputs is not made in the pass; -1: none. ``steps`` of the vector unit per element that it takes.
    ``window``: rows and columns that become one.
    """

    kind: PassKind
    obstacle: str
    operand: int
    steps: int
    window: tuple[int, int] = PIXEL


def followers(layers: Sequence[Layer], tensors: Mapping[str, Tensor], results: Sequence[str]) -> dict[int, Follower]:
    """By the number of each layer with MACs, or element-wise layer, the layer that follows it directly and may be in a pass."""
    readers: dict[str, int] = {}
    for layer in layers:
        for name in layer.inputs:
            readers[name] = readers.get(name, 0) + 1
    found = {}
    for index, (first, second) in enumerate(pairwise(layers)):
        if not isinstance(first, MacLayer | Elementwise) or first.output not in second.inputs:
            continue
        kind = _kind(second)
        if kind is not None:
            assert isinstance(second, VectorLayer)
            shared = readers[first.output] > 1 or first.output in results
            operand = next((k for k, name in enumerate(second.inputs) if name != first.output), -1)
            obstacle = _obstacle(first, second, tensors, shared=shared)
            window = _window(second)
            steps = second.steps_per_output // (window[0] * window[1])
            found[index] = Follower(kind, obstacle, operand, steps, window)
    return found


def _kind(layer: Layer) -> PassKind | None:
    """None: of a kind that no pass has."""
    if isinstance(layer, Elementwise):
        return "activation" if len(layer.inputs) == 1 else "elementwise"
    of_an_image = isinstance(layer, Reduction) and layer.axes == (1, 2) and len(layer.shapes[0]) == 4
    return "pool" if isinstance(layer, Pool2D) or (of_an_image and not isinstance(layer, ArgReduction)) else None


def _window(layer: VectorLayer) -> tuple[int, int]:
    """Rows and columns of the input behind one element."""
    if isinstance(layer, Pool2D):
        return layer.kernel
    return (layer.shapes[0][1], layer.shapes[0][2]) if isinstance(layer, Reduction) else PIXEL


def _obstacle(first: Layer, second: VectorLayer, tensors: Mapping[str, Tensor], *, shared: bool) -> str:
    """Why the outputs of ``first`` cannot go into ``second`` as they are made; "" where they can."""
    if shared:
        return f"{first.output!r} is read elsewhere, too"
    view, rows, columns = first.output_shape, *_window(second)
    if second.input_shapes[second.inputs.index(first.output)] != view:
        return f"it sees {first.output!r} under another shape than the layer that makes it"
    if isinstance(second, Pool2D) and (second.kernel != second.stride or second.pad != (0, 0)):
        return "its windows overlap, leave gaps or are padded"
    left = view if (rows, columns) == PIXEL else (view[0], view[1] // rows, view[2] // columns, view[3])
    if second.output_shape != left:
        return f"it sees {first.output!r} under another shape than the layer that makes it"
    if (rows, columns) != PIXEL and (view[1] % rows or view[2] % columns):
        return f"its windows of {rows}x{columns} do not cover the {view[1]}x{view[2]} pixels in front of it"
    if len({tensors[name].format.bits for name in (*second.inputs, second.output)}) > 1:
        return "its tensors are not of one width"
    return ""
