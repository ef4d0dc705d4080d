"""What an .onnx file says, as plain records."""

from accelsim.importers.onnx.file.reader import read_onnx
from accelsim.importers.onnx.file.records import (
    QONNX_DOMAIN,
    QONNX_OPERATORS,
    Attribute,
    OnnxInput,
    OnnxModel,
    OnnxNode,
)
from accelsim.importers.onnx.file.shapes import Told, told_shapes
from accelsim.importers.onnx.file.tensors import ONNX, broken_rule
