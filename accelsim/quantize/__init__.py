"""A float network and calibration data become a quantized ONNX file that ONNX Runtime or qonnx executes, and accelsim reads."""

from __future__ import annotations

from accelsim.quantize.evaluate import EVALUATORS, evaluate, evaluate_model
from accelsim.quantize.float_network import read_float
from accelsim.quantize.quantization import Quantized, accuracies, quantize_network
from accelsim.quantize.settings import RANGES, Settings, parse_layers

__all__ = [
    "EVALUATORS",
    "RANGES",
    "Quantized",
    "Settings",
    "accuracies",
    "evaluate",
    "evaluate_model",
    "parse_layers",
    "quantize_network",
    "read_float",
]
