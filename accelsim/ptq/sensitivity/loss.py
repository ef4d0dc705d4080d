"""How much worse a quantized network may be than the float one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from accelsim.errors import ConfigError, InputError
from accelsim.ptq.study import Effect, Reference

Measure = Literal["points", "kl", "db"]
_FORM = re.compile(r"\s*([0-9]*\.?[0-9]+(?:e-?[0-9]+)?)\s*(%|kl|dB)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class LossLimit:
    """The most that may be lost: ``points`` of accuracy as a share of 1 (without labels, of arg-max answers that change), mean
    divergence ``kl`` in nats, or the least SQNR of the output in ``db``."""

    measure: Measure
    value: float

    def __str__(self) -> str:
        texts = {"points": f"{self.value * 100:g} points", "kl": f"KL {self.value:g}", "db": f"{self.value:g} dB"}
        return texts[self.measure]

    def loss(self, effect: Effect, reference: Reference) -> float:
        """In the unit of ``value``; of ``db`` the SQNR, which is to be large."""
        if self.measure == "kl":
            return effect.kl
        if self.measure == "db":
            return effect.sqnr_db
        accuracy = reference.accuracy
        return 1 - effect.agreement if accuracy is None or effect.accuracy is None else accuracy - effect.accuracy

    def is_met(self, effect: Effect, reference: Reference) -> bool:
        """Whether no more is lost; points are counted in whole inferences, so that 0.5 % of 200 is one."""
        loss = self.loss(effect, reference)
        return loss >= self.value if self.measure == "db" else loss <= self.value + 1e-9

    def shown(self, effect: Effect, reference: Reference) -> str:
        """The loss as text."""
        loss = self.loss(effect, reference)
        if self.measure == "points":
            of = "answers changed" if reference.accuracy is None else "points lost"
            return f"{loss * 100:.2f} {of}" if reference.accuracy is not None else f"{loss:.2%} of {of}"
        return f"KL {loss:.3g}" if self.measure == "kl" else f"{loss:.1f} dB"

    def check(self, reference: Reference) -> None:
        """InputError where the output has no such figure."""
        if self.measure != "db" and reference.accuracy is None and not reference.is_classifier:
            raise InputError(
                f"loss of {self}: the output is no row of classes, of which one is the answer; give one in dB, for example 30dB"
            )


def parse_loss(text: str) -> LossLimit:
    """``0.5%``, ``0.01kl`` or ``30dB``; ConfigError for anything else."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"--most-loss {text!r}: expected points of accuracy (0.5%), a mean KL divergence (0.01kl), or the least SQNR of the "
            "output (30dB)"
        )
    value, unit = float(match[1]), match[2].lower()
    if unit == "%":
        return LossLimit("points", value / 100)
    return LossLimit("kl" if unit == "kl" else "db", value)
