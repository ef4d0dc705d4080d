"""Each quantizer alone: the noise at its own tensor, and at the network's output with everything else in float."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from accelsim.ptq.probe import Active, QuantizerId
from accelsim.ptq.study import Effect, Study

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class QuantizerFinding:
    """``own_sqnr_db`` at its tensor; ``alone``: the output with this quantizer on and all others off; ``others``: the inverse."""

    quantizer: QuantizerId
    bits: int
    own_sqnr_db: float
    alone: Effect
    others: Effect


def quantizer_findings(
    study: Study, active: Active, own_sqnr_db: dict[QuantizerId, float], *, progress: Progress | None = None
) -> list[QuantizerFinding]:
    """Of every quantizer of ``active`` that has a figure of its own, from the one that harms the output most."""
    found = []
    on = {known: bits for known, bits in active.items() if bits is not None and known in own_sqnr_db}
    for done, (known, bits) in enumerate(on.items(), start=1):
        alone = study.reference.effect(study.probe.outputs({known: bits}))
        others = study.reference.effect(study.probe.outputs({**active, known: None}))
        found.append(QuantizerFinding(known, bits, own_sqnr_db[known], alone, others))
        if progress is not None:
            progress("quantizers", done, len(on))
    return sorted(found, key=lambda each: (each.alone.sqnr_db, each.alone.accuracy or 0.0))
