"""``accelsim quantize``: a float network to a quantized one, by calibration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from accelsim.cli.shared.console import note, say, show
from accelsim.cli.shared.files import OutputFile, write_bytes
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import model_argument
from accelsim.cli.shared.pipelines import (
    ALONE,
    check_alone,
    choices_of,
    evaluator_of,
    given_options,
    pipeline_options,
    run_named,
    settings_of,
    tell,
)
from accelsim.errors import AccelsimError, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.ptq import Quantized, Settings

    Scores = tuple[float, float, int]

TABLE_WIDTH = 170
NO_DATA = "none"
"""Of ``--calib``: a pipeline without data, where some ships with the network."""
PIPELINE_PARAMETERS = ("pipeline", *ALONE)


@main.command("quantize")
@model_argument
@pipeline_options
@click.option(
    "--calib",
    metavar="FILE",
    help="Calibration inputs as .npz, real numbers: key 'input' or input names; none: a pipeline without data.",
)
@click.option("--weights", type=int, default=8, show_default=True, metavar="BITS", help="Bits of the weights, 1 to 16.")
@click.option(
    "--acts", type=int, default=8, show_default=True, metavar="BITS", help="Bits of the activations, 1 to 16."
)
@click.option("--per-channel", is_flag=True, help="A weight scale per output channel rather than per layer.")
@click.option("--symmetric", is_flag=True, help="Activations without a zero point.")
@click.option("--power-of-two", is_flag=True, help="Scales that are powers of two, without zero points.")
@click.option("--equalize", is_flag=True, help="Channels of consecutive layers of like range, before anything else.")
@click.option("--bias-correction", is_flag=True, help="Take the mean error of the rounded weights off the biases.")
@click.option(
    "--range",
    "range_method",
    type=click.Choice(["minmax", "moving-average", "percentile", "mse", "entropy"]),
    default="minmax",
    show_default=True,
    help="How ranges are set; mse goes for weights too, which otherwise keep their extremes.",
)
@click.option("--percentile", type=float, default=99.99, show_default=True, help="For --range percentile.")
@click.option("--layer", "layers", multiple=True, metavar="NAME=w8a8", help="Other bits for one layer; repeatable.")
@click.option(
    "--format",
    "dialect",
    type=click.Choice(["auto", "qdq", "qonnx"]),
    default="auto",
    show_default=True,
    help="auto: QDQ where all widths are 4, 8 or 16, QONNX elsewhere.",
)
@click.option(
    "--evaluator",
    type=click.Choice(["onnx", "onnxruntime"]),
    default="onnx",
    show_default=True,
    help="Who runs the float network.",
)
@click.option("--test", metavar="FILE", help="Inputs with 'labels': accuracy, float and fake-quantized.")
@click.option("-o", "--out", required=True, type=OutputFile(), help="The quantized .onnx file.")
@click.pass_context
def quantize_command(
    context: click.Context,
    /,
    model: str,
    *,
    calib: str | None,
    weights: int,
    acts: int,
    layers: tuple[str, ...],
    dialect: str,
    evaluator: str,
    test: str | None,
    out: str,
    range_method: str,
    **choices: Any,
) -> None:
    """Quantize MODEL, a float .onnx or .tflite network, with the ranges that it takes over calibration data."""
    if Path(out).suffix != ".onnx":
        raise AccelsimError(f"--out {out}: expected a file name that ends in .onnx")
    from accelsim.importers import resolve_model
    from accelsim.ptq import Settings, check_dialect, parse_layers

    path, given = resolve_model(model), given_options(context)
    own = {name: choices.pop(name) for name in PIPELINE_PARAMETERS}
    settings = Settings(
        weights=weights,
        acts=acts,
        range=range_method,  # type: ignore[arg-type]  # Settings checks it
        layers=parse_layers(layers),
        **choices,
    )
    task = _Task(path, settings, check_dialect(dialect), evaluator, calib, test, given)
    if own["pipeline"] is None:
        check_alone(given)
        made, scores = _plain(task)
    else:
        made, scores = _piped(task, own | choices | {"range": range_method})
    write_bytes(out, lambda stream: stream.write(made.to_bytes()))
    _tell(made, out, scores)


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
    from accelsim.ptq import quantize_network

    calibration = _calibration(task.path, task.calib)
    assert calibration is not None
    made = quantize_network(
        task.path, calibration, settings=task.settings, dialect=task.dialect, evaluator=task.evaluator
    )
    return made, None if task.test is None else _accuracies(made, task.test, task.evaluator)


def _piped(task: _Task, options: Mapping[str, Any]) -> tuple[Quantized, Scores | None]:
    """By the steps of a pipeline."""
    from accelsim.importers import inputs_file
    from accelsim.simulation import read_inputs

    name = options["pipeline"]
    made = run_named(
        task.path,
        _calibration(task.path, task.calib, needed=False),
        name=name,
        settings=settings_of(task.settings, name, task.given),
        choices=choices_of(options, task.given),
        test=None if task.test is None else read_inputs(inputs_file(task.test)),
        dialect=task.dialect,
        evaluator=evaluator_of(task.evaluator, task.given),
    )
    quantized, last = tell(made), made.rows[-1].score.accuracy
    if made.float_accuracy is None or last is None:
        return quantized, None
    return quantized, (made.float_accuracy, last, made.measured_count)


def _calibration(model: Path, given: str | None, *, needed: bool = True) -> Mapping[str, NDArray[Any]] | None:
    """The arrays of ``given``, or of the calibration data that ships with a packaged network; None where there are none and none are
    ``needed``. ``none`` stands for no data, whatever ships."""
    from accelsim.importers import shipped_calibration
    from accelsim.simulation import read_inputs

    if given == NO_DATA and not needed:
        return None
    shipped = shipped_calibration(model)
    if given is None and shipped.is_file():
        note(f"calibration data are the network's own {shipped.name}; choose others with --calib")
        given = str(shipped)
    if given is None and not needed:
        return None
    if given is None:
        raise InputError(
            "no calibration data: give --calib FILE, an .npz with a hundred or so typical inputs under the key 'input' or the names "
            "of the network's inputs"
        )
    return read_inputs(given)[0]


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
    for layer, sentences in made.graph.approximations.items():
        note(f"on integers, {layer}: {'; '.join(sentences)}")
    say(f"arithmetic {made.graph.arithmetic}: the file's own, taken without --arithmetic")
    say(f"to run it: accelsim run {out}")
