"""One layer at a time at every width, all others in float; or its inverse, all but one (Wu 2004.09602, section 4.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ConfigError
from accelsim.ptq.probe import Probe, QuantizerId
from accelsim.ptq.study import Effect, Reference, check_finite_outputs

LayerKind = Literal["both", "weights", "activations"]
KINDS: tuple[LayerKind, ...] = ("both", "weights", "activations")
"""Which quantizers of a layer: its weights' and its output's, or one of them."""
Progress = Callable[[str, int, int], None]
Active = dict[QuantizerId, int | None]
FIELDS = np.dtype([("sqnr_db", "f8"), ("kl", "f8"), ("agreement", "f8"), ("accuracy", "f8")])
"""Of one layer, kind and width: as :class:`~accelsim.ptq.study.Effect`; NaN where there is none."""


@dataclass(frozen=True, eq=False)
class LayerSensitivity:
    """``table`` of :data:`FIELDS`, shape (layers, kinds, widths): what quantizing a layer does to the network's output.

    ``inverse``: what quantizing all others does. All NaN where a layer has no quantizer of a kind. ``float_accuracy`` is None without
    labels; ``count`` inferences were run. ``network`` names all layers, those without a quantizer too, as ``accelsim quantize`` counts
    them.
    """

    layers: tuple[str, ...]
    kinds: tuple[LayerKind, ...]
    widths: tuple[int, ...]
    table: NDArray[Any]
    inverse: bool
    float_accuracy: float | None
    count: int
    network: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary per layer, kind and width that there is."""
        return [
            {"layer": layer, "kind": kind, "bits": bits, **_known(self.table[i, j, k])}
            for i, layer in enumerate(self.layers)
            for j, kind in enumerate(self.kinds)
            for k, bits in enumerate(self.widths)
            if not math.isnan(self.table[i, j, k]["sqnr_db"])
        ]

    def order(self, *, kind: LayerKind | None = None, bits: int | None = None) -> list[str]:
        """Layers from the most sensitive one: of least accuracy, then of least SQNR; of most of either where ``inverse``.

        ``kind`` and ``bits`` are the first kind and the fewest bits where they are None.
        """
        j = 0 if kind is None else self.kinds.index(kind)
        k = int(np.argmin(self.widths)) if bits is None else self.widths.index(bits)
        cells = self.table[:, j, k]
        known = [i for i in range(len(self.layers)) if not math.isnan(cells[i]["sqnr_db"])]
        sign = -1 if self.inverse else 1

        def place(i: int) -> tuple[float, float]:
            accuracy = float(cells[i]["accuracy"])
            return (0.0 if math.isnan(accuracy) else sign * accuracy, sign * float(cells[i]["sqnr_db"]))

        return [self.layers[i] for i in sorted(known, key=place)]


def _known(cell: Any) -> dict[str, float | None]:
    """JSON has no NaN and no infinity."""
    return {name: float(cell[name]) if math.isfinite(cell[name]) else None for name in cell.dtype.names}


def layers_of(probe: Probe) -> dict[str, tuple[QuantizerId, ...]]:
    """Layers in the order of execution, each with its quantizers."""
    found: dict[str, tuple[QuantizerId, ...]] = {}
    for known in probe.quantizers:
        found[known.layer] = (*found.get(known.layer, ()), known)
    return found


def layer_sensitivity(
    probe: Probe,
    *,
    widths: Sequence[int] = (2, 3, 4, 6, 8),
    kinds: Sequence[LayerKind] = ("both",),
    labels: NDArray[Any] | None = None,
    inverse: bool = False,
    progress: Progress | None = None,
) -> LayerSensitivity:
    """Quantize one layer of the network at a time, to each of ``widths`` bits; with ``inverse`` all layers but that one.

    ``labels`` are of the probe's inputs. ``progress`` is called with what is done, how much of it, and of how much. Raises
    ConfigError for widths beyond 1 to 16 or kinds that are none of :data:`KINDS`, InputError for labels that do not fit and a network
    that makes NaN.
    """
    for given, known in ((kinds, KINDS), (widths, range(1, 17))):
        if not given or not set(given) <= set(known) or len(set(given)) < len(given):
            text = ", ".join(map(str, given))
            raise ConfigError(
                f"sensitivity: expected some of {', '.join(map(str, known))}, each once, got {text or 'none'}"
            )
    reference = reference_of(probe, labels)
    layers = layers_of(probe)
    table = np.full((len(layers), len(kinds), len(widths)), np.nan, FIELDS)
    cells = [(i, j, k) for j in range(len(kinds)) for k in range(len(widths)) for i in range(len(layers))]
    names = tuple(layers)
    for done, (i, j, k) in enumerate(cells, start=1):
        own = [known for known in layers[names[i]] if kinds[j] in ("both", known.kind)]
        if own:
            every = [known for known in probe.quantizers if kinds[j] in ("both", known.kind)]
            on = [known for known in every if known not in own] if inverse else own
            table[i, j, k] = _fields(reference.effect(probe.outputs(dict.fromkeys(on, widths[k]))))
        if progress is not None:
            progress("layers", done, len(cells))
    return LayerSensitivity(
        names, tuple(kinds), tuple(widths), table, inverse, reference.accuracy, probe.count, probe.layers
    )


def reference_of(probe: Probe, labels: NDArray[Any] | None) -> Reference:
    """The float network over the probe's inputs; InputError where it makes NaN, or for labels that do not fit."""
    outputs = probe.outputs({})
    check_finite_outputs(outputs)
    return Reference(outputs, labels)


def _fields(effect: Effect) -> tuple[float, float, float, float]:
    accuracy = math.nan if effect.accuracy is None else effect.accuracy
    return effect.sqnr_db, effect.kl, effect.agreement, accuracy
