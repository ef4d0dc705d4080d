"""Codes of large constants, a part at a time, are the codes of the whole."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.importers.onnx.chain.quantizer import ROUNDINGS, Quantizer
from accelsim.numerics import IntFormat


@settings(max_examples=40)
@given(
    shape=st.sampled_from([(7, 70_000), (70_000, 9), (3, 2, 90_000), (600_000,), (1, 300_000), (0, 5), ()]),
    axis=st.sampled_from([None, 0, 1]), one_zero=st.booleans(), rounding=st.sampled_from(sorted(ROUNDINGS)),
    bits=st.sampled_from([1, 4, 8, 12]), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_parts_and_whole_agree(
    shape: tuple[int, ...], axis: int | None, one_zero: bool, rounding: str, bits: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    axis = axis if axis is not None and axis < len(shape) else None
    count = 1 if axis is None else shape[axis]
    scales = rng.uniform(0.01, 0.1, count).astype(np.float32)
    zeros = rng.integers(-3, 4, 1 if one_zero else count)
    fmt = IntFormat(bits, bipolar=bits == 1)
    quantizer = Quantizer(scales, zeros, axis, fmt, fmt.min, fmt.max, rounding)
    real = rng.normal(0, 1, shape).astype(np.float32)
    made, whole = quantizer.narrow_codes(real), quantizer.codes(real)
    assert (made.dtype, made.shape) == (fmt.dtype, shape)
    assert np.array_equal(made, whole)
