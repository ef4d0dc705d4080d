"""What a layer with weights sums over, as rows: patches of its input at some of its output's positions.

Convolutions, transposed ones, Gemm and MatMul become one form, ``y[g, n, u] = sum over k of x[g, n, k] * w[g, u, k]`` for group g,
position n, unit u and tap k, which matrix products compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.file import OnnxNode
from accelsim.ptq.network.operators import CONVOLUTIONS
from accelsim.ptq.network.products import as_before, groups_of, units_first

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


def by_group(node: OnnxNode, weights: NDArray[Any]) -> NDArray[Any]:
    """Weights of ``node`` as (groups, units of a group, taps)."""
    units, groups = units_first(node, weights), groups_of(node)
    return units.reshape(groups, len(units) // groups, -1)


def from_groups(node: OnnxNode, grouped: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    """The inverse of :func:`by_group`, in the shape of the weights ``like``."""
    return as_before(node, grouped.reshape(units_first(node, like).shape))


def output_places(node: OnnxNode, output: tuple[int, ...], count: int, rng: np.random.Generator) -> Places:
    """At most ``count`` positions of an output of that shape, drawn without repetition, in rising order."""
    sizes = output[2:] if node.op in CONVOLUTIONS else output[:-1]
    whole = int(np.prod(sizes, dtype=np.int64)) * (output[0] if node.op in CONVOLUTIONS else 1)
    if whole <= count:
        return np.arange(whole)
    return np.sort(rng.choice(whole, count, replace=False))


def input_rows(
    node: OnnxNode, x: NDArray[Any], weights: NDArray[Any], output: tuple[int, ...], places: Places
) -> Floats:
    """What each output at ``places`` sums over, (groups, places, taps); ``x`` one inference's input."""
    if node.op not in CONVOLUTIONS:
        rows = x.reshape(-1, x.shape[-1])[places][None]
        return np.ascontiguousarray(rows, np.float32)
    windows = _windows(node, x.astype(np.float32), weights, output[2:])
    batch, *at = np.unravel_index(places, (output[0], *output[2:]))
    rank = len(output) - 2
    taken = np.moveaxis(windows, 1, 1 + rank)[(batch, *at)]  # (places, channels, *kernel)
    groups = groups_of(node)
    grouped = taken.reshape(len(places), groups, -1).swapaxes(0, 1)
    return np.ascontiguousarray(grouped)


def output_rows(node: OnnxNode, y: NDArray[Any], places: Places) -> Floats:
    """An output at ``places``, (groups, places, units of a group)."""
    rows = np.moveaxis(y, 1, -1) if node.op in CONVOLUTIONS else y
    rows = rows.reshape(-1, rows.shape[-1])[places]
    return np.ascontiguousarray(rows.reshape(len(places), groups_of(node), -1).swapaxes(0, 1), np.float32)


def _windows(node: OnnxNode, x: Floats, weights: NDArray[Any], sizes: Sequence[int]) -> Floats:
    """A view (batch, channels, *output, *kernel) of the padded input."""
    kernel, rank = weights.shape[2:], weights.ndim - 2
    strides, dilations = _spatial(node, "strides", rank), _spatial(node, "dilations", rank)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if node.op == "ConvTranspose":
        x, reversed_taps = _spread(node, x, strides, reach, sizes), True
        strides = (1,) * rank
    else:
        x, reversed_taps = _padded(node, x, strides, reach, sizes), False
    axes = tuple(range(2, 2 + rank))
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=axes)
    outer = tuple(slice(None, (n - 1) * s + 1, s) for n, s in zip(sizes, strides, strict=True))
    inner = tuple(slice(None, None, d) for d in dilations)
    view = view[(slice(None), slice(None), *outer, *inner)]
    turn = slice(None, None, -1 if reversed_taps else 1)
    kept: tuple[slice, ...] = (slice(None),) * (view.ndim - rank)
    turned: Floats = view[(*kept, *(turn,) * rank)]
    return turned


def _spatial(node: OnnxNode, name: str, rank: int) -> tuple[int, ...]:
    given = node.attributes.get(name) or (1,) * rank
    assert isinstance(given, tuple)
    return tuple(int(value) for value in given)


def _pads(node: OnnxNode, rank: int, needed: Sequence[int]) -> tuple[list[int], list[int]]:
    """Zeros before and behind; of auto_pad what is needed in all, the odd one at the end where it says so."""
    auto = node.attributes.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        less, more = [n // 2 for n in needed], [n - n // 2 for n in needed]
        return (less, more) if auto == "SAME_UPPER" else (more, less)
    given = node.attributes.get("pads") or (0,) * 2 * rank
    assert isinstance(given, tuple)
    pads = [0] * 2 * rank if auto == "VALID" else [int(value) for value in given]
    return pads[:rank], pads[rank:]


def _padded(node: OnnxNode, x: Floats, strides: Sequence[int], reach: Sequence[int], sizes: Sequence[int]) -> Floats:
    needed = [max((n - 1) * s + r - have, 0) for n, s, r, have in zip(sizes, strides, reach, x.shape[2:], strict=True)]
    before, behind = _pads(node, len(sizes), needed)
    return np.pad(x, [(0, 0), (0, 0), *zip(before, behind, strict=True)])


def _spread(node: OnnxNode, x: Floats, strides: Sequence[int], reach: Sequence[int], sizes: Sequence[int]) -> Floats:
    """The input of a transposed convolution with ``stride - 1`` zeros between its numbers and a border: under its taps, turned around,
    it is an ordinary convolution of stride 1."""
    rank = len(sizes)
    spread = np.zeros((*x.shape[:2], *((n - 1) * s + 1 for n, s in zip(x.shape[2:], strides, strict=True))), np.float32)
    spread[(slice(None), slice(None), *(slice(None, None, s) for s in strides))] = x
    whole = [have + r - 1 for have, r in zip(spread.shape[2:], reach, strict=True)]
    cut, _ = _pads(node, rank, [max(w - n, 0) for w, n in zip(whole, sizes, strict=True)])
    border = [r - 1 for r in reach]
    wide = [(b, max(n + c - w, 0) + b) for b, n, c, w in zip(border, sizes, cut, whole, strict=True)]
    padded = np.pad(spread, [(0, 0), (0, 0), *wide])
    kept = tuple(slice(c, c + n + r - 1) for c, n, r in zip(cut, sizes, reach, strict=True))
    return padded[(slice(None), slice(None), *kept)]
