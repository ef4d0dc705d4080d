"""Random QONNX networks: widths, signs, ranges, rounding modes, scales, batch normalization and biases, from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from accelsim.importers.onnx.chain import ROUNDINGS
from accelsim.importers.qonnx.quantizer import HOST_ROUNDINGS
from tests.importers.qonnx.models import Net

IMAGE = (1, 3, 6, 5)
IMAGES = 3


@dataclass(frozen=True, eq=False)
class Case:
    """A model, its inputs with inferences on the first axis, and whether every scale is a power of two."""

    seed: int
    model: onnx.ModelProto
    images: NDArray[np.float32]
    exact: bool


class RandomNet(Net):
    """Two or three layers on the array, a chain of float operators behind each, a quantizer at its end."""

    def __init__(self, seed: int, *, exact: bool) -> None:
        super().__init__(seed, IMAGE)
        self.exact = exact

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def scales(self, *shape: int, low: int = -4, high: int = 1) -> NDArray[np.float32]:
        """Powers of two, or any float32 numbers of their size."""
        if self.exact:
            return np.float32(2.0) ** self.rng.integers(low, high + 1, shape).astype(np.float32)
        return np.exp2(self.rng.uniform(low, high, shape)).astype(np.float32)

    def reals(self, *shape: int) -> NDArray[np.float32]:
        """Numbers of both signs, about one in six of them 0."""
        made = self.dyadic(*shape) if self.exact else self.rng.normal(size=shape).astype(np.float32)
        return (made * (self.rng.random(shape) > 1 / 6)).astype(np.float32)

    def activation(self, y: str, *, host: bool = False, reach: float = 4.0) -> str:
        """A quantizer of 1 to 8 bits that covers about ``reach``, with any rounding mode and zero point."""
        bits, signed = int(self.rng.integers(1, 9)), int(self.rng.integers(2))
        if bits == 1 and signed and host:
            bits = 2
        narrow = int(bits > 1 and self.chance(0.4))
        wanted = reach / 2 ** (bits - 1)
        scale = wanted * float(self.scales(low=-1, high=1))
        scale = 2.0 ** np.rint(np.log2(scale)) if self.exact else np.float32(scale)
        mode = str(self.rng.choice([*(HOST_ROUNDINGS if host else ROUNDINGS)]))
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
        shifted = bits > 2 and self.chance(0.3) and not host
        zero = float(self.rng.integers(low // 2, high // 2)) if shifted else 0.0
        return self.quant(y, scale, zero=zero, bits=bits, signed=signed, narrow=narrow, mode=mode)

    def kernel(self, *shape: int) -> str:
        """Weights of 1 to 8 bits, their scales per output channel more often than not."""
        bits, signed = int(self.rng.integers(1, 9)), int(self.chance(0.8))
        count = shape[0] if self.chance(0.7) else 1
        scale = self.scales(count, *(1,) * (len(shape) - 1)) * np.float32(2.0 ** (1 - min(bits, 4)))
        given = self.constant(self.rng.normal(0, 0.8, shape))
        mode = str(self.rng.choice([*ROUNDINGS]))
        narrow = int(bits > 1 and self.chance(0.5))
        return self.quant(given, scale, bits=bits, signed=signed, narrow=narrow, mode=mode)

    def behind(self, y: str, channels: int, *, image: bool = True) -> str:
        """Batch normalization, a constant factor or offset, a rectifier: each half of the time."""
        shape = (1, channels, 1, 1) if image else (1, channels)
        if self.chance(0.6):
            # A variance of 15/16 squared and so on would not be a power of two: the gain is, where scales are.
            gain, variance = self.reals(channels), np.ones(channels, np.float32)
            if not self.exact:
                variance = self.scales(channels)
            parameters = [gain, self.reals(channels), self.reals(channels), variance]
            y = self.node("BatchNormalization", y, *map(self.constant, parameters), epsilon=0.0 if self.exact else 1e-5)
        if self.chance(0.3):
            op = str(self.rng.choice(["Mul", "Add", "Sub"]))
            operands = [y, self.constant(self.reals(*shape))]
            y = self.node(op, *(operands if op != "Sub" or self.chance(0.5) else reversed(operands)))
        return self.node("Relu", y) if self.chance(0.5) else y

    def convolution(self, x: str, channels: int) -> tuple[str, int]:
        depthwise = self.chance(0.25)
        out = channels if depthwise else int(self.rng.integers(1, 7))
        size = int(self.rng.integers(1, 4))
        inputs = [x, self.kernel(out, 1 if depthwise else channels, size, size)]
        if self.chance(0.5):
            inputs.append(self.constant(self.reals(out)))
        y = self.node("Conv", *inputs, group=channels if depthwise else 1, pads=[size // 2] * 4)
        return self.activation(self.behind(y, out)), out

    def dense(self, x: str, inputs: int) -> str:
        units = int(self.rng.integers(1, 9))
        flat = self.node("Flatten", x, axis=1)
        operands = [flat, self.kernel(units, inputs)]
        if self.chance(0.5):
            operands.append(self.constant(self.reals(units)))
        return self.activation(self.behind(self.node("Gemm", *operands, transB=1), units, image=False), reach=8.0)


def random_case(seed: int, *, exact: bool) -> Case:
    """One network and its images."""
    net = RandomNet(seed, exact=exact)
    x, channels = net.activation("x", host=True), IMAGE[1]
    for _ in range(int(net.rng.integers(1, 3))):
        x, channels = net.convolution(x, channels)
    # Convolutions are padded by half their kernel: even ones grow the image by one row and column.
    count = channels
    pooled = net.node("GlobalMaxPool", x)
    last = net.dense(pooled, count)
    images = net.rng.normal(0, 2, (IMAGES, *IMAGE)).astype(np.float32)
    return Case(seed, net.model(last), images, exact)
