"""``accelsim quantize``: a float network to a quantized one, by calibration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from accelsim.cli.shared.console import note, say, show
from accelsim.cli.shared.files import OutputFile, write_bytes
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import model_argument
from accelsim.errors import AccelsimError, ConfigError, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.ptq import Quantized

TABLE_WIDTH = 170


@main.command("quantize")
@model_argument
@click.option("--calib", metavar="FILE", help="Calibration inputs as .npz, real numbers: key 'input' or input names.")
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
@click.option(
    "--accumulator-bits", type=int, metavar="BITS", help="Hold weights to accumulators of so many bits: no input makes a sum overflow."
)  # fmt: skip
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
def quantize_command(
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
    from accelsim.ptq import Settings, check_dialect, parse_layers, quantize_network

    path = resolve_model(model)
    settings = Settings(
        weights=weights,
        acts=acts,
        range=range_method,  # type: ignore[arg-type]  # Settings checks it
        layers=parse_layers(layers),
        **choices,
    )
    made = quantize_network(
        path, _calibration(path, calib), settings=settings, dialect=check_dialect(dialect), evaluator=evaluator
    )
    proved = _proved(made, settings.accumulator_bits)
    scores = None if test is None else _accuracies(made, test, evaluator)
    write_bytes(out, lambda stream: stream.write(made.to_bytes()))
    _tell(made, out, scores)
    if proved:
        say(proved)


def _calibration(model: Path, given: str | None) -> Mapping[str, NDArray[Any]]:
    """The arrays of ``given``, or of the calibration data that ships with a packaged network."""
    from accelsim.importers import shipped_calibration
    from accelsim.simulation import read_inputs

    shipped = shipped_calibration(model)
    if given is None and shipped.is_file():
        note(f"calibration data are the network's own {shipped.name}; choose others with --calib")
        given = str(shipped)
    if given is None:
        raise InputError(
            "no calibration data: give --calib FILE, an .npz with a hundred or so typical inputs under the key 'input' or the names "
            "of the network's inputs"
        )
    return read_inputs(given)[0]


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
    for layer, sentences in made.graph.approximations.items():
        note(f"on integers, {layer}: {'; '.join(sentences)}")
    say(f"arithmetic {made.graph.arithmetic}: the file's own, taken without --arithmetic")
    say(f"to run it: accelsim run {out}")
