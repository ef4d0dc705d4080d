"""Rectifiers made easier to quantize: bounds that nothing reaches, and biases that only lift a channel, taken away.

Both leave the float network's output over the data as it was.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.file import OnnxModel, OnnxNode
from accelsim.ptq.equalization import HOMOGENEOUS, RESHAPES, WINDOWS, Pair, Reach, pairs_of
from accelsim.ptq.network.float_network import fused_rectifier, rectifier_bounds
from accelsim.ptq.network.operators import CONVOLUTIONS
from accelsim.ptq.network.parameters import with_weights
from accelsim.ptq.network.products import bias_of, groups_of, products, units_first

Doubles = NDArray[np.float64]


def without_idle_bounds(model: OnnxModel, reach: Reach) -> tuple[OnnxModel, list[str]]:
    """Clips from 0 whose upper bound no value of ``reach`` comes to are Relu; the layers of those, by name.

    What the network computes of that data stays, bit by bit. (Nagel 1906.04721, section 5.1.1, replaces every RELU6 by RELU, which
    changes the network where the bound is reached.)
    """
    idle = {}
    for node in products(model):
        rectifier = fused_rectifier(model, node)
        low, high = rectifier_bounds(model, rectifier)
        if rectifier is not None and low == 0 and high < math.inf and (reach.highs[node.outputs[0]] < high).all():
            idle[rectifier.outputs] = model.layer_name(node)
    nodes = tuple(
        replace(node, op="Relu", inputs=node.inputs[:1], attributes={}) if node.outputs in idle else node
        for node in model.nodes
    )
    return replace(model, nodes=nodes), list(idle.values())


def reached_bounds(model: OnnxModel, reach: Reach) -> dict[str, float]:
    """Upper ends of the Clips from 0 behind products, by the product's output: where equalization is to mind them."""
    found = {}
    for node in products(model):
        low, high = rectifier_bounds(model, fused_rectifier(model, node))
        if low == 0 and high < math.inf:
            found[node.outputs[0]] = high
    return {name: bound for name, bound in found.items() if name in reach.highs}


def absorbed(model: OnnxModel, reach: Reach) -> tuple[OnnxModel, dict[str, Doubles], dict[str, str]]:
    """Biases that lift a whole channel above 0, moved into the next layer (Nagel 1906.04721, section 4.1.3).

    What channel i is at least, c = max(0, reach.lows), is above its rectifier's corner: ``f(x - c) = f(x) - c``, so that c may be
    taken off the first layer's bias and ``W2 c`` added to the second's. (The paper's c is beta - 3 gamma, below which 0.1 % of a normal
    distribution still lie.) Not where the second layer, or a pool between, pads with zeros, which c would not reach.
    Returns the network, c by the output of the first layer, and why layers with something to absorb kept it, by name.
    """
    taken: dict[str, Doubles] = {}
    kept: dict[str, str] = {}
    changed: dict[str, NDArray[np.float32]] = {}
    given = {node.outputs[0]: bias_of(node, model.constants) for node in products(model)}
    now = {name: None if bias is None else bias.reshape(-1).astype(np.float64) for name, bias in given.items()}
    for pair in pairs_of(model, reach.shapes):
        first, second = pair.first, pair.second
        name = first.outputs[0]
        c = np.maximum(reach.lows[name], 0)
        if not c.any() or now[name] is None:
            continue
        if reason := _not_exact(model, pair):
            kept[model.layer_name(first)] = reason
            continue
        weights = {n.outputs[0]: model.constants[n.inputs[1]] for n in (first, second)}
        before, behind = now[name], now[second.outputs[0]]
        assert before is not None
        now[name] = before - c
        carried = _carried(second, weights[second.outputs[0]], c)
        now[second.outputs[0]] = carried if behind is None else carried + behind
        taken[name] = c
        changed |= weights
    return with_weights(model, {key: (values, now[key]) for key, values in changed.items()}), taken, kept


def _carried(node: OnnxNode, weights: NDArray[np.float32], c: Doubles) -> Doubles:
    """``W c`` per output channel."""
    units = units_first(node, weights).astype(np.float64)
    kernels = units.reshape(*units.shape[:2], -1).sum(axis=2)
    channels, depth = kernels.shape
    group = np.arange(channels) * groups_of(node) // channels
    made: Doubles = (kernels * c.reshape(-1, depth)[group]).sum(axis=1)
    return made


def _not_exact(model: OnnxModel, pair: Pair) -> str:
    """Why c does not pass between the two; empty where it does."""
    if pair.second.op == "ConvTranspose":
        return "a transposed convolution adds it to some outputs more often than to others"
    if pair.second.op in CONVOLUTIONS and _pads(pair.second):
        return "the next layer pads with zeros, to which the amount is not added"
    name = pair.first.outputs[0]
    while name != pair.second.inputs[0]:
        between = model.consumers(name)[0]
        averages = between.op == "AveragePool" and _pads(between) and between.attributes.get("count_include_pad", 0)
        if between.op == "Pad" or averages or between.op not in (*HOMOGENEOUS, *WINDOWS, *RESHAPES):
            return f"{model.layer_name(between)} between the layers does not pass it on"
        name = between.outputs[0]
    return ""


def _pads(node: OnnxNode) -> bool:
    auto = str(node.attributes.get("auto_pad", "NOTSET"))
    pads = node.attributes.get("pads", ())
    assert isinstance(pads, tuple)
    return auto.startswith("SAME") or any(pads)
