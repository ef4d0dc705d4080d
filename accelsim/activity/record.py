"""What real data makes of a layer: zero operands, toggled bits by wire, operand magnitudes; definitions in ``docs/activity.md``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class WireActivity:
    """Toggled bits over ``transitions`` (pairs of consecutive words) of ``bits`` each; ``error`` is the standard error of an
    estimate from sampled tiles, 0 for a full count."""

    bits: int
    transitions: float
    toggled_bits: float
    error: float = 0.0

    @property
    def rate(self) -> float | None:
        """Toggled bits per bit and transition, 0..1; None where no word follows another."""
        return self.toggled_bits / (self.transitions * self.bits) if self.transitions else None


@dataclass(frozen=True, kw_only=True)
class Activity:
    """One MAC layer of one inference.

    ``macs`` products, ``zero_macs`` of them with a zero operand; mean significant bits of the operands over all products;
    ``sampled_tiles`` of ``tiles`` compute tiles were counted. ``input_code`` and ``output_code``: run-length codes of the layer's whole input
    and output over their own size, 1 where that is no gain. Estimates (``sampled_tiles < tiles``) are unbiased.
    """

    layer: str
    macs: int
    zero_macs: float
    zero_macs_error: float
    weight_significant_bits: float
    activation_significant_bits: float
    tiles: int
    sampled_tiles: int
    wires: Mapping[str, WireActivity]
    input_code: float = 1.0
    output_code: float = 1.0

    @property
    def density(self) -> float:
        """Share of the products with two nonzero operands."""
        return 1 - self.zero_macs / self.macs

    @property
    def toggled_bits(self) -> float:
        """Sum over all wires."""
        return sum(wire.toggled_bits for wire in self.wires.values())
