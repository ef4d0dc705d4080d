"""What each operator of a float .tflite file is in ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx import CHANNELS_FIRST, CHANNELS_LAST
from accelsim.importers.onnx.file import Attribute
from accelsim.importers.tflite import window
from accelsim.importers.tflite.file import RELU, RELU6, RELU_N1_TO_1, TfliteTensor
from accelsim.ptq.network import tflite_moves as moves
from accelsim.ptq.network.tflite_network import IMAGE_RANK, Call, Step

Pair = tuple[int, int]
ROWS_AND_COLUMNS = {1, 2}


def conv_2d(call: Call) -> None:
    """Weights (oc, kh, kw, ic/groups)."""
    weights = call.values(1, "weights")
    call.need(weights.ndim == IMAGE_RANK, f"its weights have shape {list(weights.shape)}", "4 axes")
    _convolution(call, weights.transpose(CHANNELS_FIRST))


def depthwise_conv_2d(call: Call) -> None:
    """Weights (1, kh, kw, channels * multiplier)."""
    call.without_effect("depth_multiplier")  # the weights tell it
    weights = call.values(1, "weights")
    call.need(
        weights.ndim == IMAGE_RANK and len(weights) == 1, f"its weights have shape {list(weights.shape)}", "1 x kh x kw x c"
    )  # fmt: skip
    _convolution(call, weights.transpose(3, 0, 1, 2), groups=call.image().shape[3])


def _convolution(call: Call, kernels: NDArray[Any], *, groups: int | None = None) -> None:
    """``kernels`` (oc, ic/groups, kh, kw)."""
    image = call.image()
    channels, units, depth = image.shape[3], *kernels.shape[:2]
    groups = channels // depth if groups is None and depth else groups or 0
    call.need(
        groups > 0 and depth * groups == channels and units % groups == 0,
        f"its weights, {units} x {depth}, do not fit {channels} channels",
        "groups of channels",
    )
    attributes = _window(call, (kernels.shape[2], kernels.shape[3]))
    attributes |= {"group": groups, "dilations": (call.option("dilation_h"), call.option("dilation_w"))}
    inputs = (call.read(image, first=True), call.parameter(1, kernels), *_bias(call))
    call.write(Step("Conv", inputs, attributes), *call.rectifier(), first=True)


def transpose_conv(call: Call) -> None:
    """The output's shape, weights (oc, kh, kw, ic), the image; what SAME cuts off odd is cut off at the end."""
    weights, source = call.values(1, "weights"), call.input(2)
    call.optional(0)  # the shape, which the output has too
    call.need(len(source.shape) == IMAGE_RANK == weights.ndim, f"its input has shape {list(source.shape)}", "4 axes")
    call.option("padding")  # the sizes tell it
    strides, kernel = (call.option("stride_h"), call.option("stride_w")), weights.shape[1:3]
    sizes = zip(source.shape[1:3], call.output.shape[1:3], strides, kernel, strict=True)
    spare = [stride * (size - 1) + taps - out for size, out, stride, taps in sizes]
    call.need(
        all(-stride < rest for rest, stride in zip(spare, strides, strict=True)), "its output is larger than its input reaches",
        "SAME or VALID padding",
    )  # fmt: skip
    before = [max(rest, 0) // 2 for rest in spare]
    after = [max(rest, 0) - front for rest, front in zip(spare, before, strict=True)]
    attributes = {
        "strides": strides, "pads": (*before, *after), "output_padding": tuple(max(-rest, 0) for rest in spare),
        "kernel_shape": tuple(kernel),
    }  # fmt: skip
    bias = () if call.optional(3) is None else (call.parameter(3, call.values(3, "biases").reshape(-1)),)
    inputs = (call.read(source, first=True), call.parameter(1, weights.transpose(3, 0, 1, 2)), *bias)
    call.write(Step("ConvTranspose", inputs, attributes), *call.rectifier(), first=True)


def batch_matmul(call: Call) -> None:
    """Products of two activations, or of one and a constant, either turned."""
    call.without_effect("asymmetric_quantize_inputs")  # of weights that are quantized while it runs
    names = []
    for position, turned in ((0, call.option("adj_x")), (1, call.option("adj_y"))):
        tensor = call.input(position)
        rank = len(tensor.shape)
        permutation = (*range(rank - 2), rank - 1, rank - 2)
        if tensor.is_constant:
            values = call.values(position, "numbers")
            names.append(call.parameter(position, values.transpose(permutation) if turned else values))
        else:
            name = call.read(tensor)
            names.append(call.to.turned(name, call.record, permutation) if turned else name)
    call.write(Step("MatMul", tuple(names)))


def gelu(call: Call) -> None:
    """Exact, or by tanh."""
    _elementwise(call, Step("Gelu", (), {"approximate": "tanh" if call.option("approximate") else "none"}))


def prelu(call: Call) -> None:
    """A slope for each channel, or more."""
    source = call.input(0)
    first = call.to.is_first(source)
    slope = _constant(call, 1, len(source.shape), first, negative=False)
    call.write(Step("PRelu", (call.read(source, first=first), slope)), first=first)


def rsqrt(call: Call) -> None:
    """One by the root."""
    source = call.input(0)
    first = call.to.is_first(source)
    call.write(Step("Sqrt", (call.read(source, first=first),)), Step("Reciprocal"), first=first)


def squared_difference(call: Call) -> None:
    """The difference to the power of 2."""
    operands = [call.input(0), call.input(1)]
    first = any(call.to.is_first(tensor) for tensor in operands)
    rank = len(call.output.shape)
    names = _operands(call, operands, rank, first)
    call.write(
        Step("Sub", names), Step("Pow", (call.to.constant(f"{call.output.name}/two", np.float32(2)),)), first=first
    )


def _bias(call: Call) -> tuple[str, ...]:
    return () if call.optional(2) is None else (call.parameter(2, call.values(2, "biases").reshape(-1)),)


def _window(call: Call, kernel: Pair) -> dict[str, Attribute]:
    """Kernel, strides and pads: TFLite's SAME puts the odd row and column at the end."""
    _, *image, _ = call.image().shape
    rows, columns = window(call, (image[0], image[1]), kernel)
    pads = rows.before, columns.before, rows.after(image[0], kernel[0]), columns.after(image[1], kernel[1])
    return {"kernel_shape": kernel, "strides": (rows.stride, columns.stride), "pads": pads}


def fully_connected(call: Call) -> None:
    """Weights (units, k) over rows of k numbers."""
    source, weights = call.input(0), call.values(1, "weights")
    call.without_effect("asymmetric_quantize_inputs", "keep_num_dims")  # of hybrid kernels; the output's shape tells
    call.need(call.option("weights_format") == 0, "its weights are shuffled", "weights_format DEFAULT (0)")
    call.need(weights.ndim == 2 and weights.size > 0, f"its weights have shape {list(weights.shape)}", "a matrix")
    units, k = weights.shape
    rows = math.prod(source.shape) // k
    call.need(rows * k == math.prod(source.shape), f"its input has shape {list(source.shape)}", f"rows of {k}")
    steps = [] if source.shape == (rows, k) else [call.reshape((rows, k))]
    parameters = (call.parameter(1, weights), *_bias(call))
    steps += [Step("Gemm", parameters, {"transB": 1}), *call.rectifier()]
    if call.output.shape != (rows, units):
        steps.append(call.reshape(call.output.shape))
    call.write(Step(steps[0].op, (_plain(call, source), *steps[0].inputs), steps[0].attributes), *steps[1:])


def _plain(call: Call, tensor: TfliteTensor) -> str:
    """The tensor in TFLite's order of elements: of one pixel, or one channel, either order of axes is."""
    return call.read(tensor, first=call.to.is_first(tensor) and 1 in (math.prod(tensor.shape[1:3]), tensor.shape[3]))


def reshape(call: Call) -> None:
    """The sizes of the output: also SQUEEZE and EXPAND_DIMS."""
    call.without_effect("new_shape", "squeeze_dims")
    call.optional(1)
    step = call.reshape(call.output.shape)
    call.write(Step("Reshape", (_plain(call, call.input(0)), *step.inputs)))


def binary(call: Call, op: str) -> None:
    """Two activations of as many axes, or one and a constant; ``x - c`` is ``x + -c``."""
    operands = [call.input(0), call.input(1)]
    rank = len(call.output.shape)
    call.need(
        all(len(t.shape) == rank or (t.is_constant and len(t.shape) < rank) for t in operands),
        f"its operands have {len(operands[0].shape)} and {len(operands[1].shape)} axes",
        "activations of as many axes as the result",
    )
    first = any(call.to.is_first(tensor) for tensor in operands)
    names = _operands(call, operands, rank, first, negative=op == "Sub")
    rectifier = call.rectifier() if "fused_activation" in call.record.options else ()
    call.write(Step("Add" if op == "Sub" and operands[1].is_constant else op, names), *rectifier, first=first)


def _operands(
    call: Call, operands: list[TfliteTensor], rank: int, first: bool, *, negative: bool = False
) -> tuple[str, ...]:
    """Both names; with ``negative`` a constant on the right is what is added."""
    return tuple(
        _constant(call, i, rank, first, negative=negative and i == 1) if tensor.is_constant else call.read(tensor, first=first)
        for i, tensor in enumerate(operands)
    )  # fmt: skip


def _constant(call: Call, position: int, rank: int, first: bool, *, negative: bool) -> str:
    values = call.values(position, "numbers")
    values = values.reshape((1,) * (rank - values.ndim) + values.shape)
    turned = values.transpose(CHANNELS_FIRST) if first else values
    return call.parameter(position, -turned if negative else turned)


def pool(call: Call, op: str) -> None:
    """Means leave the padding out, as TFLite's do."""
    attributes = _window(call, (call.option("filter_h"), call.option("filter_w")))
    if op == "AveragePool":
        attributes["count_include_pad"] = 0
    call.write(Step(op, (call.read(call.image(), first=True),), attributes), *call.rectifier(), first=True)


def mean(call: Call) -> None:
    """Over rows and columns a pool."""
    source, axes = call.input(0), {int(axis) % IMAGE_RANK for axis in call.values(1, "axes").reshape(-1)}
    if len(source.shape) != IMAGE_RANK or axes != ROWS_AND_COLUMNS:
        moves.reduce(call, "ReduceMean")
        return
    call.option("keep_dims")  # the output's shape tells it
    pooled = Step("GlobalAveragePool", (call.read(source, first=True),))
    if len(call.output.shape) == IMAGE_RANK:
        call.write(pooled, first=True)
    else:
        call.write(pooled, call.reshape(call.output.shape))


def unary(call: Call, op: str) -> None:
    """A function of one number, in either order of axes."""
    _elementwise(call, Step(op))


def rectify(call: Call, kind: int) -> None:
    """A rectifier of its own."""
    _elementwise(call, *call.rectifier(kind))


def leaky_relu(call: Call) -> None:
    """With its slope."""
    _elementwise(call, Step("LeakyRelu", (), {"alpha": call.real_option("alpha")}))


def _elementwise(call: Call, step: Step) -> None:
    source = call.input(0)
    first = call.to.is_first(source)
    call.write(Step(step.op, (call.read(source, first=first), *step.inputs), step.attributes), first=first)


def softmax(call: Call) -> None:
    """Over the last axis, of TFLite's order."""
    source, beta = call.input(0), call.real_option("beta")
    call.need(beta == 1, f"its beta is {beta:g}", "beta 1")
    first = call.to.is_first(source)
    axis = 1 if first else len(source.shape) - 1
    call.write(Step("Softmax", (call.read(source, first=first),), {"axis": axis}), first=first)


def concatenation(call: Call) -> None:
    """Along the axis of the file, which moves where channels come first."""
    parts = [call.input(i) for i in range(len(call.record.inputs))]
    rank, axis = len(call.output.shape), call.option("axis")
    call.need(-rank <= axis < rank, f"its axis is {axis} for {rank} axes", "an axis of its output")
    call.need(not call.rectifier(), "it has a fused activation", "none, as in LiteRT")
    first = any(call.to.is_first(part) for part in parts)
    at = CHANNELS_LAST[axis % rank] if first else axis % rank
    names = tuple(call.read(part, first=first) for part in parts)
    call.write(Step("Concat", names, {"axis": at}), first=first)


def pad(call: Call) -> None:
    """Zeros around."""
    source, pads = call.input(0), call.values(1, "paddings")
    rank = len(source.shape)
    call.need(pads.shape == (rank, 2), f"its paddings have shape {list(pads.shape)}", f"{rank} x 2")
    fill = 0.0 if call.optional(2) is None else float(call.values(2, "fill value").reshape(-1)[0])
    call.need(fill == 0, f"its fill value is {fill:g}", "0")
    first = call.to.is_first(source)
    ordered = pads[list(CHANNELS_FIRST)] if first else pads
    amounts = call.to.constant(f"{call.output.name}/pads", ordered.T.reshape(-1).astype(np.int64))
    call.write(Step("Pad", (call.read(source, first=first), amounts)), first=first)


def transpose(call: Call) -> None:
    """A constant permutation, of whichever order of axes is held."""
    source, permutation = call.input(0), tuple(int(axis) for axis in call.values(1, "permutation").reshape(-1))
    rank = len(source.shape)
    call.need(sorted(permutation) == list(range(rank)), f"its permutation is {permutation}", "each axis once")
    first = call.to.is_first(source)
    turned = tuple(CHANNELS_LAST[axis] for axis in permutation) if first else permutation
    call.write(Step("Transpose", (call.read(source, first=first),), {"perm": turned}))


TRANSLATIONS: Mapping[str, Callable[[Call], None]] = MappingProxyType(
    {
        "CONV_2D": conv_2d,
        "DEPTHWISE_CONV_2D": depthwise_conv_2d,
        "FULLY_CONNECTED": fully_connected,
        "TRANSPOSE_CONV": transpose_conv,
        "BATCH_MATMUL": batch_matmul,
        "ADD": partial(binary, op="Add"),
        "SUB": partial(binary, op="Sub"),
        "MUL": partial(binary, op="Mul"),
        "DIV": partial(binary, op="Div"),
        "MINIMUM": partial(binary, op="Min"),
        "MAXIMUM": partial(binary, op="Max"),
        "SQUARED_DIFFERENCE": squared_difference,
        "PRELU": prelu,
        "GELU": gelu,
        "AVERAGE_POOL_2D": partial(pool, op="AveragePool"),
        "MAX_POOL_2D": partial(pool, op="MaxPool"),
        "MEAN": mean,
        "SUM": partial(moves.reduce, op="ReduceSum"),
        "REDUCE_MAX": partial(moves.reduce, op="ReduceMax"),
        "REDUCE_MIN": partial(moves.reduce, op="ReduceMin"),
        "SPLIT": moves.split,
        "SPLIT_V": moves.split_v,
        "SLICE": moves.cut,
        "STRIDED_SLICE": moves.strided,
        "GATHER": moves.gather,
        "TILE": moves.tile,
        "RESIZE_NEAREST_NEIGHBOR": moves.resize_nearest,
        "DEPTH_TO_SPACE": partial(moves.blocks, op="DepthToSpace"),
        "SPACE_TO_DEPTH": partial(moves.blocks, op="SpaceToDepth"),
        "CONCATENATION": concatenation,
        "PAD": pad,
        "PADV2": pad,
        "RESHAPE": reshape,
        "SQUEEZE": reshape,
        "EXPAND_DIMS": reshape,
        "TRANSPOSE": transpose,
        "SOFTMAX": softmax,
        "LOGISTIC": partial(unary, op="Sigmoid"),
        "TANH": partial(unary, op="Tanh"),
        "HARD_SWISH": partial(unary, op="HardSwish"),
        "ELU": partial(unary, op="Elu"),
        "ABS": partial(unary, op="Abs"),
        "EXP": partial(unary, op="Exp"),
        "NEG": partial(unary, op="Neg"),
        "SQRT": partial(unary, op="Sqrt"),
        "RSQRT": rsqrt,
        "LEAKY_RELU": leaky_relu,
        "RELU": partial(rectify, kind=RELU),
        "RELU6": partial(rectify, kind=RELU6),
        "RELU_N1_TO_1": partial(rectify, kind=RELU_N1_TO_1),
    }
)
"""Operator name as TFLite spells it -> what adds it to a Translation."""
