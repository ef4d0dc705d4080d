"""Two other ways from PyTorch to an ONNX file that accelsim reads: eager-mode QAT with batch normalization unfolded, and Brevitas.

python pytorch_flows.py eager FILE.onnx      # PyTorch and onnx installed
python pytorch_flows.py brevitas FILE.onnx   # Brevitas too
"""

import sys

import torch
from torch import nn


class Eager(nn.Module):
    """A convolution, batch normalization as it is, a rectifier and a dense layer between the two stubs of eager mode."""

    def __init__(self) -> None:
        super().__init__()
        from torch.ao import quantization as tq

        self.enter, self.leave = tq.QuantStub(), tq.DeQuantStub()
        self.conv, self.norm, self.relu, self.dense = (
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Linear(512, 5),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        image = self.relu(self.norm(self.conv(self.enter(x))))
        return self.leave(self.dense(torch.flatten(image, 1)))


def eager(path: str) -> None:
    """Plain FakeQuantize behind every module, the batch normalization's too; train where this only observes."""
    from torch.ao import quantization as tq

    observed = {"observer": tq.MovingAverageMinMaxObserver, "quant_min": 0, "quant_max": 255, "dtype": torch.quint8}
    weights = {"observer": tq.MinMaxObserver, "quant_min": -128, "quant_max": 127, "dtype": torch.qint8}
    model = Eager().train()
    model.qconfig = tq.QConfig(
        activation=tq.FakeQuantize.with_args(**observed),
        weight=tq.FakeQuantize.with_args(**weights, qscheme=torch.per_tensor_symmetric),
    )
    model = tq.prepare_qat(model)
    for _ in range(5):
        model(torch.randn(16, 3, 8, 8))
    model.eval().apply(tq.disable_observer)
    torch.onnx.export(model, (torch.randn(1, 3, 8, 8),), path, opset_version=17, dynamo=False, input_names=["x"])


def brevitas(path: str) -> None:
    """4 bits inside, and a quantizer behind the last layer, without which its float bias would have no codes."""
    from brevitas.export import export_qonnx
    from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU

    conv, dense = (
        QuantConv2d(3, 8, 3, padding=1, weight_bit_width=4),
        QuantLinear(512, 5, bias=True, weight_bit_width=4),
    )
    end = QuantIdentity(bit_width=8)
    model = nn.Sequential(QuantIdentity(bit_width=8), conv, QuantReLU(bit_width=4), nn.Flatten(), dense, end).train()
    for _ in range(3):
        model(torch.randn(8, 3, 8, 8))
    export_qonnx(model.eval(), torch.randn(1, 3, 8, 8), path)


if __name__ == "__main__":
    torch.manual_seed(0)
    {"eager": eager, "brevitas": brevitas}[sys.argv[1]](sys.argv[2])
