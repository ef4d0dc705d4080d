"""Quantization-aware training in PyTorch, exported by torch.onnx as QuantizeLinear and DequantizeLinear pairs.

python pytorch_qat.py FOLDER     # writes the model, its test images, and what PyTorch itself makes of them
"""

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.ao import quantization as tq
from torch.ao.quantization.quantize_fx import prepare_qat_fx

# Plain FakeQuantize, not the default qconfig: there the weight scale of the fake quantization is not the exported one.
ACTIVATIONS = tq.FakeQuantize.with_args(
    observer=tq.MovingAverageMinMaxObserver, quant_min=0, quant_max=255, dtype=torch.quint8
)
WEIGHTS = tq.FakeQuantize.with_args(
    observer=tq.PerChannelMinMaxObserver,
    quant_min=-128,
    quant_max=127,
    dtype=torch.qint8,
    qscheme=torch.per_channel_symmetric,
    ch_axis=0,
)


def network() -> nn.Module:
    """Two convolutions with pools, and a dense layer. Fold batch normalization before preparing a network that has it."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


def train(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, epochs: int = 20) -> None:
    """Plain cross-entropy; the fake quantizers observe ranges as they go."""
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(128):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()


def main(folder: Path) -> None:
    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images.reshape(-1, 1, 8, 8) / 16, dtype=torch.float32)
    y = torch.tensor(labels)
    config = tq.QConfigMapping().set_global(tq.QConfig(activation=ACTIVATIONS, weight=WEIGHTS))
    model = prepare_qat_fx(network().train(), config, (x[:1],))
    train(model, x[:1400], y[:1400])
    model.eval().apply(tq.disable_observer)
    # The exporter that is not dynamo's writes FakeQuantize as a QuantizeLinear and DequantizeLinear pair.
    torch.onnx.export(
        model, (x[:1],), str(folder / "digits_qat.onnx"), opset_version=17, dynamo=False, input_names=["image"]
    )
    with torch.no_grad():
        fake = model(x[1400:]).numpy()
    np.savez(folder / "digits_qat.npz", image=x[1400:].numpy(), labels=labels[1400:])
    np.save(folder / "fake_quantized_logits.npy", fake)
    print(f"fake-quantized accuracy {np.mean(fake.argmax(1) == labels[1400:]):.2%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
