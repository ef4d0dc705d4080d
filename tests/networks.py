"""Small fixed networks for tests that want to know exactly what they get."""

from __future__ import annotations

import numpy as np

from accelsim.graph import Conv2D, Dense, Graph, HostPort, MacGeometry, MacLayer, Tensor
from accelsim.numerics import INT8, Requant


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
