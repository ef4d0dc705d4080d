"""How a network is quantized: widths, ranges, granularity, and layers that are treated otherwise."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from accelsim.errors import ConfigError
from accelsim.names import LayerNames
from accelsim.quant import Quantizer

RANGES = ("minmax", "moving-average", "percentile", "mse", "entropy")
"""How the range of an activation is set from what calibration saw."""
QDQ_BITS = (4, 8, 16)
"""Widths for which ONNX has integer types that QuantizeLinear makes (opset 21)."""
MAX_BITS = 16
FEWEST_SUM_BITS, MOST_SUM_BITS = 8, 32
"""Widths of accumulators that weights can be held to."""
UNSIGNED_BITS = 8
"""Widest symmetric activations that drop the sign where they are never negative."""
_WIDTHS = re.compile(r"(?:w([0-9]+))?(?:a([0-9]+))?")

WeightFormat = Literal["symmetric", "asymmetric", "ternary", "power-of-two", "codebook", "nf4"]
FORMATS: tuple[WeightFormat, ...] = ("symmetric", "asymmetric", "ternary", "power-of-two", "codebook", "nf4")
"""Of weights (:mod:`accelsim.ptq.weight_formats`)."""
_LEVEL_BITS: Mapping[str, range] = {
    "ternary": range(2, 3), "power-of-two": range(2, 5), "codebook": range(2, 8), "nf4": range(4, 5),
}  # fmt: skip
"""Widths of formats with a table of levels."""
Range = Literal["minmax", "moving-average", "percentile", "mse", "entropy"]


@dataclass(frozen=True)
class Widths:
    """Bits of a layer's weights and of its output; None where they are the network's."""

    weights: int | None = None
    acts: int | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Bits of weights and activations, 1 to 16, and how their scales are chosen.

    Weights are symmetric, per tensor or, with ``per_channel``, per output channel; 1-bit weights are -1 and +1. Activations are
    affine and without a sign; with ``symmetric`` their zero point is 0; with ``power_of_two`` all scales are powers of two and
    zero points 0. ``equalize`` first gives the channels of consecutive layers like ranges. ``bias_correction`` takes the mean error
    of the rounded weights off the biases. ``percentile`` is for the range of that name. With ``accumulator_bits`` no sum over constant
    weights can leave a signed accumulator of so many bits, whatever the input. ``weight_format`` says what values weights take
    (:mod:`accelsim.ptq.weight_formats`); those of layers with a width that it does not have are symmetric. ``layers`` holds exceptions by
    layer, node or tensor.
    """

    weights: int = 8
    acts: int = 8
    per_channel: bool = False
    symmetric: bool = False
    power_of_two: bool = False
    equalize: bool = False
    bias_correction: bool = False
    range: Range = "minmax"
    percentile: float = 99.99
    accumulator_bits: int | None = None
    weight_format: WeightFormat = "symmetric"
    layers: Mapping[str, Widths] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, bits in (("weights", self.weights), ("acts", self.acts)):
            _check_bits(what, bits)
        check_weight_format(self.weight_format, self.weights)
        if self.weight_format != "symmetric" and (self.power_of_two or self.accumulator_bits is not None):
            other = "power_of_two scales" if self.power_of_two else "accumulator_bits"
            raise ConfigError(
                f"weight format {self.weight_format} with {other}: expected symmetric weights; leave one out"
            )
        if self.range not in RANGES:
            raise ConfigError(f"range {self.range!r}: expected one of {', '.join(RANGES)}")
        if self.accumulator_bits is not None and not FEWEST_SUM_BITS <= self.accumulator_bits <= MOST_SUM_BITS:
            raise ConfigError(
                f"accumulator_bits: expected {FEWEST_SUM_BITS} to {MOST_SUM_BITS} bits, got {self.accumulator_bits}"
            )
        if not 50 < self.percentile <= 100:
            raise ConfigError(f"percentile: expected more than 50 and at most 100 percent, got {self.percentile:g}")

    @property
    def keeps_extremes(self) -> bool:
        """Whether ranges need the extremes of each inference alone, rather than all values."""
        return self.range in ("minmax", "moving-average")

    @property
    def how(self) -> tuple[object, ...]:
        """All that ranges and scales depend on beside the width."""
        return self.per_channel, self.symmetric, self.power_of_two, self.range, self.percentile, self.weight_format

    def weight_quantizer(self, bits: int) -> Quantizer:
        """The symmetric quantizer of a layer's weights."""
        return Quantizer(bits, symmetric=True, power_of_two=self.power_of_two, signed=True)

    def act_quantizer(self, bits: int) -> Quantizer:
        """The quantizer of an activation; symmetric codes of more than 8 bits have a sign, as TFLite's int16 have."""
        symmetric = self.symmetric or self.power_of_two
        signed = True if symmetric and bits > UNSIGNED_BITS else None
        return Quantizer(bits, symmetric=self.symmetric, power_of_two=self.power_of_two, signed=signed)

    def widths(self, names: Iterable[str]) -> Widths:
        """Of each kind the exception for the first of ``names`` that has one, the network's widths elsewhere."""
        given = [self.layers[name] for name in names if name in self.layers]
        weights, acts = ([getattr(one, kind) for one in given if getattr(one, kind)] for kind in ("weights", "acts"))
        return Widths(next(iter(weights), self.weights), next(iter(acts), self.acts))

    def named(self, layers: Sequence[str], others: Collection[str]) -> Settings:
        """These settings with exceptions by whole names: those of ``layers``, given in any form, or of ``others``, given whole.

        ConfigError for an exception that is for no layer, or one of several for the same.
        """
        known, made = LayerNames(layers), dict[str, Widths]()
        for given, widths in self.layers.items():
            try:
                name = given if given in others else layers[known.find(given)]
            except ConfigError as error:
                raise ConfigError(f"layer {given!r}: {error}") from error
            if name in made:
                raise ConfigError(f"layer {given!r}: {name!r} is given twice; give it once")
            made[name] = widths
        return replace(self, layers=made)


