"""A float network, its calibration, and the inputs over which it is studied: what diagnosis and sensitivity begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.ptq.doubts import labels_doubt
from accelsim.ptq.evaluate import fastest_evaluator
from accelsim.ptq.probe import Probe
from accelsim.ptq.quantization import Calibrated, calibrate_network
from accelsim.ptq.settings import Settings
from accelsim.ptq.study.effect import Reference, check_finite_outputs

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Study:
    """``probe`` runs the network over ``inputs``, to which ``labels`` belong where there are any; ``reference`` is the float network."""

    probe: Probe
    inputs: Arrays
    labels: NDArray[Any] | None
    reference: Reference
    evaluator: str

    @property
    def calibrated(self) -> Calibrated:
        """The network and what its tensors were over the calibration data."""
        return self.probe.calibrated

    @property
    def doubts(self) -> tuple[str, ...]:
        """What makes the calibration doubtful, a sentence each."""
        return self.calibrated.doubts


def study_of(
    path: Path,
    calibration: Arrays,
    *,
    settings: Settings,
    inputs: Arrays | None = None,
    labels: NDArray[Any] | None = None,
    evaluator: str = "auto",
    keep_values: bool = False,
) -> Study:
    """Calibrate the network at ``path``, and make it ready to be run over ``inputs``, the calibration data where None.

    ``keep_values`` keeps all values of calibration, so that ranges can be set in every way later. Raises InputError for data that do not
    fit, a network that makes NaN of them, or one that meets no more labels than guessing would.
    """
    runner = fastest_evaluator(evaluator)
    observed = replace(settings, range="mse") if keep_values else settings
    calibrated = replace(calibrate_network(path, calibration, settings=observed, evaluator=runner), settings=settings)
    chosen = calibration if inputs is None else inputs
    probe = Probe(calibrated, chosen, evaluator=runner)
    outputs = probe.outputs({})
    check_finite_outputs(outputs)
    reference = Reference(outputs, labels)
    accuracy = reference.accuracy
    if accuracy is not None and labels is not None:
        doubt = labels_doubt(accuracy, classes=outputs[0].size, count=len(labels))
        if doubt is not None:
            raise InputError(doubt)
    return Study(probe, chosen, labels, reference, runner)
