"""Float networks as records: read from .onnx or .tflite, written back as a ModelProto."""

from accelsim.ptq.network.operators import PRODUCTS
