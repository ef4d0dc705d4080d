"""A network on its way through the steps, and the bench on which it is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.labels import answers
from accelsim.ptq.bias_correction import Watch
from accelsim.ptq.calibrate import Seen, check_finite, observe
from accelsim.ptq.equalization import Reach
from accelsim.ptq.evaluate import evaluate, evaluate_model
from accelsim.ptq.network.float_network import OnnxModel, fused_rectifier, rectifier_bounds
from accelsim.ptq.network.parameters import with_weights
from accelsim.ptq.network.products import products
from accelsim.ptq.network.proto import float_proto
from accelsim.ptq.parameters import NOTHING, ActQuant, Pinned, WeightQuant, act_parameters, decibels, weight_parameters
from accelsim.ptq.pipeline.fake import real_parameters, with_quantizers
from accelsim.ptq.pipeline.moments import Moments, Norms, moments_of
from accelsim.ptq.plan import Plan, make_plan
from accelsim.ptq.settings import Settings

Batches = Mapping[str, NDArray[np.float32]]
PAPER_DEVIATIONS = 3.0
"""Standard deviations below the mean that a channel is taken to stay above (Nagel 1906.04721, section 4.1.3)."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Draft:
    """A float network, what is decided about its quantizers so far, and its batch normalizations' statistics."""

    network: OnnxModel
    settings: Settings
    norms: Norms
    pinned: Pinned = NOTHING

    def pin(self, **more: Mapping[str, Any]) -> Draft:
        """With those ``ranges``, ``scales``, ``codes`` or ``biases`` beside what is pinned already."""
        changed = {what: {**getattr(self.pinned, what), **values} for what, values in more.items()}
        return replace(self, pinned=replace(self.pinned, **changed))

    @property
    def plan(self) -> Plan:
        """Where quantizers stand."""
        return make_plan(self.network, self.settings)


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a network's tensors take, over calibration data or by the statistics of its batch normalizations."""

    seen: Seen
    shapes: Mapping[str, tuple[int, ...]]
    means: Mapping[str, NDArray[np.float64]]
    reach: Reach


@dataclass(frozen=True)
class Score:
    """Signal-to-quantization-noise ratio of the output in dB, and the share of labels met; None where nothing was measured."""

    sqnr_db: float | None = None
    accuracy: float | None = None


@dataclass(eq=False)
class Bench:
    """The float network, calibration data or None, and what scores are measured on: ``tests``, else the calibration data.

    ``ranges`` are those of the graph inputs, for where there is no data.
    """

    path: Path
    original: OnnxModel
    data: Batches | None
    tests: Batches | None
    labels: NDArray[Any] | None
    evaluator: str
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    progress: Progress | None = None
    _known: dict[int, tuple[OnnxModel, Evidence]] = field(default_factory=dict)
    _reference: NDArray[np.float64] | None = None

    @property
    def measured_on(self) -> Batches | None:
        """Inputs of the scores."""
        return self.data if self.tests is None else self.tests

    def evidence(self, draft: Draft) -> Evidence:
        """Of the draft's float network, gathered once."""
        known = self._known.get(id(draft.network))
        if known is None:
            made = self._gathered(draft) if self.data is not None else self._assumed(draft)
            known = (draft.network, made)
            self._known = {id(draft.network): known}  # of one network at a time: it holds every activation
        return known[1]

    def _gathered(self, draft: Draft) -> Evidence:
        assert self.data is not None
        network = draft.network
        watch, reach = Watch(network), Reach(network)

        def reached(inferences: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
            for i, made in enumerate(inferences):
                check_finite(made, i)
                reach.add(made)
                yield made

        whole = replace(draft.settings, range="mse")  # which keeps every value
        inferences = watch.over(reached(evaluate(network, self.data, evaluator=self.evaluator)))
        return Evidence(observe(inferences, draft.plan, whole), watch.shapes, watch.means, reach)

    def _assumed(self, draft: Draft) -> Evidence:
        network = draft.network
        zeros = {v.name: np.zeros((1, *v.shape), np.float32) for v in network.inputs}
        made = next(evaluate(network, zeros, evaluator=self.evaluator))
        shapes = {name: values.shape for name, values in made.items()}
        moments = moments_of(network, draft.norms, shapes, self.ranges)
        seen = {name: [known.values.astype(np.float32).reshape(-1)] for name, known in moments.items()}
        means = {node.outputs[0]: moments[node.inputs[0]].mean for node in products(network)}
        return Evidence(seen, shapes, means, _reach(network, moments, shapes))

    def codes(self, draft: Draft) -> tuple[dict[str, ActQuant], dict[str, WeightQuant]]:
        """What the draft's activations and weights are quantized to."""
        found, plan = self.evidence(draft), draft.plan
        acts = act_parameters(plan, found.seen, draft.settings, pinned=draft.pinned)
        return acts, weight_parameters(
            draft.network, plan, acts, draft.settings, means=found.means, pinned=draft.pinned
        )

    def score(self, draft: Draft) -> Score:
        """Of the fake-quantized draft against the float network."""
        if self.measured_on is None:
            return Score()
        network = draft.network
        acts, weights = self.codes(draft)
        held = {node.outputs[0]: real_parameters(node, weights[node.outputs[0]], acts) for node in products(network)}
        made = self._outputs(with_quantizers(with_weights(network, held), acts))
        if self._reference is None:
            self._reference = self._outputs(self.original)
        return Score(decibels(self._reference, made - self._reference), self.accuracy(made))

    def float_outputs(self) -> NDArray[np.float64]:
        """(Inferences, numbers) of the float network."""
        if self._reference is None:
            self._reference = self._outputs(self.original)
        return self._reference

    def accuracy(self, outputs: NDArray[np.float64]) -> float | None:
        """Share of the labels that the largest of ``outputs`` meets."""
        return None if self.labels is None else float(np.mean(answers(outputs) == self.labels))

    def _outputs(self, network: OnnxModel) -> NDArray[np.float64]:
        assert self.measured_on is not None
        made = evaluate_model(float_proto(network), self.measured_on, evaluator=self.evaluator)
        count = len(next(iter(self.measured_on.values())))
        return np.concatenate([made[name].reshape(count, -1) for name in network.outputs], axis=1).astype(np.float64)


def _reach(network: OnnxModel, moments: Mapping[str, Moments], shapes: Mapping[str, tuple[int, ...]]) -> Reach:
    """As data would make it: six standard deviations up, and the paper's three down."""
    reach = Reach(network, shapes=dict(shapes))
    for node in products(network):
        name = node.outputs[0]
        known = moments[name]
        ends = np.clip(known.values[:, [0, -1]], *rectifier_bounds(network, fused_rectifier(network, node)))
        reach.channels[name] = np.abs(ends).max(axis=1)
        reach.lows[name] = known.mean - PAPER_DEVIATIONS * known.std
        reach.highs[name] = known.values[:, -1]
    return reach
