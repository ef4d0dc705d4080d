"""Small fixed networks for tests that want to know exactly what they get."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from accelsim.graph import (
    Add,
    Conv2D,
    Dense,
    Graph,
    HostPort,
    Layer,
    MacGeometry,
    MacLayer,
    OperandScale,
    Reshape,
    Tensor,
)
from accelsim.numerics import INT8, IntFormat, Requant


def requant(channels: int) -> Requant:
    """Divides sums by about 256."""
    return Requant(
        scheme="tflite_double",
        multiplier=np.full(channels, 2**30, dtype=np.int32),
        shift=np.full(channels, -7, dtype=np.int32),
        zero_point=0,
        clamp_min=-128,
        clamp_max=127,
    )


def single(layer_type: type[MacLayer], geometry: MacGeometry, *, shape_only: bool = False, seed: int = 0) -> Graph:
    """One MAC layer between ``x`` and ``y``."""
    rng = np.random.default_rng(seed)
    layer = layer_type(
        name="layer",
        inputs=("x",),
        output="y",
        geometry=geometry,
        weights=None if shape_only else rng.integers(-127, 128, geometry.weight_shape).astype(np.int8),
        weight_format=INT8,
        bias=None if shape_only else rng.integers(-500, 500, geometry.oc).astype(np.int64),
        requant=None if shape_only else requant(geometry.oc),
    )
    return Graph(
        name="single",
        arithmetic="tflite-micro",
        tensors={"x": Tensor("x", geometry.input_shape, INT8), "y": Tensor("y", geometry.output_shape, INT8)},
        layers=(layer,),
        inputs=(HostPort("x", "x"),),
        outputs=(HostPort("y", "y"),),
        shape_only=shape_only,
    )


def conv(*, size: int = 8, ic: int = 4, oc: int = 8, k: int = 3, stride: int = 1, shape_only: bool = False) -> Graph:
    """A valid convolution over a square image."""
    out = (size - k) // stride + 1
    geometry = MacGeometry(
        n=1, ih=size, iw=size, ic=ic, oh=out, ow=out, oc=oc, kh=k, kw=k, stride_h=stride, stride_w=stride
    )
    return single(Conv2D, geometry, shape_only=shape_only)


def dense(*, rows: int = 1, k: int = 16, units: int = 8, shape_only: bool = False) -> Graph:
    """A fully connected layer."""
    geometry = MacGeometry(n=1, ih=rows, iw=1, ic=k, oh=rows, ow=1, oc=units)
    return single(Dense, geometry, shape_only=shape_only)


def chain(
    *,
    layers: int = 2,
    width: int = 8,
    widths: tuple[int, ...] = (),
    middle: IntFormat = INT8,
    reshape: bool = False,
    outputs: tuple[str, ...] = ("y",),
) -> Graph:
    """Fully connected layers from 16 codes ``x`` over ``width``, or ``widths``, of format ``middle`` (``t``, ...) to 4 codes ``y``."""
    layers = len(widths) + 1 if widths else layers
    names = ["x", "t", *(f"t{i}" for i in range(3, layers + 1)), "y"]
    sizes = [16, *(widths or [width] * (layers - 1)), 4]
    formats = [INT8, *[middle] * (layers - 1), INT8]
    tensors = {n: Tensor(n, (1, size), fmt) for n, size, fmt in zip(names, sizes, formats, strict=True)}
    made: list[Layer] = [
        _dense_layer(f"layer{i}", source, name, sizes[i], sizes[i + 1], seed=i)
        for i, (source, name) in enumerate(pairwise(names))
    ]
    if reshape:
        tensors["t2"] = Tensor("t2", (width, 1), middle)
        alias = Reshape(name="alias", inputs=("t",), output="t2", shapes=((1, width),), shape=(width, 1))
        made = [made[0], alias, replace(made[1], inputs=("t2",))]
    return Graph(
        name="chain", arithmetic="tflite-micro", tensors=tensors, layers=tuple(made), inputs=(HostPort("x", "x"),),
        outputs=tuple(HostPort(name, name) for name in outputs),
    )  # fmt: skip


def skip_connection() -> Graph:
    """x -> a -> b -> c, and y = a + c; all of 8 codes but ``x``, which has 16."""
    tensors = {n: Tensor(n, (1, 16 if n == "x" else 8), INT8) for n in "xabcy"}
    dense_layers = [
        _dense_layer(f"to_{b}", a, b, 16 if a == "x" else 8, 8, seed=i) for i, (a, b) in enumerate(("xa", "ab", "bc"))
    ]
    total = _sum("a", "c", "y")
    return Graph(
        name="skip", arithmetic="tflite-micro", tensors=tensors, layers=(*dense_layers, total),
        inputs=(HostPort("x", "x"),), outputs=(HostPort("y", "y"),),
    )  # fmt: skip


def branches() -> Graph:
    """a = dense(x), y = a + a, b = dense(x), z = dense(b): the vector unit and the array work side by side."""
    tensors = {n: Tensor(n, (1, 16 if n == "x" else 8), INT8) for n in "xaybz"}
    a, b = _dense_layer("to_a", "x", "a", 16, 8, seed=0), _dense_layer("to_b", "x", "b", 16, 8, seed=1)
    return Graph(
        name="branches", arithmetic="tflite-micro", tensors=tensors, inputs=(HostPort("x", "x"),),
        layers=(a, _sum("a", "a", "y"), b, _dense_layer("to_z", "b", "z", 8, 8, seed=2)),
        outputs=(HostPort("y", "y"), HostPort("z", "z")),
    )  # fmt: skip


def _sum(left: str, right: str, output: str) -> Add:
    scale = OperandScale(zero_point=0, multiplier=2**30, exponent=0, left_shift=20)
    rule = replace(requant(1), shift=np.array([-18], dtype=np.int32))
    return Add(
        name="sum", inputs=(left, right), output=output, shapes=((1, 8), (1, 8)), shape=(1, 8), left=scale, right=scale,
        requant=rule,
    )  # fmt: skip


def _dense_layer(name: str, source: str, output: str, k: int, units: int, *, seed: int) -> Dense:
    geometry = MacGeometry(n=1, ih=1, iw=1, ic=k, oh=1, ow=1, oc=units)
    weights = np.random.default_rng(seed).integers(-127, 128, geometry.weight_shape).astype(np.int8)
    return Dense(
        name=name, inputs=(source,), output=output, geometry=geometry, weights=weights, weight_format=INT8,
        requant=requant(units),
    )  # fmt: skip
