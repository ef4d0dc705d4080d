"""Float networks as records: read from .onnx or .tflite, written back as a ModelProto."""
