"""Additive proxies: what each width of each slot adds to noise, energy and latency, all others at 8 bits.

Independent errors of many small sources add up in power at the output, so does what each tensor costs. What a layer's weights cost depends
on the width of what they meet (a multiplier takes both), so that they are asked for at each width of the layer's input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccelsimError, ConfigError
from accelsim.explore.bits.slots import BASE_BITS, Bits, Slots
from accelsim.explore.bits.trials import Edits, Progress, Trials, layer_in
from accelsim.explore.widths import WEIGHTS, layer_width
from accelsim.graph import Graph
from accelsim.ptq import WeightQuant

Doubles = NDArray[np.float64]
FIGURES = ("energy_pj", "latency_s")
COUNT = 1 + len(FIGURES)
"""Noise, then the figures."""
STAGE = "probes"


@dataclass(frozen=True, eq=False)
class Proxies:
    """``start`` of W8A8, shape (3,), of noise, energy in pJ and latency in s, and what widths add to it.

    ``alone[i]`` of slot i has shape (options, 3); ``beside[i]`` of a slot of weights shape (options, options of what it reads, 3), which
    for noise and cost counts in place of ``alone`` where ``reads[i]`` is a slot. ``slots`` has the options that can be quantized.
    """

    slots: Slots
    start: Doubles
    alone: tuple[Doubles, ...]
    beside: dict[int, Doubles]
    reads: dict[int, int]
    probes: int

    def of(self, bits: Bits) -> Doubles:
        """Noise, energy and latency of ``bits``, shape (3,), as the proxies have it."""
        places = [slot.options.index(chosen) for slot, chosen in zip(self.slots.slots, bits, strict=True)]
        total = self.start.copy()
        for i, place in enumerate(places):
            total += self.beside[i][place, places[self.reads[i]]] if i in self.beside else self.alone[i][place]
        return total


def measured(trials: Trials, edits: Edits, progress: Progress | None = None) -> Proxies:
    """The proxies of the machine with ``edits``; options that the network cannot be quantized with are left out."""
    return _Measuring(trials, edits, progress).proxies()


class _Measuring:
    def __init__(self, trials: Trials, edits: Edits, progress: Progress | None) -> None:
        self.trials, self.edits, self.progress = trials, dict(edits), progress
        self.slots, self.done = trials.slots, 0
        self.total = 1 + sum(len(slot.options) - 1 for slot in self.slots.slots)
        self.base = self._graph(self.slots.base)
        self.start = self._all(self.base)

    def proxies(self) -> Proxies:
        alone: list[Doubles] = []
        options: dict[int, tuple[int, ...]] = {}
        graphs: dict[tuple[int, int], Graph] = {}
        for i, slot in enumerate(self.slots.slots):
            kept, rows = [], []
            for bits in slot.options:
                graph = self._probe(i, bits)
                if graph is None:
                    continue
                kept.append(bits)
                rows.append(self._all(graph) - self.start)
                if not slot.place.weights:
                    graphs[i, bits] = graph
            options[i] = tuple(kept)
            alone.append(np.array(rows))
        slots = self.slots.only(options)
        reads = {i: t for i in range(len(slots.slots)) if (t := slots.reader(i)) is not None and self._known(i)}
        beside = {i: self._beside(slots, i, t, alone[i], graphs) for i, t in reads.items()}
        self._hold(slots, reads, alone, beside)
        return Proxies(slots, self.start, tuple(alone), beside, reads, self.done)

    def _known(self, slot: int) -> bool:
        return layer_in(self.base, self.slots.slots[slot].place.known_as) is not None

    def _graph(self, bits: Bits) -> Graph:
        self.done += 1
        if self.progress is not None:
            self.progress(STAGE, self.done, self.total)
        return self.trials.graph(bits, probed=True)

    def _probe(self, slot: int, bits: int) -> Graph | None:
        """All at 8 bits but one slot; None where that cannot be quantized."""
        if bits == BASE_BITS:
            return self.base
        chosen = list(self.slots.base)
        chosen[slot] = bits
        try:
            return self._graph(tuple(chosen))
        except ConfigError:
            raise
        except AccelsimError:
            return None

    def _all(self, graph: Graph) -> Doubles:
        return np.array([self.trials.noise(graph), *self._costs(graph, [{}])[0]])

    def _costs(self, graph: Graph, edits: list[dict[str, object]]) -> Doubles:
        rows = self.trials.costs(graph, [{**self.edits, **edit} for edit in edits])
        for error in rows["error"]:
            if error:
                raise AccelsimError(str(error))
        return np.stack([rows[name] for name in FIGURES], axis=1)

    def _beside(
        self, slots: Slots, slot: int, read: int, alone: Doubles, graphs: dict[tuple[int, int], Graph]
    ) -> Doubles:
        """What the weights of a slot add where what they read has each of its widths: its own noise, and costs from there."""
        place, options, widths = slots.slots[slot].place, slots.slots[slot].options, slots.slots[read].options
        table = np.empty((len(options), len(widths), COUNT))
        table[:, :, 0] = alone[:, :1]
        for column, bits in enumerate(widths):
            graph = graphs[read, bits]
            name = layer_in(graph, place.known_as)
            assert name is not None
            edits: list[dict[str, object]] = [{}]
            edits += [{layer_width(name, WEIGHTS): option} for option in options]
            costs = self._costs(graph, edits)
            table[:, column, 1:] = costs[1:] - costs[0]
        return table

    def _hold(self, slots: Slots, reads: dict[int, int], alone: list[Doubles], beside: dict[int, Doubles]) -> None:
        """Where sums are held to an accumulator: noise grows with the square error of the weights that are held to it."""
        if self.trials.quantize.accumulator_bits is None:
            return
        held, free = self.trials.calibrated.alone, self.trials.free.alone
        widths = sorted({bits for i in reads for bits in slots.slots[i].options})
        acts = sorted({bits for t in reads.values() for bits in slots.slots[t].options})
        plain = {w: _errors(free.weights(weights=w)) for w in widths}
        narrow = {(w, a): _errors(held.weights(weights=w, acts=a)) for w in widths for a in acts}
        for i, t in reads.items():
            name, options = slots.slots[i].place.name, slots.slots[i].options
            gain = alone[i][0, 0] / max(plain[options[0]][name] - plain[BASE_BITS][name], np.finfo(np.float64).tiny)
            more = [[narrow[w, a][name] - plain[w][name] for a in slots.slots[t].options] for w in options]
            beside[i][:, :, 0] += max(gain, 0.0) * np.array(more)


def _errors(weights: Mapping[str, WeightQuant]) -> dict[str, float]:
    """Power of the error of each layer's weights over their own."""
    return {name: float(10 ** (-quant.sqnr_db / 10)) for name, quant in weights.items()}
