"""What is known when a model is read: biases, weights in blocks."""

from accelsim.importers.onnx.constants.blocked import dequantize_blocks
from accelsim.importers.onnx.constants.float_bias import rounded_bias
from accelsim.importers.onnx.constants.fold import fold, is_known
from accelsim.importers.onnx.constants.network import without_known
