"""Which ONNX operators are accepted, what each becomes, and in which form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from accelsim.graph import (
    Add,
    ArgMax,
    ArgMin,
    AveragePool2D,
    BinaryLut,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    FloatLayerNorm,
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
    ResizeBilinear,
    ResizeNearest,
    StridedSlice,
    Transpose,
    TransposeConv2D,
)
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.functions import UNARY
from accelsim.importers.onnx.lower import (
    binary,
    boundary,
    chain,
    elementwise,
    integer,
    mac,
    matmul,
    norm,
    reduce,
    resize,
    shape,
    softmax,
    sums,
    transpose_conv,
    window,
)
from accelsim.importers.registry import Lowering

INTEGER = "int8, uint8 to int32"
QOPERATOR, QDQ, CODES = "int8, uint8 (QOperator)", "2, 4, 8, 16 bits (QDQ)", "2, 4, 8, 16 bits (codes or QDQ)"


Lowerings = Mapping[str, Lowering[Callable[[NodeContext], None]]]

_CONV_NOTES = "1-D, 2-D; weights per tensor or per output channel; auto_pad, dilations, groups"
_TRANSPOSED_NOTES = (
    "1-D, 2-D, without dilation; auto_pad, output_padding, output_shape, groups; an integer sum, where ONNX Runtime has a float one: "
    "exact for power-of-two scales, approximate for others"
)
_DENSE_NOTES = "constant weights"
_PRODUCT_NOTES = "of activations and constants on either side; leading axes broadcast"
_SUM_NOTES = "operands of equal rank where one has 4 axes; or one of them constant"
_TABLE = "a table of all codes"
_FLOAT_SUM = (
    "two operands (Pow: of at most 8 bits), or one with a constant that is quantized or of at most 256 distinct numbers"
)
_FLOAT_BINARY = Lowering(binary.lower_float_binary, (BinaryLut, Lut), QDQ, _FLOAT_SUM)
_FLOAT_LINE = Lowering(
    integer.behind_sums(binary.lower_float_binary, chain.lower_arithmetic),
    (BinaryLut, Lut),
    QDQ,
    _FLOAT_SUM,
)
_UNARY = Lowering(integer.behind_sums(elementwise.lower_unary, chain.lower_function), (Lut,), QDQ, _TABLE)
_SUM_LAYERS = (BinaryLut, Lut, Add)
_MUL_LAYERS = (BinaryLut, Lut, Mul)
_AVERAGE_NOTES = "1-D, 2-D; in float32 as ONNX Runtime, with other arithmetics an integer sum"
_PICKED = (ResizeNearest, Concat, Reshape)
_ROWS = "with the arithmetic onnxruntime; any axis"
_SUMS_NOTES = "constant weights; int32 codes, or folded into the layer: Cast, then Mul, Add ... with constants, then QuantizeLinear"
_NORM_NOTES = "behind the sums of Conv, Gemm or MatMul, into which it is folded with what stands between: approximate; or behind codes"
_MEAN_NOTES = "constant axes; an integer sum, where ONNX Runtime has a float one: approximate"
INDICES = MappingProxyType({"ArgMax": ArgMax, "ArgMin": ArgMin})
"""Operators whose result is an index -> their layers."""

LOWERINGS: Lowerings = MappingProxyType(
    {
        "QLinearConv": Lowering(mac.lower_qlinear_conv, (Conv2D, DepthwiseConv2D), QOPERATOR, _CONV_NOTES),
        "QLinearMatMul": Lowering(matmul.lower_qlinear_matmul, (Dense, MatMul, Transpose), QOPERATOR, _PRODUCT_NOTES),
        "ConvInteger": Lowering(
            integer.lower_conv_integer, (Conv2D, DepthwiseConv2D), INTEGER, f"{_SUMS_NOTES}; 1-D, 2-D"
        ),
        "MatMulInteger": Lowering(integer.lower_matmul_integer, (Dense, Transpose), INTEGER, _SUMS_NOTES),
        "Cast": Lowering(integer.lower_cast, (), "int32 to float", "of the sums of ConvInteger and MatMulInteger"),
        "QGemm": Lowering(mac.lower_qgemm, (Dense,), QOPERATOR, _DENSE_NOTES),
        "QLinearAdd": Lowering(elementwise.lower_qlinear_add, _SUM_LAYERS, QOPERATOR, _SUM_NOTES),
        "QLinearMul": Lowering(elementwise.lower_qlinear_mul, _MUL_LAYERS, QOPERATOR, _SUM_NOTES),
        "QLinearAveragePool": Lowering(
            window.lower_qlinear_average_pool, (AveragePool2D, Mean), QOPERATOR, _AVERAGE_NOTES
        ),
        "QLinearGlobalAveragePool": Lowering(window.lower_qlinear_global_average_pool, (Mean,), QOPERATOR, "1-D, 2-D"),
        "QLinearConcat": Lowering(shape.lower_qlinear_concat, (Concat, Lut), QOPERATOR),
        "QLinearSigmoid": Lowering(elementwise.lower_qlinear_unary, (Lut,), QOPERATOR, _TABLE),
        "QLinearLeakyRelu": Lowering(elementwise.lower_qlinear_unary, (Lut,), QOPERATOR, _TABLE),
        "QLinearSoftmax": Lowering(softmax.lower_qlinear_softmax, (FloatTableSoftmax, Transpose), QOPERATOR, _ROWS),
        "Conv": Lowering(sums.or_sums(mac.lower_conv), (Conv2D, DepthwiseConv2D), QDQ, _CONV_NOTES),
        "ConvTranspose": Lowering(transpose_conv.lower_conv_transpose, (TransposeConv2D,), QDQ, _TRANSPOSED_NOTES),
        "Gemm": Lowering(sums.or_sums(mac.lower_gemm), (Dense,), QDQ, _DENSE_NOTES),
        "MatMul": Lowering(sums.or_sums(matmul.lower_matmul), (Dense, MatMul, Transpose), QDQ, _PRODUCT_NOTES),
        "Add": Lowering(
            integer.behind_sums(elementwise.lower_add, chain.lower_arithmetic), _SUM_LAYERS, QDQ, _SUM_NOTES
        ),
        "Mul": Lowering(
            integer.behind_sums(elementwise.lower_mul, chain.lower_arithmetic), _MUL_LAYERS, QDQ, _SUM_NOTES
        ),
        "Sum": Lowering(binary.lower_sum, (BinaryLut, Lut), QDQ, _FLOAT_SUM),
        "BatchNormalization": Lowering(
            sums.lower_batch_normalization, (Conv2D, DepthwiseConv2D, Dense, BinaryLut, Lut), QDQ, _NORM_NOTES
        ),
        "AveragePool": Lowering(window.lower_average_pool, (AveragePool2D, Mean), QDQ, _AVERAGE_NOTES),
        "GlobalAveragePool": Lowering(window.lower_global_average_pool, (Mean,), QDQ, "1-D, 2-D"),
        "Relu": Lowering(
            integer.behind_sums(elementwise.lower_relu, chain.lower_rectifier),
            (Lut,),
            CODES,
            "fused into the layer before it, or a table",
        ),
        "Clip": Lowering(
            integer.behind_sums(elementwise.lower_clip, chain.lower_rectifier),
            (Lut,),
            CODES,
            "fused into the layer before it, or a table; constant bounds",
        ),
        **dict.fromkeys(
            ("Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "HardSwish", *UNARY, "Celu", "Elu", "Gelu", "Selu"), _UNARY
        ),
        **dict.fromkeys(("Sub", "Div"), _FLOAT_LINE),
        **dict.fromkeys(("Min", "Max", "Pow", "PRelu"), _FLOAT_BINARY),
        "Softmax": Lowering(softmax.lower_softmax, (FloatTableSoftmax, Transpose), QDQ, _ROWS),
        "LayerNormalization": Lowering(
            norm.lower_layer_normalization,
            (FloatLayerNorm, LayerNorm, Transpose),
            QDQ,
            "constant scale and bias; in float32 as ONNX Runtime, with other arithmetics in integers: approximate",
        ),
        "ReduceMean": Lowering(reduce.lower_reduce_mean, (Mean, Reshape), QDQ, _MEAN_NOTES),
        "ReduceSum": Lowering(reduce.lower_reduce_mean, (Mean, Reshape), QDQ, _MEAN_NOTES),
        "ReduceMax": Lowering(reduce.lower_reduce_extreme, (ReduceMax, Reshape), CODES, "constant axes"),
        "ReduceMin": Lowering(reduce.lower_reduce_extreme, (ReduceMin, Reshape), CODES, "constant axes"),
        **{
            name: Lowering(
                reduce.lower_arg_extreme, (kind, Reshape), CODES, "an int64 index; ties by select_last_index"
            )
            for name, kind in INDICES.items()
        },
        "GlobalMaxPool": Lowering(window.lower_global_max_pool, (MaxPool2D,), CODES, "1-D, 2-D"),
        "Resize": Lowering(
            resize.lower_resize,
            (ResizeNearest, ResizeBilinear),
            CODES,
            "nearest, or linear between DequantizeLinear and QuantizeLinear; rows and columns; constant scales or sizes",
        ),
        "Gather": Lowering(resize.lower_gather, _PICKED, CODES, "constant indices"),
        "Tile": Lowering(resize.lower_tile, _PICKED, CODES, "constant repeats"),
        "Expand": Lowering(resize.lower_expand, _PICKED, CODES, "constant shape of as many axes"),
        "DepthToSpace": Lowering(shape.lower_depth_to_space, (Transpose,), CODES, "both modes"),
        "SpaceToDepth": Lowering(shape.lower_space_to_depth, (Transpose,), CODES),
        "Concat": Lowering(shape.lower_concat, (Concat, Lut), CODES),
        "MaxPool": Lowering(window.lower_max_pool, (MaxPool2D,), CODES, "1-D, 2-D, without dilation"),
        "Reshape": Lowering(shape.lower_reshape, (Reshape, Transpose), CODES, "constant shape"),
        "Flatten": Lowering(shape.lower_flatten, (Reshape, Transpose), CODES),
        "Squeeze": Lowering(shape.lower_squeeze, (Reshape, Transpose), CODES),
        "Unsqueeze": Lowering(shape.lower_unsqueeze, (Reshape, Transpose), CODES),
        "Transpose": Lowering(shape.lower_transpose, (Transpose,), CODES),
        "Pad": Lowering(shape.lower_pad, (Pad,), CODES, "constant mode"),
        "Slice": Lowering(shape.lower_slice, (StridedSlice,), CODES, "constant bounds"),
        "Split": Lowering(shape.lower_split, (StridedSlice,), CODES, "constant sizes"),
        "Dropout": Lowering(shape.lower_dropout, (), CODES, "inference"),
        "QuantizeLinear": Lowering(
            integer.behind_sums(boundary.lower_quantize_linear, integer.quantize_sums),
            (Lut,),
            "float to 2, 4, 8, 16 bits",
            "at graph inputs on the host",
        ),
        "DequantizeLinear": Lowering(
            boundary.lower_dequantize_linear,
            (),
            "2, 4, 8, 16 bits to float",
            "at graph outputs on the host; constants in blocks whose scales differ by powers of two",
        ),
        "Identity": Lowering(boundary.lower_identity, (), CODES),
    }
)
"""Operator name as ONNX spells it -> its lowering."""

DYNAMIC = ("DynamicQuantizeLinear", "DynamicQuantizeMatMul")
"""Operators of which a file without others is a quantized one."""
REFUSED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            DYNAMIC,
            (
                "its scale and zero point depend on the data of each inference, which fixed hardware does not compute",
                "QuantizeLinear with constant scales: onnxruntime.quantization.quantize_static in place of quantize_dynamic",
            ),
        ),
        **dict.fromkeys(
            ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"),
            (
                "its steps are computed in floating point, and ONNX has no form of it with constant scales",
                "steps unrolled before the network is quantized (Gemm or MatMul, Add, Mul, Sigmoid, Tanh), or an LSTM in a .tflite file",
            ),
        ),
        "If": (
            "it chooses between two graphs, and what is simulated is one",
            (
                "a file without it: exported with fixed input sizes, or, where its condition follows from constants and shapes, written by ONNX "
                "Runtime at ORT_ENABLE_BASIC (SessionOptions.optimized_model_filepath), which leaves the branch that runs"
            ),
        ),
    }
)
"""Operator name -> reason and remedy, where those of any unknown operator would mislead."""
