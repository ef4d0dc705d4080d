"""MobileNets of three versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from accelsim.families.images import FOLDED, ROUNDED, ImageNetwork
from accelsim.families.network import divisible
from accelsim.families.rows import Table

V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
"""Output channels and stride of each depthwise separable layer: Howard et al. 2017, table 1."""
V1_LEAST = 8
"""Channels that any width leaves: ``min_depth`` of the authors' code (TF-Slim's mobilenet_v1)."""
V2 = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
"""Expansion factor, channels, repeats, first stride: Sandler et al. 2018, table 2."""


@dataclass(frozen=True, kw_only=True)
class MobileNetV1(ImageNetwork):
    """Depthwise separable convolutions (Howard et al. 2017, table 1)."""

    def table(self) -> Table:
        """Stem, 13 layers, classifier."""
        table = self.start(
            f"MobileNet (V1), {self.shape}: Howard et al., MobileNets: Efficient Convolutional Neural Networks",
            f"for Mobile Vision Applications, arXiv:1704.04861, table 1. {FOLDED}",
            "Channels are the published ones times the width, rounded down, at least 8.",
            "The table prints stride 2 for the last depthwise layer, whose input and output are both 7x7: it is 1.",
        )
        table.conv("stem", self._channels(32), kernel=3, stride=2, padding="same")
        for block, (channels, stride) in enumerate(V1, start=1):
            table.depthwise(f"block{block}.depthwise", kernel=3, stride=stride)
            table.conv(f"block{block}.pointwise", self._channels(channels), padding="same")
        table.classifier(self.classes)
        return table

    def _channels(self, published: int) -> int:
        return max(V1_LEAST, int(published * self.width_multiplier))


@dataclass(frozen=True, kw_only=True)
class MobileNetV2(ImageNetwork):
    """Inverted residuals (Sandler et al. 2018, tables 1 and 2)."""

    def table(self) -> Table:
        """Stem, 17 blocks, head, classifier; a width below 1 leaves the head as wide as it is (section 6.1)."""
        table = self.start(
            f"MobileNetV2, {self.shape}: Sandler, Howard, Zhu, Zhmoginov, Chen,",
            "MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018, tables 1 and 2.",
            f"{FOLDED} {ROUNDED} The head's do not fall below 1280.",
        )
        table.conv("stem", divisible(32 * self.width_multiplier), kernel=3, stride=2, padding="same")
        append_stages(table, [(3, *stage) for stage in V2], self.width_multiplier)
        table.conv("head", divisible(1280 * max(1.0, self.width_multiplier)), padding="same")
        table.classifier(self.classes)
        return table


def append_stages(table: Table, stages: list[tuple[int, int, int, int, int]], width: float = 1.0) -> None:
    """Append inverted residuals: kernel, expansion factor, channels, repeats and first stride of each stage."""
    block = 0
    for kernel, expansion, channels, repeats, first_stride in stages:
        for repeat in range(repeats):
            block += 1
            hidden, stride = table.shape[2] * expansion, 1 if repeat else first_stride
            append_residual(
                table, f"block{block}", Residual(kernel, hidden, divisible(channels * width), stride=stride)
            )


class Residual(NamedTuple):
    """An inverted residual: ``hidden`` channels inside; ``squeeze`` and ``swish`` are of version 3."""

    kernel: int
    hidden: int
    channels: int
    squeeze: bool = False
    swish: bool = False
    stride: int = 1


def append_residual(table: Table, name: str, block: Residual) -> None:
    """Append one inverted residual."""
    entry = table.here
    if block.hidden != entry.shape[2]:
        table.conv(f"{name}.expand", block.hidden, padding="same")
        _activation(table, f"{name}.expand", block.swish)
    table.depthwise(f"{name}.depthwise", kernel=block.kernel, stride=block.stride)
    _activation(table, f"{name}.depthwise", block.swish)
    if block.squeeze:
        _squeeze_and_excite(table, name)
    table.conv(f"{name}.project", block.channels, padding="same")
    if entry.shape == table.shape:
        table.layer(f"{name}.add", "add", second=entry)


def _activation(table: Table, name: str, swish: bool) -> None:
    if swish:
        table.layer(f"{name}.swish", "lut")


def _squeeze_and_excite(table: Table, name: str) -> None:
    whole, c = table.here, table.shape[2]
    table.mean(f"{name}.squeeze")
    table.layer(f"{name}.reduce", "dense", oc=divisible(c / 4))
    table.layer(f"{name}.excite", "dense", oc=c)
    table.layer(f"{name}.gate", "lut")
    factors, table.here = table.here, whole
    table.layer(f"{name}.scale", "scale", second=factors)


LARGE = (
    Residual(3, 16, 16), Residual(3, 64, 24, stride=2), Residual(3, 72, 24),
    Residual(5, 72, 40, True, stride=2), Residual(5, 120, 40, True), Residual(5, 120, 40, True),
    Residual(3, 240, 80, False, True, 2), Residual(3, 200, 80, False, True), *[Residual(3, 184, 80, False, True)] * 2,
    Residual(3, 480, 112, True, True), Residual(3, 672, 112, True, True),
    Residual(5, 672, 160, True, True, 2), *[Residual(5, 960, 160, True, True)] * 2,
)  # fmt: skip
"""Howard et al. 2019, table 1."""
SMALL = (
    Residual(3, 16, 16, True, stride=2), Residual(3, 72, 24, stride=2), Residual(3, 88, 24),
    Residual(5, 96, 40, True, True, 2), *[Residual(5, 240, 40, True, True)] * 2,
    Residual(5, 120, 48, True, True), Residual(5, 144, 48, True, True),
    Residual(5, 288, 96, True, True, 2), *[Residual(5, 576, 96, True, True)] * 2,
)  # fmt: skip
"""Howard et al. 2019, table 2."""


@dataclass(frozen=True, kw_only=True)
class MobileNetV3(ImageNetwork):
    """Inverted residuals with squeeze-and-excite (Howard et al. 2019, tables 1 and 2)."""

    size: str = "large"

    def table(self) -> Table:
        """Stem, blocks, head, average, two dense layers."""
        blocks, wide = {"large": (LARGE, 1280), "small": (SMALL, 1024)}[self.size]
        table = self.start(
            f"MobileNetV3-{self.size.title()}, {self.shape}: Howard et al., Searching for MobileNetV3, ICCV 2019, "
            f"table {1 if self.size == 'large' else 2}.",
            "Squeeze-and-excite narrows to a quarter of the expansion, rounded to a multiple of 8.",
            f"{FOLDED} {ROUNDED}",
            "A lut is h-swish or the hard sigmoid; a scale multiplies each channel by a factor of its own.",
        )
        table.conv("stem", self._channels(16), kernel=3, stride=2, padding="same")
        table.layer("stem.swish", "lut")
        published = 16
        for number, block in enumerate(blocks, start=1):
            hidden = divisible(table.shape[2] * block.hidden / published)
            append_residual(
                table, f"block{number}", block._replace(hidden=hidden, channels=self._channels(block.channels))
            )
            published = block.channels
        table.conv("head", 6 * table.shape[2], padding="same")
        table.layer("head.swish", "lut")
        table.mean("mean")
        table.layer("wide", "dense", oc=divisible(wide * max(1.0, self.width_multiplier)))
        table.layer("wide.swish", "lut")
        table.layer("fc", "dense", oc=self.classes)
        table.layer("softmax", "softmax")
        return table

    def _channels(self, published: int) -> int:
        return divisible(published * self.width_multiplier)
