"""What would relieve each layer: the record of a few changed machines, every one of them simulated."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.result.record import LayerResult, Result

LEAST_GAIN = 0.005
"""Share of a layer's cycles below which a change does not relieve it."""


@dataclass(frozen=True)
class Change:
    """One change of the machine, ``text`` for people and ``edit`` by path; ``result`` is None, and ``why`` says so, where it is refused."""

    text: str
    edit: dict[str, object]
    result: Result | None
    why: str = ""


@dataclass(frozen=True)
class Relief:
    """The change that takes most off one layer: from ``before`` to ``after`` cycles of it."""

    change: Change
    before: int
    after: int

    @property
    def gain(self) -> float:
        """Share of the layer's cycles that the change takes off."""
        return 1 - self.after / self.before


@dataclass(frozen=True)
class Reliefs:
    """``base`` and every change that was simulated for the whole network, with the same mapper and objective.

    A layer's cycles are what it adds to the network's, so that the gain holds with all layers around it changed too.
    """

    base: Result
    changes: tuple[Change, ...]

    def of(self, layer: LayerResult) -> Relief | None:
        """The change that takes most off ``layer``, the first of equals; None where none takes off :data:`LEAST_GAIN`."""
        if not layer.cycles:
            return None
        tried = [(change, change.result.layers[layer.index].cycles) for change in self.changes if change.result]
        if not tried:
            return None
        change, after = min(tried, key=lambda pair: pair[1])
        found = Relief(change, layer.cycles, after)
        return found if found.gain >= LEAST_GAIN else None
