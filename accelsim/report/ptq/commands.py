"""The ``accelsim quantize`` command of settings, to be typed as it stands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from accelsim.ptq import Settings, Widths
from accelsim.report.numbers import short_names

_DEFAULTS = Settings()


def quantize_command(
    model: str,
    *,
    settings: Settings,
    calib: str | None = None,
    layers: Mapping[str, Widths] | None = None,
    network: Sequence[str] = (),
) -> str:
    """What quantizes ``model`` so, with more exceptions ``layers``; those of ``network``, all of its layers, go by short names.

    The file is named after the model and its widths.
    """
    name, short = f"{Path(model).stem}_w{settings.weights}a{settings.acts}.onnx", short_names(network)
    exceptions = {short.get(each, each): widths for each, widths in {**settings.layers, **(layers or {})}.items()}
    parts = ["accelsim", "quantize", model, *([] if calib is None else ["--calib", calib])]
    return shlex.join([*parts, *_options(settings), *layer_options(exceptions), "-o", name])


def _options(settings: Settings) -> Iterator[str]:
    yield from ("--weights", str(settings.weights), "--acts", str(settings.acts))
    for name in ("per_channel", "symmetric", "power_of_two", "equalize", "bias_correction"):
        if getattr(settings, name):
            yield f"--{name.replace('_', '-')}"
    if settings.range != _DEFAULTS.range:
        yield from ("--range", settings.range)
    if settings.range == "percentile":
        yield from ("--percentile", f"{settings.percentile:g}")


def layer_options(layers: Mapping[str, Widths]) -> Iterator[str]:
    """``--layer NAME=w8a8`` for each exception."""
    for name, widths in layers.items():
        yield from ("--layer", f"{name}={widths_text(widths)}")


def widths_text(widths: Widths) -> str:
    """``w8a8``, ``w8`` or ``a8``."""
    weights = "" if widths.weights is None else f"w{widths.weights}"
    return weights if widths.acts is None else f"{weights}a{widths.acts}"
