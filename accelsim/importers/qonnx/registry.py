"""Which operators a QONNX graph may hold, and what lowers each."""

from __future__ import annotations

from types import MappingProxyType

from accelsim.graph import (
    AveragePool2D,
    BinaryLut,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Layer,
    Lut,
    Mean,
    Reshape,
)
from accelsim.importers.onnx.functions import UNARY
from accelsim.importers.onnx.lower import chain
from accelsim.importers.onnx.registry import LOWERINGS, Lowerings
from accelsim.importers.qonnx import operators, quant
from accelsim.importers.registry import Lowering

_FORMATS = "1 to 16 bits (QONNX)"
_CONVOLUTIONS: tuple[type[Layer], ...] = (Conv2D, DepthwiseConv2D)
_CHAIN = "in float32, folded into the layer before it, or a table"
_MOVING = (
    "Transpose",
    "Gather",
    "Tile",
    "Expand",
    "DepthToSpace",
    "SpaceToDepth",
    "MaxPool",
    "GlobalMaxPool",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Pad",
    "Slice",
    "Split",
    "Dropout",
)
_OTHERS = ("Identity", "Resize", "ReduceMax", "ReduceMin", "Softmax")

QONNX_LOWERINGS: Lowerings = MappingProxyType(
    {
        **{op: LOWERINGS[op] for op in (*_MOVING, *_OTHERS) if op in LOWERINGS},
        "Quant": Lowering(quant.lower_quant, (Lut,), _FORMATS, "every rounding mode; one scale for activations"),
        "BipolarQuant": Lowering(quant.lower_bipolar_quant, (Lut,), "bipolar1 (QONNX)", "one scale for activations"),
        "Trunc": Lowering(quant.lower_trunc, (Lut,), _FORMATS, "versions 1 and 2"),
        "Conv": Lowering(operators.lower_conv, _CONVOLUTIONS, _FORMATS, "2-D; bias float or quantized"),
        **dict.fromkeys(("MatMul", "Gemm"), Lowering(operators.lower_product, (Dense,), _FORMATS, "constant weights")),
        "AveragePool": Lowering(operators.lower_average_pool, (AveragePool2D,), _FORMATS, "2-D; an exact sum"),
        "GlobalAveragePool": Lowering(operators.lower_global_average_pool, (Mean,), _FORMATS, "2-D; an exact sum"),
        **dict.fromkeys(
            ("ReduceMean", "ReduceSum"),
            Lowering(operators.lower_reduce_mean, (Mean, Reshape), _FORMATS, "constant axes; an exact sum"),
        ),
        **dict.fromkeys(
            ("Add", "Sub", "Mul", "Div"), Lowering(chain.lower_arithmetic, (BinaryLut, Lut), _FORMATS, _CHAIN)
        ),
        "BatchNormalization": Lowering(chain.lower_batch_normalization, (BinaryLut, Lut), _FORMATS, _CHAIN),
        **dict.fromkeys(("Relu", "Clip"), Lowering(chain.lower_rectifier, (Lut,), _FORMATS, _CHAIN)),
        **dict.fromkeys(
            ("Sigmoid", "Tanh", "HardSwish", "LeakyRelu", "HardSigmoid", *UNARY, "Celu", "Elu", "Gelu", "Selu"),
            Lowering(chain.lower_function, (Lut,), _FORMATS, _CHAIN),
        ),
        "Concat": Lowering(operators.lower_concat, (Concat,), _FORMATS, "operands of one quantization"),
    }
)
"""Operator name -> its lowering in the QONNX dialect."""
