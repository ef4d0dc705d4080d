"""The loop nest that every multiply-accumulate layer shares, and the window rule along each axis of an image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.display import Brief
from accelsim.errors import GraphError

Index = NDArray[np.int64]


class Axis(NamedTuple):
    """Rows, or columns, of a window over an image of ``size``: ``out`` outputs of ``taps`` each.

    The window rule: output ``y`` and tap ``k`` meet input ``(y*stride - pad + k*dilation) / upsample``, where that is a whole
    number from 0 to size - 1; elsewhere there is padding, or a zero inserted between inputs that were spread ``upsample`` apart.
    Methods take ints or int64 arrays alike; :mod:`accelsim.graph.compiled` has the same rule for compiled code, which reads this
    record by the names of its fields.
    """

    size: int
    out: int
    taps: int
    stride: int = 1
    dilation: int = 1
    pad: int = 0
    upsample: int = 1

    @property
    def reach(self) -> int:
        """Places that the windows of all outputs cover, from the first padding on, inserted zeros included."""
        return int(self.spread(self.out - 1, self.taps - 1)) + self.pad + 1

    @property
    def sources(self) -> Index:
        """:meth:`input_index` under each output and tap, (out, taps)."""
        return self.input_index(np.arange(self.out, dtype=np.int64)[:, None], np.arange(self.taps, dtype=np.int64))

    def spread(self, out: Any, tap: Any) -> Any:
        """Place of output ``out`` and ``tap`` in the image whose inputs stand ``upsample`` apart."""
        return window_place(out, tap, self.stride, self.dilation, self.pad)

    def input_index(self, out: Any, tap: Any) -> Index:
        """Input under ``out`` and ``tap``, which are broadcast; -1 on padding and inserted zeros."""
        spread = self.spread(out, tap)
        inside = (spread >= 0) & (spread % self.upsample == 0) & (spread < self.size * self.upsample)
        return np.where(inside, spread // self.upsample, -1)

    def rows_under(self, outs: tuple[Any, Any], taps: tuple[Any, Any]) -> tuple[Any, Any]:
        """First input, and last + 1, between those under outputs and taps ``lo`` to ``hi - 1``; equal where there is none."""
        first, last = self.spread(outs[0], taps[0]), self.spread(outs[1] - 1, taps[1] - 1)
        lo = np.clip(-(-first // self.upsample), 0, self.size)
        return lo, np.maximum(np.minimum(last // self.upsample + 1, self.size), lo)

    def met(self, outs: tuple[Any, Any], taps: tuple[Any, Any]) -> Index:
        """How many pairs of outputs and taps between ``lo`` and ``hi - 1`` of each meet an input, by arithmetic: no table of all pairs.

        Output ``y`` meets an input under a tap where its place is one of ``size * upsample`` and ``y * stride`` has the rest
        modulo ``upsample`` that puts it on no inserted zero.
        """
        (a, b), (c, d) = ((np.asarray(side, dtype=np.int64) for side in part) for part in (outs, taps))
        common = math.gcd(self.stride, self.upsample)
        period = self.upsample // common
        inverse = pow(self.stride // common, -1, period)
        found = np.zeros(np.broadcast(a, b, c, d).shape, dtype=np.int64)
        for tap in range(int(c.min(initial=self.taps)), int(d.max(initial=0))):
            start = self.pad - tap * self.dilation  # what y * stride must reach
            if start % common:
                continue
            least = np.maximum(a, _ceil(start, self.stride))
            end = np.minimum(b, _ceil(start + self.size * self.upsample, self.stride))
            first = start // common * inverse % period
            under = np.maximum(_ceil(end - first, period) - _ceil(least - first, period), 0)
            found += np.where((c <= tap) & (tap < d) & (least < end), under, 0)
        return found

    def span(self, outputs: Any, taps: Any) -> Any:
        """Most inputs that lie under any ``outputs`` neighbouring outputs and ``taps`` neighbouring taps."""
        spread = (outputs - 1) * self.stride + window_extent(taps, self.dilation)
        return np.minimum(self.size, -(-spread // self.upsample))


def _ceil(value: Any, step: int) -> Any:
    return -(-value // step)


def window_place(out: Any, tap: Any, stride: Any, dilation: Any, pad: Any) -> Any:
    """Place of output ``out`` and ``tap`` in an image whose inputs may stand apart; negative on padding in front of it."""
    return out * stride - pad + tap * dilation


def window_extent(taps: Any, dilation: Any) -> Any:
    """Places from the first tap of a window to its last, both included."""
    return (taps - 1) * dilation + 1


def same_window(size: int, taps: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Outputs, ``ceil(size / stride)``, and cells of padding on both sides together, of what TFLite and ONNX call SAME."""
    out = -(-size // stride)
    return out, max((out - 1) * stride + window_extent(taps, dilation) - size, 0)


@dataclass(frozen=True, kw_only=True)
class MacGeometry(Brief):
    """Shape of a grouped 2-D convolution; a dense layer and a matrix product are its 1x1 case.

    Input view (n, ih, iw, ic), weights (oc, kh, kw, ic/groups), output view (n, oh, ow, oc). Which input row and column an
    output and a tap meet, :class:`Axis` says (``upsample`` > 1 only for transposed convolution); output channel ``o`` belongs to
    group ``o // (oc/groups)``.
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
        sizes, pads = _SIZES(self), (self.pad_top, self.pad_left)
        if min(sizes) < 1 or max(sizes) >= 2**31 or min(pads) < -(10**9) or max(pads) >= 2**31:
            self._refuse()
        if self.ic % self.groups or self.oc % self.groups:
            raise GraphError(
                f"layer geometry: input channels {self.ic} and output channels {self.oc} must be multiples of groups {self.groups}"
            )

    def _refuse(self) -> None:
        for name in self.__dataclass_fields__:  # vars() would leave each geometry a dictionary
            value, least = getattr(self, name), -(10**9) if name.startswith("pad") else 1
            if not least <= value < 2**31:
                raise GraphError(f"layer geometry: {name} must be at least {least} and below 2^31, got {value}")

    def axis(self, name: str) -> Axis:
        """The windows along rows (``h``) or columns (``w``)."""
        if name == "h":
            return Axis(self.ih, self.oh, self.kh, self.stride_h, self.dilation_h, self.pad_top, self.upsample_h)
        return Axis(self.iw, self.ow, self.kw, self.stride_w, self.dilation_w, self.pad_left, self.upsample_w)

    def output_rows(self, lo: int, hi: int) -> MacGeometry:
        """The part of the layer that makes output rows ``lo`` to ``hi - 1`` of the same image."""
        return replace(self, oh=hi - lo, pad_top=self.pad_top - lo * self.stride_h)

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


_SIZES = attrgetter(*(name for name in MacGeometry.__dataclass_fields__ if not name.startswith("pad")))
