"""A network by its parameters: what a parameter may be, and what every family has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import NamedTuple

from accelsim.errors import ConfigError
from accelsim.families.rows import Table, Widths

Value = int | float | str | None


class Parameter(NamedTuple):
    """``kind`` of values, from ``least`` to ``most`` or one of ``choices``; ``derived`` says what stands for None."""

    what: str
    kind: type[int] | type[float] | type[str] = int
    least: float = 1
    most: float = 2**20
    choices: tuple[str, ...] = ()
    derived: str = ""

    @property
    def expected(self) -> str:
        """The values, in words."""
        if self.choices:
            return " or ".join(self.choices)
        return f"{'a whole number' if self.kind is int else 'a number'} of {self.least:g} to {_plain(self.most)}"

    def holds(self, value: Value) -> bool:
        """Whether ``value`` is one of them."""
        if value is None or isinstance(value, bool):
            return value is None and bool(self.derived)
        if self.choices or isinstance(value, str):
            return value in self.choices
        return isinstance(value, int | self.kind) and self.least <= value <= self.most


def _plain(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:g}"


PARAMETERS: dict[str, Parameter] = {
    "activation_bits": Parameter("Bits of activations.", least=2, most=32),
    "batch": Parameter("Images or sequences at a time."),
    "classes": Parameter("Outputs of the classifier."),
    "context": Parameter("Tokens that are attended to, the newest included."),
    "feed_forward": Parameter("Width inside the feed-forward layers.", derived="4 x width"),
    "heads": Parameter("Heads of attention.", most=2**16),
    "kv_bits": Parameter("Bits of keys and values, in the cache and where they are read.", least=2, most=32, derived="as activation-bits"),
    "kv_heads": Parameter("Heads of keys and values, which as many heads of queries share.", most=2**16),
    "layers": Parameter("Layers of the transformer.", most=1000),
    "patch": Parameter("Side of a patch, pixels.", most=2**15),
    "phase": Parameter("decode makes one token with a cache, prefill reads all of the context.", str, choices=("decode", "prefill")),
    "resolution": Parameter("Side of the image, pixels.", most=2**15),
    "sequence_length": Parameter("Tokens of a sequence."),
    "version": Parameter("Where a stage's stride is: v1 in its first 1x1 convolution, v1.5 in its 3x3.", str, choices=("v1", "v1.5")),
    "vocabulary": Parameter("Tokens that there are.", most=2**24),
    "weight_bits": Parameter("Bits of weights.", most=32),
    "width": Parameter("Width of the transformer."),
    "width_multiplier": Parameter("Channels of every layer, relative to the published network.", float, least=0.01, most=100),
}  # fmt: skip
"""Every parameter of some family: what it says, and what values it has wherever it stands."""


@dataclass(frozen=True, kw_only=True)
class Network(ABC):
    """A network whose fields are its parameters, those that :data:`PARAMETERS` names; ConfigError for values that no such network has."""

    batch: int = 1
    weight_bits: int = 8
    activation_bits: int = 8

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name in PARAMETERS and not PARAMETERS[name].holds(value):
                raise ConfigError(f"{name}: expected {PARAMETERS[name].expected}, got {value!r}", parameter=name)
        self.check()

    def check(self) -> None:
        """ConfigError where values do not go together."""
        return

    @abstractmethod
    def table(self) -> Table:
        """Its layers."""

    @property
    def widths(self) -> Widths:
        """Of weights and activations."""
        return Widths(self.weight_bits, self.activation_bits)


def check_divides(network: Network, part: str, whole: str, remedy: str = "choose one that does") -> None:
    """ConfigError where the value of ``part`` does not divide that of ``whole``."""
    number, of = getattr(network, part), getattr(network, whole)
    if of % number:
        raise ConfigError(f"{part}: {number} does not divide {whole}, which is {of}; {remedy}", parameter=part)


def check_resolution(network: Network, resolution: int, stride: int) -> None:
    """ConfigError for an image that the strides of all layers leave nothing of."""
    if resolution < stride:
        raise ConfigError(
            f"resolution: {resolution} is less than {stride}, the stride of all layers together; choose at least {stride}",
            parameter="resolution",
        )


def divisible(channels: float, by: int = 8) -> int:
    """The nearest multiple of ``by``, or the next one where that is more than a tenth less (Sandler et al. 2018, code)."""
    nearest = max(by, int(channels + by / 2) // by * by)
    return nearest if nearest >= 0.9 * channels else nearest + by
