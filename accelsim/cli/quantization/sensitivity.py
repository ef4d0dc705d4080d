"""``accelsim sensitivity``: how much each layer of a float network minds fewer bits, and the fewest to keep at more."""

from __future__ import annotations

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
from accelsim.cli.shared.files import STDOUT, OutputFile, write_text
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import model_argument
from accelsim.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from accelsim.ptq import Widths
    from accelsim.ptq.sensitivity import LayerKind, LayerSensitivity, PartialQuantization
    from accelsim.ptq.study import Study

WIDTHS = "2,3,4,6,8"


@main.command("sensitivity")
@model_argument
@calib_option
@click.option("--test", metavar="FILE", help="Inputs to run instead of the calibration data; with 'labels': accuracy.")
@click.option("--widths", default=WIDTHS, show_default=True, metavar="BITS,BITS", help="Bits that are tried.")
@click.option(
    "--kind",
    type=click.Choice(["both", "weights", "activations", "each"]),
    default="both",
    show_default=True,
    help="What of a layer is quantized: weights and output, one of them, or (each) one and then the other.",
)
@click.option("--inverse", is_flag=True, help="All layers but one are quantized, rather than one.")
@click.option(
    "--most-loss",
    metavar="LOSS",
    help="Find the fewest layers to keep: 0.5% (points of accuracy, without labels of changed answers), 0.01kl, or 30dB at least.",
)
@click.option("--keep", default="w16a16", show_default=True, metavar="w16a16", help="Bits of the layers that are kept.")
@settings_options
@evaluator_option(auto=True)
@click.option("--json", type=OutputFile(stdout=True), help="Write all of it as JSON ('-': to stdout, not the table).")
@click.option("--csv", type=OutputFile(stdout=True), help="Write a line per layer and width ('-': to stdout).")
@click.option("--html", type=OutputFile(), help="Write it as a page.")
def sensitivity_command(
    model: str,
    *,
    calib: str | None,
    test: str | None,
    widths: str,
    kind: str,
    inverse: bool,
    most_loss: str | None,
    keep: str,
    evaluator: str,
    json: str | None,
    csv: str | None,
    html: str | None,
    **choices: Any,
) -> None:
    """Quantize one layer of MODEL at a time, a float .onnx or .tflite network, and show what that does to its output.

    --weights, --acts and --layer are the widths of the layers that --most-loss does not keep.
    """
    from accelsim.importers import resolve_model
    from accelsim.ptq.sensitivity import parse_loss
    from accelsim.report.ptq import SensitivityStudy, layer_sensitivity_html, layer_sensitivity_table, quantize_command

    settings = settings_of(**choices)
    tried, kept = _widths(widths), _kept(keep)
    limit = None if most_loss is None else parse_loss(most_loss)
    path = resolve_model(model)
    study = _studied(path, calib, test, evaluator, settings)
    found = _sensitivity(study, tried, kind, inverse)
    partial = None if limit is None else _partial(study, limit, kept)
    command = None
    if partial is not None:
        command = quantize_command(model, settings=settings, calib=calib, layers=partial.kept, network=found.network)
    done = SensitivityStudy(path.name, found, partial, command)
    if json is not None:
        write_text(json, lambda stream: stream.write(done.to_json()))
    if csv is not None:
        from accelsim.report.files import write_rows

        write_text(csv, lambda stream: write_rows(done.rows(), stream))
    if html is not None:
        write_text(html, lambda stream: stream.write(layer_sensitivity_html(done)))
    if STDOUT not in (json, csv):
        show(layer_sensitivity_table(done), natural=WIDE)
        if command is not None:
            say(f"to quantize it so: {command}")


def _studied(path: Path, calib: str | None, test: str | None, evaluator: str, settings: Any) -> Study:
    from accelsim.ptq.study import study_of

    given = test_data(test)
    inputs, labels = given if given is not None else (None, None)
    study = study_of(
        path, calibration_data(path, calib), settings=settings, inputs=inputs, labels=labels, evaluator=evaluator
    )
    for sentence in study.doubts:
        note(sentence)
    return study


def _sensitivity(study: Study, widths: list[int], kind: str, inverse: bool) -> LayerSensitivity:
    from accelsim.ptq.sensitivity import layer_sensitivity

    kinds: tuple[LayerKind, ...] = ("weights", "activations") if kind == "each" else (kind,)  # type: ignore[assignment]
    with progress_bar("layers") as progress:
        return layer_sensitivity(
            study.probe, widths=widths, kinds=kinds, labels=study.labels, inverse=inverse, progress=progress
        )


def _partial(study: Study, limit: Any, keep: Widths) -> PartialQuantization:
    from accelsim.ptq.sensitivity import partial_quantization

    with progress_bar("layers alone") as progress:
        return partial_quantization(
            study.probe,
            study.inputs,
            limit=limit,
            labels=study.labels,
            keep=keep,
            evaluator=study.evaluator,
            progress=progress,
        )


def _widths(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) < 4 for part in parts):
        raise ConfigError(f"--widths {text!r}: expected bits with commas between them, for example {WIDTHS}")
    return [int(part) for part in parts]


def _kept(text: str) -> Widths:
    from accelsim.ptq import parse_layers

    try:
        return parse_layers([f"kept={text}"])["kept"]
    except ConfigError as error:
        raise ConfigError(f"--keep {text!r}: expected bits as w16a16, w8 or a16") from error
