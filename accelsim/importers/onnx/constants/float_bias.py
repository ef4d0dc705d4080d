"""A bias that the model keeps in floating point, as quantization-aware training exports it, on an integer accumulator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.context import NodeContext
from accelsim.numerics import INT32


def rounded_bias(node: NodeContext, real: NDArray[Any], unit: NDArray[np.float64], channels: int) -> NDArray[np.int64]:
    """``round_half_even(real / unit)`` for ``unit = s_in * s_w``, one per channel or one for all; an approximation, named.

    This is the bias that a converter stores (Jacob et al. 1712.05877, equation 11); it is off by half a unit at most.
    """
    node.need(
        real.dtype == np.float32
        and real.size in (1, channels)
        and real.shape[-1:] in ((), (real.size,))
        and bool(np.isfinite(real).all()),
        f"its bias is {real.dtype} of shape {list(real.shape)} for {channels} output channels",
        "finite float32 values, one per output channel or one for all",
    )
    real = np.broadcast_to(real.reshape(-1), (channels,))
    codes = np.rint(real.astype(np.float64) / unit)
    node.need(
        bool((np.abs(codes) <= INT32.max).all()),
        f"its bias reaches {np.abs(codes).max():.3g} in units of s_in * s_w",
        f"a bias that fits {INT32}; check the model's scales",
    )
    if (codes * unit != real).any():
        node.approximate("its floating-point bias is rounded to a multiple of s_in * s_w")
        node.net.real_biases[node.layer_name] = real
    bias: NDArray[np.int64] = codes.astype(np.int64)
    return bias
