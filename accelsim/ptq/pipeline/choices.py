"""What a user may say of a pipeline beside the settings, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from accelsim.ptq.adaround import AdaRound
from accelsim.ptq.pipeline.draft import Score
from accelsim.ptq.quantization import Quantized
from accelsim.ptq.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Steps switched on and off by name, the range method where one was asked for, and how AdaRound runs.

    ``state`` is a folder in which layers that are done are kept; ``input_range`` that of the graph inputs, for where there is no data.
    """

    with_steps: tuple[str, ...] = ()
    without_steps: tuple[str, ...] = ()
    range: str | None = None
    adaround: AdaRound = field(default_factory=AdaRound)
    state: Path | None = None
    input_range: tuple[float, float] | None = None


def choices_for(settings: Settings, *, with_steps: tuple[str, ...] = (), **others: Any) -> Choices:
    """Those choices, with the steps that ``settings`` stand for switched on: equalization, bias correction, scales per channel."""
    asked = {
        "equalization": settings.equalize,
        "bias-correction": settings.bias_correction,
        "per-channel": settings.per_channel,
    }
    return Choices(with_steps=(*with_steps, *(step for step, on in asked.items() if on)), **others)


def settings_for(settings: Settings, *, symmetric: bool) -> Settings:
    """``settings`` as a pipeline begins with them: min-max, a scale per layer; what more they ask for is steps (:func:`choices_for`)."""
    return replace(
        settings, range="minmax", symmetric=symmetric, per_channel=False, equalize=False, bias_correction=False
    )


@dataclass(frozen=True)
class Row:
    """One step: its name, what it did, the score behind it, and what that is more than before; None where nothing was measured."""

    step: str
    did: str
    score: Score
    gain_db: float | None


@dataclass(frozen=True)
class Piped:
    """What a pipeline made: the quantized network, a row per step, scores of all calibrations that were tried, and notes.

    ``measured_on`` says on which inputs, ``measured_count`` on how many, ``float_accuracy`` how many labels the float network meets.
    """

    quantized: Quantized
    rows: tuple[Row, ...]
    calibrations: Mapping[str, Score]
    chosen: str | None
    notes: tuple[str, ...]
    measured_on: str
    measured_count: int
    float_accuracy: float | None
