"""Which schemes hold a ratio in the same numbers: a reading under another scheme may then keep multiplier and shift."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from accelsim.errors import ModelError
from accelsim.numerics import SCHEMES, Requant
from accelsim.quant import requant_from_scales
from accelsim.verification.steps.step import shares_parameters

RATIOS = (0.3, 0.0071, 1 / 3, 0.6123, 0.9)


def encoded(scheme: str) -> list[Requant]:
    """The ratios under one scheme; none where it holds powers of two only."""
    try:
        return [
            requant_from_scales(scheme, s_in=r, s_w=1.0, s_out=1.0, zero_point=0, clamp_min=-128, clamp_max=127)
            for r in RATIOS
        ]
    except ModelError:
        return []


def test_schemes_that_share_their_parameters_encode_alike() -> None:
    held = {name: made for name in SCHEMES if (made := encoded(name))}
    shared = 0
    for a, b in combinations(held, 2):
        integer = all(held[n][0].multiplier.dtype.kind == "i" for n in (a, b))
        alike = integer and all(
            np.array_equal(x.multiplier, y.multiplier) and np.array_equal(x.shift, y.shift)
            for x, y in zip(held[a], held[b], strict=True)
        )
        shares = shares_parameters(held[a][0], held[b][0])
        assert not shares or alike, f"{a} and {b}"
        shared += shares
        assert shares_parameters(held[a][0], held[a][1])
    assert shared >= 3
    assert shares_parameters(held["tflite_double"][0], held["single"][0])
    assert not shares_parameters(held["float32_half_even"][0], held["tflite_double"][0])
