"""``accelsim quantize``: a float network to a quantized one, by calibration."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from accelsim.cli.quantization.calibration import (
    calib_option,
    calibration_data,
    evaluator_option,
    settings_of,
    settings_options,
)
from accelsim.cli.shared.console import note, say, show
from accelsim.cli.shared.files import OutputFile, write_bytes
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import model_argument
from accelsim.errors import AccelsimError, ConfigError

if TYPE_CHECKING:
    from accelsim.ptq import Quantized

TABLE_WIDTH = 170


@main.command("quantize")
@model_argument
@calib_option
@settings_options
@click.option(
    "--accumulator-bits", type=int, metavar="BITS", help="Hold weights to accumulators of so many bits: no input makes a sum overflow."
)  # fmt: skip
@click.option(
    "--format",
    "dialect",
    type=click.Choice(["auto", "qdq", "qonnx"]),
    default="auto",
    show_default=True,
    help="auto: QDQ where all widths are 4, 8 or 16, QONNX elsewhere.",
)
@evaluator_option(auto=False)
@click.option("--test", metavar="FILE", help="Inputs with 'labels': accuracy, float and fake-quantized.")
@click.option("-o", "--out", required=True, type=OutputFile(), help="The quantized .onnx file.")
def quantize_command(
    model: str,
    *,
    calib: str | None,
    dialect: str,
    evaluator: str,
    test: str | None,
    out: str,
    **choices: Any,
) -> None:
    """Quantize MODEL, a float .onnx or .tflite network, with the ranges that it takes over calibration data."""
    if Path(out).suffix != ".onnx":
        raise AccelsimError(f"--out {out}: expected a file name that ends in .onnx")
    from accelsim.importers import resolve_model
    from accelsim.ptq import calibrate_network, check_dialect

    path, settings = resolve_model(model), settings_of(**choices)
    form = check_dialect(dialect)
    calibrated = calibrate_network(path, calibration_data(path, calib), settings=settings, evaluator=evaluator)
    made = calibrated.quantized(dialect=form)
    proved = _proved(made, settings.accumulator_bits)
    scores = None if test is None else _accuracies(made, test, evaluator)
    write_bytes(out, lambda stream: stream.write(made.to_bytes()))
    for sentence in calibrated.doubts:
        note(sentence)
    _tell(made, out, scores)
    if proved:
        say(proved)


def _proved(made: Quantized, bits: int | None) -> str:
    """What is proved of the sums where they are held to an accumulator; ConfigError where one is not."""
    if bits is None:
        return ""
    from accelsim.execute import accumulator_report

    records = accumulator_report(made.graph).records
    for record in records:
        needed = (record.bound).bit_length() + 1
        if needed > bits:
            raise ConfigError(
                f"--accumulator-bits {bits}: sums of layer {record.layer!r} may take {needed} bits; give it fewer bits (--layer), or more "
                "to the accumulator"
            )
    return f"no input makes a sum of its {len(records)} layers leave {bits} bits (proved: sum |w| * max |x - z| + |b|)"


def _accuracies(made: Quantized, test: str, evaluator: str) -> tuple[float, float, int]:
    """Share of labels met by the float and by the fake-quantized network, and their number."""
    from accelsim.importers import inputs_file
    from accelsim.ptq import accuracies
    from accelsim.simulation import read_labelled

    arrays, labels = read_labelled(inputs_file(test), named=f"--test {test}")
    return (*accuracies(made, arrays, labels, evaluator=evaluator), len(labels))


def _tell(made: Quantized, out: str, scores: tuple[float, float, int] | None) -> None:
    from accelsim.report import quantized_table

    show(quantized_table(made), natural=TABLE_WIDTH)
    say(f"{made.dialect.upper()}, ranges from {made.calibration_inputs} inputs, written to {out}")
    if scores is not None:
        say(f"accuracy over {scores[2]} inputs: float {scores[0]:.2%}, fake-quantized {scores[1]:.2%}")
        _doubt(made, scores)
    for layer, sentences in made.graph.approximations.items():
        note(f"on integers, {layer}: {'; '.join(sentences)}")
    say(f"arithmetic {made.graph.arithmetic}: the file's own, taken without --arithmetic")
    say(f"to run it: accelsim run {out}")


def _doubt(made: Quantized, scores: tuple[float, float, int]) -> None:
    """Say so where the float network already meets no labels."""
    from accelsim.ptq import labels_doubt

    tensors = made.graph.tensors[made.graph.outputs[0].tensor]
    sentence = labels_doubt(scores[0], classes=math.prod(tensors.shape), count=scores[2])
    if sentence is not None:
        note(sentence)
