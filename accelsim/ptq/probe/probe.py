"""Running a float network with any choice of its quantizers on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccelsimError, ConfigError
from accelsim.importers.onnx.file import OnnxNode
from accelsim.ptq.evaluate import fastest_evaluator, gather, runner
from accelsim.ptq.plan import Group, make_plan
from accelsim.ptq.probe.build import Builder, Segment, act_feeds
from accelsim.ptq.probe.parameters import Active, Chosen, Parameters
from accelsim.ptq.probe.places import QuantizerId
from accelsim.ptq.quantization import Calibrated
from accelsim.ptq.settings import Settings, Widths

Floats = NDArray[np.float32]
Tensors = dict[str, Floats]
CHUNK = 64
"""Inferences that go through a network at once."""
KEPT_BYTES = 2**29
"""Of tensors between segments that are kept from earlier runs: 512 MiB."""
SAME = 1e-4
"""Two inferences at once and one by one may differ by this share of their largest output, which is rounding of float32."""


class Probe:
    """A calibrated float network over ``inputs`` with a quantizer at every place of its plan, each off or on at any width.

    The quantizers are those of the quantized file: ranges, scales and zero points by :mod:`accelsim.ptq.parameters` under the
    settings of ``calibrated``, in the arithmetic of the dialect that :meth:`Calibrated.quantized` would take for the widths that are
    on. All on, the outputs are the file's, but for rounding of float32; all off, the float network's. One session serves all
    choices, inferences go through it together where the network allows it, and a run begins where it first differs from one before.

    ``inputs`` as of :func:`~accelsim.ptq.evaluate`; ``evaluator`` ``onnx``, ``onnxruntime``, or ``auto``: the second where it is
    installed. Raises InputError for inputs that do not fit, ConfigError for an unknown evaluator.
    """

    def __init__(self, calibrated: Calibrated, inputs: Mapping[str, NDArray[Any]], *, evaluator: str = "auto") -> None:
        self._parameters = Parameters(calibrated)
        self._batches = gather(calibrated.network, inputs)
        self._engine = _engine(calibrated, self._parameters, self._batches, fastest_evaluator(evaluator))

    @property
    def calibrated(self) -> Calibrated:
        """What the quantizers are made of."""
        return self._parameters.calibrated

    @property
    def quantizers(self) -> tuple[QuantizerId, ...]:
        """Every quantizer, in the order of execution."""
        return tuple(self._parameters.places)

    @property
    def places(self) -> Mapping[QuantizerId, Group | OnnxNode]:
        """The group of the plan, or the node with the weights, of each."""
        return self._parameters.places

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of all layers of the network, as ``accelsim quantize`` counts them."""
        network = self.calibrated.network
        return tuple(network.layer_name(node) for node in network.nodes)

    @property
    def count(self) -> int:
        """Inferences."""
        return len(next(iter(self._batches.values())))

    def under(self, settings: Settings) -> Probe:
        """The same network and inputs with quantizers made by other settings.

        Raises ConfigError where those would change the network (``equalize``), or need values that calibration did not keep.
        """
        own = self.calibrated.settings
        if settings.equalize != own.equalize:
            raise ConfigError("probe: equalization changes the network; calibrate it anew")
        if not (self.calibrated.whole or settings.keeps_extremes):
            raise ConfigError(
                f"probe: range {settings.range} needs all values, of which calibration kept extremes only"
            )
        other = copy(self)
        other._parameters = Parameters(replace(self.calibrated, settings=settings), self._parameters)
        return other

    def at(
        self, *, weights: int | None = None, acts: int | None = None, layers: Mapping[str, Widths] | None = None
    ) -> dict[QuantizerId, int | None]:
        """All quantizers on, at the widths that :meth:`Calibrated.quantized` gives them for the same arguments."""
        own = self.calibrated.settings
        exceptions = {**own.layers, **(layers or {})}
        chosen = replace(own, weights=weights or own.weights, acts=acts or own.acts, layers=exceptions)
        return self._parameters.at(make_plan(self.calibrated.network, chosen))

    def outputs(self, active: Active) -> Floats:
        """What the network makes, float32 (inferences, *shape of its output), with the quantizers of ``active`` on at those bits.

        Outputs of a network of several are flattened and joined, (inferences, numbers). Raises ConfigError for quantizers that
        the network has not, and widths beyond 1 to 16 bits.
        """
        return _outputs(self._engine, self._parameters, self._batches, active)

    def chosen(self, active: Active) -> Chosen:
        """Scales, zero points and codes of the quantizers that are on."""
        return self._parameters.chosen(active)


@dataclass(frozen=True, eq=False)
class _Feeds:
    key: tuple[Any, ...]
    numbers: Tensors


