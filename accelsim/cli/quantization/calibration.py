"""What commands on float networks share: calibration and test data, and the options by which networks are quantized."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from accelsim.cli.shared.console import note
from accelsim.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.ptq import Settings

    Arrays = Mapping[str, NDArray[Any]]

calib_option = click.option(
    "--calib", metavar="FILE", help="Calibration inputs as .npz, real numbers: key 'input' or input names."
)


def evaluator_option(*, auto: bool) -> Callable[[Any], Any]:
    """``--evaluator``, whose default is the fastest that is installed where ``auto``."""
    known = ["auto", "onnx", "onnxruntime"] if auto else ["onnx", "onnxruntime"]
    more = "; auto: onnxruntime where it is installed" if auto else ""
    return click.option(
        "--evaluator",
        type=click.Choice(known),
        default=known[0],
        show_default=True,
        help=f"Who runs the float network{more}.",
    )


_SETTINGS = (
    click.option(
        "--weights", type=int, default=8, show_default=True, metavar="BITS", help="Bits of the weights, 1 to 16."
    ),
    click.option(
        "--acts", type=int, default=8, show_default=True, metavar="BITS", help="Bits of the activations, 1 to 16."
    ),
    click.option("--per-channel", is_flag=True, help="A weight scale per output channel rather than per layer."),
    click.option("--symmetric", is_flag=True, help="Activations without a zero point."),
    click.option("--power-of-two", is_flag=True, help="Scales that are powers of two, without zero points."),
    click.option(
        "--equalize", is_flag=True, help="Channels of consecutive layers of like range, before anything else."
    ),
    click.option("--bias-correction", is_flag=True, help="Take the mean error of the rounded weights off the biases."),
    click.option(
        "--range",
        "range_method",
        type=click.Choice(["minmax", "moving-average", "percentile", "mse", "entropy"]),
        default="minmax",
        show_default=True,
        help="How ranges are set; mse goes for weights too, which otherwise keep their extremes.",
    ),
    click.option("--percentile", type=float, default=99.99, show_default=True, help="For --range percentile."),
    click.option("--layer", "layers", multiple=True, metavar="NAME=w8a8", help="Other bits for one layer; repeatable."),
)


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Everything that makes :func:`settings_of`."""
    for option in reversed(_SETTINGS):
        command = option(command)
    return command


def settings_of(*, range_method: str, layers: tuple[str, ...], **choices: Any) -> Settings:
    """The Settings of those options; ConfigError for what cannot be."""
    from accelsim.ptq import Settings, parse_layers

    return Settings(range=range_method, layers=parse_layers(layers), **choices)  # type: ignore[arg-type]  # checked there


def calibration_data(model: Path, given: str | None) -> Arrays:
    """The arrays of ``given``, or of the calibration data that ships with a packaged network."""
    found = calibration_or_none(model, given)
    if found is None:
        raise InputError(
            "no calibration data: give --calib FILE, an .npz with a hundred or so typical inputs under the key 'input' or the names "
            "of the network's inputs"
        )
    return found


def calibration_or_none(model: Path, given: str | None) -> Arrays | None:
    """As :func:`calibration_data`; None where there are none."""
    from accelsim.importers import shipped_calibration
    from accelsim.simulation import read_inputs

    shipped = shipped_calibration(model)
    if given is None and shipped.is_file():
        note(f"calibration data are the network's own {shipped.name}; choose others with --calib")
        given = str(shipped)
    return None if given is None else read_inputs(given)[0]


def test_data(test: str | None) -> tuple[Arrays, NDArray[Any] | None] | None:
    """Arrays and labels, where there are any, of ``--test``; None where it is not given."""
    from accelsim.importers import inputs_file
    from accelsim.simulation import read_inputs

    return None if test is None else read_inputs(inputs_file(test))
