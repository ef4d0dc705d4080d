"""Classifiers of square images whose channels follow a multiplier."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.families.network import Network, check_resolution
from accelsim.families.rows import Table

STRIDE = 32
"""Of all layers of such a network together."""
FOLDED = "Batch normalization is folded."
ROUNDED = (
    "Channels are the published ones times the width, the nearest multiple of 8 that is not more than a tenth less."
)


@dataclass(frozen=True, kw_only=True)
class ImageNetwork(Network):
    """Its parameters beside those of all networks."""

    resolution: int = 224
    classes: int = 1000
    width_multiplier: float = 1.0

    def check(self) -> None:
        """Something is left of the image."""
        check_resolution(self, self.resolution, STRIDE)

    def start(self, *source: str) -> Table:
        """The table that begins with images of three channels."""
        return Table(*source, shape=(self.resolution, self.resolution, 3), n=self.batch, widths=self.widths)

    @property
    def shape(self) -> str:
        """Its size in words."""
        return f"width {self.width_multiplier:g}, image {self.resolution}x{self.resolution}, batch {self.batch}"
