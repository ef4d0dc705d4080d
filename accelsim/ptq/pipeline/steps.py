"""The steps that pipelines are made of, each a function from a draft to a better one and a sentence on what it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ConfigError
from accelsim.ptq.calibrate import Known, group_range
from accelsim.ptq.equalization import with_factors
from accelsim.ptq.network.products import products
from accelsim.ptq.parameters import scales_of
from accelsim.ptq.pipeline.absorption import absorbed, reached_bounds, without_idle_bounds
from accelsim.ptq.pipeline.adarounding import Known as Layers
from accelsim.ptq.pipeline.adarounding import learned
from accelsim.ptq.pipeline.choices import Choices
from accelsim.ptq.pipeline.correction import analytic, empirical
from accelsim.ptq.pipeline.draft import Bench, Draft, Score

PERCENTILES = (99.9, 99.99, 99.999, 99.9999)
"""Of Wu et al. 2004.09602, table 5."""
WEIGHT_ONLY_BITS = 16
"""Of activations where only weights are quantized: the machine has integers alone, and of these so many are as good as real numbers."""


@dataclass(eq=False)
class Run:
    """What steps share: the bench, the user's choices, and what is to be told in the end.

    ``known`` and ``rounded`` are what a network's quantizers were found to be at some width, for other widths of its others; ``wanted`` the
    means of what its layers make in float, by output.
    """

    bench: Bench
    choices: Choices
    range: str
    notes: list[str] = field(default_factory=list)
    calibrations: dict[str, Score] = field(default_factory=dict)
    chosen: str | None = None
    known: Known = field(default_factory=Known)
    rounded: Layers = field(default_factory=dict)
    wanted: dict[str, NDArray[np.float64]] = field(default_factory=dict)


Act = Callable[[Draft, Run], tuple[Draft, str]]


@dataclass(frozen=True)
class Step:
    """A named step; ``needs_data`` where statistics of batch normalization are not enough; ``of_network`` where it does the same whatever
    the widths are; ``of_all`` where what it does to a layer follows what quantizers elsewhere do."""

    name: str
    act: Act
    source: str
    needs_data: bool = False
    of_network: bool = False
    of_all: bool = False


def _per_channel(draft: Draft, run: Run) -> tuple[Draft, str]:
    return replace(draft, settings=replace(draft.settings, per_channel=True)), "a scale per output channel"


def _weight_only(draft: Draft, run: Run) -> tuple[Draft, str]:
    settings = replace(draft.settings, acts=WEIGHT_ONLY_BITS)
    return replace(draft, settings=settings), f"activations of {WEIGHT_ONLY_BITS} bits in place of real numbers"


def _bounds(draft: Draft, run: Run) -> tuple[Draft, str]:
    network, layers = without_idle_bounds(draft.network, run.bench.evidence(draft).reach)
    if not layers:
        return draft, "no RELU6 whose bound is never reached"
    return replace(draft, network=network), f"RELU6 to RELU behind {len(layers)} layers that never reach its bound"


def _equalize(draft: Draft, run: Run) -> tuple[Draft, str]:
    reach = run.bench.evidence(draft).reach
    bounded = replace(reach, bounds=reached_bounds(draft.network, reach))
    network, factors = with_factors(draft.network, bounded)
    if not factors:
        return draft, "no two layers that can be"
    norms = {name: tuple(part / factors.get(name, 1) for part in norm) for name, norm in draft.norms.items()}
    held = sum(int(bounded.held(name).sum()) for name in factors)
    kept = f"; {held} channels keep theirs, which reach the bound of RELU6" if held else ""
    made = replace(draft, network=network, norms=norms)  # type: ignore[arg-type]  # pairs stay pairs
    return made, f"channels of {len(factors)} pairs of layers{kept}"


def _absorb(draft: Draft, run: Run) -> tuple[Draft, str]:
    network, taken, kept = absorbed(draft.network, run.bench.evidence(draft).reach)
    for layer, reason in kept.items():
        run.notes.append(f"bias-absorption, {layer}: not absorbed: {reason}")
    count = sum(int((c > 0).sum()) for c in taken.values())
    did = f"{count} channels of {len(taken)} layers" + (f"; {len(kept)} layers keep theirs (notes)" if kept else "")
    if not taken:
        return draft, did
    norms = {name: (norm[0] - taken.get(name, 0), norm[1]) for name, norm in draft.norms.items()}
    return replace(draft, network=network, norms=norms), did


def _weight_ranges(draft: Draft, run: Run) -> tuple[Draft, str]:
    settings, scales, bits = replace(draft.settings, range="mse"), {}, draft.plan.weight_bits
    for node in products(draft.network):
        name = node.outputs[0]
        key = name, bits[name], settings.how
        if key not in run.known.scales:
            run.known.scales[key] = scales_of(draft.network, node, bits[name], settings)
        scales[name] = run.known.scales[key]
    return draft.pin(scales=scales), "least square error of the weights"


def _adaround(draft: Draft, run: Run) -> tuple[Draft, str]:
    codes, scales, errors = learned(draft, run.bench, run.choices.adaround, run.choices.state, run.rounded)
    shares = [e.error / e.nearest for e in errors if e.nearest > 0]
    resumed = sum(e.resumed for e in errors)
    left = f", {resumed} of them as they were left" if resumed else ""
    did = (
        f"{len(errors)} layers{left}; their error {np.exp(np.mean(np.log(np.maximum(shares, 1e-9)))):.2f} of rounding's"
        if shares
        else "nothing to round"
    )
    return draft.pin(codes=codes, scales=scales), did


def _correct(draft: Draft, run: Run) -> tuple[Draft, str]:
    by_data = run.bench.data is not None
    made = empirical(draft, run.bench, run.wanted) if by_data else analytic(draft, run.bench)
    how = "layer by layer over the data" if by_data else "from the statistics of batch normalization"
    return draft.pin(biases=made), f"{len(made)} layers, {how}"


def _ranges(draft: Draft, run: Run) -> tuple[Draft, str]:
    return _ranged(draft, run, run.range), f"by {run.range}"


def _ranged(draft: Draft, run: Run, method: str, percentile: float | None = None) -> Draft:
    settings = replace(draft.settings, range=method, percentile=percentile or draft.settings.percentile)  # type: ignore[arg-type]
    made = {}
    for group in draft.plan.groups:
        key = group.measured, group.bits, settings.how
        if key not in run.known.ranges:
            run.known.ranges[key] = group_range(group, run.bench.evidence(draft).seen, settings)
        made[group.tensors[0]] = run.known.ranges[key]
    return draft.pin(ranges=made)


def _cross_entropy(draft: Draft, run: Run) -> tuple[Draft, str]:
    name, classes = logits_of(draft, run)
    if name is None:
        return draft, "no class scores: no Softmax at the end, and no labels with --test"
    group = next(group for group in draft.plan.groups if name in group.tensors)
    key = group.measured, group.bits, "cross-entropy"
    if key not in run.known.ranges:
        rows = np.concatenate([values.reshape(-1, classes) for values in run.bench.evidence(draft).seen[name]])
        run.known.ranges[key] = draft.settings.act_quantizer(group.bits).least_cross_entropy_range(rows)
    did = f"the range of {draft.network.layer_name(_maker(draft, name))}"
    return draft.pin(ranges={group.tensors[0]: run.known.ranges[key]}), did


def _maker(draft: Draft, name: str) -> Any:
    return draft.network.producer(name)


def logits_of(draft: Draft, run: Run) -> tuple[str | None, int]:
    """The tensor of class scores: what the last Softmax reads, or, where there are labels, the only output of two or more numbers on one
    axis. An autoencoder's output has that form too, and is none."""
    network, shapes = draft.network, run.bench.evidence(draft).shapes
    if len(network.outputs) != 1:
        return None, 0
    name = network.outputs[0]
    last = network.producer(name)
    if last is not None and last.op == "Softmax":
        name = last.inputs[0]
    elif run.bench.labels is None:
        return None, 0
    classes = shapes[name][-1]
    measured = any(name in group.measured and group.known_range is None for group in draft.plan.groups)
    plain = int(np.prod(shapes[name])) == classes >= 2 and network.producer(name) is not None
    return (name, classes) if measured and plain else (None, 0)


