"""Images whose axes stand otherwise than (n, channels, rows, columns): of one row, or with their channels last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from accelsim.graph import Layer
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.network import CHANNELS_LAST, Codes, Pending, Shape, Target
from accelsim.importers.refusal import RefusalError

ACCEPTED = "3 or 4 dimensions: images of one row or of several"


@dataclass(frozen=True)
class Layout:
    """``order[i]`` is the ONNX axis that layers see as axis ``i`` of (n, rows, columns, channels), without rows where ``is_flat``."""

    order: Shape

    @property
    def is_flat(self) -> bool:
        """Whether images have one row, which is no axis of the tensor."""
        return len(self.order) == 3

    @property
    def channel(self) -> int:
        """ONNX's axis of the channels."""
        return self.order[-1]

    def shape(self, image: tuple[int, int, int, int]) -> Shape:
        """The ONNX shape of an image (n, channels, rows, columns)."""
        n, c, h, w = image
        sizes = (n, w, c) if self.is_flat else (n, h, w, c)
        return tuple(sizes[self.order.index(axis)] for axis in range(len(sizes)))

    def ints(self, node: NodeContext, name: str, default: int, count: int = 1) -> tuple[int, ...]:
        """A list attribute with ``count`` values per spatial axis, rows first; rows that are no axis have ``default``."""
        given = node.ints(name, (default,) * (count if self.is_flat else 2 * count))
        if not self.is_flat:
            return given
        return tuple(value for each in given for value in (default, each))

    def write(self, node: NodeContext, made: Codes, make_layer: Callable[[str], Layer]) -> None:
        """Add the layer that writes ``made``, and the transposition that must follow it."""
        node.net.from_ordered(made, self.order, "channels_last", make_layer)

    def settled(self, node: NodeContext, pending: Pending, image: tuple[int, int, int, int]) -> Pending:
        """``pending``, which writes its layer's image at once, as the float result in this layout."""

        def emit(target: Target) -> None:
            made = Codes(target.name, shape, target.quantization.format, target.quantization)
            node.net.write_ordered(
                made, self.order, "channels_last", lambda name: pending.emit(replace(target, name=name))
            )

        shape = self.shape(image)
        return replace(pending, shape=shape, emit=emit)


def image_of(node: NodeContext, codes: Codes, *, channels_last: bool = False) -> tuple[Codes, Layout]:
    """``codes`` as an image (n, channels, rows, columns) that is stored channels last, and how its axes stood."""
    rank = len(codes.shape)
    if rank not in (3, 4):
        raise RefusalError(f"its input has shape {list(codes.shape)}", ACCEPTED)
    layout = Layout(tuple(range(rank)) if channels_last else CHANNELS_LAST if rank == 4 else (0, 2, 1))
    sizes = [codes.shape[axis] for axis in layout.order]
    n, h, w, c = (sizes[0], 1, *sizes[1:]) if layout.is_flat else sizes
    tensor = node.net.ordered(codes, layout.order, "channels_last")
    return replace(codes, tensor=tensor, shape=(n, c, h, w)), layout


def is_channels_last(node: NodeContext) -> bool:
    """Attribute ``channels_last`` of the operators of com.microsoft."""
    value: Any = node.integer("channels_last", 0)
    node.need(value in (0, 1), f"its channels_last is {value}", "0 or 1")
    return bool(value)
