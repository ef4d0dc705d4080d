"""Lowering functions: one ONNX operator each, or a family of them, to layers."""
