"""Guesses about sums: what accumulators would hold if an operand, an address or a register were wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from accelsim.handoff.compare import kinds
from accelsim.handoff.compare.arrays import BLOCKS, array_changes
from accelsim.handoff.compare.golden import GoldenLayer
from accelsim.handoff.compare.kinds import Array, Change, Guess
from accelsim.numerics import IntFormat, Overflow, fit_array

BYTE = 8


def sum_guesses(layer: GoldenLayer) -> Iterator[Guess]:
    """All of them; each gives accumulators in the shape of the output."""
    golden = layer.stream("accumulators")

    def moved(change: Callable[[], Array]) -> Callable[[], Array]:
        """Golden sums, changed by as much as the sums without an end are."""
        return lambda: layer.fitted(golden + change())

    for changes in (_biases, _zeros, _operands, _addresses, _counts, array_changes):
        for kind, text, change in changes(layer):
            yield Guess(kind, text, moved(change))
    yield from _registers(layer)


def _biases(layer: GoldenLayer) -> Iterator[Change]:
    bias = layer.stream("bias")
    if not bias.any():
        return
    yield kinds.BIAS, "the bias is not added", lambda: -bias
    yield kinds.BIAS, "the bias is added twice", lambda: bias
    yield kinds.BIAS, "the bias is subtracted", lambda: -2 * bias
    yield kinds.BIAS, "stale bias: that of the channel before", lambda: np.roll(bias, 1) - bias
    yield kinds.BIAS, "stale bias: that of the next channel", lambda: np.roll(bias, -1) - bias
    yield kinds.BIAS, "stale bias: that of the first channel for all", lambda: bias[0] - bias
    for block in (size for size in BLOCKS if size < len(bias)):
        first = bias[np.arange(len(bias)) // block * block]
        yield kinds.BIAS, f"stale bias: that of the first channel of {block} for all", partial(np.subtract, first, bias)


def _with(
    layer: GoldenLayer, *, image: Array | None = None, weights: Array | None = None, zero: int | None = None
) -> Array:
    """What changed operands change of the sums."""
    x = layer.stream("activations") if image is None else image
    w = layer.stream("weights") if weights is None else weights
    return layer.products(x, w, layer.zero if zero is None else zero) - layer.plain


def _zeros(layer: GoldenLayer) -> Iterator[Change]:
    zero, image = layer.zero, layer.stream("activations")
    if zero:
        yield kinds.INPUT_ZERO, "the input zero point is not subtracted", partial(_with, layer, zero=0)
        yield kinds.INPUT_ZERO, "the input zero point is added", partial(_with, layer, zero=-zero)
        for off in (1, -1):
            yield (
                kinds.INPUT_ZERO,
                f"an input zero point of {zero + off} instead of {zero}",
                partial(_with, layer, zero=zero + off),
            )
        if not layer.held.all():
            bare = np.where(layer.held[None, :, :, None], image, 0)
            yield kinds.PADDING, "padding holds the code 0 instead of the zero point", partial(_with, layer, image=bare)
        ones = np.ones_like(layer.stream("weights"))
        yield (
            kinds.SWAPPED, "swapped operands: the input zero point is taken from the weights",
            lambda: layer.products(image, layer.stream("weights"), 0) - zero * layer.products(image, ones, 0) - layer.plain,
        )  # fmt: skip


def _operands(layer: GoldenLayer) -> Iterator[Change]:
    weights, image = layer.stream("weights"), layer.stream("activations")
    _, kh, kw, _ = weights.shape
    orders = {(0, 2, 1, 3): "kernel rows and columns", (3, 1, 2, 0): "input and output channels"}
    for axes, what in orders.items():
        turned = weights.transpose(axes)
        if turned.shape == weights.shape and not np.array_equal(turned, weights):
            yield (
                kinds.SWAPPED,
                f"swapped operands: {what} of the weights exchanged",
                partial(_with, layer, weights=turned),
            )
    if kh * kw > 1:
        yield (
            kinds.SWAPPED,
            "the kernel is turned by 180 degrees",
            partial(_with, layer, weights=weights[:, ::-1, ::-1]),
        )
    if image.shape[1] == image.shape[2] and image.shape[1] > 1:
        yield (
            kinds.SWAPPED,
            "swapped operands: rows and columns of the input exchanged",
            partial(_with, layer, image=image.swapaxes(1, 2)),
        )
    packings = {
        "kernel row, kernel column, input, output channel": (1, 2, 3, 0),
        "output, input channel, kernel row, kernel column": (0, 3, 1, 2),
        "input, output channel, kernel row, kernel column": (3, 0, 1, 2),
    }
    for order, axes in packings.items():
        for text, read in ((f"weights packed as {order}", _packed), (f"weights read as {order}", _read)):
            packed = read(weights, axes)
            if not np.array_equal(packed, weights):
                yield kinds.PACKING, text, partial(_with, layer, weights=packed)
    for text, read in (
        ("activations packed by channel, not by pixel", _packed),
        ("activations read by channel, not by pixel", _read),
    ):
        packed = read(image, (0, 3, 1, 2))
        if not np.array_equal(packed, image):
            yield kinds.PACKING, text, partial(_with, layer, image=packed)
    yield from _formats(layer)


def _packed(values: Array, axes: tuple[int, ...]) -> Array:
    """Numbers that stand in memory in the order of ``axes``, read as if they stood in their own."""
    return np.ascontiguousarray(values.transpose(axes)).reshape(values.shape)


def _read(values: Array, axes: tuple[int, ...]) -> Array:
    """Numbers in their own order, read as if they stood in that of ``axes``."""
    shape = tuple(values.shape[axis] for axis in axes)
    return np.ascontiguousarray(values.reshape(shape).transpose(np.argsort(axes)))


def _formats(layer: GoldenLayer) -> Iterator[Change]:
    """Signs and bytes of operands."""
    changes: dict[str, Callable[[Array], Array]] = {
        "weights": lambda values: _with(layer, weights=values),
        "activations": lambda values: _with(layer, image=values),
    }
    for name, change in changes.items():
        values, stream = layer.stream(name), layer.entry["streams"][name]
        bits = stream["bits"]
        if stream["signed"] and (values < 0).any():
            yield kinds.SIGN, f"{name} are taken as unsigned", partial(change, values & ((1 << bits) - 1))
        if not stream["signed"] and (values >> (bits - 1)).any():
            signed = fit_array(values, IntFormat(bits), Overflow.WRAP)
            yield kinds.SIGN, f"{name} are taken as signed", partial(change, signed)
        if swapped := _bytes_swapped(values, bits, stream["signed"]):
            text, made = swapped
            yield kinds.ENDIANNESS, f"{text} of the {name} exchanged", partial(change, made)


def _bytes_swapped(values: Array, bits: int, signed: bool) -> tuple[str, Array] | None:
    if bits == 2 * BYTE:
        kind = "<i2" if signed else "<u2"
        return "bytes", values.astype(kind).byteswap().astype(np.int64)
    if bits == BYTE // 2 and values.size % 2 == 0:
        return "halves of bytes", values.reshape(-1, 2)[:, ::-1].reshape(values.shape)
    return None


def _addresses(layer: GoldenLayer) -> Iterator[Change]:
    weights, image = layer.stream("weights"), layer.stream("activations")
    for by, text in ((1, "one before"), (-1, "one behind")):
        yield (
            kinds.ADDRESS,
            f"address of the weights off by one: {text}",
            partial(_with, layer, weights=_rolled(weights, by)),
        )
        yield (
            kinds.ADDRESS,
            f"address of the activations off by one: {text}",
            partial(_with, layer, image=_rolled(image, by)),
        )
        for axis, what in ((1, "row"), (2, "column"), (3, "channel")):
            if image.shape[axis] > 1:
                yield (
                    kinds.ADDRESS, f"activations of the {what} {text}",
                    partial(_with, layer, image=np.roll(image, by, axis=axis)),
                )  # fmt: skip
        for axis, what in ((0, "output channel"), (1, "kernel row"), (2, "kernel column"), (3, "input channel")):
            if weights.shape[axis] > 1:
                yield (
                    kinds.ADDRESS, f"weights of the {what} {text}",
                    partial(_with, layer, weights=np.roll(weights, by, axis=axis)),
                )  # fmt: skip


def _rolled(values: Array, by: int) -> Array:
    return np.roll(values.reshape(-1), by).reshape(values.shape)


def _counts(layer: GoldenLayer) -> Iterator[Change]:
    """Products that are left out."""
    weights = layer.stream("weights")
    for at, which in ((-1, "last"), (0, "first")):
        ends: list[tuple[str, Any]] = [("product of each sum", (slice(None), at, at, at))]
        sides = enumerate(("kernel row", "kernel column", "input channel"), start=1)
        ends += [(what, (slice(None),) * axis + (at,)) for axis, what in sides if weights.shape[axis] > 1]
        for what, place in ends:
            less = weights.copy()
            less[place] = 0
            yield kinds.COUNT, f"count off by one: the {which} {what} is left out", partial(_with, layer, weights=less)
            twice = weights.copy()
            twice[place] *= 2
            yield (
                kinds.COUNT,
                f"count off by one: the {which} {what} is added twice",
                partial(_with, layer, weights=twice),
            )


def _registers(layer: GoldenLayer) -> Iterator[Guess]:
    golden, fmt = layer.stream("accumulators"), layer.accumulator
    whole = layer.stream("bias") + layer.plain
    if (whole != golden).any():
        ends = IntFormat(64)
        other = "wrapped" if layer.overflow is not Overflow.WRAP else "saturated"
        fit = Overflow.WRAP if layer.overflow is not Overflow.WRAP else Overflow.SATURATE
        kind = kinds.SATURATION if fit is Overflow.WRAP else kinds.WRAPPED
        yield Guess(kind, f"sums that leave the accumulator are {other}", lambda: fit_array(whole, fmt, fit))
        yield Guess(
            kinds.WRAPPED, "accumulators are wider than the machine's", lambda: fit_array(whole, ends, Overflow.WRAP)
        )
    for bits in range(fmt.bits - 1, 3, -1):
        narrow = IntFormat(bits)
        if golden.size and (int(golden.min()) < narrow.min or int(golden.max()) > narrow.max):
            for policy in (Overflow.WRAP, Overflow.SATURATE):
                text = f"accumulators of {bits} bits {'wrap' if policy is Overflow.WRAP else 'saturate'}"
                yield Guess(kinds.WRAPPED, text, partial(fit_array, golden, narrow, policy))
    flat = golden.reshape(-1)
    before = np.concatenate([[0], flat[:-1]]).reshape(golden.shape)
    yield Guess(
        kinds.STALE_SUM,
        "the accumulator is not cleared: it begins with the sum before",
        lambda: layer.fitted(golden + before),
    )
    bare = (golden - layer.stream("bias")).reshape(-1)
    yield Guess(
        kinds.STALE_SUM, "the accumulator is never cleared: products of all outputs before add up",
        lambda: layer.fitted(np.cumsum(bare).reshape(golden.shape)),
    )  # fmt: skip
    yield Guess(
        kinds.STALE_SUM, "the accumulator is never cleared: sums of all outputs before add up",
        lambda: layer.fitted(np.cumsum(flat).reshape(golden.shape)),
    )  # fmt: skip
