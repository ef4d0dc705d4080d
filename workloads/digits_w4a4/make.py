"""Train the packaged 4-bit digits network with Brevitas and export it as QONNX.

pip install torch brevitas qonnx onnxoptimizer scikit-learn 'onnx<1.22'
python make.py        # rewrites digits_w4a4.onnx and digits_w4a4_test.npz beside this file

Weights of 4 bits, the second convolution's of 2 (ternary); activations of 4 bits behind batch normalization; an 8-bit input.
The test images, and the logits that qonnx's own executor computes for them, go into the .npz file.
"""

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from brevitas.export import export_qonnx
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU
from brevitas.quant import Int8ActPerTensorFixedPoint, Int8WeightPerChannelFloat, Uint8ActPerTensorFloat
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes
from sklearn.datasets import load_digits
from torch import nn

HERE = Path(__file__).parent
TRAINING_IMAGES = 1400


def network() -> nn.Module:
    """Two quantized convolutions with batch normalization and pools, and a quantized dense layer."""
    return nn.Sequential(
        QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, return_quant_tensor=True),
        QuantConv2d(1, 16, 3, padding=1, bias=False, weight_quant=Int8WeightPerChannelFloat, weight_bit_width=4),
        nn.BatchNorm2d(16),
        QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=4, return_quant_tensor=True),
        nn.MaxPool2d(2),
        QuantConv2d(16, 32, 3, padding=1, bias=False, weight_quant=Int8WeightPerChannelFloat, weight_bit_width=2),
        nn.BatchNorm2d(32),
        QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=4, return_quant_tensor=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        QuantLinear(128, 10, bias=False, weight_quant=Int8WeightPerChannelFloat, weight_bit_width=4),
        QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, return_quant_tensor=False),
    )


def train(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, epochs: int = 60) -> None:
    """Plain cross-entropy."""
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()


def logits_of(path: Path, images: np.ndarray) -> np.ndarray:
    """What qonnx's executor computes, image by image."""
    model = ModelWrapper(str(path)).transform(InferShapes())
    name, out = model.graph.input[0].name, model.graph.output[0].name
    return np.concatenate([execute_onnx(model, {name: image[None]})[out] for image in images])


def main() -> None:
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    x = (images.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    model = network()
    train(model, torch.tensor(x[:TRAINING_IMAGES]), torch.tensor(labels[:TRAINING_IMAGES]))
    path = HERE / "digits_w4a4.onnx"
    names = {"input_names": ["image"], "output_names": ["logits"]}
    export_qonnx(model.eval(), args=torch.tensor(x[:1]), export_path=str(path), opset_version=17, dynamo=False, **names)
    held = onnx.load(path)
    held.doc_string, held.producer_name = "", "accelsim workloads/digits_w4a4/make.py"
    onnx.save(held, path)
    test = x[TRAINING_IMAGES:]
    logits = logits_of(path, test)
    np.savez_compressed(HERE / "digits_w4a4_test.npz", input=test, labels=labels[TRAINING_IMAGES:])
    np.savez_compressed(HERE / "digits_w4a4_qonnx.npz", logits=logits)
    print(f"accuracy {np.mean(logits.argmax(1) == labels[TRAINING_IMAGES:]):.2%}")


if __name__ == "__main__":
    main()
