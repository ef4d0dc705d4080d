"""How much each layer minds fewer bits: as a table, a page, lines of JSON and CSV."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from accelsim.display import printable
from accelsim.ptq.sensitivity import LayerSensitivity, PartialQuantization
from accelsim.ptq.study import Effect
from accelsim.report.numbers import short_names
from accelsim.report.pages import html_facts, html_table, page, section, shown
from accelsim.report.ptq.commands import widths_text
from accelsim.report.terminal import fact_table, text_table

if TYPE_CHECKING:
    from rich.console import RenderableType

SCHEMA_VERSION = 1


@dataclass(frozen=True, eq=False)
class SensitivityStudy:
    """A LayerSensitivity of ``model``, the partial quantization that was asked for, and the command that makes it."""

    model: str
    found: LayerSensitivity
    partial: PartialQuantization | None = None
    command: str | None = None

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary per layer, kind and width."""
        return self.found.rows()

    def to_json(self) -> str:
        """All of it; what does not exist, or is infinite, is null."""
        found = self.found
        held = {
            "schema_version": SCHEMA_VERSION,
            "model": self.model,
            "inferences": found.count,
            "inverse": found.inverse,
            "widths": list(found.widths),
            "float_accuracy": found.float_accuracy,
            "rows": self.rows(),
            "partial": None if self.partial is None else _partial(self.partial, self.command),
        }
        return json.dumps(held, indent=2, allow_nan=False) + "\n"

    @property
    def heading(self) -> str:
        """What was done."""
        how = "all layers but one quantized" if self.found.inverse else "one layer quantized at a time"
        return f"{self.model}: {how}, {self.found.count:,} inferences"


def _partial(found: PartialQuantization, command: str | None) -> dict[str, Any]:
    return {
        "most_loss": str(found.limit),
        "kept": {name: widths_text(widths) for name, widths in found.kept.items()},
        "met": found.is_met,
        "order": list(found.order),
        "command": command,
        **{name: _effect(getattr(found, name)) for name in ("before", "after", "verified")},
    }


def _effect(effect: Effect) -> dict[str, float | None]:
    values = {"sqnr_db": effect.sqnr_db, "kl": effect.kl, "agreement": effect.agreement, "accuracy": effect.accuracy}
    return {name: value if value is not None and math.isfinite(value) else None for name, value in values.items()}


def effect_text(cell: Mapping[str, Any] | Any) -> str:
    """The figures of one cell: accuracy where there are labels, else the divergence where there are classes, and SQNR."""
    noise = decibels(float(cell["sqnr_db"]))
    if not math.isnan(cell["accuracy"]):
        return f"{cell['accuracy']:.2%} {noise}"
    return noise if math.isnan(cell["kl"]) else f"{cell['kl']:.2g} {noise}"


def decibels(value: float) -> str:
    """An SQNR; exact where nothing differs."""
    return "exact" if value == math.inf else f"{value:.1f} dB"


def layer_names(network: Sequence[str]) -> dict[str, str]:
    """Short forms by which ``--layer`` finds the layers of a network."""
    return short_names(network)


def _titles(found: LayerSensitivity) -> list[str]:
    kinds = ["quantized"] if len(found.kinds) > 1 else []
    return ["layer", *kinds, *(f"{bits} bits" for bits in found.widths)]


def _cells(found: LayerSensitivity) -> Iterator[list[str]]:
    names = layer_names(found.network)
    for i, layer in enumerate(found.layers):
        for j, kind in enumerate(found.kinds):
            cells = found.table[i, j]
            if not math.isnan(cells[0]["sqnr_db"]):
                own = [kind] if len(found.kinds) > 1 else []
                yield [names.get(layer, layer), *own, *(effect_text(cell) for cell in cells)]


def _right(found: LayerSensitivity) -> list[bool]:
    texts = 1 + (len(found.kinds) > 1)
    return [False] * texts + [True] * len(found.widths)


def _facts(study: SensitivityStudy) -> list[tuple[str, str]]:
    found, figures = study.found, "SQNR of the output against float"
    if found.float_accuracy is not None:
        figures = f"accuracy, {figures}; {found.float_accuracy:.2%} in float"
    elif _has_classes(found):
        figures = f"mean KL divergence in nats, {figures}"
    quantized = "" if len(found.kinds) > 1 or found.kinds == ("both",) else f"{found.kinds[0]} alone are quantized; "
    facts = [("figures", f"{quantized}{figures}"), ("most sensitive", _listed(found.order()[:3], found))]
    return facts if study.partial is None else [*facts, *_partial_facts(study.partial, found.network)]


def _listed(layers: Sequence[str], found: LayerSensitivity) -> str:
    names = layer_names(found.network)
    return ", ".join(names.get(layer, layer) for layer in layers)


def _has_classes(found: LayerSensitivity) -> bool:
    return any(row["kl"] is not None for row in found.rows())


def _partial_facts(found: PartialQuantization, network: Sequence[str]) -> list[tuple[str, str]]:
    names = layer_names(network)
    kept = (
        ", ".join(f"{names.get(name, name)}={widths_text(widths)}" for name, widths in found.kept.items()) or "no layer"
    )
    say = found.limit.shown
    return [
        ("most loss", str(found.limit)),
        ("none kept", say(found.before, found.reference)),
        ("kept", f"{kept} ({len(found.kept)} of {len(found.order)} layers)"),
        ("with them", say(found.after, found.reference)),
        ("the file", f"{say(found.verified, found.reference)}, {'met' if found.is_met else 'NOT met'}; fake-quantized"),
    ]


def layer_sensitivity_table(study: SensitivityStudy) -> RenderableType:
    """Layers down, widths across, and below what the figures are and the layers to keep."""
    found = study.found
    table = text_table(_titles(found), _cells(found), right=_right(found), no_wrap=True)
    return Group(Text(printable(study.heading), style="bold"), Text(), table, Text(), fact_table(_facts(study)))


def layer_sensitivity_html(study: SensitivityStudy) -> str:
    """The same as a page."""
    found = study.found
    table = html_table(_titles(found), _cells(found), _right(found))
    facts = [*_facts(study), *([] if study.command is None else [("command", study.command)])]
    body = f"<p>{shown(study.heading)}</p>{section('Layers', table)}{section('Summary', html_facts(facts))}"
    return page(f"{study.model}: sensitivity of layers", body)
