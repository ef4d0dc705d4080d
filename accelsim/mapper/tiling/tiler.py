"""Tilings of MAC layers by closed forms of their cycles and energy: what the default mapper asks of its kernel."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.builder import check_least_size, least_mac_operations
from accelsim.energy import Costs, charged_kind, idle_energy, table_of
from accelsim.errors import MappingError
from accelsim.graph import Axis, Graph, MacGeometry, MacLayer
from accelsim.hardware import (
    DRAM,
    Loops,
    Machine,
    Memory,
    OperandBits,
    bursts_of,
    coded_share,
    fits,
    footprint,
    is_coded,
    least_code_bits,
    loops_of,
    machine_of,
    operand_bits,
    slot_capacity,
    slots,
)
from accelsim.mapper.tiling.problem import OnChip, case_of, layer_rates, rate_records
from accelsim.mapper.tiling.weigh import EDP, TURNS, gained
from accelsim.objective import OBJECTIVES, Objective
from accelsim.program import LOOP_ORDERS, MacMapping, mac_shares

if TYPE_CHECKING:
    from accelsim.mapper.tiling._choice import Best

_PLACES = 2**16
"""Places of tiles and taps that are looked at together."""
_HALVES = 2


class Tiling(NamedTuple):
    """A mapping of a MAC layer and what is expected of it: cycles and picojoules, bytes of DRAM ``traffic``, cycles of the ``array``."""

    mapping: MacMapping
    cycles: float
    picojoules: float
    traffic: float
    array: float


class Wanted(NamedTuple):
    """A MAC layer to tile: the whole of it, or a band (``geometry``), with some of its tensors ``kept`` on chip."""

    layer: MacLayer
    geometry: MacGeometry
    kept: OnChip


class Tiler:
    """Tiles MAC layers of ``graph`` for ``arch`` by one objective.

    Layers of one network are weighed together: the product of its energy and its cycles is not the sum of its layers'. Energies are by
    ``costs``, and ``idle`` picojoules a cycle.
    """

    def __init__(self, graph: Graph, arch: Arch, objective: Objective) -> None:
        self.graph, self.arch, self.objective = graph, arch, OBJECTIVES.index(objective)
        self.costs = Costs(table_of(arch))
        self.idle = idle_energy(arch, self.costs)
        self._machines: dict[OperandBits, Machine] = {}
        self._codings: dict[str, tuple[float, int]] = {}

    def tilings(self, wanted: Sequence[Wanted]) -> list[Tiling]:
        """The best of each, all layers of a network; equal ones are tiled once. MappingError where nothing fits.

        Of several cores' shares the first is tiled; a layer whose tile has no room on another core is tiled with the room of all in view.
        """
        found = self._tilings(wanted, frozenset())
        tilings = zip(wanted, found, strict=True)
        tight = {one.layer.name for one, tiling in tilings if not self._held_by_all(one, tiling.mapping)}
        return self._tilings(wanted, tight) if tight else found

    def _rows(self, one: Wanted) -> set[Axis]:
        """What cores see along rows: those inside an image more than the first, padded one."""
        bits = operand_bits(one.layer, self.graph, self.arch)
        return {share.geometry.axis("h") for share in mac_shares(one.geometry, bits=bits, arch=self.arch)}

    def _held_by_all(self, one: Wanted, m: MacMapping) -> bool:
        """Whether the buffers hold a tile of every core's share."""
        if self.arch.cores.count == 1 or one.geometry is not one.layer.geometry:
            return True
        columns = m.n * _most_under(one.geometry.axis("w"), m.ow, m.kw)
        area = max(_most_under(axis, m.oh, m.kh) for axis in self._rows(one)) * columns
        machine = self._machines[operand_bits(one.layer, self.graph, self.arch)]
        tile = Loops(m.n, m.oh, m.ow, m.oc, m.ic, m.kh, m.kw, m.groups)
        return bool(fits(machine.capacity, footprint(machine.operands, machine.im2col, tile, area)))

    def _tilings(self, wanted: Sequence[Wanted], tight: Set[str]) -> list[Tiling]:
        """As :meth:`tilings`, ``tight`` layers with the room of all cores in view."""
        from accelsim.mapper.tiling._choice import Best, nothing_found
        from accelsim.mapper.tiling.spaces import space_of

        alike: dict[object, list[int]] = {}
        for index, one in enumerate(wanted):
            alike.setdefault(self._key(one), []).append(index)
        distinct = [wanted[indices[0]] for indices in alike.values()]
        place = np.zeros(len(wanted), dtype=np.int64)
        for k, indices in enumerate(alike.values()):
            place[indices] = k
        shares = [self._shares(one) for one in distinct]
        pools = [operand_bits(one.layer, self.graph, self.arch).window for one in distinct]
        gathered = self.arch.activation_buffer.im2col == DRAM
        rows = [frozenset(self._rows(one)) if one.layer.name in tight else frozenset() for one in distinct]
        space = space_of([geometry for geometry, _ in shares], windows=gathered, pools=pools, others=rows)
        arguments = [self._arguments(one, *share) for one, share in zip(distinct, shares, strict=True)]
        found = nothing_found(len(distinct))
        chosen, totals = found, (0.0, 0.0)
        for turn in range(TURNS if self.objective == EDP else 1):
            for index, one in enumerate(distinct):
                best = Best(found.sizes[index], found.figures[index])
                self._choose(one, arguments[index], (self.objective, *totals), (space, index), best)
            made, before = _totals(found.figures[place]), totals[0] * totals[1]
            if turn > 0 and made[0] * made[1] >= before:
                break
            chosen, totals = Best(found.sizes.copy(), found.figures.copy()), made
            if turn > 0 and not gained(before, made[0] * made[1]):
                break
        return [_tiling(chosen.sizes[k].tolist(), chosen.figures[k].tolist()) for k in place]

    def _key(self, one: Wanted) -> object:
        """What the tiling of a layer depends on."""
        bits = operand_bits(one.layer, self.graph, self.arch)
        kind = charged_kind(one.layer, self.graph, self.arch)
        return one.geometry, one.kept, kind, self._coded(one.layer), bits.steps, bits.window

    def _coded(self, layer: MacLayer) -> tuple[float, int]:
        """Size of the weights in DRAM over their own, and bits of them there at least, where they are coded; else 0 and -1."""
        if not is_coded(layer, self.arch):
            return 0.0, -1
        if layer.name not in self._codings:  # which takes a walk through the weights
            self._codings[layer.name] = (
                coded_share(layer, self.arch),
                least_code_bits(layer, slice(None), self.arch),
            )
        return self._codings[layer.name]

    def _shares(self, one: Wanted) -> tuple[MacGeometry, int]:
        """The largest share that a core has, and how many have one; a band is computed by one."""
        if one.geometry is not one.layer.geometry:
            return one.geometry, 1
        check_least_size(one.layer, self.arch, least_mac_operations(one.layer, self.graph, self.arch))
        shares = mac_shares(one.geometry, bits=operand_bits(one.layer, self.graph, self.arch), arch=self.arch)
        shared = self.arch.shared_buffer
        if shared.size_bytes is None or shared.weight_banks is not None:  # a fixed division is two memories
            return shares[0].geometry, len(shares)
        return max((share.geometry for share in shares), key=_seen), len(shares)  # which must fit to a byte

    def _arguments(self, one: Wanted, geometry: MacGeometry, shares: int) -> tuple[Any, ...]:
        """Of the kernel, but for what it minimises and where."""
        from accelsim.mapper.tiling._bus import DramSide

        bits, (coded, least) = operand_bits(one.layer, self.graph, self.arch), self._coded(one.layer)
        if bits not in self._machines:
            self._machines[bits] = machine_of(bits, self.arch)
        case = case_of(one.layer, geometry, shares=shares, arch=self.arch, kept=one.kept, code_bits=least)
        rates = rate_records(layer_rates(one.layer, self.graph, self.arch, self.costs, self.idle), 1)
        g = one.layer.geometry
        weights, inputs, outputs = (
            np.array(shape[1:], dtype=np.float64) for shape in (g.weight_shape, g.input_shape, g.output_shape)
        )
        outputs[:2] /= bits.window
        dram = DramSide(bursts_of(self.arch), weights, inputs, outputs, coded)
        return self._machines[bits], case, loops_of(geometry), dram, rates.view(np.recarray)[0]

    def _choose(self, one: Wanted, arguments: tuple[Any, ...], weights: Any, at: Any, best: Best) -> None:
        from accelsim.mapper.tiling._choice import choose_layer

        if not choose_layer(*(*arguments, weights, at, best)):
            machine, _, loops, *_ = arguments
            raise _nothing_fits(one.layer.name, machine, loops, one.geometry, self.arch)