def _calibrations(draft: Draft, run: Run) -> tuple[Draft, str]:
    methods: dict[str, tuple[str, float | None]] = {"max": ("minmax", None), "entropy": ("entropy", None)}
    methods |= {f"{percent:g}%": ("percentile", percent) for percent in PERCENTILES}
    made: dict[str, Draft] = {}
    for name, (method, percentile) in methods.items():
        made[name] = _ranged(draft, run, method, percentile)
        run.calibrations[name] = run.bench.score(made[name])
    if run.bench.measured_on is None:
        raise ConfigError("step calibrations: it compares what calibrations do to the output; give --calib FILE")
    run.chosen = max(run.calibrations, key=lambda name: _merit(run.calibrations[name]))
    criterion = "SQNR" if run.bench.labels is None else "accuracy, then SQNR"
    return made[run.chosen], f"{run.chosen} of {len(made)}, by {criterion}"


def _merit(score: Score) -> tuple[float, float]:
    return (score.accuracy or 0.0, -np.inf if score.sqnr_db is None else score.sqnr_db)


STEPS: Mapping[str, Step] = {
    step.name: step
    for step in (
        Step("weight-only", _weight_only, "Krishnamoorthi 1806.08342, section 3.1.1"),
        Step("per-channel", _per_channel, "Krishnamoorthi 1806.08342, section 3.1.2", of_network=True),
        Step("idle-bounds", _bounds, "Nagel 1906.04721, section 5.1.1", of_network=True),
        Step("equalization", _equalize, "Nagel 1906.04721, section 4.1.2", of_network=True),
        Step("bias-absorption", _absorb, "Nagel 1906.04721, section 4.1.3", of_network=True),
        Step("weight-ranges", _weight_ranges, "Nagel 2106.08295, section 3.1"),
        Step("activation-ranges", _ranges, "Nagel 2106.08295, section 3.1"),
        Step("calibrations", _calibrations, "Wu 2004.09602, section 5.2", needs_data=True),
        Step("adaround", _adaround, "Nagel 2004.10568", needs_data=True),
        Step("bias-correction", _correct, "Nagel 1906.04721, section 4.2", of_all=True),
        Step("cross-entropy", _cross_entropy, "Nagel 2106.08295, section 3.1", needs_data=True),
    )
}
"""Every step by its name, in the order in which they are taken."""