@dataclass(eq=False)
class _Engine:
    """Sessions of the segments, and what passed between them in earlier runs, chunk by chunk."""

    segments: tuple[Segment, ...]
    runs: tuple[Callable[[Mapping[str, Any]], Tensors], ...]
    outputs: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    batched: bool
    kept: OrderedDict[tuple[Any, ...], list[Tensors]] = field(default_factory=OrderedDict)

    def run(self, feeds: Sequence[_Feeds], batches: Mapping[str, Floats]) -> Floats:
        """Outputs of all inferences."""
        keys = [tuple(each.key for each in feeds[: i + 1]) for i in range(len(feeds))]
        begin = next((i for i in reversed(range(len(keys))) if keys[i] in self.kept), -1)
        chunks = self._kept(keys[begin]) if begin >= 0 else self._chunks(batches)
        for i in range(begin + 1, len(keys)):
            chunks = [self._step(i, chunk, feeds[i].numbers) for chunk in chunks]
            self._keep(keys[i], chunks)
        return self._joined(chunks)

    def _kept(self, key: tuple[Any, ...]) -> list[Tensors]:
        self.kept.move_to_end(key)
        return self.kept[key]

    def _chunks(self, batches: Mapping[str, Floats]) -> list[Tensors]:
        count = len(next(iter(batches.values())))
        if not self.batched:
            return [{name: batch[i] for name, batch in batches.items()} for i in range(count)]
        ranges = [slice(begin, begin + CHUNK) for begin in range(0, count, CHUNK)]
        return [{name: batch[part, 0] for name, batch in batches.items()} for part in ranges]

    def _step(self, index: int, chunk: Tensors, numbers: Tensors) -> Tensors:
        segment = self.segments[index]
        made = self.runs[index]({name: chunk[name] for name in segment.reads} | numbers)
        return {name: values for name, values in chunk.items() if name in self.outputs} | made

    def _keep(self, key: tuple[Any, ...], chunks: list[Tensors]) -> None:
        self.kept[key] = chunks
        total = sum(_bytes(held) for held in self.kept.values())
        while total > KEPT_BYTES and len(self.kept) > 1:
            total -= _bytes(self.kept.popitem(last=False)[1])

    def _joined(self, chunks: list[Tensors]) -> Floats:
        made = []
        for name in self.outputs:
            parts = [chunk[name] for chunk in chunks]
            whole = np.concatenate(parts) if self.batched else np.stack(parts)
            made.append(whole.reshape(-1, *self.shapes[name]))
        if len(made) == 1:
            return made[0]
        return np.concatenate([each.reshape(len(each), -1) for each in made], axis=1)


def _bytes(chunks: list[Tensors]) -> int:
    return sum(values.nbytes for chunk in chunks for values in chunk.values())


def _engine(calibrated: Calibrated, parameters: Parameters, batches: Mapping[str, Floats], evaluator: str) -> _Engine:
    """Batched where that gives two inferences what they get alone."""
    whole = _sessions(calibrated, parameters, evaluator, batched=False)
    if any(value.shape[:1] != (1,) for value in calibrated.network.inputs) or len(next(iter(batches.values()))) == 1:
        return whole
    try:
        together = _sessions(calibrated, parameters, evaluator, batched=True)
        return together if _agree(whole, together, parameters, batches) else whole
    except (AccelsimError, ValueError):  # a shape that holds for one inference only; numpy's for the outputs
        return whole


def _agree(whole: _Engine, together: _Engine, parameters: Parameters, batches: Mapping[str, Floats]) -> bool:
    """Of the first and the last inference, with all quantizers off."""
    two = {name: batch[[0, -1]] for name, batch in batches.items()}
    one, both = (_outputs(engine, parameters, two, {}) for engine in (whole, together))
    for engine in (whole, together):
        engine.kept.clear()
    return bool(np.abs(one - both).max() <= SAME * (np.abs(one).max() or 1.0))


def _outputs(engine: _Engine, parameters: Parameters, batches: Mapping[str, Floats], active: Active) -> Floats:
    chosen = parameters.chosen(active)
    return engine.run([_feed(segment, parameters, chosen) for segment in engine.segments], batches)


def _feed(segment: Segment, parameters: Parameters, chosen: Chosen) -> _Feeds:
    """What tells the quantizers of ``segment`` apart from other runs', and the numbers they get."""
    feeds, key, zero_point_first = Tensors(), list[Any](), chosen.dialect == "qonnx"
    for known in segment.acts:
        act = chosen.acts.get(known)
        feeds |= act_feeds(known, act, zero_point_first=zero_point_first)
        key.append(None if act is None else (act, zero_point_first and act.zero_point != 0))
    for name, ports in segment.parameters.items():
        key.append(chosen.weights.get(name, None if zero_point_first else chosen.operands.get(name)))
        feeds |= dict(zip(ports, parameters.values(name, chosen), strict=True))
    return _Feeds(tuple(key), feeds)


def _sessions(calibrated: Calibrated, parameters: Parameters, evaluator: str, *, batched: bool) -> _Engine:
    groups = {known: group for known, group in parameters.places.items() if isinstance(group, Group)}
    shapes = calibrated.watch.shapes
    segments = Builder(calibrated.network, groups, shapes, batched=batched).segments()
    runs = tuple(runner(each.proto, each.makes, evaluator=evaluator, optimized=True) for each in segments)
    return _Engine(segments, runs, calibrated.network.outputs, shapes, batched)