def _seen(g: MacGeometry) -> tuple[int, int]:
    """Outputs of a share, and rows of the input under them, padding apart."""
    axis = g.axis("h")
    high = min(axis.size, (axis.out - 1) * axis.stride - axis.pad + (axis.taps - 1) * axis.dilation + 1)
    return g.n * g.oh * g.oc, high - max(0, -axis.pad)


def _most_under(axis: Axis, tile: int, tap: int) -> int:
    """Most inputs along an axis under a tile of so many outputs and taps."""
    taps, most = np.arange(0, axis.taps, tap), 0
    span = tile * max(1, _PLACES // len(taps))
    for first in range(0, axis.out, span):  # a stretch at a time: no table of all places of a long axis
        outs = np.arange(first, min(first + span, axis.out), tile)[:, None]
        under = (outs, np.minimum(outs + tile, axis.out)), (taps, np.minimum(taps + tap, axis.taps))
        low, high = axis.rows_under(*under)
        most = max(most, int((high - low).max()))
    return most


def _totals(figures: NDArray[np.void]) -> tuple[float, float]:
    """Cycles and picojoules of all layers."""
    cycles, picojoules = 0.0, 0.0
    for one, other in zip(figures["cycles"].tolist(), figures["energy"].tolist(), strict=True):
        cycles, picojoules = cycles + one, picojoules + other
    return cycles, picojoules


def _tiling(sizes: list[int], figures: tuple[float, ...]) -> Tiling:
    oh, ow, n, kh, kw, oc, ic, groups, order = sizes
    mapping = MacMapping(oh=oh, ow=ow, oc=oc, ic=ic, kh=kh, kw=kw, groups=groups, n=n, order=LOOP_ORDERS[order])
    return Tiling(mapping, *figures)


def _nothing_fits(name: str, machine: Machine, loops: Loops, g: MacGeometry, arch: Arch) -> MappingError:
    """Which memory is too small for one output of one product."""
    rows, columns = machine.operands.pool_rows, machine.operands.pool_cols
    area = max(1, int(g.axis("h").span(rows, 1)) * int(g.axis("w").span(columns, 1)))
    least = footprint(machine.operands, machine.im2col, Loops(1, rows, columns, 1, 1, 1, 1, 1), area)
    needs = {
        Memory.WEIGHTS: least.weights, Memory.ACTIVATIONS: least.held, Memory.ACCUMULATORS: least.sums, Memory.OUTPUTS: least.outputs
    }  # fmt: skip
    for memory, need in needs.items():
        capacity = slot_capacity(memory, arch)
        if need > capacity:
            unit = "words" if memory is Memory.ACCUMULATORS else "bytes"
            return MappingError(
                f"layer {name!r}: the smallest tile needs {need} {unit} of the {memory.label}, one slot has {capacity}, "
                f"{need - capacity} {unit} too few; enlarge it or {_larger_slots(memory, arch)}",
                layer=name,
                memory=memory.label,
                missing=need - capacity,
            )
    return MappingError(f"layer {name!r}: no tile fits all buffers at once", layer=name)


def _larger_slots(memory: Memory, arch: Arch) -> str:
    """What makes each slot of a memory larger."""
    fifo = memory is Memory.WEIGHTS and slots(memory, arch) > _HALVES
    return "take fewer weight_buffer.slots" if fifo else "switch its double buffering off"
