"""``accelsim diagnose``: what harms a quantized network, and which remedy helps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from accelsim.cli.quantization.calibration import (
    calib_option,
    calibration_data,
    evaluator_option,
    settings_of,
    settings_options,
    test_data,
)
from accelsim.cli.shared.console import WIDE, note, progress_bar, say, show
from accelsim.cli.shared.files import STDOUT, OutputFile, write_bytes, write_text
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import model_argument
from accelsim.errors import AccelsimError

if TYPE_CHECKING:
    from accelsim.ptq.diagnose import Diagnosis


@main.command("diagnose")
@model_argument
@calib_option
@click.option("--test", metavar="FILE", help="Inputs to run instead of the calibration data; with 'labels': accuracy.")
@settings_options
@evaluator_option(auto=True)
@click.option("--json", type=OutputFile(stdout=True), help="Write all of it as JSON ('-': to stdout, not the tables).")
@click.option("--html", type=OutputFile(), help="Write tables and pictures as a page.")
@click.option("--pictures", metavar="DIR", help="Draw quantizers, weights and activations as .png files in a folder.")
def diagnose_command(
    model: str,
    *,
    calib: str | None,
    test: str | None,
    evaluator: str,
    json: str | None,
    html: str | None,
    pictures: str | None,
    **choices: Any,
) -> None:
    """Find what harms MODEL, a float .onnx or .tflite network, quantized as the options say, and try what helps.

    The flow chart of Nagel 2106.08295: is the float network sound, weights or activations, each quantizer alone, ranges, remedies.
    """
    from accelsim.importers import resolve_model
    from accelsim.report.ptq import DiagnosisText, diagnosis_table, quantize_command

    settings, path, folder = settings_of(**choices), resolve_model(model), _folder(pictures)
    found = _found(path, calibration_data(path, calib), test, settings, evaluator)
    for sentence in found.notes:
        note(sentence)
    known = DiagnosisText(
        found, lambda chosen: quantize_command(model, settings=chosen, calib=calib, network=found.network)
    )
    if json is not None:
        write_text(json, lambda stream: stream.write(known.to_json()))
    if html is not None:
        from accelsim.report.documents import diagnosis_document

        write_text(html, lambda stream: stream.write(diagnosis_document(known)))
    if folder is not None:
        _draw(found, folder)
    if json != STDOUT:
        show(diagnosis_table(known), natural=WIDE)
        if known.line is not None:
            say(f"to quantize it so: {known.line}")


def _found(path: Path, calibration: Any, test: str | None, settings: Any, evaluator: str) -> Diagnosis:
    from accelsim.ptq.diagnose import diagnose

    given = test_data(test)
    inputs, labels = given if given is not None else (None, None)
    with progress_bar("ranges") as progress:
        return diagnose(
            path,
            calibration,
            settings=settings,
            inputs=inputs,
            labels=labels,
            evaluator=evaluator,
            progress=progress,
        )


def _folder(given: str | None) -> Path | None:
    """The folder of pictures, made where there is none; AccelsimError where that cannot be."""
    if given is None:
        return None
    folder = Path(given)
    if folder.exists() and not folder.is_dir():
        raise AccelsimError(f"--pictures {given}: this is no folder; name one, or a new one")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _draw(found: Diagnosis, folder: Path) -> None:
    from accelsim.report.pictures import diagnosis_plots, write_figure

    for name, draw in diagnosis_plots(found).items():
        figure = draw()
        write_bytes(str(folder / f"{name}.png"), lambda stream, figure=figure: write_figure(figure, stream))  # type: ignore[misc]
