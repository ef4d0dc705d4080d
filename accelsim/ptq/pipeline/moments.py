"""What a network's tensors are without data: from batch normalization's statistics, channels as normal distributions.

Behind a batch normalization channel i is normal with mean beta_i and standard deviation |gamma_i| (Nagel 1906.04721, section 4.2.1);
rectifiers cut such a distribution, sums add means and variances.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.importers.onnx.file import OnnxModel, OnnxNode
from accelsim.ptq.network.float_network import rectifier_bounds
from accelsim.ptq.network.operators import CONVOLUTIONS, KNOWN_RANGES, RECTIFIERS
from accelsim.ptq.network.products import bias_of, groups_of, is_one_matrix, is_product, units_first

Doubles = NDArray[np.float64]
Norms = Mapping[str, tuple[Doubles, Doubles]]
"""Mean and standard deviation by channel of what batch normalizations make, by tensor."""

DEVIATIONS = 6.0
"""Standard deviations on each side of the mean that a range without data covers (1906.04721, section 5)."""
NODES = 257
"""Values that stand for a channel."""
SAME = ("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Pad", "Identity")
"""Operators behind which a channel's values are taken to be distributed as before; a mean over a window is so at most as wide."""
FLAT = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and standard deviation (channels,) of a tensor, and equally likely values of each channel, (channels, nodes), the outermost
    ones at the ends of its range."""

    mean: Doubles
    std: Doubles
    values: Doubles


def normal(mean: Doubles, std: Doubles) -> Moments:
    """Channels that are normal, their values cut at :data:`DEVIATIONS`."""
    from scipy.special import ndtri

    shares = (np.arange(NODES) + 0.5) / NODES
    points = ndtri(shares)
    points[[0, -1]] = -DEVIATIONS, DEVIATIONS
    return Moments(mean, std, mean[:, None] + std[:, None] * points)


def uniform(low: float, high: float, channels: int) -> Moments:
    """A graph input, of which nothing but its range is known."""
    values = np.broadcast_to(np.linspace(low, high, NODES), (channels, NODES))
    return Moments(np.full(channels, (low + high) / 2), np.full(channels, (high - low) / math.sqrt(12)), values)


def rectified(mean: Doubles, std: Doubles, low: float, high: float) -> tuple[Doubles, Doubles]:
    """Mean and standard deviation of a normal variable cut to [low, high] (1906.04721, appendix C, equations 26 to 34).

    With a = (low - mean) / std, b = (high - mean) / std, Z = Phi(b) - Phi(a):
    ``E = mean Z + std (phi(a) - phi(b)) + low Phi(a) + high (1 - Phi(b))``, and the second moment likewise.
    """
    from scipy.special import ndtr

    safe = np.where(std > 0, std, 1.0)
    a, b = (low - mean) / safe, (high - mean) / safe
    below, above = ndtr(a), ndtr(-b)
    inside = 1 - below - above
    left, right = _density(a), _density(b)
    floor, ceiling = (0.0 if math.isinf(end) else end for end in (low, high))
    first = mean * inside + safe * (left - right) + floor * below + ceiling * above
    edge = _times(a, left) - _times(b, right)
    second = (mean**2 + safe**2) * inside + 2 * mean * safe * (left - right) + safe**2 * edge
    second += floor**2 * below + ceiling**2 * above
    constant = np.clip(mean, low, high)
    spread = np.sqrt(np.maximum(second - first**2, 0))
    return np.where(std > 0, first, constant), np.where(std > 0, spread, 0.0)


def _density(x: Doubles) -> Doubles:
    made: Doubles = np.exp(-0.5 * np.square(np.minimum(np.abs(x), 1e3))) / math.sqrt(2 * math.pi)
    return made


def _times(x: Doubles, density: Doubles) -> Doubles:
    """``x * density``, 0 where x is infinite."""
    return np.where(np.isfinite(x), x, 0) * density


def moments_of(
    model: OnnxModel, norms: Norms, shapes: Mapping[str, tuple[int, ...]], ranges: Mapping[str, tuple[float, float]]
) -> dict[str, Moments]:
    """Every tensor's moments; ``ranges`` are those of the graph inputs.

    Raises InputError for an operator through which they do not pass.
    """
    made = {name: uniform(low, high, _channels(shapes[name])) for name, (low, high) in ranges.items()}
    for node in model.nodes:
        name = node.outputs[0]
        made[name] = _of_norm(norms[name]) if name in norms else _of_node(model, node, made, shapes)
    return made


def _of_norm(norm: tuple[Doubles, Doubles]) -> Moments:
    return normal(*norm)


def _channels(shape: tuple[int, ...]) -> int:
    """Along axis 1 of images, along the last axis else."""
    return shape[1] if len(shape) >= 3 else shape[-1]


def _of_node(
    model: OnnxModel, node: OnnxNode, made: Mapping[str, Moments], shapes: Mapping[str, tuple[int, ...]]
) -> Moments:
    given = [made[name] for name in node.inputs if name in made]
    target = shapes[node.outputs[0]]
    if is_product(node, model.constants) and is_one_matrix(node, model.constants):
        return _product(model, node, given[0])
    if node.op in RECTIFIERS:
        return _cut(given[0], *rectifier_bounds(model, node))
    if node.op in SAME:
        return given[0]
    if node.op in FLAT:
        return _flattened(given[0], target)
    if node.op in KNOWN_RANGES:
        return uniform(*KNOWN_RANGES[node.op], _channels(target))
    rule = RULES.get(node.op)
    if rule is not None and len(given) == len([name for name in node.inputs if name]):
        return rule(given)
    raise InputError(
        f"{model.path}: no calibration data, and the statistics of batch normalization do not pass through {model.layer_name(node)} "
        f"({node.op}); give --calib FILE"
    )


def _product(model: OnnxModel, node: OnnxNode, given: Moments) -> Moments:
    """``W E[x] + b``, and a variance as if what is summed were independent."""
    weights = units_first(node, model.constants[node.inputs[1]].astype(np.float64))
    units, depth = weights.shape[:2]
    taps = weights.reshape(units, depth, -1)
    group = np.arange(units) * groups_of(node) // units
    read = (len(given.mean) // depth) if node.op in CONVOLUTIONS else 1
    mean, std = (np.resize(part, read * depth).reshape(read, depth)[group % read] for part in (given.mean, given.std))
    bias = bias_of(node, model.constants)
    total = (taps.sum(axis=2) * mean).sum(axis=1) + (0 if bias is None else bias.reshape(-1))
    return normal(total, np.sqrt((np.square(taps).sum(axis=2) * np.square(std)).sum(axis=1)))


def _cut(given: Moments, low: float, high: float) -> Moments:
    return Moments(*rectified(given.mean, given.std, low, high), np.clip(given.values, low, high))


def _flattened(given: Moments, target: tuple[int, ...]) -> Moments:
    """Pixels of a channel beside each other, where channels are no longer an axis of their own."""
    times = max(_channels(target) // len(given.mean), 1)
    return Moments(*(np.repeat(part, times, axis=0) for part in (given.mean, given.std, given.values)))


def _sum(given: list[Moments]) -> Moments:
    made = normal(sum((m.mean for m in given), np.zeros(1)), np.sqrt(sum((m.std**2 for m in given), np.zeros(1))))
    low, high = (sum(m.values[:, end] for m in given)[:, None] for end in (0, -1))  # type: ignore[index]
    return Moments(made.mean, made.std, np.clip(made.values, low, high))


def _beside(given: list[Moments]) -> Moments:
    parts = [[getattr(m, what) for m in given] for what in ("mean", "std", "values")]
    return Moments(*(np.concatenate(part) for part in parts))


RULES: Mapping[str, Callable[[list[Moments]], Moments]] = {"Add": _sum, "Sum": _sum, "Concat": _beside}
