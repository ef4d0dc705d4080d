"""What harms a quantized network and what helps: as tables for the terminal and a page, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Group
from rich.text import Text

from accelsim.display import printable
from accelsim.ptq.diagnose import Diagnosis, Tried
from accelsim.ptq.study import Effect
from accelsim.report.numbers import NONE
from accelsim.report.pages import html_facts, html_notes, html_table, page, section
from accelsim.report.ptq.sensitivity import decibels, layer_names
from accelsim.report.terminal import fact_table, text_table

if TYPE_CHECKING:
    from rich.console import RenderableType

SCHEMA_VERSION = 1
SHOWN = 20
"""Quantizers on the terminal; a page and the JSON have all."""
_STAGES = {
    "weights": "weights alone, W{weights}",
    "activations": "activations alone, A{acts}",
    "both": "both, W{weights}A{acts}",
    "16 bits": "everything at 16 bits: clipping",
}


class _Table(NamedTuple):
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    texts: int
    """Columns from the left that hold texts."""

    @property
    def right(self) -> list[bool]:
        return [False] * self.texts + [True] * (len(self.columns) - self.texts)


class DiagnosisText:
    """``found`` as texts; ``command`` makes the ``accelsim quantize`` line of settings."""

    def __init__(self, found: Diagnosis, command: Callable[[Any], str]) -> None:
        self.found, self.command = found, command

    @property
    def heading(self) -> str:
        """Network, widths, inferences."""
        own = self.found.settings
        return f"{self.found.path.name} at W{own.weights}A{own.acts} over {self.found.check.count:,} inferences"

    def facts(self) -> list[tuple[str, str]]:
        """The float check, and which side is to blame."""
        found, check = self.found, self.found.check
        state = "the float network" if check.passed else "NOT the float network; what follows is doubtful"
        facts = [("all quantizers off", f"{state} (largest difference {check.difference:.1g} of the largest output)")]
        if check.accuracy is not None:
            facts.append(("accuracy in float", f"{check.accuracy:.2%}"))
        share = found.noise_of_weights
        side = share if found.bottleneck == "weights" else 1 - share
        return [*facts, ("bottleneck", f"{found.bottleneck}: {side:.0%} of the noise of the two at the output")]

    def stages(self) -> _Table:
        """Weights or activations."""
        own = self.found.settings
        rows = [
            (text.format(weights=own.weights, acts=own.acts), *_figures(self.found.stages[name]))
            for name, text in _STAGES.items()
        ]
        return self._table("Weights or activations", ("quantized",), rows)

    def quantizers(self) -> _Table:
        """The most harmful first."""
        rows = [
            (
                self._names[each.quantizer.layer],
                f"{each.quantizer.kind}, {each.bits} bits",
                decibels(each.own_sqnr_db),
                *_figures(each.alone),
                decibels(each.others.sqnr_db),
            )
            for each in self.found.quantizers
        ]
        known = self._table("Each quantizer, everything else in float", ("layer", "quantizer"), rows)
        figures = known.columns[2:]
        return known._replace(columns=("layer", "quantizer", "its tensor", *figures, "all but it"))

    def remedies(self) -> _Table:
        """The best first, each tried alone."""
        rows = [self._remedy(each) for each in self.found.tried]
        rows += [(each.remedy.text(self._names), "refused", NONE, *[NONE] * self._count) for each in self.found.refused]
        return self._table("Remedies, each alone", ("remedy", "against"), rows, gain=True)

    def chosen(self) -> _Table:
        """Those that gain on top of each other."""
        rows = [self._remedy(each) for each in self.found.chosen]
        return self._table("Remedies together, each on top of those before", ("remedy", "against"), rows, gain=True)

    def closing(self) -> list[tuple[str, str]]:
        """The file that follows, and its command."""
        found = self.found
        if not found.chosen:
            return [("remedy", "none of these gains; more bits (--weights, --acts), or training with quantization")]
        file = found.refusal if found.file is None else f"{', '.join(_figures(found.file))}, fake-quantized"
        return [("the file", str(file))]

    @property
    def line(self) -> str | None:
        """What quantizes the network with all remedies that were chosen."""
        return self.command(self.found.remedy) if self.found.chosen else None

    @property
    def _count(self) -> int:
        return len(_figures(self.found.stages["both"]))

    def _table(
        self, title: str, texts: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, gain: bool = False
    ) -> _Table:
        effect = self.found.stages["both"]
        figures = ["accuracy"] if effect.accuracy is not None else []
        figures += [] if math.isnan(effect.kl) else ["KL"]
        columns = (*texts, *(["gain"] if gain else []), "output", *figures)
        return _Table(title, columns, list(rows), len(texts))

    def _remedy(self, each: Tried) -> tuple[str, ...]:
        return (each.remedy.text(self._names), each.remedy.aim, f"{each.gain_db:+.1f} dB", *_figures(each.effect))

    @cached_property
    def _names(self) -> dict[str, str]:
        own = {each.quantizer.layer: each.quantizer.layer for each in self.found.quantizers}
        return own | layer_names(self.found.network)

    def tables(self) -> list[_Table]:
        """All of them."""
        known = [self.stages(), self.quantizers(), self.remedies()]
        return [*known, self.chosen()] if self.found.chosen else known

    def to_json(self) -> str:
        """All of it; what does not exist, or is infinite, is null."""
        found = self.found
        held = {
            "schema_version": SCHEMA_VERSION,
            "model": found.path.name,
            "settings": asdict(found.settings),
            "inferences": found.check.count,
            "float": {
                "difference": found.check.difference,
                "accuracy": found.check.accuracy,
                "passed": found.check.passed,
            },
            "bottleneck": found.bottleneck,
            "noise_of_weights": found.noise_of_weights,
            "stages": {name: asdict(effect) for name, effect in found.stages.items()},
            "quantizers": [asdict(each) for each in found.quantizers],
            "remedies": [self._record(each) for each in found.tried],
            "refused": [{"remedy": each.remedy.text({}), "reason": each.reason} for each in found.refused],
            "together": [self._record(each) for each in found.chosen],
            "file": None if found.file is None else asdict(found.file),
            "refusal": found.refusal,
            "command": self.line,
            "notes": list(found.notes),
        }
        return json.dumps(_plain(held), indent=2, allow_nan=False) + "\n"

    def _record(self, each: Tried) -> dict[str, Any]:
        return {
            "remedy": each.remedy.text({}),
            "against": each.remedy.aim,
            "gain_db": each.gain_db,
            "effect": asdict(each.effect),
            "command": self.command(each.settings),
        }


def _figures(effect: Effect) -> tuple[str, ...]:
    figures = [decibels(effect.sqnr_db)]
    figures += [] if effect.accuracy is None else [f"{effect.accuracy:.2%}"]
    return (*figures, *([] if math.isnan(effect.kl) else [f"{effect.kl:.2g}"]))


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def diagnosis_table(known: DiagnosisText) -> RenderableType:
    """The tables one below the other."""
    parts: list[RenderableType] = [Text(printable(known.heading), style="bold"), Text(), fact_table(known.facts())]
    for each in known.tables():
        rows, more = each.rows[:SHOWN], len(each.rows) - SHOWN
        parts += [
            Text(),
            Text(each.title, style="bold"),
            text_table(each.columns, rows, right=each.right, no_wrap=True),
        ]
        parts += [Text(f"… and {more} more; all are in --html and --json", style="dim")] if more > 0 else []
    return Group(*parts, Text(), fact_table(known.closing()))


def diagnosis_html(known: DiagnosisText, pictures: dict[str, str]) -> str:
    """The same as a page, with ``pictures`` (HTML, by title) behind the tables."""
    parts = [html_facts([("network", known.heading), *known.facts()]), html_notes(known.found.notes)]
    parts += [section(each.title, html_table(each.columns, each.rows, each.right)) for each in known.tables()]
    line = [] if known.line is None else [("command", known.line)]
    parts.append(section("What follows", html_facts([*known.closing(), *line])))
    parts += [section(title, drawn) for title, drawn in pictures.items()]
    return page(f"{known.found.path.name}: diagnosis", "".join(parts))
