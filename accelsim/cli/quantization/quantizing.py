"""``accelsim quantize``: a float network to a quantized one, by calibration, or by all steps of a paper."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from accelsim.cli.quantization.calibration import (
    calib_option,
    calibration_data,
    calibration_or_none,
    evaluator_option,
    settings_of,
    settings_options,
)
from accelsim.cli.quantization.pipelines import (
    ALONE,
    check_alone,
    choices_of,
    evaluator_of,
    given_options,
    of_pipeline,
    pipeline_options,
    run_named,
    tell,
)
from accelsim.cli.shared.console import note, say, show
from accelsim.cli.shared.files import OutputFile, write_bytes
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import model_argument
from accelsim.errors import AccelsimError, ConfigError

if TYPE_CHECKING:
    from accelsim.ptq import Quantized, Settings

    Scores = tuple[float, float, int]

TABLE_WIDTH = 170
NO_DATA = "none"
"""Of ``--calib``: a pipeline without data, where some ships with the network."""


@main.command("quantize")
@model_argument
@pipeline_options
@calib_option
@settings_options
@click.option(
    "--weight-format",
    type=click.Choice(["symmetric", "asymmetric", "ternary", "power-of-two", "codebook", "nf4"]),
    default="symmetric",
    show_default=True,
    help="What values weights take: codes of --weights bits, with a zero point or without, or so many bits' levels.",
)
@click.option(
    "--accumulator-bits",
    type=int,
    default=None,
    metavar="BITS",
    help="Hold weights to accumulators of so many bits: no input makes a sum overflow.",
)
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
@click.pass_context
def quantize_command(
    context: click.Context,
    /,
    model: str,
    *,
    calib: str | None,
    dialect: str,
    evaluator: str,
    test: str | None,
    out: str,
    **choices: Any,
) -> None:
    """Quantize MODEL, a float .onnx or .tflite network, with the ranges that it takes over calibration data.

    --calib none: a pipeline without data, by the statistics of batch normalization.
    """
    if Path(out).suffix != ".onnx":
        raise AccelsimError(f"--out {out}: expected a file name that ends in .onnx")
    from accelsim.importers import resolve_model
    from accelsim.ptq import check_dialect

    path, given = resolve_model(model), given_options(context)
    own = {name: choices.pop(name) for name in ("pipeline", *ALONE)}
    settings = settings_of(**choices)
    task = _Task(path, settings, check_dialect(dialect), evaluator, calib, test, given)
    if own["pipeline"] is None:
        check_alone(given)
        made, scores = _plain(task)
    else:
        options = own | choices | {"range": choices["range_method"]}
        made, scores = _piped(task, options)
    proved = _proved(made, settings.accumulator_bits)
    write_bytes(out, lambda stream: stream.write(made.to_bytes()))
    _tell(made, out, scores)
    if proved:
        say(proved)


class _Task(NamedTuple):
    """What both ways of quantizing take."""

    path: Path
    settings: Settings
    dialect: Any
    evaluator: str
    calib: str | None
    test: str | None
    given: frozenset[str]


def _plain(task: _Task) -> tuple[Quantized, Scores | None]:
    """By the settings alone."""
    from accelsim.ptq import calibrate_network

    data = calibration_data(task.path, task.calib)
    calibrated = calibrate_network(task.path, data, settings=task.settings, evaluator=task.evaluator)
    made = calibrated.quantized(dialect=task.dialect)
    scores = None if task.test is None else _accuracies(made, task.test, task.evaluator)
    for sentence in calibrated.doubts:
        note(sentence)
    return made, scores


def _piped(task: _Task, options: Mapping[str, Any]) -> tuple[Quantized, Scores | None]:
    """By the steps of a pipeline."""
    from accelsim.importers import inputs_file
    from accelsim.simulation import read_inputs

    name = options["pipeline"]
    made = run_named(
        task.path,
        None if task.calib == NO_DATA else calibration_or_none(task.path, task.calib),
        name=name,
        settings=of_pipeline(task.settings, name, task.given),
        choices=choices_of(task.settings, options, task.given),
        test=None if task.test is None else read_inputs(inputs_file(task.test)),
        dialect=task.dialect,
        evaluator=evaluator_of(task.evaluator, task.given),
    )
    quantized, last = tell(made), made.rows[-1].score.accuracy
    if made.float_accuracy is None or last is None:
        return quantized, None
    return quantized, (made.float_accuracy, last, made.measured_count)


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


def _accuracies(made: Quantized, test: str, evaluator: str) -> Scores:
    """Share of labels met by the float and by the fake-quantized network, and their number."""
    from accelsim.importers import inputs_file
    from accelsim.ptq import accuracies
    from accelsim.simulation import read_labelled

    arrays, labels = read_labelled(inputs_file(test), named=f"--test {test}")
    return (*accuracies(made, arrays, labels, evaluator=evaluator), len(labels))


def _tell(made: Quantized, out: str, scores: Scores | None) -> None:
    from accelsim.report import quantized_table

    show(quantized_table(made), natural=TABLE_WIDTH)
    source = f"{made.calibration_inputs} inputs" if made.calibration_inputs else "the statistics of batch normalization"
    say(f"{made.dialect.upper()}, ranges from {source}, written to {out}")
    if scores is not None:
        say(f"accuracy over {scores[2]} inputs: float {scores[0]:.2%}, fake-quantized {scores[1]:.2%}")
        _doubt(made, scores)
    for layer, sentences in made.graph.approximations.items():
        note(f"on integers, {layer}: {'; '.join(sentences)}")
    say(f"arithmetic {made.graph.arithmetic}: the file's own, taken without --arithmetic")
    say(f"to run it: accelsim run {out}")


def _doubt(made: Quantized, scores: Scores) -> None:
    """Say so where the float network already meets no labels."""
    from accelsim.ptq import labels_doubt

    tensors = made.graph.tensors[made.graph.outputs[0].tensor]
    sentence = labels_doubt(scores[0], classes=math.prod(tensors.shape), count=scores[2])
    if sentence is not None:
        note(sentence)
