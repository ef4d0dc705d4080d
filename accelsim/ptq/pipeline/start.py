"""Where a pipeline begins: the float network, the data it is calibrated on, and what there is to be told of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.importers import as_path
from accelsim.ptq.evaluate import fastest_evaluator, gather
from accelsim.ptq.network.float_network import file_kind, read_float, read_norms
from accelsim.ptq.pipeline.choices import Choices
from accelsim.ptq.pipeline.data import check_calibration, constant_channels
from accelsim.ptq.pipeline.draft import Bench, Draft
from accelsim.ptq.settings import Settings

Arrays = Mapping[str, NDArray[Any]]
ASSUMED_RANGE = (-4.0, 4.0)
"""Of inputs that nothing is known of: standardized ones."""


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


def count_of(batches: Arrays) -> int:
    """Inferences."""
    return len(next(iter(batches.values())))
