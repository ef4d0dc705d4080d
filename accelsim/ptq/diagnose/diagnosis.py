"""The flow chart of Nagel 2106.08295 (figure "PTQ debugging flow chart"), from the float check to the remedies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccelsimError
from accelsim.importers import as_path
from accelsim.names import LayerNames
from accelsim.ptq.diagnose.quantizers import QuantizerFinding, quantizer_findings
from accelsim.ptq.diagnose.ranges import ActivationRange, WeightRange, activation_ranges, weight_ranges
from accelsim.ptq.diagnose.remedies import Refused, Trial, Tried, remedies_for, together, try_remedies
from accelsim.ptq.evaluate import evaluate_model, gather
from accelsim.ptq.network.proto import float_proto
from accelsim.ptq.probe import Kind
from accelsim.ptq.sensitivity import file_outputs, joined_outputs
from accelsim.ptq.settings import MAX_BITS, Settings
from accelsim.ptq.study import Effect, Study, study_of

Arrays = Mapping[str, NDArray[Any]]
Progress = Callable[[str, int, int], None]
ROUNDING = 1e-4
"""Share of the largest output by which float32 sums in another order may differ."""


@dataclass(frozen=True)
class FloatCheck:
    """``difference``: largest difference of the network with all quantizers off from the float network, over the largest output;
    ``accuracy`` in float, None without labels."""

    difference: float
    accuracy: float | None
    count: int

    @property
    def passed(self) -> bool:
        """Whether they differ by rounding alone."""
        return self.difference <= ROUNDING


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What :func:`diagnose` found; ``stages`` by name (``weights``, ``activations``, ``both``, ``16 bits``), ``quantizers`` and ``tried``
    from what matters most, ``chosen`` the remedies that gain on top of each other. ``file`` is the effect of the file that they make,
    fake-quantized, None where it cannot be made, of which ``refusal`` says why; ``network`` names all layers in order."""

    path: Path
    settings: Settings
    check: FloatCheck
    stages: Mapping[str, Effect]
    quantizers: tuple[QuantizerFinding, ...]
    activations: tuple[ActivationRange, ...]
    weights: tuple[WeightRange, ...]
    tried: tuple[Tried, ...]
    refused: tuple[Refused, ...]
    chosen: tuple[Tried, ...]
    file: Effect | None
    refusal: str | None
    notes: tuple[str, ...]
    network: tuple[str, ...]

    @property
    def remedy(self) -> Settings:
        """The settings with all remedies that were chosen."""
        return self.chosen[-1].settings if self.chosen else self.settings

    @property
    def noise_of_weights(self) -> float:
        """Share of the weights in the power of the two noises at the output, each alone."""
        noises = [10 ** (-self.stages[name].sqnr_db / 10) for name in ("weights", "activations")]
        return noises[0] / sum(noises) if sum(noises) else 0.0

    @property
    def bottleneck(self) -> Kind:
        """Which of the two makes more noise."""
        return "weights" if self.noise_of_weights >= 0.5 else "activations"


def diagnose(
    path: str | Path,
    calibration: Arrays,
    *,
    settings: Settings | None = None,
    inputs: Arrays | None = None,
    labels: NDArray[Any] | None = None,
    evaluator: str = "auto",
    progress: Progress | None = None,
) -> Diagnosis:
    """Quantize the float network at ``path`` by ``settings``, find what harms its output over ``inputs`` (the calibration data where
    None), and try what helps.

    Arguments as of :func:`~accelsim.ptq.quantize_network`; ``labels`` are of ``inputs``. Raises what that raises, and InputError for
    a float network that makes NaN or meets no more labels than guessing would.
    """
    chosen = settings or Settings()
    study = study_of(
        as_path(path), calibration, settings=chosen, inputs=inputs, labels=labels, evaluator=evaluator, keep_values=True
    )
    active = study.probe.at()
    acts, held = activation_ranges(study, active, progress=progress), weight_ranges(study, active)
    own = {each.quantizer: each.sqnr_db for each in acts} | {each.quantizer: each.sqnr_db for each in held}
    found = quantizer_findings(study, active, own, progress=progress)
    stages, trial = _stages(study), Trial(study, calibration)
    tried, refused = try_remedies(trial, chosen, stages["both"], remedies_for(chosen, found), progress=progress)
    best = together(trial, chosen, stages["both"], tried, progress=progress)
    file, refusal = _file(trial, best[-1].settings if best else chosen)
    return Diagnosis(
        study.calibrated.path,
        chosen,
        _float_check(study),
        stages,
        tuple(found),
        tuple(acts),
        tuple(held),
        tuple(tried),
        tuple(refused),
        tuple(best),
        file,
        refusal,
        (*study.doubts, *_constant(acts, study.probe.layers)),
        study.probe.layers,
    )


def _float_check(study: Study) -> FloatCheck:
    network = study.calibrated.network
    made = evaluate_model(float_proto(network), gather(network, study.inputs), evaluator=study.evaluator)
    off, reference = study.reference.outputs, joined_outputs(made)
    largest = float(np.abs(reference).max()) or 1.0
    difference = float(np.abs(off.astype(np.float64) - reference).max()) / largest
    return FloatCheck(difference, study.reference.accuracy, study.probe.count)


def _stages(study: Study) -> dict[str, Effect]:
    """Only weights, only activations, both, and both at 16 bits."""
    probe, active = study.probe, study.probe.at()

    def only(kind: Kind) -> Effect:
        on = {known: bits for known, bits in active.items() if known.kind == kind}
        return study.reference.effect(probe.outputs(on))

    wide = study.reference.effect(probe.outputs(dict.fromkeys(probe.quantizers, MAX_BITS)))
    both = study.reference.effect(probe.outputs(active))
    return {"weights": only("weights"), "activations": only("activations"), "both": both, "16 bits": wide}


def _file(trial: Trial, settings: Settings) -> tuple[Effect | None, str | None]:
    """The file of ``settings``, run."""
    held = trial.probe(settings).calibrated
    try:
        made = file_outputs(held.quantized(), held, trial.study.inputs, evaluator=trial.study.evaluator)
    except AccelsimError as error:
        return None, str(error)
    return trial.study.reference.effect(made), None


def _constant(acts: list[ActivationRange], network: tuple[str, ...]) -> list[str]:
    """A sentence about channels that never change."""
    found = [each for each in acts if each.constant and len(each.lows) > 1]
    if not found:
        return []
    names = dict(zip(network, LayerNames(network).shown(30), strict=True))
    layers = [names.get(each.quantizer.layer, each.quantizer.layer) for each in found]
    parts = [f"{each.constant} of {len(each.lows)} of {name!r}" for each, name in zip(found[:3], layers, strict=False)]
    more = f" and of {len(found) - 3} more layers" if len(found) > 3 else ""
    return [
        f"constant channels: {', '.join(parts)}{more} never change over the inputs; prune them, or give inputs that reach them"
    ]
