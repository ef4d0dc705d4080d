"""Four-bit training with Brevitas: batch normalization stays behind its convolution, is frozen, and is exported as it is.

python brevitas_w4a4.py FOLDER     # PyTorch, Brevitas, onnx and scikit-learn installed

All weights, the first and the last layer's too, and all activations between layers have 4 bits; the image and the logits have 8.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from brevitas import config
from brevitas.export import export_qonnx
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU
from brevitas.quant import Int8ActPerTensorFixedPoint, Int8WeightPerChannelFloat
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

WEIGHTS = {"bias": False, "weight_quant": Int8WeightPerChannelFloat, "weight_bit_width": 4}


def network(quantize: bool) -> nn.Sequential:
    """Two convolutions with batch normalization and pools, and a dense layer; in float, modules stand where quantizers will."""
    if quantize:
        image, logits = (QuantIdentity(act_quant=Int8ActPerTensorFixedPoint) for _ in range(2))
        convolutions = QuantConv2d(1, 16, 3, padding=1, **WEIGHTS), QuantConv2d(16, 32, 3, padding=1, **WEIGHTS)
        dense, rectifiers = QuantLinear(128, 10, **WEIGHTS), [QuantReLU(bit_width=4) for _ in range(2)]
    else:
        image, logits, rectifiers = nn.Identity(), nn.Identity(), [nn.ReLU(), nn.ReLU()]
        convolutions = nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.Conv2d(16, 32, 3, padding=1, bias=False)
        dense = nn.Linear(128, 10, bias=False)
    first = [convolutions[0], nn.BatchNorm2d(16), rectifiers[0], nn.MaxPool2d(2)]
    second = [convolutions[1], nn.BatchNorm2d(32), rectifiers[1], nn.MaxPool2d(2)]
    return nn.Sequential(image, *first, *second, nn.Flatten(), dense, logits)


def train(model: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int, rate: float, frozen: bool = False) -> None:
    """Cross-entropy; ``frozen``: batch normalization uses its running statistics and leaves them alone."""
    optimizer = torch.optim.Adam(model.train().parameters(), rate)
    for module in model.modules():
        if frozen and isinstance(module, nn.BatchNorm2d):
            module.eval()
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()


def main(folder: Path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)  # so small a network gains nothing from more
    pixels, labels = load_digits(return_X_y=True)
    images, y = torch.tensor(pixels.reshape(-1, 1, 8, 8) / 16, dtype=torch.float32), torch.tensor(labels)
    (x, test), truth = images.split([1400, 397]), labels[1400:]
    floats, model = network(quantize=False), network(quantize=True)
    train(floats, x, y, epochs=20, rate=3e-3)
    print(f"float accuracy {np.mean(floats.eval()(test).detach().numpy().argmax(1) == truth):.2%}")
    config.IGNORE_MISSING_KEYS = True  # the float network knows nothing of the quantizers' own parameters
    model.load_state_dict(floats.state_dict())
    train(model, x, y, epochs=20, rate=1e-3)
    train(model, x, y, epochs=10, rate=3e-4, frozen=True)
    logits = model.eval()(test).detach().numpy()
    print(f"fake-quantized accuracy {np.mean(logits.argmax(1) == truth):.2%}")
    named = {"input_names": ["image"], "output_names": ["logits"], "opset_version": 17, "dynamo": False}
    export_qonnx(model, args=x[:1], export_path=str(folder / "digits_brevitas.onnx"), **named)
    np.savez(folder / "digits_brevitas.npz", image=test.numpy(), labels=truth)
    np.save(folder / "fake_quantized_logits.npy", logits)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
