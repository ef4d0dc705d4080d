"""A random CNN that holds every operator family, in either form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.importers.onnx.models import Act, Net


def cnn(seed: int, **options: Any) -> Net:
    """Convolutions of every kind, sums, products, pools, tables, concatenation, dense layers; odd seeds have float inputs."""
    net = Net(np.random.default_rng(seed), **options)
    fused = {"relu": ["", "Relu", "Clip"][seed % 3]} if net.qdq else {}
    x = net.input((1, 3, 16, 15), real=seed % 2 == 1)
    first = net.conv(x, 8, 3, pads=[1, 1, 1, 1], **fused)
    wide = net.conv(first, 8, 3, groups=8, pads=[1, 1, 1, 1], per_channel=seed % 2 == 0, **fused)
    mixed = net.conv(wide, 8, 1, bias=False)
    total = net.binary("Add", mixed, first, **fused)
    image = net.conv(total, 12, 3, groups=2, strides=[2, 2], pads=[0, 1, 1, 0])
    net.conv(image, 12, 3, auto_pad="SAME_UPPER", strides=[2, 2])
    net.conv(image, 4, 3, dilations=[2, 2], pads=[2, 2, 2, 2])
    gated = net.binary("Mul", image, net.unary("Sigmoid", net.global_pool(image)))
    return _head(net, image, gated, seed)


def _head(net: Net, image: Act, gated: Act, seed: int) -> Net:
    window = {"strides": [2, 2], "pads": [1, 1, 1, 1]}
    average = net.average_pool(gated, 3, **window)
    largest = net.move("MaxPool", image, average.shape, kernel_shape=[3, 3], **window)
    both = net.unary("LeakyRelu", net.concat([average, largest], 1), alpha=0.1)
    scaled = net.with_number("Add", net.with_number("Mul", both, shape=(both.shape[1], 1, 1)), first=True)
    flat = net.move("Flatten", scaled, (1, math.prod(scaled.shape[1:])), axis=1)
    hidden = net.dense(flat, 10, per_channel=seed % 2 == 0)
    net.dense(hidden, 7, per_channel=seed % 2 == 1, op="MatMul")
    return net