def parse_layers(texts: Iterable[str]) -> dict[str, Widths]:
    """``NAME=w4a8`` texts as exceptions; ConfigError for any other form, or a name given twice."""
    layers: dict[str, Widths] = {}
    for text in texts:
        name, equals, widths = text.rpartition("=")
        match = _WIDTHS.fullmatch(widths)
        if not (name and equals and match and widths):
            raise ConfigError(
                f"--layer {text!r}: expected NAME=w8a8, NAME=w8 or NAME=a8, for example --layer logits=w8a8"
            )
        if name in layers:
            raise ConfigError(f"--layer {name}: given twice; give it once")
        bits = [None if group is None else int(group[:9]) for group in match.groups()]
        for what, given in zip(("weights", "acts"), bits, strict=True):
            _check_bits(f"--layer {name}: {what}", given)
        layers[name] = Widths(*bits)
    return layers


def has_levels(name: WeightFormat, bits: int) -> bool:
    """Whether weights of ``bits`` bits take levels; those of a layer with another width are symmetric."""
    return bits in _LEVEL_BITS.get(name, ())


def check_weight_format(name: str, bits: int) -> None:
    """ConfigError for an unknown format, or a width that it does not have."""
    if name not in FORMATS:
        raise ConfigError(f"weight format {name!r}: expected one of {', '.join(FORMATS)}")
    known = _LEVEL_BITS.get(name)
    if known is not None and bits not in known:
        text = f"{known[0]} to {known[-1]}" if len(known) > 1 else f"{known[0]}"
        raise ConfigError(f"weight format {name}: expected {text} bits a weight (--weights), got {bits}")


def _check_bits(what: str, bits: int | None) -> None:
    if bits is not None and not 1 <= bits <= MAX_BITS:
        raise ConfigError(f"{what}: expected 1 to {MAX_BITS} bits, got {bits}")
