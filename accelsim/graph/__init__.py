"""What is computed: quantized layers over integer tensors, and nothing about any machine.

All values below this floor are integers. Every real scale of the source model has become a :class:`~accelsim.numerics.Requant`
record (or another integer constant) in the importer; ``Tensor.scale`` is a label for people and for the host.
"""

from accelsim.graph.boxes import Boxes, full_box
from accelsim.graph.geometry import MacGeometry
from accelsim.graph.graph import Graph, HostPort
from accelsim.graph.layer import Layer, VectorLayer
from accelsim.graph.mac_layers import Conv2D, Dense, DepthwiseConv2D, MacLayer, MatMul, TransposeConv2D
from accelsim.graph.tensor import Tensor
from accelsim.graph.vector_layers import (
    Add,
    AveragePool2D,
    BinaryLut,
    Concat,
    FloatAveragePool2D,
    InterpolatedLut,
    LeakyRelu,
    Lut,
    MaxPool2D,
    Mean,
    Mul,
    OperandScale,
    Pad,
    Rescale,
    Reshape,
    Softmax,
    StridedSlice,
    Sub,
    Transpose,
)

__all__ = [
    "Add",
    "AveragePool2D",
    "BinaryLut",
    "Boxes",
    "Concat",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "FloatAveragePool2D",
    "Graph",
    "HostPort",
    "InterpolatedLut",
    "Layer",
    "LeakyRelu",
    "Lut",
    "MacGeometry",
    "MacLayer",
    "MatMul",
    "MaxPool2D",
    "Mean",
    "Mul",
    "OperandScale",
    "Pad",
    "Rescale",
    "Reshape",
    "Softmax",
    "StridedSlice",
    "Sub",
    "Tensor",
    "Transpose",
    "TransposeConv2D",
    "VectorLayer",
    "full_box",
]
