"""Conv, Gemm and MatMul whose sums float operators bring to a batch normalization: a chain, folded into one layer.

PyTorch's QAT of convolutions with batch normalization is exported so: weights scaled before they are quantized, the sums divided by
that scale, a bias, and the normalization (Krishnamoorthi 1806.08342, section 3.2.2).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from accelsim.importers.onnx.chain import Chained, Sums, chain
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.file.records import OnnxModel
from accelsim.importers.onnx.following import NORM, RECTIFIERS, followers, goes_on
from accelsim.importers.onnx.lower import chain as steps
from accelsim.importers.onnx.lower.mac import convolution_form, dequantized_weights, operands_of, product_form
from accelsim.importers.onnx.network import Real, Weights
from accelsim.importers.refusal import RefusalError

REMEDY = (
    "one behind the sums of Conv, Gemm or MatMul, or behind a DequantizeLinear; in PyTorch, fold it in eval mode "
    "(torch.ao.quantization.fuse_modules) before prepare_qat, then train and export; or export the float network and use accelsim "
    "quantize, which folds it"
)


def or_sums(plain: Callable[[NodeContext], None]) -> Callable[[NodeContext], None]:
    """``plain``, but for an operator of constant weights before a batch normalization or a function its sums as the start of a chain."""

    def lower(node: NodeContext) -> None:
        is_product = len(node.inputs) > 1 and isinstance(node.glance(1), Weights)
        (_start if is_product and _goes_on(node.net.model, node) else plain)(node)

    return lower


def lower_batch_normalization(node: NodeContext) -> None:
    """One more step of a chain, or the first behind dequantized codes: then a table for each channel."""
    if not isinstance(node.value(0), Chained | Real):
        raise RefusalError("it is not folded into the layer before it", REMEDY)
    steps.lower_batch_normalization(node)


def _goes_on(model: OnnxModel, node: NodeContext) -> bool:
    """Whether a batch normalization follows, or a function; a bias alone, which a product has in an Add, is no chain."""
    steps = [step.op for step in followers(model, node.outputs[0])]
    if NORM in steps:
        return True
    biased = steps[1:] if node.op == "MatMul" and steps[:1] == ["Add"] else steps
    return goes_on(model, node.outputs[0]) and any(op not in RECTIFIERS for op in biased)


def _start(node: NodeContext) -> None:
    image, weights = node.codes(0), dequantized_weights(node, 1)
    if node.op == "Conv":
        (form, turned), order = convolution_form(node, image, weights), (0, 2, 3, 1)
    else:
        factors = node.integer("transA", 0), node.number("alpha", 1.0), node.number("beta", 1.0)
        node.need(factors == (0, 1.0, 1.0), f"its transA, alpha and beta are {factors}", "0, 1 and 1")
        form, turned = product_form(node, image, weights, transposed=bool(node.integer("transB", 0)))
        order = (0, 1, 2, 3)
    operands = operands_of(node, turned, order, None)
    sums = Sums(
        node=node, kind=form.kind, operator=form.operator, image=image, source=form.source, shape=form.shape,
        geometry=form.geometry, order=form.order, weights=operands.weights, weight_format=operands.format, zero_points=operands.zero_points,
        unit=np.float64(image.known.scale) * operands.scales.astype(np.float64), scales=operands.scales,
    )  # fmt: skip
    steps.with_bias(node, chain(sums, form.shape, f"a {node.op}", channel=form.order[-1]))
