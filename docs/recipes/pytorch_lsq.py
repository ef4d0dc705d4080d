"""Four-bit training in plain PyTorch: learned step sizes (LSQ), batch normalization folded and then frozen, exported as QONNX.

python pytorch_lsq.py FOLDER     # PyTorch, onnx and scikit-learn installed

All weights, the first and the last layer's too, and all activations between layers have 4 bits; the image and the logits have 8.
LSQ: Esser et al., 1902.08153. Folding and freezing: Krishnamoorthi, 1806.08342, section 3.2.2; Jacob et al., 1712.05877, 3.2.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional


class FakeQuantize(torch.autograd.Function):
    """round(clip(x / step)) * step with the gradients of LSQ; exported as one node, the Quant of QONNX."""

    @staticmethod
    def forward(ctx, x, step, gradient_scale, bits, signed):
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        ctx.save_for_backward(x / step, step)
        ctx.range = low, high, gradient_scale
        return (x / step).clamp(low, high).round() * step

    @staticmethod
    def backward(ctx, grad):
        """Straight through the rounding inside the range (eq. 5), and the step's own gradient (eq. 3)."""
        (v, step), (low, high, gradient_scale) = ctx.saved_tensors, ctx.range
        inside = (v > low) & (v < high)
        by_step = torch.where(inside, v.round() - v, v.clamp(low, high))
        return grad * inside, (grad * by_step).sum_to_size(step.shape) * gradient_scale, None, None, None

    @staticmethod
    def symbolic(g, x, step, gradient_scale, bits, signed):
        zero, width = (g.op("Constant", value_t=torch.tensor(float(number))) for number in (0, bits))
        how = {"signed_i": int(signed), "narrow_i": 0, "rounding_mode_s": "ROUND"}
        return g.op("qonnx.custom_op.general::Quant", x, step, zero, width, **how).setType(x.type())


class Quantizer(nn.Module):
    """Steps that are learned: one, or with ``channels`` one for each output channel of weights. A given ``step`` stays."""

    def __init__(self, bits: int, signed: bool, channels: tuple[int, ...] = (), step: float | None = None):
        super().__init__()
        self.bits, self.signed, self.high = bits, signed, 2 ** (bits - signed) - 1
        self.step = nn.Parameter(torch.full(channels, step or 1.0), requires_grad=step is None)
        self.started = step is not None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.started:  # by the first batch, 2 <|x|> / sqrt(high)
            axes = tuple(range(1 if self.step.dim() else 0, x.dim()))
            self.step.data = 2 * x.detach().abs().mean(axes, keepdim=self.step.dim() > 0) / self.high**0.5
            self.started = True
        # N counts what shares the step: the weights of a channel, or the features of an image (LSQ, section 2.2).
        gradient_scale = (x[0].numel() * self.high) ** -0.5
        return FakeQuantize.apply(x, self.step, gradient_scale, self.bits, self.signed)


class QuantizedLayer(nn.Module):
    """A 3x3 convolution or a dense layer of 4-bit weights, which hold the batch normalization behind it."""

    def __init__(self, layer: nn.Conv2d | nn.Linear, norm: nn.BatchNorm2d | None = None):
        super().__init__()
        self.weight, self.bias, self.norm = layer.weight, layer.bias, norm
        self.quantizer = Quantizer(4, True, (len(layer.weight), *[1] * (layer.weight.dim() - 1)))

    @staticmethod
    def compute(x: torch.Tensor, w: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        return functional.linear(x, w, bias) if w.dim() == 2 else functional.conv2d(x, w, bias, padding=1)

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and bias by the running statistics, which are those of inference."""
        gain = self.norm.weight / (self.norm.running_var + self.norm.eps).sqrt()
        return self.weight * gain.view(-1, 1, 1, 1), self.norm.bias - self.norm.running_mean * gain

    def freeze(self) -> None:
        """From here on the statistics stand still: what trains is the folded weights and the bias, as they will be exported."""
        weight, bias = self.folded()
        self.weight, self.bias, self.norm = nn.Parameter(weight.detach()), nn.Parameter(bias.detach()), None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.norm is None:
            return self.compute(x, self.quantizer(self.weight), self.bias)
        if not self.training:
            weight, bias = self.folded()
            return self.compute(x, self.quantizer(weight), bias)
        sums = self.compute(x, self.weight)
        self.norm(sums)  # the running statistics follow the batches
        variance, mean = torch.var_mean(sums, (0, 2, 3), correction=0)
        batch, running = ((v + self.norm.eps).sqrt() for v in (variance, self.norm.running_var))
        # Weights are quantized as inference has them; the factor behind makes the result the batch's own, without jitter.
        factor, shift = running / batch, self.norm.bias - mean * self.norm.weight / batch
        return self.compute(x, self.quantizer(self.folded()[0])) * factor.view(-1, 1, 1) + shift.view(-1, 1, 1)


def network() -> nn.Sequential:
    """In float: two convolutions with batch normalization and pools, and a dense layer."""
    first = [nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(128, 10))


def quantized(model: nn.Sequential) -> nn.Sequential:
    """``model`` with its weights; a pixel is 0 to 16 sixteenths, so the image's step is no question."""
    first = [QuantizedLayer(*model[0:2]), nn.ReLU(), Quantizer(4, False), nn.MaxPool2d(2)]
    second = [QuantizedLayer(*model[4:6]), nn.ReLU(), Quantizer(4, False), nn.MaxPool2d(2), nn.Flatten()]
    dense = [QuantizedLayer(model[9]), Quantizer(8, True)]
    return nn.Sequential(Quantizer(8, False, step=1 / 16), *first, *second, *dense)


def train(model: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int, rate: float) -> None:
    """Cross-entropy by SGD, as in LSQ: Adam would divide the gradient scale of the steps away."""
    optimizer = torch.optim.SGD(model.train().parameters(), rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
        schedule.step()


def main(folder: Path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)  # so small a network gains nothing from more
    pixels, labels = load_digits(return_X_y=True)
    images, y = torch.tensor(pixels.reshape(-1, 1, 8, 8) / 16, dtype=torch.float32), torch.tensor(labels)
    (x, test), truth = images.split([1400, 397]), labels[1400:]
    model = network()
    train(model, x, y, epochs=20, rate=0.1)
    print(f"float accuracy {np.mean(model.eval()(test).detach().numpy().argmax(1) == truth):.2%}")
    model = quantized(model)
    train(model, x, y, epochs=20, rate=0.02)
    for convolution in (model[1], model[5]):
        convolution.freeze()
    train(model, x, y, epochs=10, rate=0.005)
    logits = model.eval()(test).detach().numpy()
    print(f"fake-quantized accuracy {np.mean(logits.argmax(1) == truth):.2%}")
    named = {"input_names": ["image"], "output_names": ["logits"], "custom_opsets": {"qonnx.custom_op.general": 1}}
    torch.onnx.export(model, (x[:1],), str(folder / "digits_lsq.onnx"), opset_version=17, dynamo=False, **named)
    np.savez(folder / "digits_lsq.npz", image=test.numpy(), labels=truth)
    np.save(folder / "fake_quantized_logits.npy", logits)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
