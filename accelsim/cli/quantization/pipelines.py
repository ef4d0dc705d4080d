"""Options of ``accelsim quantize`` for the pipelines of the papers, and how one is run and told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from accelsim.cli.shared.console import note, progress_bar, say, show
from accelsim.errors import ConfigError

if TYPE_CHECKING:
    from accelsim.ptq import Quantized, Settings
    from accelsim.ptq.pipeline import Choices, Piped

TABLE_WIDTH = 150
STEPS = (
    click.option(
        "--pipeline",
        type=click.Choice(["nagel", "krishnamoorthi", "wu"]),
        default=None,
        help="All steps of a paper, with what each gains; options that are given win over the paper's.",
    ),
    click.option("--with", "with_steps", multiple=True, metavar="STEP", help="A step more of --pipeline; repeatable."),
    click.option(
        "--without", "without_steps", multiple=True, metavar="STEP", help="A step less of --pipeline; repeatable."
    ),
    click.option(
        "--adaround-iterations",
        type=click.IntRange(1),
        default=1000,
        show_default=True,
        metavar="N",
        help="Of a layer.",
    ),
)
"""Which steps are taken."""
OPTIONS = (
    *STEPS,
    click.option(
        "--adaround-inputs",
        type=click.Choice(["quantized", "float"]),
        default="quantized",
        show_default=True,
        help="What a layer reads while its rounding is learned: what the quantized layers before it make, or the float network.",
    ),
    click.option("--state", metavar="DIR", help="Where AdaRound keeps layers that are done; the same command goes on."),
    click.option("--input-range", metavar="LOW,HIGH", help="What the inputs take, where there is no calibration data."),
)
ALONE = ("with_steps", "without_steps", "state", "input_range", "adaround_iterations", "adaround_inputs")
"""Parameters that mean nothing without ``--pipeline``."""


def pipeline_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--pipeline`` and what belongs to it."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def steps_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--pipeline`` and which of its steps are taken."""
    for option in reversed(STEPS):
        command = option(command)
    return command


def given_options(context: click.Context) -> frozenset[str]:
    """Names of the parameters that the user gave, whatever their value."""
    default = click.core.ParameterSource.DEFAULT
    return frozenset(name for name in context.params if context.get_parameter_source(name) is not default)


def check_alone(given: Iterable[str]) -> None:
    """ConfigError for an option of pipelines without ``--pipeline``."""
    for name in sorted({*ALONE} & {*given}):
        option = {"with_steps": "with", "without_steps": "without"}.get(name, name.replace("_", "-"))
        raise ConfigError(f"--{option}: it belongs to a pipeline; give --pipeline nagel, krishnamoorthi or wu")


def choices_of(settings: Settings, options: Mapping[str, Any], given: Iterable[str]) -> Choices:
    """What the user said about steps; ``--equalize`` and ``--bias-correction`` switch theirs on."""
    from accelsim.ptq.pipeline import AdaRound, choices_for

    if "weight-only" in options["with_steps"] and "acts" in given:
        raise ConfigError(
            "step weight-only: activations get 16 bits by it, and --acts says otherwise; give one of them"
        )
    return choices_for(
        settings,
        with_steps=options["with_steps"],
        without_steps=options["without_steps"],
        range=options["range"] if "range_method" in given else None,
        adaround=AdaRound(iterations=options["adaround_iterations"], inputs=options["adaround_inputs"]),
        state=None if options["state"] is None else Path(options["state"]),
        input_range=None if options["input_range"] is None else _span(options["input_range"]),
    )


def of_pipeline(settings: Settings, name: str, given: Iterable[str]) -> Settings:
    """The settings as the pipeline has them where the user said nothing: min-max to begin with, and its zero points."""
    from accelsim.ptq.pipeline import pipeline, settings_for

    return settings_for(settings, symmetric=settings.symmetric if "symmetric" in given else pipeline(name).symmetric)


def _span(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    if not low < high:
        raise ConfigError(f"--input-range {text!r}: expected LOW,HIGH, for example --input-range=-1,1")
    return low, high


def evaluator_of(evaluator: str, given: Iterable[str]) -> str:
    """The one asked for; else ONNX Runtime where it is installed, since steps run the network many times."""
    from accelsim.ptq import fastest_evaluator

    return evaluator if "evaluator" in given else fastest_evaluator()


def run_named(path: Path, calibration: Any, **options: Any) -> Piped:
    """The pipeline, under a bar."""
    from accelsim.ptq.pipeline import run_pipeline

    with progress_bar("reading") as progress:
        return run_pipeline(path, calibration, progress=progress, **options)


def tell(made: Piped) -> Quantized:
    """The table of steps, and of the calibrations that were compared; notes go to stderr."""
    from accelsim.report import calibrations_table, steps_table

    for sentence in made.notes:
        note(sentence)
    show(steps_table(made), natural=TABLE_WIDTH)
    if made.measured_count:
        say(f"SQNR of the fake-quantized network's output against the float network's, measured on {made.measured_on}")
    else:
        say("nothing was measured, since there is no data: give --test FILE")
    if made.calibrations:
        show(calibrations_table(made), natural=TABLE_WIDTH)
        say(f"taken: {made.chosen}; which layers to leave at 16 bits (partial quantization): accelsim sensitivity")
    return made.quantized
