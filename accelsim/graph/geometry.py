"""The loop nest that every multiply-accumulate layer shares."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.errors import GraphError


@dataclass(frozen=True, kw_only=True)
class MacGeometry:
    """Shape of a grouped 2-D convolution; a dense layer and a matrix product are its 1x1 case.

    Input view (n, ih, iw, ic), weights (oc, kh, kw, ic/groups), output view (n, oh, ow, oc). Output row ``y`` and kernel
    row ``k`` meet input row ``y*stride_h - pad_top + k*dilation_h``, in an input whose rows were first spread
    ``upsample_h`` apart with zeros between (``upsample`` > 1 only for transposed convolution; output channel ``o``
    belongs to group ``o // (oc/groups)``).
    """

    n: int
    ih: int
    iw: int
    ic: int
    oh: int
    ow: int
    oc: int
    kh: int = 1
    kw: int = 1
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    pad_top: int = 0
    pad_left: int = 0
    upsample_h: int = 1
    upsample_w: int = 1
    groups: int = 1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = -(10**9) if name.startswith("pad") else 1
            if not least <= value < 2**31:
                raise GraphError(f"layer geometry: {name} must be at least {least} and below 2^31, got {value}")
        if self.ic % self.groups or self.oc % self.groups:
            raise GraphError(
                f"layer geometry: input channels {self.ic} and output channels {self.oc} must be multiples of groups {self.groups}"
            )

    @property
    def ic_per_group(self) -> int:
        """Input channels that one output channel sums over."""
        return self.ic // self.groups

    @property
    def oc_per_group(self) -> int:
        """Output channels of one group."""
        return self.oc // self.groups

    @property
    def reduction(self) -> int:
        """Products per output element: kh * kw * ic/groups."""
        return self.kh * self.kw * self.ic_per_group

    @property
    def macs(self) -> int:
        """Multiply-accumulates the array executes: n*oh*ow*oc*reduction, padding and inserted zeros included."""
        return self.n * self.oh * self.ow * self.oc * self.reduction

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(n, ih, iw, ic)."""
        return self.n, self.ih, self.iw, self.ic

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        """(n, oh, ow, oc)."""
        return self.n, self.oh, self.ow, self.oc

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """(oc, kh, kw, ic/groups)."""
        return self.oc, self.kh, self.kw, self.ic_per_group
