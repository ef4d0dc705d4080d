"""MEAN and SUM of XNNPACK: sizes, scales, zero points and axes drawn widely, ties and equal scales among them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.importers.flat import Op, T, tflite_bytes
from tests.oracles.runtimes import as_file, differences

DRAWS = 60
SIZES = (1, 2, 3, 5, 7, 11, 14, 29)


@pytest.mark.parametrize("op", ["MEAN", "SUM"])
@pytest.mark.parametrize("exponent", [-1, -7, -20, -30])
def test_every_code_is_that_of_litert(op: str, exponent: int) -> None:
    rng = np.random.default_rng([exponent + 100, len(op)])
    compared = 0
    for draw in range(DRAWS):
        shape = [int(size) for size in rng.choice(SIZES, int(rng.integers(1, 5)))]
        axes = sorted(rng.choice(len(shape), int(rng.integers(1, len(shape) + 1)), replace=False).tolist())
        keep = bool(rng.integers(0, 2))
        out = [1 if i in axes else size for i, size in enumerate(shape) if keep or i not in axes]
        s_in, s_out = (np.float32(2.0 ** rng.uniform(exponent, 3)) for _ in range(2))
        if draw % 3 == 0:
            s_out = np.float32(s_in * 2.0 ** int(rng.integers(-2, 3)))
        zeros = rng.integers(-128, 128, 2)
        x, axis = T("x", shape, scale=s_in, zero=zeros[0]), T("a", (len(axes),), "INT32", data=axes)
        y = T("y", out, scale=s_out, zero=zeros[1])
        feeds = [{"x": rng.integers(-128, 128, shape).astype(np.int8)} for _ in range(2)]
        blob = tflite_bytes([x, axis, y], [Op(op, ["x", "a"], ["y"], {"KeepDims": keep})], ["x"], ["y"])
        with as_file(blob) as path:
            assert sum(differences(path, "litert-xnnpack", feeds).values()) == 0, (shape, axes, s_in, s_out, zeros)
        compared += 2 * math.prod(out)
    assert compared > 1000
