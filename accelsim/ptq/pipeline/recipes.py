"""The pipelines of the papers, as lists of steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from accelsim.errors import ConfigError
from accelsim.ptq.pipeline.choices import Choices
from accelsim.ptq.pipeline.steps import STEPS, Step
from accelsim.ptq.settings import Settings


@dataclass(frozen=True)
class Pipeline:
    """Steps by name, those taken where there is no data, how ranges are set, and whether activations have no zero point."""

    steps: tuple[str, ...]
    without_data: tuple[str, ...]
    range: str
    symmetric: bool
    source: str


_FIRST = ("idle-bounds", "equalization", "bias-absorption", "weight-ranges")
PIPELINES: Mapping[str, Pipeline] = {
    "nagel": Pipeline(
        steps=(*_FIRST, "activation-ranges", "adaround", "cross-entropy"),
        without_data=(*_FIRST, "activation-ranges", "bias-correction"),
        range="mse",
        symmetric=False,
        source="Nagel et al. 2106.08295, figure 8",
    ),
    "krishnamoorthi": Pipeline(
        steps=("per-channel", "activation-ranges"),
        without_data=("per-channel", "activation-ranges"),
        range="minmax",  # his moving average is of mini-batches; of single inferences it cuts off what few of them reach
        symmetric=False,
        source="Krishnamoorthi 1806.08342",
    ),
    "wu": Pipeline(
        steps=("per-channel", "calibrations"),
        without_data=("per-channel",),
        range="minmax",
        symmetric=True,
        source="Wu et al. 2004.09602",
    ),
}


def pipeline(name: str) -> Pipeline:
    """ConfigError for an unknown name."""
    if name not in PIPELINES:
        raise ConfigError(f"pipeline {name!r}: expected one of {', '.join(PIPELINES)}")
    return PIPELINES[name]


def chosen_steps(made_of: Pipeline, choices: Choices, *, has_data: bool) -> tuple[Step, ...]:
    """In the order of :data:`STEPS`. Without AdaRound biases are corrected in its stead, unless that is switched off as well.

    ConfigError for a step that does not exist, that is switched on and off, or that needs data where there is none.
    """
    _known("--with", choices.with_steps)
    _known("--without", choices.without_steps)
    both = sorted({*choices.with_steps} & {*choices.without_steps})
    if both:
        raise ConfigError(f"step {both[0]}: switched on (--with) and off (--without); say one of them")
    taken = {*(made_of.steps if has_data else made_of.without_data), *choices.with_steps}
    if "adaround" in taken and "adaround" in choices.without_steps:
        taken.add("bias-correction")
    taken -= {*choices.without_steps}
    steps = tuple(step for name, step in STEPS.items() if name in taken)
    needy = [step.name for step in steps if step.needs_data]
    if needy and not has_data:
        raise ConfigError(f"step {needy[0]}: it needs calibration data; give --calib FILE")
    return steps


_OF_GRIDS = ("weight-ranges", "adaround")
"""Steps that take neighbouring codes to be a scale apart, and 0 to be one of them in the middle."""


def check_format(steps: Iterable[Step], settings: Settings) -> None:
    """ConfigError for a step that has no meaning for the weights' format."""
    wrong = [step.name for step in steps if step.name in _OF_GRIDS]
    if wrong and settings.weight_format != "symmetric":
        options = " ".join(f"--without {name}" for name in wrong)
        raise ConfigError(
            f"weight format {settings.weight_format}: step {wrong[0]} is for symmetric weights; add {options}"
        )


def _known(option: str, names: Iterable[str]) -> None:
    for name in names:
        if name not in STEPS:
            raise ConfigError(f"{option} {name}: no such step; expected one of {', '.join(STEPS)}")
