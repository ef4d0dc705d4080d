"""ResNets of 18 to 152 layers (He et al. 2016, table 1)."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.families.images import FOLDED, ROUNDED, ImageNetwork
from accelsim.families.network import divisible
from accelsim.families.rows import Place, Table

WIDTHS = (64, 128, 256, 512)
"""Channels of each stage, inside its blocks."""
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""By depth, those of each stage."""


@dataclass(frozen=True, kw_only=True)
class ResNet(ImageNetwork):
    """Blocks of two 3x3 convolutions: 18 and 34 layers."""

    depth: int = 18

    def table(self) -> Table:
        """Stem, four stages, classifier."""
        table = self.start(
            f"ResNet-{self.depth}, {self.shape}: He, Zhang, Ren, Sun,",
            "Deep Residual Learning for Image Recognition, CVPR 2016, table 1.",
            *self.notes,
            f"{FOLDED} {ROUNDED}",
        )
        table.conv("conv1", divisible(64 * self.width_multiplier), kernel=7, stride=2, padding=3)
        table.layer("pool1", "max_pool", kh=3, kw=3, stride=2, padding=1)
        for stage, (width, blocks) in enumerate(zip(WIDTHS, BLOCKS[self.depth], strict=True), start=2):
            for block in range(1, blocks + 1):
                stride = 2 if stage > 2 and block == 1 else 1
                self.append_block(table, f"conv{stage}_{block}", divisible(width * self.width_multiplier), stride)
        table.classifier(self.classes)
        return table

    @property
    def notes(self) -> tuple[str, ...]:
        """What the table does not leave open."""
        return ("Shortcuts that change the shape are 1x1 convolutions (option B).",)

    def append_block(self, table: Table, name: str, width: int, stride: int) -> None:
        """Append one block of ``width``."""
        entry = table.here
        table.conv(f"{name}.first", width, kernel=3, stride=stride, padding=1)
        table.conv(f"{name}.second", width, kernel=3, padding=1)
        _shortcut(table, name, entry, width=width, stride=stride)


@dataclass(frozen=True, kw_only=True)
class BottleneckResNet(ResNet):
    """Blocks of a 3x3 convolution between two of 1x1, the last four times as wide: 50, 101 and 152 layers."""

    depth: int = 50
    version: str = "v1"

    @property
    def notes(self) -> tuple[str, ...]:
        """As its base, and the version."""
        where = {
            "v1": "its first 1x1 convolution (v1.5 has it in the 3x3)",
            "v1.5": "its 3x3 convolution (v1 has it in the first 1x1)",
        }
        return (*super().notes, f"{self.version}: a stage's stride is in {where[self.version]}.")

    def append_block(self, table: Table, name: str, width: int, stride: int) -> None:
        """Append one block of ``width``."""
        entry, first = table.here, self.version == "v1"
        table.conv(f"{name}.reduce", width, stride=stride if first else 1)
        table.conv(f"{name}.spatial", width, kernel=3, stride=1 if first else stride, padding=1)
        table.conv(f"{name}.expand", 4 * width)
        _shortcut(table, name, entry, width=4 * width, stride=stride)


def _shortcut(table: Table, name: str, entry: Place, *, width: int, stride: int) -> None:
    """Add what came in, through a 1x1 convolution where its shape differs."""
    made = table.here
    if entry.shape != made.shape:
        table.here = entry
        table.conv(f"{name}.project", width, stride=stride)
        entry, table.here = table.here, made
    table.layer(f"{name}.add", "add", second=entry)
