"""The search of a network: never worse than the default mapper on the whole of it, and over when its time is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from accelsim.arch import Arch
from accelsim.energy import Costs, charged_kind, idle_energy, table_of
from accelsim.errors import AccelsimError
from accelsim.graph import Graph, Layer, MacLayer
from accelsim.hardware import is_coded, passes_of
from accelsim.mapper.default import map_graph
from accelsim.mapper.exhaustive.clock import SECONDS, Clock
from accelsim.mapper.exhaustive.layer import Found, LayerSearch
from accelsim.mapper.exhaustive.problem import alone_of, check_space, scheduled, shares_of
from accelsim.mapper.network import Programs, Streamed, exact_costs
from accelsim.mapper.tiling import OnChip, Weigh
from accelsim.objective import DEFAULT_OBJECTIVE, Objective, value_of
from accelsim.program import MacMapping, Mapping, likely_kept

WALK, RANK, DESCEND = 0.4, 0.6, 0.85
"""Shares of the time after which the walks through the spaces end, the schedules of single layers, and those of the network; the
rest is for proofs."""
CANDIDATES = 12
"""Tilings of a layer that are tried in the network."""
APART = 4
"""And of each of several equal layers by itself."""
SWEEPS = 4
"""Most times that all layers are gone through."""
MARGIN = 1.0 - 1e-9
"""What is less only by rounding is not better."""


@dataclass(frozen=True, kw_only=True)
class Searched:
    """Mappings of a network for the least ``objective``.

    ``value`` is what they take, ``default`` what the default mapper's do, and ``bound`` what no tiling takes less than: none has fewer
    cycles than the array's work or the DRAM port's in all layers, nor less energy than what the layers spend at least. ``stopped``
    after that many ``seconds``, where the search could have gone on, else None. ``layers``: what was found of each MAC layer by itself,
    by name; those that the time did not suffice for are missing.
    """

    mappings: tuple[Mapping | None, ...]
    objective: Objective
    value: float
    default: float
    bound: float
    stopped: float | None
    layers: dict[str, Found]

    @property
    def summary(self) -> str:
        """One sentence: how it ended, how much it gained, how far it may be from the least."""
        end = f"stopped after {self.stopped:g} s" if self.stopped is not None else "searched to the end"
        found = f"best {_figure(self.value, self.objective)}, {1 - self.value / self.default:.2%} less than the default mapper's"
        return f"{end}: {found}; bound {_figure(self.bound, self.objective)}, at most {self.value / self.bound - 1:.1%} from the least"


def _figure(value: float, objective: Objective) -> str:
    """With its unit."""
    if objective == "cycles":
        return f"{value:,.0f} cycles"
    return f"{value:.6g} pJ" if objective == "energy" else f"{value:.6g} pJ cycles"


def search_graph(
    graph: Graph, *, arch: Arch, objective: Objective = DEFAULT_OBJECTIVE, seconds: float = SECONDS
) -> tuple[Mapping | None, ...]:
    """The mappings of :func:`search_network`."""
    return search_network(graph, arch=arch, objective=objective, seconds=seconds).mappings


def search_network(
    graph: Graph, *, arch: Arch, objective: Objective = DEFAULT_OBJECTIVE, seconds: float = SECONDS
) -> Searched:
    """A mapping for every layer that together minimise ``objective`` of the network; MappingError where nothing fits.

    It begins with the default mapper's, exactly scheduled, and takes another tiling of a layer, or of all equal ones, where the network
    as a whole gains by it: so it is never worse. Every tiling of every MAC layer is bounded; tried are those that are best alone. The
    result is the same on every machine, unless the time is over before.
    """
    for layer in graph.layers:
        if isinstance(layer, MacLayer):
            check_space(layer, shares_of(layer, graph, arch)[0])
    state = _Network(graph, arch, objective)
    alike, clock = _alike(graph, arch, state, seconds), state.clock
    for one in alike:
        one.search.walk(clock, WALK)
    alike.sort(key=lambda one: -one.weight)
    for one in alike:
        one.rank(clock)
    for _ in range(SWEEPS):
        better = [state.improve(one) for one in alike]
        if not any(better):
            break
    for one in alike:
        best = one.search.best()
        one.search.prove(clock)
        if one.search.best() != best:
            state.try_all(one.indices, one.search.best(), 1.0)
    return state.searched(alike)


class _Alike:
    """Equal MAC layers, which are searched once."""

    def __init__(self, search: LayerSearch, default: MacMapping) -> None:
        self.search, self.default, self.indices = search, default, list[int]()

    @property
    def weight(self) -> float:
        """What all of them are worth, by estimate."""
        return len(self.indices) * self.search.estimate

    def rank(self, clock: Clock) -> None:
        """Schedule what is likely best."""
        for mapping in dict.fromkeys([self.default, *self.search.likely(2 * CANDIDATES)]):
            if clock.over(RANK):
                return
            clock.timed(partial(self.search.cost, mapping))


def _alike(graph: Graph, arch: Arch, state: _Network, seconds: float) -> list[_Alike]:
    """The MAC layers by what their tilings depend on, those of most products in all first. The clock of ``state`` runs once one was
    made, when all is compiled."""
    stay, table, found = likely_kept(graph, arch), table_of(arch), dict[object, _Alike]()
    behind = {one.producer: [graph.layers[index] for index in one.behind] for one in passes_of(graph, arch)}
    for index, layer in enumerate(graph.layers):
        if not isinstance(layer, MacLayer):
            continue
        output = behind.get(index, [layer])[-1].output
        kept = OnChip(layer.inputs[0] in stay and layer.inputs[0] not in layer.inputs[1:], output in stay)
        own = layer.name if is_coded(layer, arch) else ""
        key = layer.geometry, charged_kind(layer, graph, arch), kept, own, _reads(behind.get(index, []))
        if key not in found:
            schedule = _schedule(layer, index, graph, arch, state.costs, kept)
            mapping = state.mappings[index]
            assert isinstance(mapping, MacMapping)
            found[key] = _Alike(LayerSearch(layer, graph, arch, table, state.weigh, schedule, kept), mapping)
            state.clock = state.clock if len(found) > 1 else Clock(seconds, state.clock)
        found[key].indices.append(index)
    return sorted(found.values(), key=lambda one: -len(one.indices) * graph.layers[one.indices[0]].macs)


def _reads(behind: Sequence[Layer]) -> object:
    """What follows a layer in the same pass, as far as its tiling depends on it."""
    return tuple((layer.operator, layer.input_shapes, layer.output_shape) for layer in behind)


def _schedule(
    layer: MacLayer, index: int, graph: Graph, arch: Arch, costs: Programs | Streamed, kept: OnChip
) -> Callable[[MacMapping], tuple[int, float]]:
    """Cycles and energy of tilings of one layer by itself."""
    alone, table = alone_of(layer, graph, arch), table_of(arch)

    def schedule(mapping: MacMapping) -> tuple[int, float]:
        streamed = costs.alone(index, mapping) if isinstance(costs, Streamed) else None
        return streamed or scheduled(alone, mapping, arch, table, kept)

    return schedule


class _Network:
    """The best mappings so far."""

    def __init__(self, graph: Graph, arch: Arch, objective: Objective) -> None:
        self.graph, self.arch, self.objective, self.clock = graph, arch, objective, Clock()
        self.costs = exact_costs(graph, arch)
        self.mappings = list(map_graph(graph, arch=arch, objective=objective))
        self.cycles, self.energy = self.costs.of(self.mappings)
        self.value = self.default = self._value(self.cycles, self.energy)

    def _value(self, cycles: int, energy: float) -> float:
        return float("inf") if cycles < 0 else float(value_of(self.objective, cycles, energy))

    @property
    def weigh(self) -> Weigh:
        """What a layer's cycles and picojoules are worth: the product of the network's grows by E dC + C dE."""
        if self.objective == "edp":
            return Weigh(self.energy, float(self.cycles), False)
        return Weigh(float(self.objective == "cycles"), float(self.objective == "energy"), False)

    def try_all(self, indices: Sequence[int], mappings: Sequence[MacMapping], share: float = DESCEND) -> bool:
        """Take the best of ``mappings`` for all of these layers; whether that is another than before."""
        better = False
        for mapping in mappings:
            if all(self.mappings[i] == mapping for i in indices):
                continue
            if self.clock.over(share):
                break
            tried = list(self.mappings)
            for i in indices:
                tried[i] = mapping
            better = self._take(tried) or better
        return better

    def _take(self, tried: list[Mapping | None]) -> bool:
        try:
            cycles, energy = self.clock.timed(lambda: self.costs.of(tried))
        except AccelsimError:  # too many tile operations in all
            return False
        value = self._value(cycles, energy)
        if value < self.value * MARGIN:
            self.mappings, self.cycles, self.energy, self.value = tried, cycles, energy, value
            return True
        return False

    def improve(self, one: _Alike) -> bool:
        """Other tilings of equal layers, together and one by one; whether any is better."""
        free = [i for i in one.indices if not getattr(self.mappings[i], "band", 0)]
        better = self.try_all(free, one.search.best(CANDIDATES)) if free else False
        for i in free if len(free) > 1 else ():
            better = self.try_all([i], one.search.best(APART)) or better
        return better

    def searched(self, alike: Sequence[_Alike]) -> Searched:
        """All that is known in the end."""
        layers = {}
        for one in alike:
            for i in one.indices:
                mapping = self.mappings[i]
                assert isinstance(mapping, MacMapping)
                if mapping in one.search.costs:
                    layers[self.graph.layers[i].name] = one.search.found(mapping, self.objective)
        return Searched(
            mappings=tuple(self.mappings),
            objective=self.objective,
            value=self.value,
            default=self.default,
            bound=min(self.bound(alike), self.value),
            stopped=self.clock.seconds if self.clock.stopped else None,
            layers=layers,
        )

    def bound(self, alike: Sequence[_Alike]) -> float:
        """The least value of any mapping of the network."""
        array = port = spent = 0.0
        for one in alike:
            least, count = one.search.least, len(one.indices)
            array, port, spent = array + count * least.array, port + count * least.port, spent + count * least.spent
        idle = idle_energy(self.arch, Costs(table_of(self.arch)))
        cycles = max(array, port)
        return self._value(int(cycles), spent + cycles * idle)
