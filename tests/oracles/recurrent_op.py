"""Models of one operator with a state of its own, with random scales and sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.importers.flat import Op, T
from tests.oracles import one_op
from tests.oracles.one_op import RELU, Case, Rng


def svdf(rng: Rng, kind: str, *, memory: int | None = None, state: str = "INT16", with_bias: bool = True) -> Case:
    """SVDF of random rank and memory; the scales leave most codes of state and output unsaturated."""
    batch, inputs, units, rank = (int(rng.integers(1, n)) for n in (4, 40, 12, 4))
    memory = int(rng.integers(2, 11)) if memory is None else memory
    filters, top = units * rank, {"INT16": 12000.0, "INT8": 60.0}[state]
    limit = {"INT16": 2000, "INT8": 127}[state]
    x = one_op.act(rng, "x", (batch, inputs), kind)
    feature = one_op.weights(rng, (filters, inputs), 0, False)
    s_state = np.float32(x.scale * feature.scale[0] * 74 * 73 * np.sqrt(inputs) / top)
    held = T("state", (batch, filters * memory), state, scale=float(s_state), variable=True)
    data = rng.integers(-limit, limit + 1, (filters, memory))
    time = T("time", (filters, memory), state, scale=one_op.scale(rng, -15, -11), data=data)
    s_sum = np.float32(s_state) * np.float32(time.scale)
    s_out = s_sum * top * limit * np.sqrt(rank * memory) / 3 / 60
    y = one_op.act(rng, "y", (batch, units), kind, s=float(np.float32(s_out)))
    bias = T("b", (units,), "INT32", scale=float(s_sum), data=rng.integers(-(10**5), 10**5, units))
    tensors = [x, feature, time, held, y, *([bias] if with_bias else [])]
    names = ["x", "w", "time", "b" if with_bias else None, "state"]
    return one_op.case(tensors, Op("SVDF", names, ["y"], {"Rank": rank, "FusedActivationFunction": RELU}), ["x"])


CASES: dict[str, Callable[[Rng, str], Case]] = {
    "svdf": svdf,
    "svdf-no-bias": lambda rng, kind: svdf(rng, kind, with_bias=False),
    "svdf-memory-1": lambda rng, kind: svdf(rng, kind, memory=1),
    "svdf-8-bit-state": lambda rng, kind: svdf(rng, kind, state="INT8"),
}
