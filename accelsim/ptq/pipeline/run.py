"""A pipeline carried out, step by step, with what each step gains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.labels import check_labels
from accelsim.ptq.pipeline.choices import Choices, Piped, Row
from accelsim.ptq.pipeline.data import check_accuracy
from accelsim.ptq.pipeline.draft import Bench, Draft, Progress, Score
from accelsim.ptq.pipeline.recipes import check_format, chosen_steps, pipeline
from accelsim.ptq.pipeline.start import begun, count_of
from accelsim.ptq.pipeline.steps import Run
from accelsim.ptq.quantization import Dialect, written
from accelsim.ptq.settings import Settings

Arrays = Mapping[str, NDArray[Any]]


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
    check_format(steps, settings or Settings())
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
