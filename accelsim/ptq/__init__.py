"""A float network and calibration data become a quantized ONNX file that ONNX Runtime or qonnx executes, and accelsim reads."""

from accelsim.ptq.doubts import labels_doubt
from accelsim.ptq.evaluate import EVALUATORS, evaluate, evaluate_model, fastest_evaluator
from accelsim.ptq.network.float_network import read_float
from accelsim.ptq.parameters import WeightQuant
from accelsim.ptq.plan import Place
from accelsim.ptq.probe import Probe, QuantizerId
from accelsim.ptq.quantization import (
    Calibrated,
    Quantized,
    accuracies,
    calibrate_network,
    check_dialect,
    dialect_for,
    quantize_network,
)
from accelsim.ptq.settings import RANGES, Settings, Widths, parse_layers
