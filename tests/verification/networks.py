"""Small networks with real scales, and the digits network with its images, for verification."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Dense, Graph, HostPort, MacGeometry, Tensor
from accelsim.importers import load_graph, resolve_model
from accelsim.numerics import INT8
from accelsim.quant import requant_from_scales

Array = NDArray[Any]
CODES = 1 << 20
"""Rows times units of :func:`wide_dense`: more than 10^6."""


def digits() -> Path:
    return Path(resolve_model("digits_cnn"))


@cache
def digits_layers() -> tuple[str, ...]:
    """Names of the layers of the digits network."""
    return tuple(layer.name for layer in load_graph(digits()).layers)


@cache
def images(count: int) -> tuple[Array, Array]:
    with np.load(digits().with_name("digits_test.npz")) as held:
        return held["input"][:count], held["labels"][:count]


def chain(
    schemes: tuple[str, ...],
    *,
    scale: float,
    rows: int,
    width: int = 32,
    reach: int = 127,
    zero_point: int = 0,
    seed: int = 0,
) -> Graph:
    """Dense layers of ``width`` units, one per scheme, with per-layer ``s_w`` = ``scale`` and all other scales 1."""
    rng = np.random.default_rng(seed)
    names = [f"t{i}" for i in range(len(schemes) + 1)]
    geometry = MacGeometry(n=1, ih=rows, iw=1, ic=width, oh=rows, ow=1, oc=width)
    layers = tuple(
        Dense(
            name=f"dense_{i}", inputs=(names[i],), output=names[i + 1], geometry=geometry,
            weights=rng.integers(-reach, reach + 1, geometry.weight_shape).astype(np.int8), weight_format=INT8,
            bias=rng.integers(-500, 500, width).astype(np.int64), input_zero_point=zero_point,
            requant=requant_from_scales(
                scheme, s_in=1.0, s_w=scale, s_out=1.0, zero_point=zero_point, clamp_min=-128, clamp_max=127
            ),
            weight_scales=np.array([scale], np.float32),
        )
        for i, scheme in enumerate(schemes)
    )  # fmt: skip
    tensors = {name: Tensor(name, (1, rows, 1, width), INT8, zero_point, 1.0) for name in names}
    return Graph(
        name="chain", arithmetic="tflite-micro", tensors=tensors, layers=layers, inputs=(HostPort("t0", "t0"),),
        outputs=(HostPort(names[-1], names[-1]),),
    )  # fmt: skip


def wide_dense(scheme: str, right_shift: int, seed: int) -> tuple[Graph, Array]:
    """One dense layer of 2^20 codes, each unit's multiplier between 2^-(rs+1) and 2^-rs; and its input. Few codes are clamped."""
    rng = np.random.default_rng(seed)
    scales = (2.0**-right_shift * rng.uniform(0.51, 0.99, 64)).astype(np.float32)
    # Standard deviation of a sum: sqrt(64) * 74 (uniform int8 codes) * reach / sqrt(3); 30 codes after the multiplier.
    reach = int(np.clip(30 * 1.3 * 2.0**right_shift / (8 * 74 / np.sqrt(3)), 1, 127))
    weights = rng.integers(-reach, reach + 1, (64, 1, 1, 64)).astype(np.int8)
    return _one(scheme, weights, scales, rng), _codes(rng, 64)


def uniform_dense(scheme: str, seed: int) -> tuple[Graph, Array]:
    """One dense layer of 2^20 codes, 127*a + b for codes a and b, so that the codes that are not clamped are spread evenly."""
    rng = np.random.default_rng(seed)
    weights = np.tile(np.array([127, 1], np.int8), (64, 1)).reshape(64, 1, 1, 2)
    scales = rng.uniform(2.0**-7, 2.0**-6, 64).astype(np.float32)
    return _one(scheme, weights, scales, rng), _codes(rng, 2)


def _codes(rng: np.random.Generator, width: int) -> Array:
    return rng.integers(-128, 128, (1, 1, CODES // 64, 1, width)).astype(np.int8)


def _one(scheme: str, weights: Array, scales: Array, rng: np.random.Generator) -> Graph:
    graph = chain((scheme,), scale=2.0**-6, rows=CODES // 64, width=64)
    (layer,) = graph.layers
    assert isinstance(layer, Dense)
    width = weights.shape[-1]
    requant = requant_from_scales(scheme, s_in=1.0, s_w=scales, s_out=1.0, zero_point=0, clamp_min=-128, clamp_max=127)
    changed = replace(
        layer, weights=weights, weight_scales=scales, requant=requant, bias=rng.integers(-50, 50, 64),
        geometry=replace(layer.geometry, ic=width),
    )  # fmt: skip
    source = replace(graph.tensors["t0"], shape=(1, CODES // 64, 1, width))
    return replace(graph, layers=(changed,), tensors={**graph.tensors, "t0": source})
