"""The contract of a mapper: legal tiles for every network and machine, which change no bit and lose no work."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from accelsim.arch import Arch
from accelsim.builder import build_program
from accelsim.energy import load_table
from accelsim.execute import WholeReader, accumulator_formats, run_program
from accelsim.graph import Graph, MacLayer, Reshape
from accelsim.hardware import WRITE_BACK, Memory, packed_bytes, packs, stored_bits
from accelsim.mapper import map_graph
from accelsim.program import Program, check_mapping, check_program
from accelsim.result import summarize
from accelsim.testing.contract import Contract
from accelsim.testing.machines import Mappings, random_arch, roomy
from accelsim.testing.networks import Rng, random_graph, random_input
from accelsim.timing import schedule, schedule_simpy


def assert_same_values(program: Program, rng: Rng, message: str = "") -> None:
    """Every tensor of one inference through the Program's buffers, in the order of its schedule, equals the whole layers' (law 3)."""
    inputs = random_input(rng, program.graph)
    reader = WholeReader(program.graph, accumulators=accumulator_formats(program.graph, program.arch))
    expected = reader.run(inputs, keep="all")
    for name, values in run_program(program, inputs, timeline=schedule(program)).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=f"{message}tensor {name}")


class MapperContract(Contract):
    """Of ``map``: one mapping per layer of a Graph on a machine, None for a layer that only renames its codes."""

    def map(self, graph: Graph, arch: Arch) -> Mappings:
        """The mapper under test; the packaged one unless overridden."""
        return map_graph(graph, arch=arch)

    def graph(self, rng: Rng) -> Graph:
        """A random network."""
        return random_graph(rng)

    def arch(self, rng: Rng, graph: Graph) -> Arch:
        """A random machine that has room for ``graph``."""
        return roomy(random_arch(rng), graph)

    def programs(self) -> Iterator[tuple[str, Rng, Program]]:
        """A Program per seed, in the mapper's tiles."""
        for seed, rng in self.draws():
            graph = self.graph(rng)
            arch = self.arch(rng, graph)
            yield f"seed {seed}: ", rng, build_program(graph, arch=arch, mappings=self.map(graph, arch))

    def test_every_mapping_is_legal(self) -> None:
        """Tiles inside their axes that fit every buffer, regions without hazards; the same each time it is asked."""
        for where, _, program in self.programs():
            again = self.map(program.graph, program.arch)
            self.expect(tuple(again) == tuple(program.mappings), f"{where}two answers to one question")
            for layer, mapping in zip(program.graph.layers, program.mappings, strict=True):
                if mapping is None:
                    behind = {program.graph.layers[i].name for one in program.passes for i in one.behind}
                    on_its_own = not isinstance(layer, Reshape) and layer.name not in behind
                    self.expect(not on_its_own, f"{where}layer {layer.name!r} has no mapping")
                else:
                    check_mapping(layer, mapping)
            check_program(program)

    def test_no_mapping_changes_a_bit(self) -> None:
        """Law 3, in the order of the schedule."""
        for where, rng, program in self.programs():
            assert_same_values(program, rng, where)

    def test_all_work_is_done_and_every_output_is_stored_once(self) -> None:
        """Law 4: products, stored elements, weights at least once each."""
        for where, _, program in self.programs():
            self.expect(program.macs == program.graph.macs, f"{where}{program.macs} MACs for {program.graph.macs}")
            plain = program.extent if packs(program.arch) else program.amount
            for index, layer in enumerate(program.graph.layers):
                mine = program.layer == index
                times = np.zeros(layer.output_shape, dtype=np.int64)
                for i in np.flatnonzero(mine & np.isin(program.engine, WRITE_BACK)).tolist():
                    times[tuple(slice(a, b) for a, b in zip(*program.box(i), strict=True))] += 1
                handed_on = any(one.producer <= index < one.consumer for one in program.passes)
                stored = isinstance(layer, Reshape) or bool((times == (0 if handed_on else 1)).all())
                self.expect(stored, f"{where}layer {layer.name!r} stores an element twice or never")
                if isinstance(layer, MacLayer):
                    whole = int(packed_bytes(np.prod(layer.geometry.weight_shape), stored_bits(layer, program.arch)))
                    loaded = int(plain[mine & (program.memory == Memory.WEIGHTS)].sum())
                    self.expect(loaded >= whole, f"{where}layer {layer.name!r} loads {loaded} of {whole} weight bytes")

    def test_no_schedule_beats_its_bounds(self) -> None:
        """Law 5, and both schedulers agree (law 1)."""
        table = load_table("horowitz_45nm")
        for where, _, program in self.programs():
            timeline, total = schedule(program), summarize(schedule(program), table=table).total
            np.testing.assert_array_equal(timeline.finish, schedule_simpy(program).finish, err_msg=where)
            least = max(total.compute_bound_cycles, total.traffic_bound_cycles)
            self.expect(total.cycles >= least, f"{where}{total.cycles} cycles, bound {least}")
