"""What became of each layer and each tensor of a network that was quantized."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accelsim.report.numbers import short_names
from accelsim.report.terminal import list_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from accelsim.ptq import Quantized, WeightQuant
    from accelsim.ptq.pipeline import Piped

COLUMNS = ("", "layer", "operator", "weights", "scales", "SQNR dB", "output", "range", "scale", "zero point")


def quantized_table(quantized: Quantized) -> RenderableType:
    """One row per graph input and per operator; what has no quantizer of its own shows none."""
    source = quantized.source
    rows = [("", value.name, "input", *_cells(value.name, None, quantized)) for value in source.inputs]
    short = short_names(map(source.layer_name, source.nodes)).values()
    for index, (node, layer) in enumerate(zip(source.nodes, short, strict=True)):
        name = node.outputs[0]
        rows.append((str(index), layer, node.op, *_cells(name, quantized.weights.get(name), quantized)))
    return list_table(COLUMNS, rows)


def _cells(name: str, weights: WeightQuant | None, quantized: Quantized) -> tuple[str, ...]:
    held = ("", "", "") if weights is None else (str(weights.format), _scales(weights), f"{weights.sqnr_db:.1f}")
    act = quantized.acts.get(name)
    if act is None:
        return (*held, "fused", "", "", "")
    span = f"{act.low:.4g} .. {act.high:.4g}"
    return (*held, str(act.format), span, f"{act.scale:.6g}", str(act.zero_point))


def _scales(weights: WeightQuant) -> str:
    low, high = float(weights.scales.min()), float(weights.scales.max())
    return f"{low:.4g}" if low == high else f"{low:.4g} .. {high:.4g}"


def steps_table(made: Piped) -> RenderableType:
    """One row per step of a pipeline: the score behind it, and what it gained."""
    labelled = made.float_accuracy is not None
    columns = ("step", "SQNR dB", "gain dB", *(("accuracy",) if labelled else ()), "what it did")
    rows = []
    if labelled:
        rows.append(("float", "", "", _share(made.float_accuracy), ""))
    for row in made.rows:
        score = (_number(row.score.sqnr_db), "" if row.gain_db is None else f"{row.gain_db:+.1f}")
        rows.append((row.step, *score, *((_share(row.score.accuracy),) if labelled else ()), row.did))
    return list_table(columns, rows)


def calibrations_table(made: Piped) -> RenderableType:
    """All calibrations of activations that were compared, side by side."""
    scores = made.calibrations.values()
    rows = [("SQNR dB", *(_number(score.sqnr_db) for score in scores))]
    if made.float_accuracy is not None:
        rows.append(("accuracy", *(_share(score.accuracy) for score in scores)))
    return list_table(("calibration", *made.calibrations), rows)


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.1f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"
