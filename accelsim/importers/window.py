"""Sliding windows: padding and output size of one axis, and the geometry of what slides; the same in every format."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.graph import MacGeometry, same_window, window_extent

Image = tuple[int, int, int, int]
"""(n, rows, columns, channels)."""


@dataclass(frozen=True)
class Axis:
    """One axis of a window: output size, padding in front of it, stride and dilation."""

    size: int
    before: int
    stride: int
    dilation: int = 1

    def after(self, size: int, kernel: int) -> int:
        """Padding behind an input of ``size``, as far as the last window reaches."""
        reach: int = (self.size - 1) * self.stride + window_extent(kernel, self.dilation)
        return max(reach - size - self.before, 0)


def same(size: int, kernel: int, stride: int, dilation: int = 1, *, odd_in_front: bool = False) -> Axis:
    """``ceil(size / stride)`` outputs, half of the padding in front; the odd one behind, or ``odd_in_front``."""
    out, total = same_window(size, kernel, stride, dilation)
    return Axis(out, (total + odd_in_front) // 2, stride, dilation)


def explicit(size: int, kernel: int, stride: int, dilation: int = 1, pads: tuple[int, int] = (0, 0)) -> Axis:
    """As many outputs as whole windows fit between ``pads``; 0 where none does."""
    room = size + sum(pads) - window_extent(kernel, dilation)
    return Axis(room // stride + 1 if room >= 0 else 0, pads[0], stride, dilation)


def convolution(
    image: Image, oc: int, kernel: tuple[int, int], axes: tuple[Axis, Axis], groups: int = 1
) -> MacGeometry:
    """A window with ``oc`` output channels over ``image``."""
    (n, ih, iw, ic), (rows, columns) = image, axes
    return MacGeometry(
        n=n, ih=ih, iw=iw, ic=ic, oh=rows.size, ow=columns.size, oc=oc, kh=kernel[0], kw=kernel[1], stride_h=rows.stride,
        stride_w=columns.stride, dilation_h=rows.dilation, dilation_w=columns.dilation, pad_top=rows.before,
        pad_left=columns.before, groups=groups,
    )  # fmt: skip


def transposed(
    image: Image, output: Image, kernel: tuple[int, int], axes: tuple[Axis, Axis], groups: int = 1
) -> MacGeometry:
    """Gather form of the scatter ``out[stride*y - before + k] += x[y]*w[k]``: input rows spread apart, kernel flipped."""
    (n, ih, iw, ic), (_, oh, ow, oc), (kh, kw), (rows, columns) = image, output, kernel, axes
    return MacGeometry(
        n=n, ih=ih, iw=iw, ic=ic, oh=oh, ow=ow, oc=oc, kh=kh, kw=kw, upsample_h=rows.stride, upsample_w=columns.stride,
        pad_top=kh - 1 - rows.before, pad_left=kw - 1 - columns.before, groups=groups,
    )  # fmt: skip
