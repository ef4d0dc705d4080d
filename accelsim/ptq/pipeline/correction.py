"""Biases corrected for what the rounding of weights does to the mean of every output."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.file import OnnxModel
from accelsim.ptq.bias_correction import output_shift
from accelsim.ptq.network.operators import output_axis
from accelsim.ptq.network.parameters import with_weights
from accelsim.ptq.network.products import bias_of, is_one_matrix, products
from accelsim.ptq.pipeline.draft import Bench, Draft
from accelsim.ptq.pipeline.fake import real_parameters, with_quantizers
from accelsim.ptq.pipeline.walk import Walk, run_nodes

Doubles = NDArray[np.float64]


def analytic(draft: Draft, bench: Bench) -> dict[str, Doubles]:
    """``b - (W~ - W) E[x]`` of every layer, E[x] by the statistics of batch normalization (Nagel 1906.04721, section 4.2.1)."""
    _, weights = bench.codes(draft)
    means, made = bench.evidence(draft).means, {}
    for node in products(draft.network):
        if not is_one_matrix(node, draft.network.constants):
            continue
        name = node.outputs[0]
        real = draft.network.constants[node.inputs[1]].astype(np.float64)
        shift = output_shift(node, weights[name].real.astype(np.float64) - real, means)
        made[name] = _own_bias(draft, name, bias_of(node, draft.network.constants)) - shift
    return made


def empirical(draft: Draft, bench: Bench, wanted: dict[str, Doubles] | None = None) -> dict[str, Doubles]:
    """``b - E[W~ x~ - W x]`` layer by layer over the calibration data: x~ is what the layers before, quantized and corrected, make,
    activations rounded as well, so that what their ranges cut off counts (1906.04721, section 4.2.2).

    ``wanted`` holds E[W x] of the network's layers, by output, where that is known; where it is not, it comes to it.
    """
    assert bench.data is not None
    network, made, wanted = draft.network, {}, {} if wanted is None else wanted
    acts, weights = bench.codes(draft)
    held = {node.outputs[0]: real_parameters(node, weights[node.outputs[0]], acts) for node in products(network)}
    quantized = Walk(with_quantizers(with_weights(network, held), acts), bench.data, evaluator=bench.evaluator)
    if not wanted:
        wanted |= _float_means(network, bench)
    for node, own in zip(products(network), products(quantized.model), strict=True):
        name = node.outputs[0]
        if name not in wanted:
            continue
        rough = quantized.until(own.inputs[0])
        got = run_nodes(quantized.model, (own,), {own.inputs[0]: rough}, [own.outputs[0]], evaluator=bench.evaluator)
        shift = _means(got[own.outputs[0]], node.op) - wanted[name]
        made[name] = _own_bias(draft, name, bias_of(node, network.constants)) - shift
        corrected = f"{name}/bias_corrected"
        changed = replace(own, inputs=(*own.inputs[:2], corrected))
        before = bias_of(own, quantized.model.constants)
        values = (0 if before is None else before.astype(np.float64)) - shift
        quantized.change(own, changed, {corrected: values.astype(np.float32)})
    return made


def _float_means(network: OnnxModel, bench: Bench) -> dict[str, Doubles]:
    """E[W x] of every layer with one matrix, by its output."""
    assert bench.data is not None
    real, made = Walk(network, bench.data, evaluator=bench.evaluator), {}
    for node in products(network):
        x, name = real.until(node.inputs[0]), node.outputs[0]
        if is_one_matrix(node, network.constants):
            found = run_nodes(network, (node,), {node.inputs[0]: x}, [name], evaluator=bench.evaluator)
            made[name] = _means(found[name], node.op)
    return made


def _own_bias(draft: Draft, name: str, bias: NDArray[np.float32] | None) -> Doubles | float:
    pinned = draft.pinned.biases.get(name)
    if pinned is not None:
        return pinned
    return 0.0 if bias is None else bias.reshape(-1).astype(np.float64)


def _means(values: NDArray[np.float32], op: str) -> Doubles:
    """Of each channel of (inferences, *shape)."""
    rows = np.moveaxis(values, 1 + output_axis(op, values.ndim - 1), 0)
    means: Doubles = rows.reshape(len(rows), -1).mean(axis=1, dtype=np.float64)
    return means
