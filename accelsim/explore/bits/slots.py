"""The widths that are searched: one for the weights of each layer, one for the codes of each activation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accelsim.errors import ConfigError
from accelsim.explore.widths import WIDEST
from accelsim.ptq import Place, Widths

if TYPE_CHECKING:
    from accelsim.ptq import Calibrated
    from accelsim.ptq.pipeline import Prepared

BASE_BITS = 8
"""Where a search starts, and what its rows are compared with: W8A8."""
DEFAULT_WIDTHS, DEFAULT_ACTS = (2, 3, 4, 5, 6, 7, 8), (4, 8, 16)
"""Bits of weights and of activations that are tried."""
Bits = tuple[int, ...]
"""The width of each slot."""


@dataclass(frozen=True)
class Slot:
    """A place for a width, and the ``options`` for it, ascending, :data:`BASE_BITS` among them."""

    place: Place
    options: tuple[int, ...]

    @property
    def label(self) -> str:
        """The name of the layer or tensor with the kind of its codes."""
        return f"{self.place.name}.{'weights' if self.place.weights else 'acts'}"


@dataclass(frozen=True)
class Slots:
    """All slots of a network: activations, then weights."""

    slots: tuple[Slot, ...]

    @classmethod
    def of(cls, calibrated: Calibrated | Prepared, widths: Sequence[int], acts: Sequence[int]) -> Slots:
        """Every place of ``calibrated``; ConfigError for widths that cannot be."""
        options = {True: checked(widths, "widths"), False: checked(acts, "acts")}
        return cls(tuple(Slot(place, options[place.weights]) for place in calibrated.places))

    @property
    def base(self) -> Bits:
        """8 bits everywhere."""
        return (BASE_BITS,) * len(self.slots)

    def layers(self, bits: Bits) -> dict[str, Widths]:
        """Exceptions from W8A8, by name, as :meth:`accelsim.ptq.Calibrated.quantized` takes them."""
        weights, acts = dict[str, int](), dict[str, int]()
        for slot, chosen in zip(self.slots, bits, strict=True):
            if chosen != BASE_BITS:
                (weights if slot.place.weights else acts)[slot.place.name] = chosen
        names = dict.fromkeys(slot.place.name for slot in self.slots)
        return {name: Widths(weights.get(name), acts.get(name)) for name in names if name in weights or name in acts}

    def reader(self, slot: int) -> int | None:
        """The slot of the activations that the layer of a slot of weights reads; None where their width is fixed, or for activations."""
        place = self.slots[slot].place
        return next((i for i, x in enumerate(self.slots) if not x.place.weights and x.place.name == place.reads), None)

    def only(self, options: Mapping[int, tuple[int, ...]]) -> Slots:
        """With fewer ``options`` for some slots."""
        return Slots(tuple(Slot(x.place, options.get(i, x.options)) for i, x in enumerate(self.slots)))


def checked(widths: Sequence[int], what: str) -> tuple[int, ...]:
    """``widths`` ascending, with :data:`BASE_BITS`; ConfigError for none, or one that is no number of bits that can be."""
    if not widths:
        raise ConfigError(f"{what}: expected one or more numbers of bits, such as 4,8, got none")
    for bits in widths:
        if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= WIDEST:
            raise ConfigError(f"{what}: expected numbers of bits from 2 to {WIDEST}, got {bits!r}")
    return tuple(sorted({*widths, BASE_BITS}))
