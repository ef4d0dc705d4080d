"""The frozen result of a verification: layers, causes, findings, effect on the output; as rows, text and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from accelsim.display import as_html, as_text
from accelsim.names import LayerNames
from accelsim.verification.names import READING
from accelsim.verification.records import Finding, LayerReport, OutputEffect

SCHEMA = "accelsim.verify/1"
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class WidthRow:
    """The network with accumulators of ``bits``: elements that differ from exact sums, first layer that breaks, accuracy."""

    bits: int
    differing: int
    elements: int
    first_layer: str | None
    accuracy: float | None


@dataclass(frozen=True, kw_only=True)
class WidthStudy:
    """Accuracy by accumulator width under ``overflow``; ``smallest`` held every given input, ``proved`` holds any input."""

    overflow: str
    rows: tuple[WidthRow, ...]
    smallest: int | None
    proved: int


@dataclass(frozen=True, kw_only=True)
class VerificationReport:
    """What ``verify`` found. ``matches`` says whether no layer leaves the tolerance, fed with the oracle's own inputs, and the file is
    read alike by another program.

    ``notes`` tell of inputs that were drawn or quantized, and of that program; ``network`` names all layers of the network in their order.
    """

    model: str
    arch: str
    arithmetic: str
    oracle: str
    oracle_arithmetic: str
    tolerance: str
    inferences: int
    layers: tuple[LayerReport, ...]
    output: OutputEffect
    findings: tuple[Finding, ...] = ()
    unmatched: tuple[str, ...] = ()
    widths: WidthStudy | None = None
    notes: tuple[str, ...] = ()
    network: tuple[str, ...] = ()

    @property
    def matches(self) -> bool:
        """No code outside the tolerance, and no layer that another program reads otherwise."""
        return not any(layer.beyond for layer in self.layers) and not any(f.kind == READING for f in self.findings)

    @property
    def complete(self) -> bool:
        """Whether every layer that computes something was compared."""
        return not self.unmatched

    @property
    def elements(self) -> int:
        """Codes that were compared."""
        return sum(layer.forced.elements for layer in self.layers)

    @property
    def differing(self) -> int:
        """Differing codes, each layer fed with the oracle's inputs."""
        return sum(layer.forced.differing for layer in self.layers)

    @property
    def differing_end_to_end(self) -> int:
        """Differing codes, each layer fed with the machine's own inputs."""
        return sum(layer.end_to_end.differing for layer in self.layers)

    @property
    def first(self) -> LayerReport | None:
        """The first layer that differs when fed with the oracle's inputs."""
        return next((layer for layer in self.layers if layer.forced.differing), None)

    def layer(self, name: str) -> LayerReport:
        """The layer called ``name``, in any form of :meth:`accelsim.names.LayerNames.find`, whose ConfigError it raises."""
        return self.layers[LayerNames(layer.layer for layer in self.layers).find(name)]

    def layer_rows(self) -> list[Row]:
        """One row per layer, as plain values: for a table, a CSV file or pandas."""
        return [_layer_row(layer) for layer in self.layers]

    def cause_rows(self) -> list[Row]:
        """One row per layer and cause."""
        return [
            {"layer": layer.layer, **asdict(cause), "seen": cause.seen}
            for layer in self.layers
            for cause in layer.causes
        ]

    def causes(self) -> dict[str, int]:
        """Differing elements by cause, over all layers; they add up to ``differing``."""
        total: dict[str, int] = {}
        for layer in self.layers:
            for cause in layer.causes:
                total[cause.step] = total.get(cause.step, 0) + cause.count
        return total

    def to_json(self) -> str:
        """All of it, with the sums."""
        sums = {
            "matches": self.matches,
            "complete": self.complete,
            "elements": self.elements,
            "differing": self.differing,
            "differing_end_to_end": self.differing_end_to_end,
            "causes": self.causes(),
        }
        return json.dumps({"schema": SCHEMA, **sums, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)


def _layer_row(layer: LayerReport) -> Row:
    return {
        "layer": layer.layer,
        "operator": layer.operator,
        "elements": layer.forced.elements,
        "differing": layer.forced.differing,
        "max_lsb": layer.forced.max_lsb,
        "sqnr_db": layer.forced.sqnr_db,
        "differing_end_to_end": layer.end_to_end.differing,
        "max_lsb_end_to_end": layer.end_to_end.max_lsb,
        "beyond": layer.beyond,
        "oracle_rule": layer.oracle_rule,
        "machine_rule": layer.machine_rule,
        "causes": "; ".join(str(cause) for cause in layer.causes),
    }
