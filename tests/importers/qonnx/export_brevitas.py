"""Runs in an environment of its own that holds ``torch``, ``brevitas`` and ``qonnx``: a small trained-looking CNN.

    python export_brevitas.py model.onnx bits pow2

``bits`` is the width of weights and activations; ``pow2`` 1 restricts every scale to a power of two.
"""

from __future__ import annotations

import sys

import torch
from brevitas.core.restrict_val import RestrictValueType
from brevitas.export import export_qonnx
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerTensorFloat, Uint8ActPerTensorFloat
from torch import nn


def network(bits: int, pow2: bool) -> nn.Module:
    """Convolutions with batch normalization, a depthwise one, a pool, a residual sum, a linear layer."""
    restrict = {"restrict_scaling_type": RestrictValueType.POWER_OF_TWO if pow2 else RestrictValueType.FP}
    act, weight, unsigned = (
        base.let(**restrict) for base in (Int8ActPerTensorFloat, Int8WeightPerTensorFloat, Uint8ActPerTensorFloat)
    )

    def conv(inputs: int, outputs: int, **options: object) -> nn.Module:
        return QuantConv2d(inputs, outputs, 3, weight_quant=weight, weight_bit_width=bits, padding=1, **options)

    def relu() -> nn.Module:
        return QuantReLU(act_quant=unsigned, bit_width=bits)

    return nn.Sequential(
        QuantIdentity(act_quant=act, bit_width=8),
        conv(3, 8, bias=False),
        nn.BatchNorm2d(8),
        relu(),
        nn.MaxPool2d(2),
        conv(8, 8, groups=8, bias=True),
        relu(),
        conv(8, 6, bias=False, stride=2),
        nn.BatchNorm2d(6),
        QuantIdentity(act_quant=act, bit_width=bits),
        nn.Flatten(),
        QuantLinear(96, 10, bias=True, weight_quant=weight, weight_bit_width=bits),
        QuantIdentity(act_quant=act, bit_width=8),
    )


def settled(model: nn.Module) -> nn.Module:
    """Statistics of scales and batch normalization from random images, and unequal gains."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            with torch.no_grad():
                module.weight[0] *= -1
    model.train()
    for _ in range(10):
        model(torch.randn(4, 3, 16, 16))
    return model.eval()


if __name__ == "__main__":
    torch.manual_seed(7)
    made = settled(network(int(sys.argv[2]), sys.argv[3] == "1"))
    export_qonnx(made, args=torch.randn(1, 3, 16, 16), export_path=sys.argv[1])
