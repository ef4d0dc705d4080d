"""Which ONNX operators are accepted, what each becomes, and in which form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from accelsim.graph import (
    Add,
    BinaryLut,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    FloatAveragePool2D,
    FloatTableSoftmax,
    LayerNorm,
    Lut,
    MatMul,
    MaxPool2D,
    Mean,
    Mul,
    Pad,
    ReduceMax,
    ReduceMin,
    Reshape,
    ResizeNearest,
    StridedSlice,
    Transpose,
    TransposeConv2D,
)
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.functions import UNARY
from accelsim.importers.onnx.lower.binary import lower_float_binary
from accelsim.importers.onnx.lower.boundary import lower_dequantize_linear, lower_identity, lower_quantize_linear
from accelsim.importers.onnx.lower.chain import lower_arithmetic, lower_rectifier
from accelsim.importers.onnx.lower.elementwise import (
    lower_add,
    lower_clip,
    lower_mul,
    lower_qlinear_add,
    lower_qlinear_mul,
    lower_qlinear_unary,
    lower_relu,
    lower_unary,
)
from accelsim.importers.onnx.lower.integer import (
    behind_sums,
    lower_cast,
    lower_conv_integer,
    lower_matmul_integer,
    quantize_sums,
)
from accelsim.importers.onnx.lower.mac import (
    lower_conv,
    lower_gemm,
    lower_qgemm,
    lower_qlinear_conv,
)
from accelsim.importers.onnx.lower.matmul import lower_matmul, lower_qlinear_matmul
from accelsim.importers.onnx.lower.norm import lower_layer_normalization
from accelsim.importers.onnx.lower.reduce import lower_reduce_extreme, lower_reduce_mean
from accelsim.importers.onnx.lower.resize import lower_resize
from accelsim.importers.onnx.lower.shape import (
    lower_concat,
    lower_dropout,
    lower_flatten,
    lower_pad,
    lower_qlinear_concat,
    lower_reshape,
    lower_slice,
    lower_split,
    lower_squeeze,
    lower_transpose,
    lower_unsqueeze,
)
from accelsim.importers.onnx.lower.softmax import lower_qlinear_softmax, lower_softmax
from accelsim.importers.onnx.lower.transpose_conv import lower_conv_transpose
from accelsim.importers.onnx.lower.window import (
    lower_average_pool,
    lower_global_average_pool,
    lower_global_max_pool,
    lower_max_pool,
    lower_qlinear_average_pool,
    lower_qlinear_global_average_pool,
)
from accelsim.importers.registry import Lowering

INTEGER = "int8, uint8 to int32"
QOPERATOR, QDQ, CODES = "int8, uint8 (QOperator)", "2, 4, 8, 16 bits (QDQ)", "2, 4, 8, 16 bits (codes or QDQ)"


Lowerings = Mapping[str, Lowering[Callable[[NodeContext], None]]]

_CONV_NOTES = "2-D; weights per tensor or per output channel; auto_pad, dilations, groups"
_TRANSPOSED_NOTES = (
    "2-D, without dilation; auto_pad, output_padding, output_shape, groups; an integer sum, where ONNX Runtime has a float one: "
    "exact for power-of-two scales, approximate for others"
)
_DENSE_NOTES = "constant weights"
_PRODUCT_NOTES = "a constant right operand, or two activations with equal leading axes or one right matrix"
_SUM_NOTES = "operands of equal rank where one has 4 axes; or one of them constant"
_TABLE = "a table of all codes"
_FLOAT_SUM = "two operands of at most 8 bits, or one with a constant of at most 256 distinct numbers"
_FLOAT_BINARY = Lowering(lower_float_binary, (BinaryLut, Lut), QDQ, _FLOAT_SUM)
_FLOAT_LINE = Lowering(behind_sums(lower_float_binary, lower_arithmetic), (BinaryLut, Lut), QDQ, _FLOAT_SUM)
_UNARY = Lowering(lower_unary, (Lut,), QDQ, _TABLE)
_ROWS = "with the arithmetic onnxruntime; any axis"
_SUMS_NOTES = "constant weights; int32 codes, or folded into the layer: Cast, then Mul, Add ... with constants, then QuantizeLinear"
_MEAN_NOTES = "constant axes; an integer sum, where ONNX Runtime has a float one: approximate"

LOWERINGS: Lowerings = MappingProxyType(
    {
        "QLinearConv": Lowering(lower_qlinear_conv, (Conv2D, DepthwiseConv2D), QOPERATOR, _CONV_NOTES),
        "QLinearMatMul": Lowering(lower_qlinear_matmul, (Dense, MatMul, Transpose), QOPERATOR, _PRODUCT_NOTES),
        "ConvInteger": Lowering(lower_conv_integer, (Conv2D, DepthwiseConv2D), INTEGER, f"{_SUMS_NOTES}; 2-D"),
        "MatMulInteger": Lowering(lower_matmul_integer, (Dense, Transpose), INTEGER, _SUMS_NOTES),
        "Cast": Lowering(lower_cast, (), "int32 to float", "of the sums of ConvInteger and MatMulInteger"),
        "QGemm": Lowering(lower_qgemm, (Dense,), QOPERATOR, _DENSE_NOTES),
        "QLinearAdd": Lowering(lower_qlinear_add, (BinaryLut, Lut, Add), QOPERATOR, _SUM_NOTES),
        "QLinearMul": Lowering(lower_qlinear_mul, (BinaryLut, Lut, Mul), QOPERATOR, _SUM_NOTES),
        "QLinearAveragePool": Lowering(
            lower_qlinear_average_pool, (FloatAveragePool2D,), QOPERATOR, "2-D; with the arithmetic onnxruntime"
        ),
        "QLinearGlobalAveragePool": Lowering(lower_qlinear_global_average_pool, (Mean,), QOPERATOR, "2-D"),
        "QLinearConcat": Lowering(lower_qlinear_concat, (Concat, Lut), QOPERATOR),
        "QLinearSigmoid": Lowering(lower_qlinear_unary, (Lut,), QOPERATOR, _TABLE),
        "QLinearLeakyRelu": Lowering(lower_qlinear_unary, (Lut,), QOPERATOR, _TABLE),
        "QLinearSoftmax": Lowering(lower_qlinear_softmax, (FloatTableSoftmax, Transpose), QOPERATOR, _ROWS),
        "Conv": Lowering(lower_conv, (Conv2D, DepthwiseConv2D), QDQ, _CONV_NOTES),
        "ConvTranspose": Lowering(lower_conv_transpose, (TransposeConv2D,), QDQ, _TRANSPOSED_NOTES),
        "Gemm": Lowering(lower_gemm, (Dense,), QDQ, _DENSE_NOTES),
        "MatMul": Lowering(lower_matmul, (Dense, MatMul, Transpose), QDQ, _PRODUCT_NOTES),
        "Add": Lowering(behind_sums(lower_add, lower_arithmetic), (BinaryLut, Lut, Add), QDQ, _SUM_NOTES),
        "Mul": Lowering(behind_sums(lower_mul, lower_arithmetic), (BinaryLut, Lut, Mul), QDQ, _SUM_NOTES),
        "AveragePool": Lowering(lower_average_pool, (FloatAveragePool2D,), QDQ, "2-D; with the arithmetic onnxruntime"),
        "GlobalAveragePool": Lowering(lower_global_average_pool, (Mean,), QDQ, "2-D"),
        "Relu": Lowering(
            behind_sums(lower_relu, lower_rectifier), (Lut,), CODES, "fused into the layer before it, or a table"
        ),
        "Clip": Lowering(
            behind_sums(lower_clip, lower_rectifier),
            (Lut,),
            CODES,
            "fused into the layer before it, or a table; constant bounds",
        ),
        "Sigmoid": Lowering(lower_unary, (Lut,), QDQ, _TABLE),
        "Tanh": Lowering(lower_unary, (Lut,), QDQ, _TABLE),
        "LeakyRelu": Lowering(lower_unary, (Lut,), QDQ, _TABLE),
        "HardSigmoid": Lowering(lower_unary, (Lut,), QDQ, _TABLE),
        "HardSwish": Lowering(lower_unary, (Lut,), QDQ, _TABLE),
        **dict.fromkeys((*UNARY, "Celu", "Elu", "Gelu", "Selu"), _UNARY),
        **dict.fromkeys(("Sub", "Div"), _FLOAT_LINE),
        **dict.fromkeys(("Min", "Max", "Pow", "PRelu"), _FLOAT_BINARY),
        "Softmax": Lowering(lower_softmax, (FloatTableSoftmax, Transpose), QDQ, _ROWS),
        "LayerNormalization": Lowering(
            lower_layer_normalization, (LayerNorm, Transpose), QDQ, "constant scale and bias; in integers: approximate"
        ),
        "ReduceMean": Lowering(lower_reduce_mean, (Mean, Reshape), QDQ, _MEAN_NOTES),
        "ReduceSum": Lowering(lower_reduce_mean, (Mean, Reshape), QDQ, _MEAN_NOTES),
        "ReduceMax": Lowering(lower_reduce_extreme, (ReduceMax, Reshape), CODES, "constant axes"),
        "ReduceMin": Lowering(lower_reduce_extreme, (ReduceMin, Reshape), CODES, "constant axes"),
        "GlobalMaxPool": Lowering(lower_global_max_pool, (MaxPool2D,), CODES, "2-D"),
        "Resize": Lowering(
            lower_resize, (ResizeNearest,), CODES, "nearest; rows and columns; constant scales or sizes"
        ),
        "Concat": Lowering(lower_concat, (Concat, Lut), CODES),
        "MaxPool": Lowering(lower_max_pool, (MaxPool2D,), CODES, "2-D, without dilation"),
        "Reshape": Lowering(lower_reshape, (Reshape, Transpose), CODES, "constant shape"),
        "Flatten": Lowering(lower_flatten, (Reshape, Transpose), CODES),
        "Squeeze": Lowering(lower_squeeze, (Reshape, Transpose), CODES),
        "Unsqueeze": Lowering(lower_unsqueeze, (Reshape, Transpose), CODES),
        "Transpose": Lowering(lower_transpose, (Transpose,), CODES),
        "Pad": Lowering(lower_pad, (Pad,), CODES, "constant mode"),
        "Slice": Lowering(lower_slice, (StridedSlice,), CODES, "constant bounds"),
        "Split": Lowering(lower_split, (StridedSlice,), CODES, "constant sizes"),
        "Dropout": Lowering(lower_dropout, (), CODES, "inference"),
        "QuantizeLinear": Lowering(
            behind_sums(lower_quantize_linear, quantize_sums),
            (Lut,),
            "float to 2, 4, 8, 16 bits",
            "at graph inputs on the host",
        ),
        "DequantizeLinear": Lowering(
            lower_dequantize_linear,
            (),
            "2, 4, 8, 16 bits to float",
            "at graph outputs on the host; constants in blocks whose scales differ by powers of two",
        ),
        "Identity": Lowering(lower_identity, (), CODES),
    }
)
"""Operator name as ONNX spells it -> its lowering."""

REFUSED: Mapping[str, tuple[str, str]] = MappingProxyType(
    dict.fromkeys(
        ("DynamicQuantizeLinear", "DynamicQuantizeMatMul"),
        (
            "its scale and zero point depend on the data of each inference, which fixed hardware does not compute",
            "QuantizeLinear with constant scales: onnxruntime.quantization.quantize_static in place of quantize_dynamic",
        ),
    )
)
"""Operator name -> reason and remedy, where those of any unknown operator would mislead."""
