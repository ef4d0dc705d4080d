"""What the quantizers meet: values of every activation and weights of every channel beside the range that their codes cover."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.file import OnnxNode
from accelsim.ptq.evaluate import evaluate
from accelsim.ptq.network.operators import output_axis
from accelsim.ptq.network.products import units_first
from accelsim.ptq.parameters import ActQuant
from accelsim.ptq.plan import Group
from accelsim.ptq.probe import Active, QuantizerId
from accelsim.ptq.study import Study, decibels_of
from accelsim.quant import fake_quant_as

Doubles = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
BINS = 64
"""Of a histogram."""
MARGIN = 0.25
"""Of the range that is shown on either side of it; what lies beyond counts in the outermost bins."""
QUARTILES = (0, 25, 50, 75, 100)
"""Percentiles of the weights of a channel: a box with its whiskers."""


@dataclass(frozen=True, eq=False)
class ActivationRange:
    """Values of the activations under one quantizer: ``counts`` between ``edges``, and the extremes of every channel.

    ``low`` and ``high`` are the ends of what its codes stand for; ``clipped`` is the share of values beyond; ``sqnr_db`` that of the
    values themselves, quantized. ``lows``, ``highs``: (channels,), of the tensor that is measured first. ``constant``: channels that
    never change.
    """

    quantizer: QuantizerId
    low: float
    high: float
    edges: Doubles
    counts: NDArray[np.int64]
    clipped: float
    sqnr_db: float
    lows: Doubles
    highs: Doubles

    @property
    def constant(self) -> int:
        """Channels of one number throughout."""
        return int((self.lows == self.highs).sum())


@dataclass(frozen=True, eq=False)
class WeightRange:
    """Weights of a product by output channel: ``quartiles`` (channels, 5), ``sqnr_db`` of the quantized weights.

    ``limits`` (channels, 2) are the smallest and the largest number that the codes of a channel stand for.
    """

    quantizer: QuantizerId
    quartiles: Doubles
    limits: Doubles
    sqnr_db: float

    @property
    def spread(self) -> float:
        """Largest over smallest reach of a channel; those of zeros do not count."""
        reach = np.abs(self.quartiles[:, [0, -1]]).max(axis=1)
        used = reach[reach > 0]
        return float(used.max() / used.min()) if used.size else 1.0


@dataclass(eq=False)
class _Tally:
    """Of one quantizer, over the inferences that passed by."""

    quant: ActQuant
    tensors: tuple[str, ...]
    axis: int
    edges: Doubles
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    lows: Doubles | None = None
    highs: Doubles | None = None
    clipped: int = 0
    signal: float = 0.0
    noise: float = 0.0

    def add(self, made: dict[str, NDArray[np.float32]]) -> None:
        low, high = ends_of(self.quant)
        for name in self.tensors:
            values = made[name]
            inside = np.clip(values, self.edges[0], self.edges[-1])
            self.counts += np.histogram(inside, self.edges)[0]
            self.clipped += int(((values < low) | (values > high)).sum())
            known = self.quant
            faked = fake_quant_as(
                values, framework="onnx", scale=known.scale, zero_point=known.zero_point, fmt=known.format
            )
            self.signal += float(np.square(values, dtype=np.float64).sum())
            self.noise += float(np.square(faked - values, dtype=np.float64).sum())
        rows = np.moveaxis(made[self.tensors[0]], self.axis, 0)
        rows = rows.reshape(len(rows), -1).astype(np.float64)
        least, most = rows.min(axis=1), rows.max(axis=1)
        self.lows = least if self.lows is None else np.minimum(self.lows, least)
        self.highs = most if self.highs is None else np.maximum(self.highs, most)

    def done(self, known: QuantizerId) -> ActivationRange:
        low, high = ends_of(self.quant)
        assert self.lows is not None
        assert self.highs is not None
        clipped = self.clipped / max(int(self.counts.sum()), 1)
        noise = decibels_of(self.signal, self.noise)
        return ActivationRange(known, low, high, self.edges, self.counts, clipped, noise, self.lows, self.highs)


def ends_of(quant: ActQuant) -> tuple[float, float]:
    """The smallest and the largest number that a code stands for, half a step beyond which nothing is lost but by rounding."""
    fmt, step = quant.format, quant.scale
    return (fmt.min - quant.zero_point - 0.5) * step, (fmt.max - quant.zero_point + 0.5) * step


def activation_ranges(study: Study, active: Active, *, progress: Progress | None = None) -> list[ActivationRange]:
    """Of every quantizer of activations at the widths of ``active``, over the inputs of ``study`` in float, in the order of execution."""
    chosen = study.probe.chosen(active).acts
    network = study.calibrated.network
    groups = {known: group for known, group in study.probe.places.items() if isinstance(group, Group)}
    made_by = {name: node for node in network.nodes for name in node.outputs}
    shapes = study.calibrated.watch.shapes
    tallies = {
        known: _Tally(
            chosen[known],
            group.measured,
            _axis(made_by.get(group.measured[0]), len(shapes[group.measured[0]])),
            _edges(chosen[known]),
        )
        for known, group in groups.items()
        if known in chosen
    }
    for done, made in enumerate(evaluate(network, study.inputs, evaluator=study.evaluator), start=1):
        for tally in tallies.values():
            tally.add(made)
        if progress is not None:
            progress("ranges", done, study.probe.count)
    return [tally.done(known) for known, tally in tallies.items()]


def _axis(node: OnnxNode | None, rank: int) -> int:
    """Axis of the channels."""
    return output_axis("Conv" if rank > 2 and (node is None or node.op not in ("MatMul", "Gemm")) else "MatMul", rank)


def _edges(quant: ActQuant) -> Doubles:
    low, high = ends_of(quant)
    margin = MARGIN * (high - low)
    edges: Doubles = np.linspace(low - margin, high + margin, BINS + 1)
    return edges


def weight_ranges(study: Study, active: Active) -> list[WeightRange]:
    """Of every product's weights, at the widths of ``active``, in the order of execution."""
    return list(_weight_ranges(study, active))


def _weight_ranges(study: Study, active: Active) -> Iterator[WeightRange]:
    chosen, constants = study.probe.chosen(active).weights, study.calibrated.network.constants
    for known, node in study.probe.places.items():
        held = chosen.get(known.tensors[0])
        if known.kind == "activations" or held is None or not isinstance(node, OnnxNode):
            continue
        rows = _by_unit(node, constants[node.inputs[1]])
        quartiles = np.percentile(rows, QUARTILES, axis=1).T
        # Groups of a transposed convolution share the scales of their channels.
        scales = np.tile(held.scales.astype(np.float64), len(rows) // len(held.scales))
        limits = np.stack([scales * held.format.min, scales * held.format.max], axis=1)
        yield WeightRange(known, quartiles, limits, held.sqnr_db)


def _by_unit(node: OnnxNode, weights: NDArray[Any]) -> Doubles:
    units = units_first(node, weights)
    rows: Doubles = units.reshape(len(units), -1).astype(np.float64)
    return rows
