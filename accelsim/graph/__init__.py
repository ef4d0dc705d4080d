"""What is computed: quantized layers over integer tensors, and nothing about any machine.

All values below this floor are integers. Every real scale of the source model has become a :class:`~accelsim.numerics.Requant`
record (or another integer constant) in the importer; ``Tensor.scale`` is a label for people and for the host.
"""

from accelsim.graph.boxes import Boxes
from accelsim.graph.elementwise_layers import (
    Add,
    BinaryLut,
    FloatBinary,
    InterpolatedLut,
    LeakyRelu,
    Lut,
    Mul,
    OperandScale,
    RealScale,
    Rescale,
    Sub,
)
from accelsim.graph.geometry import Axis, MacGeometry, same_window, window_extent, window_place
from accelsim.graph.graph import Graph, HostPort, Outcome, SourceOperator
from accelsim.graph.layer import Layer, RealFunction, VectorLayer
from accelsim.graph.mac_layers import Conv2D, Dense, DepthwiseConv2D, MacLayer, MatMul, TransposeConv2D
from accelsim.graph.moving_layers import Concat, Pad, Reshape, ResizeNearest, StridedSlice, Transpose, shared_memory
from accelsim.graph.passes import PIXEL, Follower, PassKind
from accelsim.graph.row_layers import FloatLayerNorm, FloatTableSoftmax, LayerNorm, Softmax
from accelsim.graph.tensor import Tensor, Variable
from accelsim.graph.window_layers import (
    ArgMax,
    ArgMin,
    ArgReduction,
    AveragePool2D,
    MaxPool2D,
    Mean,
    ReduceMax,
    ReduceMin,
    Reduction,
    ResizeBilinear,
    Taps,
)
