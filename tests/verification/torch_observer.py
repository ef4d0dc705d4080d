"""One convolution trained for a few steps by PyTorch's eager quantization-aware training, then converted; run by a Python with torch.

python torch_observer.py OUT.npz
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import torch
from torch import nn
from torch.ao import quantization as tq


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.quant, self.dequant = tq.QuantStub(), tq.DeQuantStub()
        self.conv = nn.Conv2d(3, 8, 3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dequant(self.conv(self.quant(x)))


def main(target: str) -> None:
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    torch.backends.quantized.engine = "fbgemm"
    net = Net().train()
    net.qconfig = tq.get_default_qat_qconfig("fbgemm")
    net = tq.prepare_qat(net)
    images = torch.randn(64, 3, 12, 12)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        net(images).square().mean().backward()
        optimizer.step()
    # The observer follows the weights one last time, without a step after it.
    net(images)
    net.eval()
    net.apply(tq.disable_observer)
    held = net.conv.weight_fake_quant
    scale = held.scale.detach()
    codes = torch.clamp(torch.round(net.conv.weight.detach() / scale.reshape(-1, 1, 1, 1)), -128, 127)
    stub, post = net.quant.activation_post_process, net.conv.activation_post_process
    inside = net.quant(images)
    made = net(images).detach()
    result = {
        "x": torch.round(inside.detach() / stub.scale + stub.zero_point).numpy(), "y": torch.round(made / post.scale + post.zero_point).numpy(),
        "fake_scale": scale.numpy(), "fake_codes": codes.numpy(), "x_scale": stub.scale.numpy(), "x_zero": stub.zero_point.numpy(),
        "y_scale": post.scale.numpy(), "y_zero": post.zero_point.numpy(),
    }  # fmt: skip
    converted = tq.convert(net).conv.weight()
    result["int_codes"] = converted.int_repr().numpy()
    result["int_scale"] = converted.q_per_channel_scales().numpy().astype(np.float32)
    np.savez(target, **result)


if __name__ == "__main__":
    main(sys.argv[1])
