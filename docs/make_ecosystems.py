"""Which operators occur in the quantized networks of an ecosystem, by its own code; written to ``docs/ecosystems.json``.

    python docs/make_ecosystems.py NAME      # beside what NAME needs: see the functions below, which name it

``keras`` needs Keras 3 on any backend, ``torchvision`` torch, torchvision and onnx, ``model_zoo`` onnx and onnxruntime, ``mlperf_tiny``
accelsim and the models of mlcommons/tiny in the folder that ACCELSIM_SHARED names. Nothing is downloaded, no weights are loaded.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent / "ecosystems.json"
NORMALIZED = ("MEAN", "SQUARED_DIFFERENCE", "ADD", "RSQRT", "MUL", "SUB")
LAYERS: dict[str, tuple[str, ...]] = {
    "Add": ("ADD",), "AveragePooling2D": ("AVERAGE_POOL_2D",), "BatchNormalization": ("MUL", "ADD"), "Concatenate": ("CONCATENATION",),
    "Conv2D": ("CONV_2D",), "Cropping2D": ("STRIDED_SLICE",), "CustomScaleLayer": ("MUL", "ADD"), "Dense": ("FULLY_CONNECTED",),
    "DepthwiseConv2D": ("DEPTHWISE_CONV_2D",), "Flatten": ("RESHAPE",), "GlobalAveragePooling2D": ("MEAN",),
    "LayerNormalization": NORMALIZED, "LayerScale": ("MUL",), "MaxPooling2D": ("MAX_POOL_2D",), "Multiply": ("MUL",),
    "Normalization": ("SUB", "MUL"), "ReLU": ("RELU", "RELU6"), "Rescaling": ("MUL", "ADD"), "Reshape": ("RESHAPE",),
    "SeparableConv2D": ("DEPTHWISE_CONV_2D", "CONV_2D"), "ZeroPadding2D": ("PAD",),
    "Activation": (), "Dropout": (), "InputLayer": (), "Sequential": (),
}  # fmt: skip
"""What LiteRT's converter makes of a layer of Keras; of batch normalization where it is folded into nothing."""
ACTIVATIONS: dict[str, tuple[str, ...]] = {
    "gelu": ("GELU",), "hard_silu": ("HARD_SWISH",), "linear": (), "relu": ("RELU",), "sigmoid": ("LOGISTIC",), "silu": ("LOGISTIC", "MUL"),
    "softmax": ("SOFTMAX",),
}  # fmt: skip
QOPERATORS = {
    "Add": "QLinearAdd", "AveragePool": "QLinearAveragePool", "Concat": "QLinearConcat", "Conv": "QLinearConv", "Gemm": "QGemm",
    "GlobalAveragePool": "QLinearGlobalAveragePool", "LeakyRelu": "QLinearLeakyRelu", "MatMul": "QLinearMatMul", "Mul": "QLinearMul",
    "Sigmoid": "QLinearSigmoid", "Softmax": "QLinearSoftmax",
}  # fmt: skip
"""What ONNX Runtime's quantizer puts in whose place in QOperator form."""
IDLE = ("Constant", "ConstantOfShape", "Dropout", "Identity", "Shape")
"""Operators that compute no code."""


def keras() -> tuple[str, str, Iterable[str]]:
    """One network of each file of keras.applications, of random weights: its others differ in width and depth."""
    import keras
    from keras import applications

    names = [
        name for name in reversed(dir(applications)) if name[0].isupper()
    ]  # so that of each file the first is left
    builders = {getattr(applications, name).__module__: getattr(applications, name) for name in names}
    found: set[str] = set()
    for build in builders.values():
        for layer in _layers(build(weights=None)):
            found.update(LAYERS[type(layer).__name__])
            function = getattr(layer, "activation", None)
            found.update(ACTIVATIONS[function.__name__] if function is not None else ())
    return ".tflite", f"Keras Applications (Keras {keras.__version__})", found


def _layers(model: Any) -> Iterable[Any]:
    for layer in model.layers:
        yield layer
        yield from _layers(layer) if hasattr(layer, "layers") else ()


def torchvision() -> tuple[str, str, Iterable[str]]:
    """Every network of torchvision.models.quantization, before it is quantized, through torch's exporter."""
    import onnx
    import torch
    import torchvision
    from torchvision.models import quantization

    found: set[str] = set()
    for name, build in vars(quantization).items():
        if not (name.islower() and callable(build) and hasattr(build, "__wrapped__")):
            continue
        heads = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
        size, stream = 299 if name == "inception_v3" else 96, io.BytesIO()
        model = build(weights=None, quantize=False, **heads).eval()
        torch.onnx.export(model, (torch.randn(1, 3, size, size),), stream, dynamo=False, opset_version=17)
        found.update(node.op_type for node in onnx.load_from_string(stream.getvalue()).graph.node)
    return ".onnx", f"torchvision.models.quantization (torchvision {torchvision.__version__})", found.difference(IDLE)


def model_zoo() -> tuple[str, str, Iterable[str]]:
    """The Model Zoo's networks that the onnx package ships without weights, in both forms of ONNX Runtime's quantizer."""
    import onnx
    from onnxruntime.quantization import registry

    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    float_ones = {node.op_type for path in folder.glob("*.onnx") for node in onnx.load(path).graph.node}.difference(
        IDLE
    )
    replaced = {QOPERATORS[op] for op in float_ones & registry.QLinearOpsRegistry.keys() if op in QOPERATORS}
    return ".onnx", f"ONNX Model Zoo, int8 (graphs of onnx {onnx.__version__})", float_ones | replaced


def mlperf_tiny() -> tuple[str, str, Iterable[str]]:
    """The reference models of mlcommons/tiny, the float one for visual wake words included."""
    from accelsim.importers.tflite.file import read_tflite

    paths = (Path(os.environ["ACCELSIM_SHARED"]) / "models").glob("*.tflite")
    return (
        ".tflite",
        "MLPerf Tiny (mlcommons/tiny)",
        {each.op for path in paths for each in read_tflite(path).operators},
    )


ECOSYSTEMS: dict[str, Callable[[], tuple[str, str, Iterable[str]]]] = {
    "keras": keras, "torchvision": torchvision, "model_zoo": model_zoo, "mlperf_tiny": mlperf_tiny,
}  # fmt: skip


def main() -> None:
    held = json.loads(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    for name in sys.argv[1:]:
        file, source, operators = ECOSYSTEMS[name]()
        held[name] = {"source": source, "file": file, "operators": sorted(operators)}
    PAGE.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
