"""Models of one operator with a state of its own, with random scales and sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.importers.flat import Op, T
from tests.oracles import one_op
from tests.oracles.one_op import RELU, Case, Rng

TANH = 4


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


GATES = ("input", "forget", "cell", "output")


def lstm(
    rng: Rng, kind: str, *, steps: int | None = None, time_major: bool = False, clip: float = 0.0, exponent: int | None = None
) -> Case:  # fmt: skip
    """An LSTM of random sizes, as Keras has it."""
    batch, inputs, units = (int(rng.integers(1, n)) for n in (4, 20, 12))
    steps = int(rng.integers(2, 6)) if steps is None else steps

    def sequence(n: int) -> tuple[int, int, int]:
        return (steps, batch, n) if time_major else (batch, steps, n)

    x = one_op.act(
        rng, "x", sequence(inputs), kind, s=float(2.0 ** rng.uniform(-7, -5)) / (256 if kind == "INT16" else 1)
    )
    s_hidden = (1 / 32768) if kind == "INT16" else float(np.float32(rng.uniform(0.6, 1.0) / 128))
    y = one_op.act(rng, "y", sequence(units), kind, s=s_hidden)
    hidden = T("hidden", (batch, units), kind, scale=y.scale, zero=y.zero, variable=True)
    power = int(rng.integers(-14, -8)) if exponent is None else exponent
    cell = T("cell", (batch, units), "INT16", scale=2.0**power, variable=True)
    tensors, names = [x, y, hidden, cell], ["x"]
    for part, width in (("x", inputs), ("h", units)):
        for gate in GATES:
            data = rng.integers(-127, 128, (units, width))
            tensors.append(T(f"{part}_{gate}", (units, width), scale=one_op.scale(rng, -8, -5), data=data))
            names.append(f"{part}_{gate}")
    scales = [np.float32(x.scale) * np.float32(t.scale) for t in tensors[4:8]]
    for gate, s in zip(GATES, scales, strict=True):
        data = np.rint(rng.normal(0, 1, units) / s)
        tensors.append(T(f"b_{gate}", (units,), one_op.bias_type(kind), scale=float(s), data=data))
    names += [None] * 3 + [f"b_{gate}" for gate in GATES] + [None, None, "hidden", "cell"] + [None] * 4  # type: ignore[list-item]
    options = {"FusedActivationFunction": TANH, "TimeMajor": time_major, "CellClip": clip}
    return one_op.case(tensors, Op("UNIDIRECTIONAL_SEQUENCE_LSTM", names, ["y"], options), ["x"])


CASES: dict[str, Callable[[Rng, str], Case]] = {
    "svdf": svdf,
    "svdf-no-bias": lambda rng, kind: svdf(rng, kind, with_bias=False),
    "svdf-memory-1": lambda rng, kind: svdf(rng, kind, memory=1),
    "lstm": lstm,
    "lstm-one-step": lambda rng, kind: lstm(rng, kind, steps=1),
    "lstm-time-major": lambda rng, kind: lstm(rng, kind, time_major=True, clip=2.5),
    "lstm-coarse-cell": lambda rng, kind: lstm(rng, kind, exponent=-7),
    "svdf-8-bit-state": lambda rng, kind: svdf(rng, kind, state="INT8"),
}
