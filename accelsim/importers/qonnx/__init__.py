"""QONNX: networks of narrow integers as Brevitas exports them."""
