"""Which parameters of the machine's layers are not the reference's, whether or not a code shows it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

import numpy as np

from accelsim.graph import Graph, Layer, MacLayer, Reshape
from accelsim.numerics import Requant
from accelsim.verification import names
from accelsim.verification.records import Finding
from accelsim.verification.steps.step import same


def paired(reference: Graph, mine: Graph) -> dict[str, Layer]:
    """The reference's layer of each machine layer: by name of output tensor, or by position where the operators are the same."""
    theirs = [layer for layer in reference.layers if not isinstance(layer, Reshape)]
    ours = [layer for layer in mine.layers if not isinstance(layer, Reshape)]
    if [layer.operator for layer in theirs] == [layer.operator for layer in ours]:
        found = {b.name: a for a, b in zip(theirs, ours, strict=True)}
    else:
        by_output = {layer.output: layer for layer in theirs}
        found = {layer.name: by_output[layer.output] for layer in ours if layer.output in by_output}
    return {layer.name: found[layer.name] for layer in ours if layer.name in found and _fits(found[layer.name], layer)}


def _fits(a: Layer, b: Layer) -> bool:
    return a.operator == b.operator and (a.input_shapes, a.output_shape) == (b.input_shapes, b.output_shape)


def findings(reference: Graph, mine: Graph, pairs: dict[str, Layer]) -> Iterator[Finding]:
    """Differences of parameters, layer by layer, after any difference in the list of operators."""
    yield from _rewriting(reference, mine)
    for layer in mine.layers:
        other = pairs.get(layer.name)
        if other is not None:
            yield from _layer(other, layer, reference, mine)


def _rewriting(reference: Graph, mine: Graph) -> Iterator[Finding]:
    theirs = [layer.operator for layer in reference.layers if not isinstance(layer, Reshape)]
    ours = [layer.operator for layer in mine.layers if not isinstance(layer, Reshape)]
    if theirs == ours:
        return
    place = next(i for i, (a, b) in enumerate(zip_longest(theirs, ours)) if a != b)
    text = f"the operators differ from number {place} on: reference {theirs[place : place + 3]}, machine {ours[place : place + 3]}"
    yield Finding(layer=ours[place] if place < len(ours) else "—", kind=names.REWRITING, text=text)


def _layer(other: Layer, layer: Layer, reference: Graph, mine: Graph) -> Iterator[Finding]:
    if isinstance(other, MacLayer) and isinstance(layer, MacLayer):
        yield from _mac(other, layer)
    for attribute in ("value", "before"):
        if not same(getattr(other, attribute, None), getattr(layer, attribute, None)):
            yield Finding(layer=layer.name, kind=names.PADDING, text=f"padding {attribute} differs")
    scales = [
        (reference.tensors[a].scale, mine.tensors[b].scale)
        for a, b in zip((*other.inputs, other.output), (*layer.inputs, layer.output), strict=True)
    ]
    for a, b in scales:
        if a is not None and b is not None and a != b:
            text = f"scale of an activation: machine / reference = {names.ratio_text([b / a])}"
            yield Finding(layer=layer.name, kind=names.SCALE, text=text)
            break
    yield from _requant(getattr(other, "requant", None), getattr(layer, "requant", None), layer)


def _mac(other: MacLayer, layer: MacLayer) -> Iterator[Finding]:
    if not same(other.weights, layer.weights) and other.weights is not None and layer.weights is not None:
        moved = np.abs(other.weights.astype(np.int64) - layer.weights.astype(np.int64))
        text = f"{np.count_nonzero(moved):,} of {moved.size:,} integer weights differ, by at most {int(moved.max())}"
        yield Finding(layer=layer.name, kind=names.WEIGHTS, text=text)
    if not same(other.bias, layer.bias):
        yield Finding(layer=layer.name, kind=names.BIAS, text=_bias_text(other, layer))
    if other.input_zero_point != layer.input_zero_point:
        text = f"input zero point: reference {other.input_zero_point}, machine {layer.input_zero_point}"
        yield Finding(layer=layer.name, kind=names.INPUT_ZERO, text=text)
    if other.geometry != layer.geometry:
        a, b = other.geometry, layer.geometry
        text = f"padding (top, left): reference {(a.pad_top, a.pad_left)}, machine {(b.pad_top, b.pad_left)}"
        yield Finding(layer=layer.name, kind=names.PADDING, text=text)
    a_scales, b_scales = other.weight_scales, layer.weight_scales
    if a_scales is not None and b_scales is not None and not same(a_scales, b_scales):
        ratios = (b_scales.astype(np.float64) / a_scales.astype(np.float64)).tolist()
        text = f"weight scale: machine / reference = {names.ratio_text(ratios)}"
        yield Finding(layer=layer.name, kind=names.SCALE, text=text)


def _bias_text(other: MacLayer, layer: MacLayer) -> str:
    if other.bias is None or layer.bias is None:
        return "one of the two has no bias"
    moved = np.abs(other.bias - layer.bias)
    return f"{np.count_nonzero(moved):,} of {moved.size:,} biases differ, by at most {int(moved.max())}"


def _requant(a: object, b: object, layer: Layer) -> Iterator[Finding]:
    if not (isinstance(a, Requant) and isinstance(b, Requant)):
        return
    if a.scheme == b.scheme and not (same(a.multiplier, b.multiplier) and same(a.shift, b.shift)):
        yield Finding(layer=layer.name, kind=names.MULTIPLIER, text=names.text(names.MULTIPLIER))
    if a.zero_point != b.zero_point:
        text = f"output zero point: reference {a.zero_point}, machine {b.zero_point}"
        yield Finding(layer=layer.name, kind=names.OUTPUT_ZERO, text=text)
    if (a.clamp_min, a.clamp_max) != (b.clamp_min, b.clamp_max):
        ends = (a.clamp_min, a.clamp_max), (b.clamp_min, b.clamp_max)
        narrower = ends[0][0] >= ends[1][0] and ends[0][1] <= ends[1][1]
        kind = names.RANGE if narrower or (ends[1][0] >= ends[0][0] and ends[1][1] <= ends[0][1]) else names.CLAMP
        yield Finding(layer=layer.name, kind=kind, text=f"codes: reference {list(ends[0])}, machine {list(ends[1])}")
