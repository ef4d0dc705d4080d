"""Weights with one scale per block: integers again where the scales of a channel differ by powers of two."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.file.sub_byte import width
from accelsim.importers.onnx.formulas import MAX_BITS, format_of
from accelsim.importers.onnx.network import Weights
from accelsim.importers.refusal import RefusalError

ACCEPTED = "scales that are one number per output channel times powers of two"


def dequantize_blocks(node: NodeContext, codes: NDArray[Any], block: int) -> Weights:
    """``codes`` of a DequantizeLinear with ``block_size``: each block's codes times 2^k, one scale per channel.

    Scales have the shape of the codes but for the blocked axis, which is divided by ``block`` (ONNX DequantizeLinear, opset 21).
    The channels are axis 0, or axis 1 where axis 0 is blocked. Exact: no code is rounded. RefusalError for other scales.
    """
    axis = node.axis(codes.ndim, 1)
    scales, zeros = _operand(node, 1, codes, axis, block), _operand(node, 2, codes, axis, block)
    node.need(
        scales is not None and scales.dtype == np.float32 and bool(np.isfinite(scales).all() and (scales > 0).all()),
        "its scales are not positive finite float32 numbers",
        "positive finite float32 scales",
    )
    assert scales is not None
    if zeros is not None:
        node.need(zeros.dtype == codes.dtype, f"its zero points are {zeros.dtype}", f"{codes.dtype}")
    channel = 0 if axis else 1
    others = tuple(i for i in range(codes.ndim) if i != channel)
    least = scales.min(axis=others, keepdims=True)
    fraction, exponent = np.frexp(scales.astype(np.float64) / least)
    node.need(bool((fraction == 0.5).all()), "the scales of its blocks differ by no powers of two", ACCEPTED)
    centred = codes.astype(np.int64) - (0 if zeros is None else _spread(zeros, axis, block, codes).astype(np.int64))
    wide = centred << _spread(exponent - 1, axis, block, codes).astype(np.int64)
    limit = 2 ** (MAX_BITS - 1)
    node.need(
        bool((wide >= -limit).all() and (wide < limit).all()),
        f"its blocks need weights of more than {MAX_BITS} bits",
        ACCEPTED,
    )
    per_channel = least.reshape(-1).astype(np.float32)
    return Weights(
        wide.astype(np.int16), per_channel, np.zeros(len(per_channel), np.int64), channel, bits=width(codes.dtype)
    )


def _operand(node: NodeContext, position: int, codes: NDArray[Any], axis: int, block: int) -> NDArray[Any] | None:
    """Scales or zero points, one per block."""
    if node.optional(position) is None:
        return None
    values = node.array(position, "scales" if position == 1 else "zero points")
    expected = tuple(-(-size // block) if i == axis else size for i, size in enumerate(codes.shape))
    node.need(
        block >= 1 and values.shape == expected,
        f"its block_size is {block} and input {position} has shape {list(values.shape)}",
        f"shape {list(expected)} for codes of shape {list(codes.shape)}",
    )
    if position == 2 and format_of(values.dtype) is None:
        raise RefusalError(f"its zero points are {values.dtype}", "zero points of the type of the codes")
    return values


def _spread(values: NDArray[Any], axis: int, block: int, codes: NDArray[Any]) -> NDArray[Any]:
    """One value per block as one per code."""
    spread: NDArray[Any] = np.repeat(values, block, axis=axis).take(np.arange(codes.shape[axis]), axis=axis)
    return spread
