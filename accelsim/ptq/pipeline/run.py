"""A pipeline carried out, step by step, with what each step gains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.importers import as_path
from accelsim.labels import check_labels
from accelsim.ptq.evaluate import fastest_evaluator, gather
from accelsim.ptq.network.float_network import file_kind, read_float, read_norms
from accelsim.ptq.pipeline.choices import Choices, Piped, Row
from accelsim.ptq.pipeline.data import check_accuracy, check_calibration, constant_channels
from accelsim.ptq.pipeline.draft import Bench, Draft, Progress, Score
from accelsim.ptq.pipeline.recipes import chosen_steps, pipeline
from accelsim.ptq.pipeline.steps import Run
from accelsim.ptq.quantization import Dialect, written
from accelsim.ptq.settings import Settings

Arrays = Mapping[str, NDArray[Any]]
ASSUMED_RANGE = (-4.0, 4.0)
"""Of inputs that nothing is known of: standardized ones."""


def run_pipeline(
    path: str | Path,
    calibration: Arrays | None,
    *,
    name: str,
    settings: Settings | None = None,
    choices: Choices | None = None,
    test: tuple[Arrays, NDArray[Any] | None] | None = None,
    dialect: Dialect | None = None,
    evaluator: str = "auto",
    progress: Progress | None = None,
) -> Piped:
    """Quantize the float network at ``path`` by the pipeline of that ``name``, and measure what each step gains.

    Without ``calibration`` ranges come from the statistics of batch normalizations. Scores are taken over the inputs of ``test``,
    with or without labels, else over the calibration data. ``progress`` is told (stage, done, total). ``settings.range`` is that of
    the quantizers that steps then improve. Raises as :func:`accelsim.ptq.quantize_network`, and InputError for data that says too
    little; ``evaluator`` auto is ONNX Runtime where it is installed.
    """
    recipe, given = pipeline(name), choices or Choices()
    steps = chosen_steps(recipe, given, has_data=calibration is not None)
    _, bench, draft, notes = begun(path, calibration, test, settings or Settings(), given, evaluator)
    bench.progress = progress
    run = Run(bench, given, given.range or recipe.range, notes)
    accuracy = _float_accuracy(bench, draft)
    score = bench.score(draft)
    rows = [
        Row(
            "quantizers",
            f"{draft.settings.weights}-bit weights, {draft.settings.acts}-bit activations, min-max",
            score,
            None,
        )
    ]
    for i, step in enumerate(steps):
        if progress is not None:
            progress(step.name, i, len(steps))
        draft, did = step.act(draft, run)
        before, score = score, bench.score(draft)
        rows.append(Row(step.name, did, score, _gain(before, score)))
    acts, weights = bench.codes(draft)
    made = written(
        draft.network,
        acts,
        weights,
        shapes=bench.evidence(draft).shapes,
        calibration_inputs=0 if bench.data is None else count_of(bench.data),
        dialect=dialect,
    )
    count = 0 if bench.measured_on is None else count_of(bench.measured_on)
    return Piped(made, tuple(rows), run.calibrations, run.chosen, tuple(run.notes), _measured(bench), count, accuracy)


def begun(
    path: str | Path,
    calibration: Arrays | None,
    test: tuple[Arrays, NDArray[Any] | None] | None,
    settings: Settings,
    choices: Choices,
    evaluator: str,
) -> tuple[Path, Bench, Draft, list[str]]:
    """The file, its bench, the network as it stands before any step, and what there is to be told of the data."""
    path = as_path(path)
    with file_kind(path).guard(path):
        return path, *_begun(path, calibration, test, settings, choices, fastest_evaluator(evaluator))


def _begun(
    path: Path,
    calibration: Arrays | None,
    test: tuple[Arrays, NDArray[Any] | None] | None,
    settings: Settings,
    choices: Choices,
    evaluator: str,
) -> tuple[Bench, Draft, list[str]]:
    network, norms, notes = read_float(path), {}, []
    data = None if calibration is None else gather(network, calibration)
    ranges = {}
    if data is None:
        norms = read_norms(path)
        if not norms:
            raise InputError(
                f"{path}: no calibration data, and no batch normalization whose statistics could stand for it; give --calib FILE, "
                "an .npz with a hundred or so typical inputs"
            )
        if choices.input_range is None:
            low, high = ASSUMED_RANGE
            notes.append(
                f"no data says what the inputs take: {low:g} to {high:g} is assumed; state it with --input-range"
            )
        ranges = {value.name: choices.input_range or ASSUMED_RANGE for value in network.inputs}
    else:
        check_calibration(data)
        notes += constant_channels(data)
    tests, labels = (None, None) if test is None else (gather(network, test[0]), test[1])
    bench = Bench(path, network, data, tests, labels, evaluator, ranges)
    return bench, Draft(network, replace(settings, equalize=False, bias_correction=False), norms), notes


def _float_accuracy(bench: Bench, draft: Draft) -> float | None:
    if bench.labels is None:
        return None
    if len(draft.network.outputs) != 1:
        raise InputError(f"labels need a network with one output, {bench.path} has {len(draft.network.outputs)}")
    outputs = bench.float_outputs()
    check_labels(bench.labels, count=len(outputs), outputs=outputs.shape[1])
    accuracy = bench.accuracy(outputs)
    assert accuracy is not None
    check_accuracy(accuracy, classes=outputs.shape[1], count=len(outputs))
    return accuracy


def _gain(before: Score, now: Score) -> float | None:
    if before.sqnr_db is None or now.sqnr_db is None or not np.isfinite(now.sqnr_db - before.sqnr_db):
        return None
    return now.sqnr_db - before.sqnr_db


def _measured(bench: Bench) -> str:
    if bench.measured_on is None:
        return "nothing: there is no data"
    return f"the {count_of(bench.measured_on)} inputs of {'calibration' if bench.tests is None else 'the test'}"


def count_of(batches: Arrays) -> int:
    """Inferences."""
    return len(next(iter(batches.values())))
